"""Module files: .ko with sets in .BTF_ids, compressed, raw blobs."""

import gzip
import lzma
import struct

import pytest

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.errors import ObjectError
from bpfemu.kernel.module_file import read_module, tagged_kfuncs
from bpfemu.kernel.registration import KfuncId, KfuncSet
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT
from tests.kernel.btf_parts import kernel_btf, own_ids, plain_module, vmlinux

BLOB = plain_module(vmlinux(), "f", "g")


def ko(sections: dict[str, bytes], order: str = "<", wide: bool = True) -> bytes:
    """A relocatable ELF file with these sections, after a null one and before .shstrtab."""
    sections = {**sections, ".shstrtab": b""}
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections)
    sections[".shstrtab"] = names
    body, rows = b"", [(0, 0, 0, 0)]
    for name, data in sections.items():
        rows.append((names.index(b"\0" + name.encode() + b"\0") + 1, 1, 64 + len(body), len(data)))
        body += data
    table = 64 + len(body)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header = struct.pack(
        order + "HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, len(rows), len(rows) - 1
    )
    heads = b"".join(
        struct.pack(order + "IIQQQQIIQQ", name, kind, 0, 0, at, size, 0, 0, 1, 0)
        for name, kind, at, size in rows
    )
    return ident + header + body + heads


def with_ids(sets, order="<", blob=BLOB, **more):
    """A .ko whose .BTF_ids holds sets: (name, flags, pairs)."""
    ids, strings, symbols = b"\1\0\0\0", b"\0", bytes(24)
    for name, flags, pairs in sets:
        symbols += struct.pack(
            order + "IBBHQQ", len(strings), 1, 0, 1, len(ids), 8 + 8 * len(pairs)
        )
        strings += name.encode() + b"\0"
        ids += struct.pack(order + "II", len(pairs), flags)
        ids += b"".join(struct.pack(order + "II", *pair) for pair in pairs)
    sections = {".BTF": blob, ".BTF_ids": ids, ".symtab": symbols, ".strtab": strings, **more}
    return ko(sections, order)


def read(tmp_path, data, name="my-mod.ko"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_module(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_module_file_gives_its_btf_and_its_kfunc_sets(tmp_path, order):
    sets = [
        ("__BTF_ID__set8__mine", 1, [(11, 4), (12, 0)]),
        ("__BTF_ID__set8__other", 0, [(11, 0)]),  # not marked as kfuncs
        ("__BTF_ID__func__f__1", 1, [(11, 0)]),
        ("__BTF_ID__set8__two", 1, []),
    ]

    found = read(tmp_path, with_ids(sets, order))

    assert (found.name, found.blob.data, found.blob.base) == ("my_mod", BLOB, b"")
    assert found.sets == (
        KfuncSet("common", (KfuncId(11, 4), KfuncId(12, 0))),
        KfuncSet("common", ()),
    )


def test_a_distilled_base_comes_along(tmp_path):
    found = read(tmp_path, with_ids([], **{".BTF.base": b"base"}))

    assert found.blob.base == b"base"


def test_a_set_that_passes_the_end_of_its_section_is_left_out(tmp_path):
    whole = with_ids([("__BTF_ID__set8__mine", 1, [(11, 4)])])
    cut = whole.replace(struct.pack("<II", 1, 1), struct.pack("<II", 9, 1))
    assert cut != whole
    far = whole.replace(struct.pack("<QQ", 4, 16), struct.pack("<QQ", 40, 16))
    assert far != whole

    assert read(tmp_path, cut).sets == read(tmp_path, far).sets == ()


@pytest.mark.parametrize("missing", [".BTF_ids", ".symtab", ".strtab"])
def test_without_ids_or_symbols_there_are_no_sets(tmp_path, missing):
    parts = {".BTF": BLOB, ".BTF_ids": bytes(24), ".symtab": bytes(48), ".strtab": b"\0"}
    del parts[missing]

    assert read(tmp_path, ko(parts)).sets == ()


def test_a_module_without_btf(tmp_path):
    assert read(tmp_path, ko({".text": b"code"})).blob is None


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_modules(tmp_path, pack):
    found = read(tmp_path, pack(with_ids([])), "mod.ko.gz")

    assert (found.name, found.blob.data) == ("mod", BLOB)


def test_a_raw_blob_as_sysfs_shows_it(tmp_path):
    found = read(tmp_path, BLOB, "mod")

    assert (found.name, found.blob.data, found.sets) == ("mod", BLOB, ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\x1f\x8bnonsense",
        b"\xfd7zXZ\0nonsense and more of it",
        b"\x7fELF",
        ko({".BTF": BLOB})[:-70],
    ],
)
def test_what_is_no_module_is_an_object_error(tmp_path, data):
    with pytest.raises(ObjectError, match=r"my-mod\.ko"):
        read(tmp_path, data)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ObjectError, match="cannot read it: No such file") as caught:
        read_module(tmp_path / "none.ko")
    assert caught.value.errno == 2


def test_tagged_functions_stand_for_sets():
    b = BtfBuilder(vmlinux())
    proto = b.func_proto(0)
    for name in ("plain", "bpf_iter_x_new", "bpf_iter_x_next", "bpf_iter_x_destroy", "not_tagged"):
        func = b.func(name, proto, 0)
        if name != "not_tagged":
            b.decl_tag("bpf_kfunc", func)
        b.decl_tag("other", func)
    b.decl_tag("bpf_kfunc", 9999)
    btf = b.build("mod")
    ids = own_ids(btf)

    found = tagged_kfuncs(btf)

    assert found.kfuncs == (
        KfuncId(ids["plain"], 0),
        KfuncId(ids["bpf_iter_x_new"], KF_ITER_NEW),
        KfuncId(ids["bpf_iter_x_next"], KF_ITER_NEXT),
        KfuncId(ids["bpf_iter_x_destroy"], KF_ITER_DESTROY),
    )


def test_a_module_is_loaded_from_its_file(tmp_path):
    """Its own sets are registered, unless others are given."""
    ids = own_ids(Btf.parse(BLOB, vmlinux()))
    path = tmp_path / "mod.ko"
    path.write_bytes(with_ids([("__BTF_ID__set8__mine", 1, [(ids["f"], 4)])]))
    bare = tmp_path / "bare.ko"
    bare.write_bytes(ko({".text": b"code"}))
    kernel = kernel_btf()

    module = kernel.modules.load("mod", path)
    kernel.modules.load("mod2", str(path), ["g"])
    kernel.modules.load("bare", bare)

    assert kernel.kfuncs.use("mod", ids["f"], 26).kfunc.flags == 4
    assert list(module.symbols) == ["f"]
    assert kernel.kfuncs.use("mod2", ids["f"], 26) is None
    assert kernel.kfuncs.use("mod2", ids["g"], 26)
    assert kernel.modules["bare"].btf is None
