"""Arithmetic: operation → Python text of its value (RFC 9669 sections 4.1 and 4.2).

A template works on registers that hold 0 <= r < 2**64.  ``{d}`` and ``{s}`` are the destination
and the source (a register or a number), ``{dw}`` and ``{sw}`` their low 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from bpfemu.isa.insn import Alu, Imm, Swap
from bpfemu.isa.ops import AluOp, SwapOp

__all__ = [
    "ALU32",
    "ALU64",
    "FUNCTIONS",
    "SWAP",
    "alu_function",
    "alu_source",
    "is_narrow",
    "swap_function",
    "swap_source",
]

_U64: Final = "0xFFFFFFFFFFFFFFFF"
_U32: Final = "0xFFFFFFFF"
_S64: Final = "0x8000000000000000"
_S32: Final = "0x80000000"


def _extend(bits: int, mask: str) -> str:
    sign = 1 << bits - 1
    return f"({{s}} & {2 * sign - 1:#x} ^ {sign:#x}) - {sign:#x} & {mask}"


ALU64: Final[dict[AluOp, str]] = {
    AluOp.ADD: f"{{d}} + {{s}} & {_U64}",
    AluOp.SUB: f"{{d}} - {{s}} & {_U64}",
    AluOp.MUL: f"{{d}} * {{s}} & {_U64}",
    AluOp.DIV: "{d} // {s} if {s} else 0",
    AluOp.SDIV: "sdiv({d}, {s}, 64)",
    AluOp.OR: "{d} | {s}",
    AluOp.AND: "{d} & {s}",
    AluOp.LSH: f"{{d}} << ({{s}} & 63) & {_U64}",
    AluOp.RSH: "{d} >> ({s} & 63)",
    AluOp.NEG: f"-{{d}} & {_U64}",
    AluOp.MOD: "{d} % {s} if {s} else {d}",
    AluOp.SMOD: "smod({d}, {s}, 64)",
    AluOp.XOR: "{d} ^ {s}",
    AluOp.MOV: "{s}",
    AluOp.MOVSX8: _extend(8, _U64),
    AluOp.MOVSX16: _extend(16, _U64),
    AluOp.MOVSX32: _extend(32, _U64),
    AluOp.ARSH: f"({{d}} ^ {_S64}) - {_S64} >> ({{s}} & 63) & {_U64}",
}

ALU32: Final[dict[AluOp, str]] = {
    AluOp.ADD: f"{{d}} + {{s}} & {_U32}",
    AluOp.SUB: f"{{d}} - {{s}} & {_U32}",
    AluOp.MUL: f"{{d}} * {{s}} & {_U32}",
    AluOp.DIV: "{dw} // {sw} if {sw} else 0",
    AluOp.SDIV: "sdiv({dw}, {sw}, 32)",
    AluOp.OR: f"({{d}} | {{s}}) & {_U32}",
    AluOp.AND: f"{{d}} & {{s}} & {_U32}",
    AluOp.LSH: f"{{d}} << ({{s}} & 31) & {_U32}",
    AluOp.RSH: "{dw} >> ({s} & 31)",
    AluOp.NEG: f"-{{d}} & {_U32}",
    AluOp.MOD: "{dw} % {sw} if {sw} else {dw}",
    AluOp.SMOD: "smod({dw}, {sw}, 32)",
    AluOp.XOR: f"({{d}} ^ {{s}}) & {_U32}",
    AluOp.MOV: "{sw}",
    AluOp.MOVSX8: _extend(8, _U32),
    AluOp.MOVSX16: _extend(16, _U32),
    AluOp.MOVSX32: "{sw}",
    AluOp.ARSH: f"({{dw}} ^ {_S32}) - {_S32} >> ({{s}} & 31) & {_U32}",
}

# Kernels emulated here are little-endian: "le" only truncates.
SWAP: Final[dict[SwapOp, str]] = {
    SwapOp.LE: "{d} & {mask}",
    SwapOp.BE: "swap({d} & {mask}, {size})",
    SwapOp.BSWAP: "swap({d} & {mask}, {size})",
}

assert set(ALU64) == set(ALU32) == set(AluOp), set(AluOp) - (set(ALU64) & set(ALU32))
assert set(SWAP) == set(SwapOp), set(SwapOp) - set(SWAP)


def sdiv(a: int, b: int, width: int) -> int:
    """Signed division that truncates; by zero gives 0, overflow wraps (RFC 9669 section 4.1)."""
    a, b = _signed(a, width), _signed(b, width)
    if not b:
        return 0
    quotient = abs(a) // abs(b)
    return (quotient if (a < 0) == (b < 0) else -quotient) & (1 << width) - 1


def smod(a: int, b: int, width: int) -> int:
    """Signed remainder with the sign of ``a``; by zero leaves ``a`` (RFC 9669 section 4.1)."""
    a, b = _signed(a, width), _signed(b, width)
    if b:
        a = abs(a) % abs(b) if a >= 0 else -(abs(a) % abs(b))
    return a & (1 << width) - 1


def swap(value: int, size: int) -> int:
    """The ``size`` bytes of ``value`` in reverse order."""
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def _signed(value: int, width: int) -> int:
    return value - (value >> width - 1 << width)


FUNCTIONS: Final = {"sdiv": sdiv, "smod": smod, "swap": swap}
"""What the templates call by name."""


@cache
def alu_function(op: AluOp, width: int) -> Callable[[int, int], int]:
    """One operation as a function of destination and source."""
    text = (ALU64 if width == 64 else ALU32)[op]
    text = text.format(d="d", s="s", dw=f"(d & {_U32})", sw=f"(s & {_U32})")
    function: Callable[[int, int], int] = eval(f"lambda d, s: {text}", dict(FUNCTIONS))
    return function


@cache
def swap_function(op: SwapOp, bits: int) -> Callable[[int], int]:
    """One byte swap as a function of the register."""
    text = SWAP[op].format(d="d", mask=hex((1 << bits) - 1), size=bits // 8)
    function: Callable[[int], int] = eval(f"lambda d: {text}", dict(FUNCTIONS))
    return function


# The same as above for a loop's sake: "&" on a number beyond 30 bits costs more than a comparison
# that says it is not needed.
_SUM64: Final = f"{{d}} += {{s}}\nif {{d}} > {_U64}: {{d}} &= {_U64}"
_LESS64: Final = "{d} -= {s}\nif {d} < 0: {d} += 0x10000000000000000"
_SUM32: Final = f"{{d}} += {{s}}\nif {{d}} > {_U32}: {{d}} &= {_U32}"
_LESS32: Final = f"{{d}} = {{d}} - {{s}} & {_U32}"

_SIGNS: Final = {AluOp.ADD: 1, AluOp.SUB: -1}
_BITWISE: Final = frozenset({AluOp.AND, AluOp.OR, AluOp.XOR})


def alu_source(
    insn: Alu, narrow: frozenset[int] = frozenset(), near: frozenset[int] = frozenset()
) -> str:
    """The text of one arithmetic instruction; it assigns once nothing can go wrong any more.

    ``narrow`` registers are known to fit 32 bits, ``near`` ones to be so far from 0 and 2**64 that
    a number can be added without a look at the result.
    """
    if insn.op in _SIGNS:
        return _sum_source(insn, near)
    d, table = f"r{insn.dst.n}", ALU64 if insn.width == 64 else ALU32
    dw = d if insn.dst.n in narrow else f"({d} & {_U32})"
    if isinstance(insn.src, Imm):
        s = sw = f"{insn.src.value & (1 << insn.width) - 1:#x}"
    else:
        s = f"r{insn.src.n}"
        sw = s if insn.src.n in narrow else f"({s} & {_U32})"
        if insn.op in _BITWISE and {insn.dst.n, insn.src.n} <= narrow:
            table = ALU64
    return f"{d} = " + table[insn.op].format(d=d, s=s, dw=dw, sw=sw)


def _sum_source(insn: Alu, near: frozenset[int]) -> str:
    """Addition and subtraction; of a number, that of its absolute value."""
    d, sign = f"r{insn.dst.n}", _SIGNS[insn.op]
    if isinstance(insn.src, Imm):
        value = sign * insn.src.value
        sign, s = (1, f"{value}") if value >= 0 else (-1, f"{-value}")
        if insn.width == 64 and insn.dst.n in near:
            return f"{d} {'+' if sign > 0 else '-'}= {s}"
    else:
        s = f"r{insn.src.n}"
    if insn.width == 64:
        return (_SUM64 if sign > 0 else _LESS64).format(d=d, s=s)
    return (_SUM32 if sign > 0 else _LESS32).format(d=d, s=s)


def swap_source(insn: Swap) -> str:
    """The text of one byte swap."""
    d, mask = f"r{insn.dst.n}", hex((1 << insn.bits) - 1)
    return f"{d} = " + SWAP[insn.op].format(d=d, mask=mask, size=insn.bits // 8)


def is_narrow(insn: Alu, narrow: frozenset[int]) -> bool:
    """Does the result surely fit 32 bits?"""
    if insn.width == 32:
        return True
    if isinstance(insn.src, Imm):
        value = insn.src.value
        if insn.op in (AluOp.MOV, AluOp.AND):
            return value >= 0 or (insn.op is AluOp.AND and insn.dst.n in narrow)
        if insn.op is AluOp.RSH:
            return value & 63 >= 32 or insn.dst.n in narrow
        return insn.op in (AluOp.DIV, AluOp.MOD) and value >= 0 and insn.dst.n in narrow
    if insn.op is AluOp.MOV:
        return insn.src.n in narrow
    if insn.op is AluOp.AND:
        return insn.src.n in narrow or insn.dst.n in narrow
    return insn.op in (AluOp.OR, AluOp.XOR) and {insn.src.n, insn.dst.n} <= narrow
