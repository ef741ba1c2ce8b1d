"""Btf: ids, names, strings and a real kernel's BTF."""

import os

import pytest

from bpfemu.btf import (
    Btf,
    BtfBuilder,
    DeclTag,
    Func,
    FuncProto,
    Int,
    Param,
    Ptr,
    Struct,
    Typedef,
    Void,
)
from bpfemu.errors import ObjectError
from tests.btf.samples import PAIR_STRINGS, PAIR_WORDS, Sample, blob, pair_blob, split_pair, words

VMLINUX = "/sys/kernel/btf/vmlinux"
needs_vmlinux = pytest.mark.skipif(
    not os.path.exists(VMLINUX), reason=f"no {VMLINUX} on this machine"
)


def test_types_are_decoded_from_the_words_of_the_format():
    btf = Btf.parse(pair_blob())

    assert btf.type_count == 4
    assert btf.type(0) == Void()
    assert btf.type(1) == Int("int", 4, 1, 32, 0)
    assert btf.type(2) == Ptr(1)
    pair = btf.type(3)
    assert isinstance(pair, Struct)
    assert [(m.name, m.type, m.bit_offset) for m in pair.members] == [("a", 1, 0), ("b", 2, 64)]
    assert btf.raw == pair_blob()
    assert [id for id, _ in btf.types()] == [1, 2, 3] == list(btf.ids())


def test_names_are_found_with_and_without_kinds():
    btf = Btf.parse(pair_blob())

    assert btf.find("pair") == 3
    assert btf.find("pair", Struct) == 3
    assert btf.find("pair", Int, Typedef) is None
    assert btf.find("pair", Struct.KIND) == 3
    assert btf.find("a") is None
    assert btf.find("air") is None
    assert btf.find("nowhere") is None
    assert btf.find("") is None


def test_names_are_still_found_after_many_searches():
    btf = Btf.parse(pair_blob())

    for _ in range(10):
        assert btf.find("int") == 1
        assert btf.find("pair") == 3
        assert btf.find("b") is None


def test_a_name_that_is_the_tail_of_another_string_is_found():
    tail = [*PAIR_WORDS, 6, 8 << 24, 1]  # [4] typedef int air, named inside "pair"
    btf = Btf.parse(blob(words(*tail), PAIR_STRINGS))

    assert btf.find("air") == 4
    assert btf.find_all("air") == [4]
    assert btf.find("ir") is None


def test_all_ids_of_a_name_come_in_order():
    sample = Sample()
    first = sample.b.struct("twin", 4, [("a", sample.int, 0)])
    typedef = sample.b.typedef("twin", first)
    second = sample.b.struct("twin", 8, [("a", sample.u64, 0)])
    btf = sample.b.build()

    assert btf.find_all("twin") == [first, typedef, second]
    assert btf.find_all("twin", Struct) == [first, second]
    assert btf.find_all("twins") == []
    assert btf.find("twin") == first
    assert btf.find("twin", Typedef) == typedef


def test_types_are_found_by_the_beginning_of_their_name():
    sample = Sample()
    ids = [sample.b.typedef(f"bpf_iter_{name}", sample.int) for name in ("num", "task")]
    sample.b.typedef("xbpf_iter_no", sample.int)
    btf = sample.b.build()

    assert btf.find_beginning("bpf_iter_") == ids
    assert btf.find_beginning("bpf_iter_", Struct) == []
    assert btf.find_beginning("") == []


def test_many_types_are_found_by_the_beginning_of_their_name():
    sample = Sample()
    ids = [sample.b.typedef(f"many_{at}", sample.int) for at in range(40)]
    sample.b.struct("many_more", 4, [])
    btf = sample.b.build()

    assert btf.find_beginning("many_", Typedef) == ids


def test_an_id_beyond_the_last_is_an_object_error():
    btf = Btf.parse(pair_blob())

    with pytest.raises(ObjectError, match=r"type id 4, there are 4"):
        btf.type(4)
    with pytest.raises(ObjectError, match=r"type id -1"):
        btf.type(-1)
    assert btf.has_id(3)
    assert not btf.has_id(4)
    assert not btf.has_id(-1)


def test_strings_are_found_and_out_of_range_offsets_are_errors():
    btf = Btf.parse(pair_blob())

    assert btf.string(5) == "pair"
    assert btf.string(6) == "air"
    assert btf.string(0) == ""
    assert btf.find_string("pair") == 5
    assert btf.find_string("air") is None
    for offset in (len(PAIR_STRINGS), -1, 1 << 31):
        with pytest.raises(ObjectError, match=f"string offset {offset}, there are 14 bytes"):
            btf.string(offset)


def test_bytes_that_are_not_utf8_survive_in_a_name():
    strings = b"\0i\xfft\0"
    btf = Btf.parse(blob(words(1, 1 << 24, 4, 32), strings))

    assert btf.find("i\udcfft") == 1


def test_a_split_btf_continues_ids_and_strings_of_its_base():
    base, split = split_pair()

    assert split.start_id == 4
    assert split.start_str_off == len(PAIR_STRINGS)
    assert split.type(3) is base.type(3)
    assert split.type(5) == Typedef("pair_ptr", 4)
    assert split.string(5) == "pair"
    assert split.has_id(3)
    assert list(split.ids()) == [4, 5, 6]
    assert (split.name, base.name) == ("mod", "vmlinux")
    assert repr(split) == "<Btf mod, ids from 4>"


def test_a_split_btf_finds_names_in_its_base_first():
    _, split = split_pair()

    assert split.find("pair") == 3
    assert split.find("pair", Typedef) == 6
    assert split.find_all("pair") == [3, 6]
    assert split.find("pair_ptr") == 5
    assert split.find_string("pair") == 5


def test_a_split_btf_may_be_without_types_and_strings():
    base = Btf.parse(pair_blob())
    split = Btf.parse(blob(b"", b""), base)

    assert split.type_count == 4
    assert split.find("pair") == 3


def test_modifiers_are_skipped_and_typedefs_only_by_resolve():
    sample = Sample()
    typedef = sample.b.typedef("number", sample.int)
    const = sample.b.const(typedef)
    volatile = sample.b.volatile(const)
    restrict = sample.b.restrict(volatile)
    tag = sample.b.type_tag("rcu", restrict)
    btf = sample.b.build()

    assert btf.resolve(tag) == sample.int
    assert btf.skip_mods(tag) == typedef
    assert btf.resolve(0) == 0


def test_32_modifiers_in_a_row_are_skipped_and_33_are_an_error():
    builder = BtfBuilder()
    chain = [builder.int_("int", 4)]
    for _ in range(33):
        chain.append(builder.const(chain[-1]))
    btf = builder.build()

    assert btf.resolve(chain[32]) == chain[0]
    with pytest.raises(ObjectError, match="more than 32 modifiers"):
        btf.resolve(chain[33])


def test_a_modifier_that_refers_to_itself_is_an_error():
    builder = BtfBuilder()
    loop = builder.const(1)

    with pytest.raises(ObjectError, match="more than 32 modifiers"):
        builder.build().resolve(loop)


def test_decl_tags_come_with_their_component():
    sample = Sample()
    pair = sample.b.struct("pair", 8, [("a", sample.int, 0), ("b", sample.int, 32)])
    sample.b.decl_tag("whole", pair)
    sample.b.decl_tag("second", pair, 1)
    btf = sample.b.build()
    split_builder = BtfBuilder(btf)
    split_builder.decl_tag("later", pair)

    assert btf.decl_tags(pair) == [("whole", -1), ("second", 1)]
    assert btf.decl_tags(sample.int) == []
    assert split_builder.build().decl_tags(pair) == [("whole", -1), ("second", 1), ("later", -1)]
    assert btf.ids_of(DeclTag) == [pair + 1, pair + 2]
    assert btf.ids_of(DeclTag.KIND) == [pair + 1, pair + 2]


def test_a_prototype_is_found_behind_functions_and_pointers():
    sample = Sample()
    proto = sample.b.func_proto(sample.int, [("x", sample.u64)])
    func = sample.b.func("f", proto)
    pointer = sample.b.ptr(proto)
    btf = sample.b.build()

    wanted = FuncProto(sample.int, (Param("x", sample.u64),))
    assert btf.func_proto(proto) == btf.func_proto(func) == btf.func_proto(pointer) == wanted
    assert btf.type(func) == Func("f", proto, 1)
    with pytest.raises(ObjectError, match="is a INT, not a function"):
        btf.func_proto(sample.int)


def test_known_record_starts_replace_the_walk():
    walked = Btf.parse(pair_blob())
    again = Btf.parse(pair_blob(), starts=walked.starts)

    assert list(walked.starts) == [0, 4, 7]
    assert again.find("pair") == 3
    assert list(again.types()) == list(walked.types())


def test_the_cache_of_decoded_types_is_bounded():
    builder = BtfBuilder()
    for _ in range(20_000):
        builder.ptr(0)
    btf = builder.build()

    for id in btf.ids():
        assert btf.type(id) == Ptr(0)

    assert len(btf._cache) <= 1 << 14


def large_blob() -> bytes:
    """More than a megabyte of types: 90,000 pointers, then a struct, then 10 bytes too few."""
    many = words(0, 2 << 24, 0) * 90_000
    found = words(1, 4 << 24, 0)
    return blob(many + found + words(0, 2 << 24), b"\0last\0")


def test_a_large_blob_is_walked_only_as_far_as_asked():
    btf = Btf.parse(large_blob())

    assert btf.type(5) == Ptr(0)
    assert btf.find("last") == 90_001
    with pytest.raises(ObjectError, match="ends within a record"):
        btf.type(90_002)
    with pytest.raises(ObjectError, match="ends within a record"):
        btf.type_count  # noqa: B018  # the walk to the end happens in the property


@needs_vmlinux
def test_a_real_kernels_btf_opens_and_knows_task_struct():
    btf = Btf.open(VMLINUX)

    task = btf.find("task_struct", Struct)
    assert task is not None
    pid = btf.find_member(task, "pid")
    assert pid is not None
    assert btf.size_of(pid.type) == 4
    assert btf.name == "vmlinux"


@needs_vmlinux
def test_every_type_of_a_real_kernel_decodes_and_its_struct_names_are_found():
    btf = Btf.open(VMLINUX)

    wanted = [(id, t) for id, t in btf.types() if isinstance(t, Struct) and t.name]

    assert len(wanted) > 1000
    for id, found in wanted[:: len(wanted) // 50]:
        assert id in btf.find_all(found.name, Struct)
