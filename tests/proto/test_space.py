"""Emulated memory through C types: members, items, bit fields, strings."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.machine.stop import Trap
from bpfemu.proto.ctype import ArrayType, IntType, PtrType, StructType, VoidType
from bpfemu.proto.decl import Array, Bits, char, int_, uint
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr, Struct, s16, u8, u32, u64

AT = 0xFFFF_8880_0000_1000


class inner(Struct):
    low: u8
    high: u8


class outer(Struct):
    head: u32
    body: inner
    flags: Bits[uint, 3]
    level: Bits[int_, 5]
    name: Array[char, 4]
    next: Ptr[outer]
    pair: Array[inner, 2]


DECLARED: dict[str, type[Struct]] = {"inner": inner, "outer": outer}


@pytest.fixture
def space() -> Space:
    memory = Memory(AT - 4096, 1 << 16)
    memory.place(AT, 64, RegionKind.OBJECT, "outer")
    return Space(memory, Layouts(None, DECLARED))


# The bit fields continue behind body, at byte 6: in the unsigned int at 4, that is bits 16 to 23.
def test_members_lie_where_the_abi_puts_them(space: Space) -> None:
    offsets = {n: f.offset for n, f in space.layout(space.pointer(AT, outer)).fields.items()}

    assert offsets == {
        "head": 0,
        "body": 4,
        "flags": 4,
        "level": 4,
        "name": 7,
        "next": 16,
        "pair": 24,
    }


def test_bit_fields_are_written_without_their_neighbours(space: Space) -> None:
    it = space.pointer(AT, outer)
    space.memory.write(AT, b"\xff" * 32)

    it.flags = 0b010
    it.level = -3  # 5 bits: 11101

    assert it.flags == 0b010 and it.level == -3
    # byte 6 holds flags in its low 3 bits, level above: 11101 010
    assert space.memory.read(AT + 4, 4) == b"\xff\xff\xea\xff"


def test_too_large_a_value_loses_its_high_bits(space: Space) -> None:
    it = space.pointer(AT, outer)

    it.flags = 0b1111
    it.level = 16  # 10000: -16 as a signed 5-bit number
    it.head = 0x1_2345_6789

    assert (it.flags, it.level, it.head) == (0b111, -16, 0x2345_6789)


def test_embedded_structs_and_arrays_stay_references(space: Space) -> None:
    it = space.pointer(AT, outer)

    it.body.high = 9
    it.pair[1].low = 7

    assert space.memory.read(AT + 5, 1) == b"\x09"
    assert space.memory.read(AT + 26, 1) == b"\x07"
    assert it.address_of_("body.high") == AT + 5
    assert it.address_of_("pair") == AT + 24


def test_a_path_steps_through_structs_only(space: Space) -> None:
    it = space.pointer(AT, outer)

    with pytest.raises(InputError, match="char\\[4\\] has no member 'x'"):
        it.address_of_("name.x")
    with pytest.raises(InputError, match="struct inner has no member 'middle'"):
        it.address_of_("body.middle")
    with pytest.raises(InputError, match="u32 has no member 'x'"):
        it.address_of_("head.x")


def test_bytes_fill_an_array_and_are_padded(space: Space) -> None:
    it = space.pointer(AT, outer)
    it.name = b"abcd"
    it.name = b"x"

    assert space.memory.read(AT + 7, 4) == b"x\0\0\0"
    with pytest.raises(InputError, match=r"5 bytes do not fit char\[4\] \(4 bytes\)"):
        it.name = b"abcde"
    with pytest.raises(InputError, match=r"cannot assign 3 to char\[4\]"):
        it.name = 3
    with pytest.raises(InputError, match=r"cannot assign .* to struct inner"):
        it.body = it


def test_an_array_larger_than_memory_is_not_padded(space: Space) -> None:
    huge = space.pointer(AT, StructType("outer", outer))
    ctype = ArrayType(IntType(1, True, "char"), 1 << 60)

    with pytest.raises(InputError, match=rf"1 bytes do not fit char\[{1 << 60}\]"):
        space.write(int(huge), ctype, b"x")


def test_pointers_are_stored_as_addresses(space: Space) -> None:
    it = space.pointer(AT, outer)

    it.next = 0x1_0000_0000_0000_0008  # one bit too many

    assert it.next == 8 and space.memory.read(AT + 16, 8) == b"\x08" + bytes(7)
    assert str(it.next._type) == "struct outer"


def test_void_has_neither_members_nor_items(space: Space) -> None:
    nothing = space.pointer(AT, VoidType())

    with pytest.raises(InputError, match=r"\(void \*\)0x\w+ points to void"):
        nothing[0]
    with pytest.raises(InputError, match="points to void"):
        nothing[0] = 1
    with pytest.raises(InputError, match=r"\(void \*\)0x\w+ does not point to a struct"):
        nothing.member  # noqa: B018 the read is the test
    with pytest.raises(InputError, match="points to void"):
        Ptr(AT, None, space)[0]


@pytest.mark.parametrize(
    ("target", "ctype"),
    [
        (u64, IntType(8, False, "u64")),
        (inner, StructType("inner", inner)),
        ("inner", StructType("inner")),
        (Ptr[s16], PtrType(IntType(2, True, "s16"))),
        (Array[u8, 3], ArrayType(IntType(1, False, "u8"), 3)),
        (IntType(4), IntType(4)),
        (VoidType(), VoidType()),
    ],
)
def test_what_a_pointer_points_to_can_be_said_in_several_ways(
    space: Space,
    target,  # type: ignore[no-untyped-def]
    ctype,
) -> None:
    assert space.pointer(AT, target)._type == ctype


def test_the_same_member_of_two_types_is_not_mixed_up(space: Space) -> None:
    space.memory.write(AT, bytes(range(32)))

    for _ in range(2):  # the second time from what is remembered
        assert space.pointer(AT, inner).low == 0
        assert space.pointer(AT, outer).head == 0x0302_0100
        assert space.pointer(AT + 4, inner).low == 4


def test_strings_end_at_nul_or_at_their_size(space: Space) -> None:
    space.memory.write(AT, b"hello\0world")

    assert space.read_string(AT, 16) == b"hello"
    assert space.read_string(AT, 3) == b"hel"
    assert space.read_string(AT + 5, 16) == b""
    with pytest.raises(Trap):
        space.read_string(AT + 62 + 4096, 16)
