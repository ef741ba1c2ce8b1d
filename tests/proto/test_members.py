"""Members of types that are looked at often: the same as before, seen from each side."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.machine.memory import (
    FREED,
    ITER,
    KERNEL,
    READ_ONLY,
    REDZONE,
    UNINIT,
    VALID,
    Memory,
    RegionKind,
)
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.proto.ctype import StructType
from bpfemu.proto.decl import Array, Bits, char, uint
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import HOT, Space
from bpfemu.proto.types import Ptr, Scalar, Struct, s8, s16, s32, s64, u8, u16, u32, u64

BASE = 0xFFFF_8880_0000_0000
AT = BASE + 4096


class u128(Scalar):
    bits = 128


class part(Struct):
    low: u8
    high: u8


class whole(Struct):
    long: s64  # 0
    ulong: u64  # 8
    int_: s32  # 16
    uint: u32  # 20
    short: s16  # 24
    ushort: u16  # 26
    byte: s8  # 28
    ubyte: u8  # 29
    inner: part  # 30
    next: Ptr[whole]  # 32
    name: Array[char, 4]  # 40
    flags: Bits[uint, 3]  # 44
    wide: u128  # 48


NUMBERS = {
    "long": (0, 8, True),
    "ulong": (8, 8, False),
    "int_": (16, 4, True),
    "uint": (20, 4, False),
    "short": (24, 2, True),
    "ushort": (26, 2, False),
    "byte": (28, 1, True),
    "ubyte": (29, 1, False),
}


def make_space() -> Space:
    memory = Memory(BASE, 1 << 16)
    memory.place(AT, 128, RegionKind.OBJECT, "whole")
    return Space(memory, Layouts(None, {"whole": whole, "part": part}))


def hot(space: Space, addr: int = AT) -> Ptr[whole]:
    """A pointer whose type has been looked at so often that it has its own class."""
    for _ in range(HOT + 1):
        space.pointer(AT, whole).byte  # noqa: B018 the read is what heats
    pointer = space.pointer(addr, whole)
    assert type(pointer) is not Ptr
    return pointer


@pytest.fixture
def space() -> Space:
    return make_space()


def test_a_pointer_that_is_used_often_becomes_one_of_its_types_class(space: Space) -> None:
    pointer = space.pointer(AT, whole)
    kept = space.pointer(AT + 64, whole)
    assert type(pointer) is Ptr

    for number in range(HOT + 1):
        pointer.int_ = number

    assert type(pointer) is not Ptr and isinstance(pointer, Ptr)
    assert type(kept) is Ptr and kept.int_ == 0
    assert type(kept) is type(pointer)
    assert pointer.int_ == HOT and repr(pointer) == f"(struct whole *){AT:#x}"
    assert pointer == AT and hash(pointer) == hash(AT) and int(pointer) == AT and pointer


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=25)
@given(value=st.integers(-(1 << 64), 1 << 64))
def test_numbers_are_written_and_read_with_their_width_and_sign(name: str, value: int) -> None:
    space = make_space()
    offset, size, signed = NUMBERS[name]
    it = hot(space)

    setattr(it, name, value)

    low = value & ((1 << 8 * size) - 1)
    raw = low.to_bytes(size, "little")
    assert space.memory.read(AT, 48) == bytes(offset) + raw + bytes(48 - offset - size)
    assert getattr(it, name) == int.from_bytes(raw, "little", signed=signed)


def test_an_odd_address_is_read_and_written_all_the_same(space: Space) -> None:
    it = hot(space, AT + 1)

    it.long, it.int_ = -2, -3

    assert (it.long, it.int_) == (-2, -3)
    assert space.memory.read(AT, 9) == b"\0\xfe" + b"\xff" * 7


def test_pointers_structs_arrays_and_bit_fields_are_what_they_were(space: Space) -> None:
    it = hot(space)

    it.next = it
    it.inner.high = 7
    it.name = b"ab"
    it.flags = 0b1101

    assert it.next == it and it.next.next.next == AT and str(it.next._type) == "struct whole"
    assert space.memory.read(AT + 31, 1) == b"\x07" and it.inner.high == 7
    assert it.name.string_() == b"ab" and it.flags == 0b101
    it.next = (1 << 64) + 8  # one bit too many
    assert it.next == 8


def test_an_integer_of_16_bytes_is_read_and_written(space: Space) -> None:
    it = hot(space)

    it.wide = 1 << 127 | 5

    assert it.wide == 1 << 127 | 5
    assert space.memory.read(AT + 48, 16) == b"\x05" + bytes(14) + b"\x80"


def test_addresses_of_members_are_taken_through_dots_too(space: Space) -> None:
    it = hot(space)

    for _ in range(2):
        assert it.address_of_("uint") == AT + 20 and str(it.address_of_("uint")._type) == "u32"
        assert it.address_of_("inner.high") == AT + 31
    it.address_of_("uint")[0] = 9
    assert it.uint == 9


def test_what_was_found_last_is_not_mistaken_for_what_is_found_now(space: Space) -> None:
    one, other = hot(space), hot(space, AT + 64)
    one.next, other.next = 0x10, 0x20

    for _ in range(2):
        assert one.next == 0x10 and other.next == 0x20
        assert one.address_of_("uint") == AT + 20 and other.address_of_("uint") == AT + 84
    one.next = 0x30
    assert one.next == 0x30


def test_what_is_no_number_is_refused(space: Space) -> None:
    it = hot(space)

    with pytest.raises(TypeError):
        it.int_ = None
    with pytest.raises(TypeError):
        it.next = object()


def test_what_is_no_member_is_named_as_before(space: Space) -> None:
    it = hot(space)

    for follow in (
        lambda: it.nothing,
        lambda: setattr(it, "nothing", 1),
        lambda: it.address_of_("nothing"),
    ):
        with pytest.raises(InputError, match="struct whole has no member 'nothing'"):
            follow()
    with pytest.raises(InputError, match=rf"\(u32 \*\){AT + 20:#x} does not point to a struct"):
        it.address_of_("uint").member = 1
    with pytest.raises(AttributeError, match="__array__"):
        it.__array__  # noqa: B018 the lookup is the test


@pytest.mark.parametrize("state", [VALID, READ_ONLY, KERNEL, ITER, UNINIT])
def test_the_kernel_reads_whatever_is_mapped(space: Space, state: int) -> None:
    it = hot(space)
    it.int_ = -9

    space.memory.set_state(AT, 48, state)

    assert it.int_ == -9 and it.long == 0


@pytest.mark.parametrize("state", [VALID, READ_ONLY, KERNEL, ITER])
def test_a_write_leaves_the_shadow_alone(space: Space, state: int) -> None:
    it = hot(space)
    space.memory.set_state(AT, 48, state)

    it.int_ = it.long = it.byte = 5

    assert (it.int_, it.long, it.byte) == (5, 5, 5)
    assert [space.memory.state_of(AT + at) for at in range(48)] == [state] * 48


def test_a_write_to_bytes_never_written_makes_just_those_valid(space: Space) -> None:
    it = hot(space)
    space.memory.set_state(AT, 24, UNINIT)

    it.int_ = 1

    states = [space.memory.state_of(AT + at) for at in range(24)]
    assert states == [UNINIT] * 16 + [VALID] * 4 + [UNINIT] * 4


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (FREED, FaultKind.USE_AFTER_FREE),
        (REDZONE, FaultKind.OUT_OF_BOUNDS),
        (0, FaultKind.OUT_OF_BOUNDS),
    ],
)
def test_one_bad_byte_is_a_fault(space: Space, state: int, kind: FaultKind) -> None:
    it = hot(space)
    it.int_ = 5
    space.memory.set_state(AT + 19, 1, state)

    for follow in (lambda: it.int_, lambda: setattr(it, "int_", 1)):
        with pytest.raises(Trap) as caught:
            follow()
        assert (caught.value.fault.kind, caught.value.fault.addr) == (kind, AT + 16)
    assert space.memory.data[AT + 16 - BASE] == 5


@pytest.mark.parametrize(
    ("addr", "kind"),
    [
        (0, FaultKind.NULL_DEREF),
        (8, FaultKind.NULL_DEREF),
        (BASE - 8, FaultKind.OUT_OF_BOUNDS),
        (BASE - 64, FaultKind.OUT_OF_BOUNDS),
        (BASE + (1 << 16) - 8, FaultKind.OUT_OF_BOUNDS),
        (BASE + (1 << 16), FaultKind.OUT_OF_BOUNDS),
        ((1 << 64) - 8, FaultKind.NULL_DEREF),  # 8 bytes on, addresses begin anew
    ],
)
def test_outside_of_the_arena_nothing_is_found(space: Space, addr: int, kind: FaultKind) -> None:
    it = hot(space, addr)

    for follow in (lambda: it.ulong, lambda: setattr(it, "ulong", 1)):
        with pytest.raises(Trap) as caught:
            follow()
        assert caught.value.fault.kind is kind


def test_classes_belong_to_one_space_and_one_type() -> None:
    one, other = make_space(), make_space()
    one.memory.write(AT + 16, b"\x01")
    other.memory.write(AT + 16, b"\x02")

    assert hot(one).int_ == 1 and hot(other).int_ == 2
    assert type(hot(one)) is not type(hot(other))
    assert type(one.pointer(AT, part)) is Ptr
    by_name = one.pointer(AT, StructType("whole"))
    assert by_name.int_ == 1 and type(by_name) is Ptr
