"""Arithmetic: operation → Python text of its semantics (RFC 9669 sections 4.1 and 4.2).

A template works on registers that hold 0 <= r < 2**64.  ``{d}`` and ``{s}`` are the destination
and the source (a register or a number), ``{dw}`` and ``{sw}`` their low 32 bits.  The destination
is assigned only once nothing can go wrong any more.
"""

from __future__ import annotations

from typing import Final

from bpfemu.isa.insn import Alu, Imm, Swap
from bpfemu.isa.ops import AluOp, SwapOp

__all__ = ["ALU32", "ALU64", "FUNCTIONS", "SWAP", "alu_source", "is_narrow", "swap_source"]

_U64: Final = "0xFFFFFFFFFFFFFFFF"
_U32: Final = "0xFFFFFFFF"
_S64: Final = "0x8000000000000000"
_S32: Final = "0x80000000"


def _extend(bits: int, mask: str) -> str:
    sign = 1 << bits - 1
    return f"{{d}} = ({{s}} & {2 * sign - 1:#x} ^ {sign:#x}) - {sign:#x} & {mask}"


# A masking "&" on a number beyond 30 bits costs more than a comparison that says it is not needed.
ALU64: Final[dict[AluOp, str]] = {
    AluOp.ADD: f"{{d}} += {{s}}\nif {{d}} > {_U64}: {{d}} &= {_U64}",
    AluOp.SUB: "{d} -= {s}\nif {d} < 0: {d} += 0x10000000000000000",
    AluOp.MUL: f"{{d}} = {{d}} * {{s}} & {_U64}",
    AluOp.DIV: "{d} = {d} // {s} if {s} else 0",
    AluOp.SDIV: "{d} = sdiv({d}, {s}, 64)",
    AluOp.OR: "{d} |= {s}",
    AluOp.AND: "{d} &= {s}",
    AluOp.LSH: f"{{d}} = {{d}} << ({{s}} & 63) & {_U64}",
    AluOp.RSH: "{d} >>= {s} & 63",
    AluOp.NEG: f"{{d}} = -{{d}} & {_U64}",
    AluOp.MOD: "{d} = {d} % {s} if {s} else {d}",
    AluOp.SMOD: "{d} = smod({d}, {s}, 64)",
    AluOp.XOR: "{d} ^= {s}",
    AluOp.MOV: "{d} = {s}",
    AluOp.MOVSX8: _extend(8, _U64),
    AluOp.MOVSX16: _extend(16, _U64),
    AluOp.MOVSX32: _extend(32, _U64),
    AluOp.ARSH: f"{{d}} = ({{d}} ^ {_S64}) - {_S64} >> ({{s}} & 63) & {_U64}",
}

ALU32: Final[dict[AluOp, str]] = {
    AluOp.ADD: f"{{d}} += {{s}}\nif {{d}} > {_U32}: {{d}} &= {_U32}",
    AluOp.SUB: f"{{d}} = {{d}} - {{s}} & {_U32}",
    AluOp.MUL: f"{{d}} = {{d}} * {{s}} & {_U32}",
    AluOp.DIV: "{d} = {dw} // {sw} if {sw} else 0",
    AluOp.SDIV: "{d} = sdiv({dw}, {sw}, 32)",
    AluOp.OR: f"{{d}} = ({{d}} | {{s}}) & {_U32}",
    AluOp.AND: f"{{d}} = {{d}} & {{s}} & {_U32}",
    AluOp.LSH: f"{{d}} = {{d}} << ({{s}} & 31) & {_U32}",
    AluOp.RSH: "{d} = {dw} >> ({s} & 31)",
    AluOp.NEG: f"{{d}} = -{{d}} & {_U32}",
    AluOp.MOD: "{d} = {dw} % {sw} if {sw} else {dw}",
    AluOp.SMOD: "{d} = smod({dw}, {sw}, 32)",
    AluOp.XOR: f"{{d}} = ({{d}} ^ {{s}}) & {_U32}",
    AluOp.MOV: "{d} = {sw}",
    AluOp.MOVSX8: _extend(8, _U32),
    AluOp.MOVSX16: _extend(16, _U32),
    AluOp.MOVSX32: "{d} = {sw}",
    AluOp.ARSH: f"{{d}} = ({{dw}} ^ {_S32}) - {_S32} >> ({{s}} & 31) & {_U32}",
}

# Hosts are little-endian kernels: "le" only truncates.
SWAP: Final[dict[SwapOp, str]] = {
    SwapOp.LE: "{d} &= {mask}",
    SwapOp.BE: "{d} = swap({d} & {mask}, {size})",
    SwapOp.BSWAP: "{d} = swap({d} & {mask}, {size})",
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

_SUMS: Final = frozenset({AluOp.ADD, AluOp.SUB})
_BITWISE: Final = frozenset({AluOp.AND, AluOp.OR, AluOp.XOR})


def alu_source(
    insn: Alu, narrow: frozenset[int] = frozenset(), near: frozenset[int] = frozenset()
) -> str:
    """The text of one arithmetic instruction.

    ``narrow`` registers are known to fit 32 bits, ``near`` ones to be so far from 0 and 2**64 that
    a number can be added without a look at the result.
    """
    d, table = f"r{insn.dst.n}", ALU64 if insn.width == 64 else ALU32
    dw = d if insn.dst.n in narrow else f"({d} & {_U32})"
    if isinstance(insn.src, Imm):
        value = insn.src.value if insn.op is AluOp.ADD else -insn.src.value
        if insn.op in _SUMS and insn.width == 64 and insn.dst.n in near:
            return f"{d} {'-' if value < 0 else '+'}= {abs(value)}"
        if insn.op in _SUMS and insn.src.value < 0:
            opposite = AluOp.ADD if value > 0 else AluOp.SUB
            return table[opposite].format(d=d, s=-insn.src.value, dw=dw, sw=-insn.src.value)
        s = sw = f"{insn.src.value & (1 << insn.width) - 1:#x}"
    else:
        s = f"r{insn.src.n}"
        sw = s if insn.src.n in narrow else f"({s} & {_U32})"
        if insn.width == 32 and insn.dst.n in narrow and insn.src.n in narrow:
            table = ALU64 if insn.op in _BITWISE else table
    return table[insn.op].format(d=d, s=s, dw=dw, sw=sw)


def swap_source(insn: Swap) -> str:
    """The text of one byte swap."""
    mask = f"{(1 << insn.bits) - 1:#x}"
    return SWAP[insn.op].format(d=f"r{insn.dst.n}", mask=mask, size=insn.bits // 8)


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
