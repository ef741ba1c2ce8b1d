"""Registers become arguments by their declared type; results become r0 as x86-64 leaves it."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.memory import Memory
from bpfemu.proto.ctype import IntType, PtrType, StructType, VoidType
from bpfemu.proto.layout import Layouts
from bpfemu.proto.marshal import argument, result
from bpfemu.proto.space import Space
from bpfemu.proto.spec import Param
from bpfemu.proto.types import NULL, Ptr

S8, S16, S32, S64 = (IntType(size, True) for size in (1, 2, 4, 8))
U8, U16, U32, U64 = (IntType(size) for size in (1, 2, 4, 8))
BOOL = IntType(1, False, "bool")
ONES = (1 << 64) - 1


@pytest.fixture
def space() -> Space:
    return Space(Memory(0xFFFF_8880_0000_0000, 4096), Layouts(None))


@pytest.mark.parametrize(
    ("ctype", "register", "value"),
    [
        (S32, 0xFFFF_FFEA, -22),  # only the low half counts
        (S32, 0xDEAD_BEEF_0000_0005, 5),
        (S32, 0x8000_0000, -(1 << 31)),
        (U32, ONES, 0xFFFF_FFFF),
        (S64, ONES, -1),
        (S64, 1 << 63, -(1 << 63)),
        (U64, ONES, ONES),
        (S8, 0x1_80, -128),
        (U8, 0x1_80, 128),
        (S16, 0x7FFF, 0x7FFF),
        (U16, 0xA_FFFF, 0xFFFF),
        (BOOL, 0x100, False),  # the callee reads one byte
        (BOOL, 0x02, True),
    ],
)
def test_a_scalar_argument_is_the_low_part_of_its_register(
    space: Space, ctype: IntType, register: int, value: int
) -> None:
    found = argument(Param("x", ctype, "scalar"), register, space)

    assert found == value and isinstance(found, bool) is (ctype is BOOL)


def test_a_pointer_argument_keeps_all_64_bits_and_its_type(space: Space) -> None:
    target = StructType("task_struct")

    found = argument(Param("p", PtrType(target), "ptr"), 0xFFFF_8880_DEAD_BEE8, space)

    assert isinstance(found, Ptr) and int(found) == 0xFFFF_8880_DEAD_BEE8
    assert found._type == target and found._space is space


@pytest.mark.parametrize(
    ("returns", "value", "r0"),
    [
        (S32, -22, 0xFFFF_FFEA),  # iterator notes, section 0: zero-extended, not 64-bit negative
        (S32, 7, 7),
        (U32, -1, 0xFFFF_FFFF),
        (U32, 1 << 32 | 5, 5),
        (S64, -22, 0xFFFF_FFFF_FFFF_FFEA),
        (U64, -1, ONES),
        (S16, -1, 0xFFFF_FFFF),  # to int by its sign, then zero-extended
        (S16, 0x7FFF, 0x7FFF),
        (U16, -1, 0xFFFF),
        (S8, 0x80, 0xFFFF_FF80),
        (BOOL, 256, 1),
        (BOOL, 0, 0),
        (PtrType(VoidType()), NULL, 0),
        (PtrType(VoidType()), Ptr(0xFFFF_8880_0000_0010), 0xFFFF_8880_0000_0010),
        (PtrType(VoidType()), -22, 0xFFFF_FFFF_FFFF_FFEA),  # ERR_PTR
    ],
)
def test_a_result_becomes_r0(returns: IntType | PtrType, value: object, r0: int) -> None:
    assert result(returns, value) == r0


@pytest.mark.parametrize("returns", [None, VoidType()])
def test_void_leaves_r0_alone(returns: VoidType | None) -> None:
    assert result(returns, None) is None and result(returns, 5) is None


def test_a_body_that_forgets_its_result_is_told_so() -> None:
    with pytest.raises(InputError, match="returned None where its prototype says s32"):
        result(S32, None)
