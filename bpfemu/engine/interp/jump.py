"""Jumps: operation → Python text of the condition (RFC 9669 section 4.3).

``{d}`` and ``{s}`` are the operands cut to the compare width; signed comparisons of registers
flip the sign bit ``{m}`` of both, those with a number are two unsigned ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from bpfemu.isa.insn import Imm, Jump
from bpfemu.isa.ops import JmpOp

__all__ = ["JUMP", "condition", "jump_function"]

JUMP: Final[dict[JmpOp, str]] = {
    JmpOp.JA: "True",
    JmpOp.JEQ: "{d} == {s}",
    JmpOp.JGT: "{d} > {s}",
    JmpOp.JGE: "{d} >= {s}",
    JmpOp.JSET: "{d} & {s}",
    JmpOp.JNE: "{d} != {s}",
    JmpOp.JSGT: "({d} ^ {m}) > ({s} ^ {m})",
    JmpOp.JSGE: "({d} ^ {m}) >= ({s} ^ {m})",
    JmpOp.JLT: "{d} < {s}",
    JmpOp.JLE: "{d} <= {s}",
    JmpOp.JSLT: "({d} ^ {m}) < ({s} ^ {m})",
    JmpOp.JSLE: "({d} ^ {m}) <= ({s} ^ {m})",
}

assert set(JUMP) == set(JmpOp), set(JmpOp) - set(JUMP)


@cache
def jump_function(op: JmpOp, width: int) -> Callable[[int, int], object]:
    """One condition as a function of the two operands; its result is true or false."""
    d, s = ("d", "s") if width == 64 else ("(d & 0xFFFFFFFF)", "(s & 0xFFFFFFFF)")
    text = JUMP[op].format(d=d, s=s, m=hex(1 << width - 1))
    function: Callable[[int, int], object] = eval(f"lambda d, s: {text}")
    return function


# The same for a loop's sake, against a number n >= 0: greater means between n and the sign bit.
_POSITIVE: Final[dict[JmpOp, str]] = {
    JmpOp.JSGT: "{s} < {d} < {m}",
    JmpOp.JSGE: "{s} <= {d} < {m}",
    JmpOp.JSLT: "not {s} <= {d} < {m}",
    JmpOp.JSLE: "not {s} < {d} < {m}",
}

# Against n < 0, here as an unsigned number: less means between the sign bit and n.
_NEGATIVE: Final[dict[JmpOp, str]] = {
    JmpOp.JSGT: "not {m} <= {d} <= {s}",
    JmpOp.JSGE: "not {m} <= {d} < {s}",
    JmpOp.JSLT: "{m} <= {d} < {s}",
    JmpOp.JSLE: "{m} <= {d} <= {s}",
}

assert set(_POSITIVE) == set(_NEGATIVE) == {op for op in JmpOp if op.symbol.startswith("s")}


def condition(insn: Jump, narrow: frozenset[int]) -> str:
    """The condition of one jump; ``narrow`` registers are known to fit 32 bits."""
    table, src = JUMP, insn.src
    if isinstance(src, Imm):
        s = f"{src.value & (1 << insn.width) - 1:#x}"
        if insn.op in _POSITIVE:
            table = _POSITIVE if src.value >= 0 else _NEGATIVE
    else:
        s = _operand(src.n, insn.width, narrow)
    d = _operand(insn.dst.n, insn.width, narrow)
    return table[insn.op].format(d=d, s=s, m=hex(1 << insn.width - 1))


def _operand(reg: int, width: int, narrow: frozenset[int]) -> str:
    return f"r{reg}" if width == 64 or reg in narrow else f"(r{reg} & 0xFFFFFFFF)"
