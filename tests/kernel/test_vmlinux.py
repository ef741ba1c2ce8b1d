"""The emulated kernel's own BTF: against hand-made declarations and against a real kernel's."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.check import check
from bpfemu.btf.spelling import type_name
from bpfemu.errors import DeclarationError
from bpfemu.kernel import vmlinux
from bpfemu.kernel.vmlinux import FILES, file_of, vmlinux_btf, write_files
from bpfemu.kernel.vmlinux_build import build_btf
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.decl import Array, Bits, Const, Enumeration, char, int_, uint
from bpfemu.proto.flags import KF_FASTCALL
from bpfemu.proto.layout import Layouts
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import PROFILES, find_profile
from bpfemu.proto.types import Ptr, Scalar, Struct, u8, u32, u64, void
from bpfemu.session import make_catalog
from bpfemu.world import targets

LIVE = Path("/sys/kernel/btf/vmlinux")
NEWEST = find_profile("6.18.44")


@cache
def catalog() -> Catalog:
    return make_catalog()


@cache
def world() -> Catalog:
    return Catalog.discover("bpfemu.world")


@cache
def live() -> Btf:
    return Btf.open(LIVE)


def build(*definitions):
    return build_btf(Catalog.of(*definitions), NEWEST)


# ---- declarations become types


class small_t(u32):
    """A typedef."""


class color(Enumeration):
    """An enum."""

    RED = 0
    BLUE = 7


class signed_one(Enumeration, name="", size=8):
    """An enum64 without a tag."""

    LOW = -1


class _inner(Struct, anonymous=True, union=True):
    a: u64
    b: Array[char, 3]


class named_t(Struct, tag="named"):
    """A struct behind a typedef."""

    value: int_


class again_t(named_t):
    """A typedef of a typedef."""


class hidden(Struct, private=True):
    value: u64


class bpf_iter_test(Struct, opaque=True):
    a: u64
    b: u32


class thing(Struct):
    """A bit of everything."""

    _anon1: _inner
    first: Bits[uint, 3]
    second: Bits[uint, 30]
    small: small_t
    color: color
    name: Ptr[Const[char]]
    self: Ptr[thing]
    unknown: Ptr[nobody]  # noqa: F821
    secret: Ptr[hidden]
    named: named_t
    again: again_t
    __double: u8


@kfunc(KF_FASTCALL)
def bpf_thing_take(it: Ptr[thing], count__k: u32, buffer: Ptr[void]) -> int_:
    """A kfunc."""


@kfunc()
def bpf_thing_drop(it: Ptr[thing]) -> None:
    """Another."""


def everything():
    return build(
        small_t,
        color,
        signed_one,
        named_t,
        again_t,
        hidden,
        bpf_iter_test,
        thing,
        bpf_thing_take,
        bpf_thing_drop,
    )


def members_of(btf, name):
    return {m.name: (m.bit_offset, m.bit_size) for m in btf.members(btf.find(name, k.Struct))}


def test_members_lie_where_c_puts_them():
    btf = everything()
    id = btf.find("thing", k.Struct)

    assert members_of(btf, "thing") == {
        "a": (0, 0),
        "b": (0, 0),
        "first": (64, 3),
        "second": (96, 30),
        "small": (128, 0),
        "color": (160, 0),
        "name": (192, 0),
        "self": (256, 0),
        "unknown": (320, 0),
        "secret": (384, 0),
        "named": (448, 0),
        "again": (480, 0),
        "__double": (512, 0),
    }
    assert btf.size_of(id) == 72
    assert btf.type(id).members[0].name == ""


def test_layouts_of_declaration_and_btf_agree():
    declared = Layouts(None, {"thing": thing, "hidden": hidden, "named_t": named_t})
    from_btf = Layouts(everything())

    ours, theirs = declared.named("thing"), from_btf.named("thing")

    assert (ours.size, ours.align) == (theirs.size, theirs.align)
    for name, field in ours.fields.items():
        other = theirs.fields[name]
        assert (field.offset, declared.size_of(field.type)) == (
            other.offset,
            from_btf.size_of(other.type),
        )
        assert getattr(field.type, "shift", 0) == getattr(other.type, "shift", 0), name


def test_pointers_to_nobody_and_to_private_structs_become_forward_declarations():
    btf = everything()

    assert btf.find("nobody", k.Fwd)
    assert btf.find("hidden", k.Fwd)
    assert btf.find("hidden", k.Struct) is None


def test_iterators_show_words_only():
    btf = everything()
    id = btf.find("bpf_iter_test", k.Struct)
    (member,) = btf.type(id).members

    assert btf.size_of(id) == 16
    assert member.name == "__opaque"
    array = btf.type(member.type)
    assert array.nelems == 2
    assert btf.type(array.elem) == k.Typedef("__u64", btf.find("long long unsigned int", k.Int))


def test_typedefs_keep_their_chain():
    btf = everything()

    def chain(name):
        id, names = btf.find(name, k.Typedef), []
        while isinstance(btf.type(id), k.Typedef):
            names.append(btf.type(id).name)
            id = btf.type(id).type
        return [*names, btf.type(id).name]

    assert chain("small_t") == ["small_t", "u32", "__u32", "unsigned int"]
    assert chain("again_t") == ["again_t", "named_t", "named"]


def test_enums_keep_names_values_size_and_sign():
    btf = everything()

    assert btf.type(btf.find("color", k.Enum)) == k.Enum(
        "color", 4, False, (k.EnumValue("RED", 0), k.EnumValue("BLUE", 7))
    )
    (unnamed,) = [t for _, t in btf.types() if isinstance(t, k.Enum64)]
    assert unnamed == k.Enum64("", 8, True, (k.EnumValue("LOW", -1),))


def test_kfuncs_have_prototype_and_tags():
    btf = everything()
    take, drop = (btf.find(f"bpf_thing_{name}", k.Func) for name in ("take", "drop"))

    proto = btf.func_proto(take)
    assert [param.name for param in proto.params] == ["it", "count__k", "buffer"]
    assert btf.type(proto.ret).name == "int"
    assert btf.type(proto.params[2].type) == k.Ptr(0)
    assert btf.func_proto(drop).ret == 0
    assert sorted(tag for tag, _ in btf.decl_tags(take)) == ["bpf_fastcall", "bpf_kfunc"]
    assert [tag for tag, _ in btf.decl_tags(drop)] == ["bpf_kfunc"]


def test_const_is_kept():
    btf = everything()
    name = next(m for m in btf.members(btf.find("thing", k.Struct)) if m.name == "name")

    assert isinstance(btf.type(btf.type(name.type).type), k.Const)


def test_an_integer_that_is_no_c_type_is_refused():
    class strange(Scalar):
        bits = 24

    class holder(Struct):
        value: u64

    holder.__annotations__["value"] = strange

    with pytest.raises(DeclarationError, match="strange: is not a C integer"):
        build(holder)


def test_building_twice_gives_the_same_bytes():
    assert everything().raw == everything().raw


def test_attach_targets_are_named_as_in_the_kernel():
    btf = everything()
    switch = btf.type(btf.find("btf_trace_sched_switch", k.Typedef))

    proto = btf.func_proto(btf.find("btf_trace_sched_switch", k.Typedef))
    assert isinstance(btf.type(switch.type), k.Ptr)
    assert [p.name for p in proto.params] == ["__data", "preempt", "prev", "next", "prev_state"]
    assert [p.name for p in btf.func_proto(btf.find("do_unlinkat", k.Func)).params] == [
        "dfd",
        "name",
    ]
    assert btf.find("bpf_iter_task", k.Func)
    assert btf.find("bpf_lsm_file_open", k.Func)
    assert btf.func_proto(btf.find("bpf_lsm_task_free", k.Func)).ret == 0


# ---- what the package ships


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_shipped_file_is_what_the_declarations_give(profile):
    path = file_of(catalog(), profile)

    assert os.path.exists(path), "declarations changed: run python -m bpfemu.kernel.vmlinux"
    assert Path(path).read_bytes() == build_btf(world().merged(catalog()), profile).raw
    assert vmlinux_btf(catalog(), profile).raw == Path(path).read_bytes()


def test_nothing_else_is_shipped():
    assert len([name for name in os.listdir(FILES) if name.endswith(".btf")]) == len(PROFILES)


def test_files_are_written_anew(tmp_path):
    (tmp_path / "old-00000000.btf").write_bytes(b"")

    written = write_files(str(tmp_path))

    assert sorted(os.listdir(tmp_path)) == sorted(os.path.basename(path) for path in written)
    for path in written:
        shipped = os.path.join(FILES, os.path.basename(path))
        assert Path(path).read_bytes() == Path(shipped).read_bytes()


@kfunc()
def bpf_of_a_user(value: u64) -> u64:
    """A further kfunc."""


def test_with_further_kfuncs_the_btf_is_built():
    more = catalog().merged(Catalog.of(bpf_of_a_user))

    btf = vmlinux_btf(more, NEWEST)

    assert btf.find("bpf_of_a_user", k.Func)
    assert btf.find("bpf_iter_num_new", k.Func)
    assert btf.find("task_struct", k.Struct)
    assert file_of(more, NEWEST) is None


def test_an_edited_struct_has_no_file_yet_so_the_btf_is_built(monkeypatch, tmp_path):
    (tmp_path / "uapi").mkdir()
    (tmp_path / "edited.py").write_text("class task_struct(Struct): ...")
    monkeypatch.setattr(vmlinux, "_WORLD", str(tmp_path))
    vmlinux._source_sum.cache_clear()
    try:
        path = file_of(catalog(), NEWEST)
        assert path is not None
        assert not os.path.exists(path)
        built = vmlinux_btf.__wrapped__(catalog(), NEWEST)
        assert built.raw == vmlinux_btf(catalog(), NEWEST).raw
    finally:
        vmlinux._source_sum.cache_clear()


def test_where_sources_are_not_files_the_btf_is_built(monkeypatch):
    monkeypatch.setattr(vmlinux, "_WORLD", "/nowhere")
    vmlinux._source_sum.cache_clear()
    try:
        assert file_of(catalog(), NEWEST) is None
    finally:
        vmlinux._source_sum.cache_clear()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_kernels_own_checks_accept_it(profile):
    check(vmlinux_btf(catalog(), profile).raw)


def test_each_profile_has_the_kfuncs_of_its_kernel():
    def has(profile, name):
        return vmlinux_btf(catalog(), find_profile(profile)).find(name, k.Func) is not None

    assert not has("6.7", "bpf_iter_bits_new")
    assert has("6.12.0", "bpf_iter_bits_new")
    assert not has("6.12.0", "bpf_local_irq_save")
    assert has("6.18.0", "bpf_local_irq_save")


# ---- against a real kernel


needs_live = pytest.mark.skipif(not LIVE.exists(), reason="this kernel shows no BTF")
needs_same = pytest.mark.skipif(
    not LIVE.exists() or not platform.release().startswith("6.18."), reason="not a 6.18 kernel"
)


def own_structs(prefix):
    return sorted(
        name
        for name, cls in world().structs.items()
        if cls.__module__.startswith(prefix) and not cls.c_anonymous and not cls.c_private
    )


CONFIGURED = {("task_struct", "scx")}  # CONFIG_SCHED_CLASS_EXT


@needs_same
@pytest.mark.parametrize("name", own_structs("bpfemu.world"))
def test_declared_members_exist_in_a_real_kernel_with_the_same_size(name):
    ours, theirs = Layouts(vmlinux_btf(catalog(), NEWEST)), Layouts(live())
    if not theirs.has(name):
        pytest.skip("not built into this kernel")
    mine, real = ours.named(name), theirs.named(name)

    for member, field in mine.fields.items():
        if (name, member) in CONFIGURED and member not in real.fields:
            continue
        assert field.type.__class__ is real.fields[member].type.__class__, member

    if set(mine.fields) == set(real.fields):
        assert mine.size == real.size
        assert {m: f.offset for m, f in mine.fields.items()} == {
            m: f.offset for m, f in real.fields.items()
        }


@needs_live
@pytest.mark.parametrize("name", sorted(catalog().select(NEWEST)))
def test_kfunc_prototypes_are_those_of_a_real_kernel(name):
    real = live()
    id = real.find(name, k.Func)
    if id is None:
        pytest.skip("this kernel has no such function")
    own = vmlinux_btf(catalog(), NEWEST)

    def prototype(btf, func):
        proto = btf.func_proto(func)
        params = [(param.name, type_name(btf, param.type)) for param in proto.params]
        return type_name(btf, proto.ret), params

    assert prototype(own, own.find(name, k.Func)) == prototype(real, id)


TARGETS = [
    *(f"btf_trace_{name}" for name in targets.TRACEPOINTS),
    *targets.FUNCTIONS,
    *(f"bpf_iter_{name}" for name in targets.ITERATORS),
    *(f"bpf_lsm_{name}" for name in targets.HOOKS),
]


@needs_same
@pytest.mark.parametrize("name", TARGETS)
def test_attach_targets_have_the_prototypes_of_a_real_kernel(name):
    kind = k.Typedef if name.startswith("btf_trace_") else k.Func
    own, real = vmlinux_btf(catalog(), NEWEST), live()
    if real.find(name, kind) is None:
        pytest.skip("not built into this kernel")

    def kinds(btf):
        proto = btf.func_proto(btf.find(name, kind))
        ids = (proto.ret, *(param.type for param in proto.params))
        return [type(btf.type(btf.resolve(id))) for id in ids]

    def sizes(found):
        return [k.Int if kind in (k.Enum, k.Int) else kind for kind in found]

    assert sizes(kinds(own)) == sizes(kinds(real))


@needs_same
@pytest.mark.parametrize("name", ["bpf_map_type", "bpf_prog_type", "pid_type", "bpf_func_id"])
def test_enums_are_those_of_a_real_kernel(name):
    own, real = vmlinux_btf(catalog(), NEWEST), live()

    ours, theirs = (b.type(b.find(name, k.Enum)) for b in (own, real))

    mine, real = ({v.name: v.value for v in found.values} for found in (ours, theirs))
    both = {name for name in mine if name in real and not name.startswith("__")}
    assert len(both) == len([name for name in mine if not name.startswith("__")])
    assert {name: mine[name] for name in both} == {name: real[name] for name in both}


def test_bpftool_reads_it(tmp_path):
    tool = next((p for p in ("/usr/sbin/bpftool", "/usr/bin/bpftool") if os.path.exists(p)), None)
    if tool is None:
        pytest.skip("no bpftool here")
    path = tmp_path / "own.btf"
    path.write_bytes(vmlinux_btf(catalog(), NEWEST).raw)

    shown = subprocess.run([tool, "btf", "dump", "file", path], capture_output=True, text=True)

    assert shown.returncode == 0, shown.stderr
    assert "STRUCT 'task_struct'" in shown.stdout
    assert "FUNC 'bpf_iter_task_vma_new'" in shown.stdout
