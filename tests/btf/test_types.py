"""Btf: ids, names, strings, layout, and a real kernel's BTF."""

import os
import struct

import pytest

from bpfemu.btf import Btf, BtfBuilder, Int, MemberAt, Ptr, Struct, Typedef, Void
from bpfemu.errors import ObjectError

VMLINUX = "/sys/kernel/btf/vmlinux"


def blob(types: bytes, strings: bytes) -> bytes:
    """Put a 24-byte header before two sections, as include/uapi/linux/btf.h draws it."""
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return header + types + strings


def hand_made() -> bytes:
    """int; int *; struct pair { int a; int *b; }, word for word."""
    words = [
        *(1, 1 << 24, 4, 1 << 24 | 32),
        *(0, 2 << 24, 1),
        *(5, 4 << 24 | 2, 16, 10, 1, 0, 12, 2, 64),
    ]
    return blob(struct.pack(f"={len(words)}I", *words), b"\0int\0pair\0a\0b\0")


def test_types_are_decoded_from_the_words_of_the_format():
    btf = Btf.parse(hand_made())

    assert btf.type_count == 4
    assert btf.type(0) == Void()
    assert btf.type(1) == Int("int", 4, 1, 32, 0)
    assert btf.type(2) == Ptr(1)
    pair = btf.type(3)
    assert isinstance(pair, Struct)
    assert [(m.name, m.type, m.bit_offset) for m in pair.members] == [("a", 1, 0), ("b", 2, 64)]


def test_names_are_found_with_and_without_kinds():
    btf = Btf.parse(hand_made())

    assert btf.find("pair") == 3
    assert btf.find("pair", Struct) == 3
    assert btf.find("pair", Int, Typedef) is None
    assert btf.find("pair", Struct.KIND) == 3
    assert btf.find("a") is None
    assert btf.find("air") is None
    assert btf.find("nowhere") is None
    assert btf.find("") is None


def test_an_id_beyond_the_last_is_an_object_error():
    btf = Btf.parse(hand_made())

    with pytest.raises(ObjectError, match=r"type id 4, there are 4"):
        btf.type(4)


def test_a_split_btf_continues_ids_and_strings_of_its_base():
    base = Btf.parse(hand_made())
    builder = BtfBuilder(base)
    pointer = builder.ptr(3)
    alias = builder.typedef("pair_ptr", pointer)
    split = builder.build("mod")

    assert (pointer, alias) == (4, 5)
    assert split.start_id == 4
    assert split.start_str_off == len(b"\0int\0pair\0a\0b\0")
    assert split.type(3) is base.type(3)
    assert split.type(5) == Typedef("pair_ptr", 4)
    assert split.find("pair") == 3
    assert split.find("pair_ptr") == 5
    assert list(split.ids()) == [4, 5]


def test_members_of_anonymous_structs_are_members_of_the_outer_one():
    builder = BtfBuilder()
    number = builder.int_("int", 4, 1)
    inner = builder.union("", 4, [("x", number, 0), ("y", number, 0)])
    outer = builder.struct("outer", 8, [("first", number, 0), ("", inner, 32)])
    btf = builder.build()

    assert btf.members(outer) == [
        MemberAt("first", number, 0, 0),
        MemberAt("x", number, 32, 0),
        MemberAt("y", number, 32, 0),
    ]
    assert btf.find_member(outer, "y") == MemberAt("y", number, 32, 0)
    assert btf.find_member(outer, "z") is None


@pytest.mark.skipif(not os.path.exists(VMLINUX), reason=f"no {VMLINUX} on this machine")
def test_a_real_kernels_btf_opens_and_knows_task_struct():
    btf = Btf.open(VMLINUX)

    task = btf.find("task_struct", Struct)
    assert task is not None
    pid = btf.find_member(task, "pid")
    assert pid is not None
    assert btf.size_of(pid.type) == 4
    assert btf.name == "vmlinux"
