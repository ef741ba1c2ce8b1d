"""ALU operations and comparisons on values: constants are computed, pointers move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bpfemu.bind.values import SCALAR, UNKNOWN, Kind, Value, few
from bpfemu.isa.ops import AluOp, JmpOp

__all__ = ["combine", "decide", "extend"]

_U64: Final = (1 << 64) - 1
_MASKS: Final = {32: (1 << 32) - 1, 64: _U64}
_OFFSET_LIMIT: Final = 1 << 29  # bytes a pointer may move, as the verifier's

_ALU: Final[dict[AluOp, Callable[[int, int, int], int]]] = {
    AluOp.ADD: lambda a, b, width: a + b,
    AluOp.SUB: lambda a, b, width: a - b,
    AluOp.MUL: lambda a, b, width: a * b,
    AluOp.OR: lambda a, b, width: a | b,
    AluOp.AND: lambda a, b, width: a & b,
    AluOp.XOR: lambda a, b, width: a ^ b,
    AluOp.LSH: lambda a, b, width: a << (b & width - 1),
    AluOp.RSH: lambda a, b, width: a >> (b & width - 1),
    AluOp.ARSH: lambda a, b, width: signed(a, width) >> (b & width - 1),
    AluOp.NEG: lambda a, b, width: -a,
    AluOp.MOV: lambda a, b, width: b,
    AluOp.MOVSX8: lambda a, b, width: signed(b, 8),
    AluOp.MOVSX16: lambda a, b, width: signed(b, 16),
    AluOp.MOVSX32: lambda a, b, width: signed(b, 32),
}
"""Those whose constant results decide branches; quotients are left alone."""

_JUMPS: Final[dict[JmpOp, Callable[[int, int, int], bool]]] = {
    JmpOp.JEQ: lambda a, b, width: a == b,
    JmpOp.JNE: lambda a, b, width: a != b,
    JmpOp.JGT: lambda a, b, width: a > b,
    JmpOp.JGE: lambda a, b, width: a >= b,
    JmpOp.JLT: lambda a, b, width: a < b,
    JmpOp.JLE: lambda a, b, width: a <= b,
    JmpOp.JSET: lambda a, b, width: bool(a & b),
    JmpOp.JSGT: lambda a, b, width: signed(a, width) > signed(b, width),
    JmpOp.JSGE: lambda a, b, width: signed(a, width) >= signed(b, width),
    JmpOp.JSLT: lambda a, b, width: signed(a, width) < signed(b, width),
    JmpOp.JSLE: lambda a, b, width: signed(a, width) <= signed(b, width),
}
assert set(_JUMPS) == set(JmpOp) - {JmpOp.JA}

_NEVER_NULL: Final = frozenset({Kind.STACK, Kind.CTX, Kind.MAP, Kind.FUNC})


def signed(value: int, bits: int) -> int:
    """The low bits as two's complement."""
    value &= (1 << bits) - 1
    return value - (value >> bits - 1 << bits)


def extend(imm: int) -> int:
    """A 32-bit immediate as the u64 it stands for."""
    return imm & _U64


def combine(op: AluOp, width: int, dst: Value, src: Value) -> Value:
    """The result of ``dst op src``."""
    if dst.kind is Kind.SCALAR and src.kind is Kind.SCALAR:
        return _compute(op, width, dst, src)
    if width != 64 or op not in (AluOp.ADD, AluOp.SUB):
        return SCALAR
    if dst.kind is Kind.SCALAR:
        return _move(src, dst, 1) if op is AluOp.ADD else SCALAR
    if src.kind is Kind.SCALAR:
        return _move(dst, src, 1 if op is AluOp.ADD else -1)
    return UNKNOWN if Kind.UNKNOWN in (dst.kind, src.kind) else SCALAR


def _compute(op: AluOp, width: int, dst: Value, src: Value) -> Value:
    """Arithmetic on constants, each with each."""
    function = _ALU.get(op)
    if function is None or dst.off is None or src.off is None:
        return SCALAR
    mask = _MASKS[width]
    results = {function(a & mask, b & mask, width) & mask for a in dst.numbers for b in src.numbers}
    return Value(Kind.SCALAR, 0, few(results))


def _move(pointer: Value, by: Value, sign: int) -> Value:
    """A pointer a constant (or unknown) number of bytes further."""
    if pointer.off is None:
        return pointer
    moved = {at + sign * signed(step, 64) for at in pointer.numbers for step in by.numbers}
    off = few(moved) if all(-_OFFSET_LIMIT < at < _OFFSET_LIMIT for at in moved) else None
    if isinstance(off, tuple) and pointer.kind is not Kind.BTF:
        off = None
    return pointer._replace(off=off)


def decide(op: JmpOp, width: int, dst: Value, src: Value) -> bool | None:
    """Is the branch taken?  None where both ways are possible."""
    if dst.kind is Kind.SCALAR and src.kind is Kind.SCALAR:
        mask, test = _MASKS[width], _JUMPS[op]
        answers = {test(a & mask, b & mask, width) for a in dst.numbers for b in src.numbers}
        return answers.pop() if len(answers) == 1 else None
    null = src.kind is Kind.SCALAR and src.off == 0 and dst.kind in _NEVER_NULL
    if null and width == 64 and op in (JmpOp.JEQ, JmpOp.JNE):
        return op is JmpOp.JNE
    return None
