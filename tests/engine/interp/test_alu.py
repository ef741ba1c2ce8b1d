"""Arithmetic: the texts in generated functions mean what the table says, at every edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfemu.engine.interp.alu import (
    ALU32,
    ALU64,
    FUNCTIONS,
    SWAP,
    alu_function,
    alu_source,
    is_narrow,
    sdiv,
    smod,
    swap_function,
    swap_source,
)
from bpfemu.isa.insn import Alu, Imm, Reg, Swap
from bpfemu.isa.ops import AluOp, SwapOp
from tests.builders.insns import s32, u64

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
INT_MIN, LLONG_MIN = 1 << 31, 1 << 63

OPS = [op for op in AluOp]


def test_tables_have_a_row_for_every_operation() -> None:
    assert set(ALU32) == set(ALU64) == set(AluOp)
    assert set(SWAP) == set(SwapOp)


# RFC 9669 section 4.1 and C's rules; every number worked out by hand.
BY_HAND = [
    (AluOp.ADD, 64, U64, 1, 0),
    (AluOp.ADD, 32, U64, 1, 0),
    (AluOp.SUB, 64, 0, 1, U64),
    (AluOp.SUB, 32, 0, 1, U32),
    (AluOp.MUL, 64, 1 << 63, 2, 0),
    (AluOp.MUL, 32, 0x1_0001_0000, 0x1_0000, 0),
    (AluOp.DIV, 64, U64, 2, LLONG_MIN - 1),
    (AluOp.DIV, 64, 7, 0, 0),
    (AluOp.DIV, 32, 0x5_0000_0008, 0x9_0000_0002, 4),
    (AluOp.DIV, 32, 7, 0x1_0000_0000, 0),
    (AluOp.MOD, 64, 7, 0, 7),
    (AluOp.MOD, 32, 0x1_0000_0007, 0, 7),
    (AluOp.MOD, 32, 0x1_0000_0007, 4, 3),
    (AluOp.SDIV, 64, -13 & U64, 3, -4 & U64),
    (AluOp.SDIV, 64, LLONG_MIN, U64, LLONG_MIN),
    (AluOp.SDIV, 32, INT_MIN, U32, INT_MIN),
    (AluOp.SDIV, 32, 5, 0, 0),
    (AluOp.SMOD, 64, -13 & U64, 3, -1 & U64),
    (AluOp.SMOD, 64, 13, -3 & U64, 1),
    (AluOp.SMOD, 64, LLONG_MIN, U64, 0),
    (AluOp.SMOD, 32, -13 & U64, 0, -13 & U32),
    (AluOp.LSH, 64, 1, 65, 2),
    (AluOp.LSH, 32, 1, 33, 2),
    (AluOp.LSH, 32, 0xFFFF_FFFF_8000_0001, 1, 2),
    (AluOp.RSH, 64, LLONG_MIN, 63, 1),
    (AluOp.RSH, 32, 0x1_8000_0000, 31, 1),
    (AluOp.ARSH, 64, LLONG_MIN, 63, U64),
    (AluOp.ARSH, 32, 0x8000_0000, 31, U32),
    (AluOp.ARSH, 32, 0x1_0000_0000, 4, 0),
    (AluOp.NEG, 64, 1, 0, U64),
    (AluOp.NEG, 32, 1, 0, U32),
    (AluOp.NEG, 64, LLONG_MIN, 0, LLONG_MIN),
    (AluOp.OR, 32, 0xF_0000_000F, 0xF0, 0xFF),
    (AluOp.AND, 32, U64, 0xF_0000_00F0, 0xF0),
    (AluOp.XOR, 32, U64, 1, U32 - 1),
    (AluOp.MOV, 32, 0, U64, U32),
    (AluOp.MOV, 64, 0, U64, U64),
    (AluOp.MOVSX8, 64, 0, 0x80, U64 - 0x7F),
    (AluOp.MOVSX8, 32, 0, 0x1FF, U32),
    (AluOp.MOVSX16, 64, 0, 0x1_7FFF, 0x7FFF),
    (AluOp.MOVSX16, 32, 0, 0x8000, U32 - 0x7FFF),
    (AluOp.MOVSX32, 64, 0, 0x8000_0000, U64 - 0x7FFF_FFFF),
]


@pytest.mark.parametrize(("op", "width", "d", "s", "want"), BY_HAND)
def test_operations_give_what_the_rfc_says(
    op: AluOp, width: int, d: int, s: int, want: int
) -> None:
    assert alu_function(op, width)(d, s) == want


def test_signed_division_truncates_towards_zero() -> None:
    assert sdiv(-7 & U64, 2, 64) == -3 & U64
    assert smod(-7 & U64, 2, 64) == -1 & U64
    assert smod(7, -2 & U64, 64) == 1


def _execute(text: str, regs: dict[str, int]) -> dict[str, int]:
    exec(text, dict(FUNCTIONS), regs)
    return regs


@given(st.sampled_from(OPS), st.sampled_from([32, 64]), u64, u64, s32, st.booleans())
def test_text_and_function_agree(
    op: AluOp, width: int, d: int, s: int, value: int, small: bool
) -> None:
    if small:
        d, s = d & U32, s & U32
    narrow = frozenset(reg for reg, now in ((1, d), (2, s)) if now <= U32)
    by_reg, by_imm = (Alu(op, width, Reg(1), src) for src in (Reg(2), Imm(value)))

    assert _execute(alu_source(by_reg, narrow), {"r1": d, "r2": s})["r1"] == (
        alu_function(op, width)(d, s)
    )
    assert _execute(alu_source(by_imm, narrow), {"r1": d})["r1"] == (
        alu_function(op, width)(d, value & (1 << width) - 1)
    )
    for insn, src in ((by_reg, s), (by_imm, value & (1 << width) - 1)):
        assert 0 <= alu_function(op, width)(d, src) <= U64
        if is_narrow(insn, narrow):
            assert alu_function(op, width)(d, src) <= U32


@given(st.sampled_from(OPS), st.sampled_from([32, 64]), u64)
def test_text_and_function_agree_when_both_operands_are_one_register(
    op: AluOp, width: int, d: int
) -> None:
    text = alu_source(Alu(op, width, Reg(3), Reg(3)), frozenset())

    assert _execute(text, {"r3": d})["r3"] == alu_function(op, width)(d, d)


@given(st.sampled_from([AluOp.ADD, AluOp.SUB]), st.integers(1 << 40, 1 << 63), s32)
def test_near_registers_take_a_number_without_wrapping(op: AluOp, d: int, value: int) -> None:
    text = alu_source(Alu(op, 64, Reg(1), Imm(value)), frozenset(), frozenset({1}))

    assert "if" not in text
    assert _execute(text, {"r1": d})["r1"] == alu_function(op, 64)(d, value & U64)


@pytest.mark.parametrize(
    ("op", "bits", "want"),
    [
        (SwapOp.LE, 16, 0x7788),
        (SwapOp.LE, 32, 0x5566_7788),
        (SwapOp.LE, 64, 0x1122_3344_5566_7788),
        (SwapOp.BE, 16, 0x8877),
        (SwapOp.BE, 32, 0x8877_6655),
        (SwapOp.BE, 64, 0x8877_6655_4433_2211),
        (SwapOp.BSWAP, 16, 0x8877),
        (SwapOp.BSWAP, 32, 0x8877_6655),
        (SwapOp.BSWAP, 64, 0x8877_6655_4433_2211),
    ],
)
def test_byte_swaps(op: SwapOp, bits: int, want: int) -> None:
    value = 0x1122_3344_5566_7788

    assert swap_function(op, bits)(value) == want
    assert _execute(swap_source(Swap(op, bits, Reg(4))), {"r4": value})["r4"] == want
