"""C integers wrap as on the machine, structs say how they are laid out, pointers compare."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.machine.memory import READ_ONLY, VALID, Memory, RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.proto.ctype import StructType
from bpfemu.proto.decl import Array, char, int_, long_
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import Space
from bpfemu.proto.types import (
    NULL,
    Ptr,
    Scalar,
    Struct,
    bool_,
    c_name_of,
    s8,
    s16,
    s32,
    s64,
    u8,
    u16,
    u32,
    u64,
)

BASE = 0xFFFF_8880_0000_0000


# ---- integers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "value"),
    [
        (s8(127), 127),
        (s8(128), -128),
        (s8(-129), 127),
        (u8(256), 0),
        (u8(-1), 0xFF),
        (s16(0x8000), -0x8000),
        (u16(0x1_2345), 0x2345),
        (s32(0x7FFF_FFFF + 1), -0x8000_0000),  # INT_MAX + 1
        (s32(-0x8000_0000 - 1), 0x7FFF_FFFF),  # INT_MIN - 1: what num_new relies on
        (u32(-22), 0xFFFF_FFEA),  # -EINVAL
        (s64(1 << 63), -(1 << 63)),
        (u64(-1), (1 << 64) - 1),
        (u64(1 << 64), 0),
        (bool_(256), 1),  # any value that is not 0, not its low byte
        (bool_(0), 0),
        (u64(), 0),
        (Scalar(-1), (1 << 64) - 1),
    ],
)
def test_a_value_wraps_to_its_width(made: Scalar, value: int) -> None:
    assert made == value and int(made) == value


@given(st.integers(-(1 << 70), 1 << 70))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_wrapped_value_is_congruent_and_in_range(value: int) -> None:
    for kind in (s8, u8, s16, u16, s32, u32, s64, u64):
        wrapped = int(kind(value))
        low = -(1 << kind.bits - 1) if kind.signed else 0
        assert (wrapped - value) % (1 << kind.bits) == 0
        assert low <= wrapped < low + (1 << kind.bits)


def test_arithmetic_leaves_the_width_until_it_is_said_again() -> None:
    assert s32(0x7FFF_FFFF) + 1 == 0x8000_0000
    assert s32(s32(0x7FFF_FFFF) + 1) == -0x8000_0000


def test_a_typedef_has_its_own_name_and_the_width_of_its_base() -> None:
    class pid_t(int_):
        """A typedef."""

    assert (pid_t.c_name, pid_t.bits, pid_t.signed) == ("pid_t", 32, True)
    assert pid_t(1 << 31) == -(1 << 31)
    assert (int_.c_name, long_.c_name, bool_.c_name) == ("int", "long int", "bool")


def test_a_sign_alone_makes_another_integer_too() -> None:
    class sbyte(u8):
        signed = True

    assert (sbyte(0xFF), sbyte.bits) == (-1, 8)


# ---- structs ----------------------------------------------------------------------------


def test_class_keywords_say_what_is_special_and_are_not_inherited() -> None:
    class plain(Struct):
        a: u8

    class special(
        Struct, opaque=True, private=True, size=24, align=8, union=True, name="x", tag="y"
    ):
        a: u8

    class under(special):
        """A typedef of it."""

    assert (plain.c_name, plain.c_opaque, plain.c_private, plain.c_union) == (
        "plain",
        False,
        False,
        False,
    )
    assert (plain.c_size, plain.c_align, plain.c_tag, plain.c_anonymous) == (0, 0, None, False)
    assert (special.c_name, special.c_tag) == ("x", "y")
    assert special.c_opaque and special.c_private and special.c_union
    assert (special.c_size, special.c_align) == (24, 8)
    assert (under.c_name, under.c_opaque, under.c_size) == ("under", False, 0)


def test_only_a_subclass_of_a_subclass_is_a_typedef() -> None:
    class file_example(Struct):
        a: u8

    class file_t(file_example):
        """A typedef."""

    assert file_example.c_alias() is None
    assert file_t.c_alias() is file_example
    assert file_t.c_members() == {}


def test_c_names_that_python_changes_or_refuses() -> None:
    class _hidden(Struct):
        __first: u8
        in_: u8
        __last__: u8

    assert list(_hidden.c_members()) == ["__first", "in", "__last__"]
    assert c_name_of(_hidden, "plain_") == "plain_"


# ---- pointers ---------------------------------------------------------------------------


def test_pointers_compare_by_address_and_with_numbers() -> None:
    there, again, elsewhere = Ptr(BASE), Ptr(BASE + (1 << 64)), Ptr(BASE + 8)

    assert there == again and hash(there) == hash(again) == hash(BASE)
    assert there != elsewhere and there == BASE and there != BASE + 1
    assert (there == "text") is False
    assert int(there) == BASE and f"{there.__index__():x}" == "ffff888000000000"


def test_only_null_is_false() -> None:
    assert not NULL and not Ptr(1 << 64) and Ptr(1)
    assert NULL == 0


def test_a_pointer_says_its_type_and_address() -> None:
    assert repr(NULL) == "(void *)0x0"
    assert repr(Ptr(16, StructType("pair"))) == "(struct pair *)0x10"


def test_a_pointer_without_memory_cannot_be_followed() -> None:
    for follow in (
        lambda: NULL.member,
        lambda: NULL[0],
        lambda: setattr(NULL, "member", 1),
        lambda: NULL.read_(1),
        lambda: NULL.address_of_("member"),
    ):
        with pytest.raises(TypeError, match=r"\(void \*\)0x0 belongs to no memory"):
            follow()


def test_python_protocols_that_a_pointer_lacks_do_not_reach_memory() -> None:
    with pytest.raises(AttributeError, match="__array__"):
        Ptr(BASE).__array__  # noqa: B018 the lookup is the test


class pair(Struct):
    a: s32
    b: Ptr[pair]
    name: Array[char, 8]


@pytest.fixture
def space() -> Space:
    memory = Memory(BASE, 1 << 16)
    memory.place(BASE + 4096, 64, RegionKind.OBJECT, "pair", VALID)
    return Space(memory, Layouts(None, {"pair": pair}))


def test_members_are_read_and_written_in_place(space: Space) -> None:
    it = space.pointer(BASE + 4096, pair)

    it.a = -5
    it.b = it
    it.name = b"ping"

    # struct pair { s32 a; struct pair *b; char name[8]; }: offsets 0, 8, 16 by the x86-64 ABI
    raw = space.memory.read(BASE + 4096, 24)
    assert raw == b"\xfb\xff\xff\xff" + bytes(4) + (BASE + 4096).to_bytes(8, "little") + (
        b"ping\0\0\0\0"
    )
    assert it.a == -5 and it.b == it and it.b.b.a == -5
    assert it.name.string_() == b"ping" and it.name[1] == ord("i")


def test_items_are_as_far_apart_as_the_type_is_long(space: Space) -> None:
    numbers = space.pointer(BASE + 4096, u16)

    numbers[3] = 0xBEEF

    assert space.memory.read(BASE + 4096 + 6, 2) == b"\xef\xbe"
    assert numbers[3] == 0xBEEF
    assert int(space.pointer(BASE + 4096, pair)[1]) == BASE + 4096 + 24


def test_an_address_can_be_taken_and_seen_as_another_type(space: Space) -> None:
    it = space.pointer(BASE + 4096, pair)
    it.a = 0x0403_0201

    assert it.address_of_("name") == BASE + 4096 + 16
    assert it.address_of_("a").cast_(u8)[2] == 3
    assert it.cast_("pair").a == 0x0403_0201


def test_bytes_are_read_and_written_and_opened_to_the_program(space: Space) -> None:
    it = space.pointer(BASE + 4096, pair)

    it.write_(b"\x01\x02\x03")
    it.readable_(4)

    assert it.read_(3) == b"\x01\x02\x03"
    assert [space.memory.state_of(BASE + 4096 + i) for i in range(5)] == [READ_ONLY] * 4 + [VALID]


def test_following_a_bad_address_is_the_programs_fault(space: Space) -> None:
    with pytest.raises(Trap) as caught:
        space.pointer(0, pair).a  # noqa: B018 the read is the test
    assert caught.value.fault.kind is FaultKind.NULL_DEREF

    with pytest.raises(Trap) as caught:
        space.pointer(BASE + 8192, pair).a = 1
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
