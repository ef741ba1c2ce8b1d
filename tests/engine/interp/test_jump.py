"""Conditions: the texts in generated functions mean what the table says, at every edge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfemu.engine.interp.jump import JUMP, condition, jump_function
from bpfemu.isa.insn import Imm, Jump, Reg
from bpfemu.isa.ops import JmpOp
from tests.builders.insns import s32, u64

U32, U64 = (1 << 32) - 1, (1 << 64) - 1


def test_the_table_has_a_row_for_every_operation() -> None:
    assert set(JUMP) == set(JmpOp)


@pytest.mark.parametrize(
    ("op", "width", "d", "s", "want"),
    [
        (JmpOp.JA, 64, 0, 1, True),
        (JmpOp.JEQ, 64, 1 << 32, 0, False),
        (JmpOp.JEQ, 32, 1 << 32, 0, True),
        (JmpOp.JNE, 32, 1 << 32, 0, False),
        (JmpOp.JGT, 64, U64, 1, True),
        (JmpOp.JGT, 64, 1, 1, False),
        (JmpOp.JGE, 64, 1, 1, True),
        (JmpOp.JLT, 32, 1 << 32, 1, True),
        (JmpOp.JLE, 64, 2, 1, False),
        (JmpOp.JSET, 64, 6, 2, True),
        (JmpOp.JSET, 32, 1 << 32, 1 << 32, False),
        (JmpOp.JSGT, 64, U64, 0, False),
        (JmpOp.JSGT, 32, 0, U32, True),
        (JmpOp.JSGE, 64, 1 << 63, U64, False),
        (JmpOp.JSGE, 64, U64, U64, True),
        (JmpOp.JSLT, 64, U64, 0, True),
        (JmpOp.JSLT, 32, 0x7FFF_FFFF, 0x8000_0000, False),
        (JmpOp.JSLE, 64, 0, 0, True),
        (JmpOp.JSLE, 64, 1, U64, False),
    ],
)
def test_conditions_hold_as_the_rfc_says(op: JmpOp, width: int, d: int, s: int, want: bool) -> None:
    assert bool(jump_function(op, width)(d, s)) is want


@given(st.sampled_from([*JmpOp]), st.sampled_from([32, 64]), u64, u64, s32, st.booleans())
def test_text_and_function_agree(
    op: JmpOp, width: int, d: int, s: int, value: int, near: bool
) -> None:
    if near:
        d = value + (s & 3) - 1 & U64
    narrow = frozenset(reg for reg, now in ((1, d), (2, s)) if now <= U32)
    by_reg, by_imm = (Jump(op, width, Reg(1), src, 0) for src in (Reg(2), Imm(value)))
    regs = {"r1": d, "r2": s}

    assert bool(eval(condition(by_reg, narrow), {}, regs)) is bool(jump_function(op, width)(d, s))
    assert bool(eval(condition(by_imm, narrow), {}, regs)) is (
        bool(jump_function(op, width)(d, value & U64))
    )
