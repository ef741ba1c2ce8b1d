"""What an instruction is: a closed sum type, one frozen class per family.

A *slot* is the kernel's instruction index: 8 bytes of code.  Every jump and call target here is an
absolute slot, so position in the code array, slot and kernel index are one number.  The second
half of a 64-bit immediate load is present as :class:`Tail`.
"""

from __future__ import annotations

from typing import TypeAlias

from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo, SwapOp
from bpfemu.record import dataclass

__all__ = [
    "AddrSpaceCast",
    "Alu",
    "Atomic",
    "Call",
    "CallReg",
    "CallSub",
    "Exit",
    "Imm",
    "Insn",
    "Jump",
    "Load",
    "LoadImm64",
    "MayGoto",
    "PacketLoad",
    "Reg",
    "Slot",
    "Store",
    "Swap",
    "Tail",
]

Slot: TypeAlias = int
"""An instruction index; one slot is 8 bytes."""


@dataclass(frozen=True, slots=True)
class Reg:
    """A register operand, r0 to r10."""

    n: int
    __match_args__ = ("n",)


@dataclass(frozen=True, slots=True)
class Imm:
    """An immediate operand: the 32-bit field as a signed number."""

    value: int
    __match_args__ = ("value",)


@dataclass(frozen=True, slots=True)
class Alu:
    """``dst = dst op src``; width is 32 or 64 bits; a 32-bit result is zero-extended.

    NEG has ``src = Imm(0)`` and ignores it.
    """

    op: AluOp
    width: int
    dst: Reg
    src: Reg | Imm


@dataclass(frozen=True, slots=True)
class Swap:
    """Byte swap of the low ``bits`` (16, 32, 64) of dst; the rest becomes zero."""

    op: SwapOp
    bits: int
    dst: Reg


@dataclass(frozen=True, slots=True)
class Load:
    """``dst = *(size *)(base + offset)``; size in bytes, offset in bytes, signed 16 bits."""

    size: int
    signed: bool
    dst: Reg
    base: Reg
    offset: int


@dataclass(frozen=True, slots=True)
class Store:
    """``*(size *)(base + offset) = src``; an immediate is sign-extended to 64 bits first."""

    size: int
    base: Reg
    offset: int
    src: Reg | Imm


@dataclass(frozen=True, slots=True)
class Atomic:
    """An atomic of ``size`` bytes at ``base + offset``.

    ``reg`` is the source; for fetch forms and XCHG also where the old value goes; CMPXCHG compares
    with and returns in r0; LOAD_ACQ writes ``reg`` (encoded in dst, address register in src).
    """

    op: AtomicOp
    size: int
    base: Reg
    offset: int
    reg: Reg


@dataclass(frozen=True, slots=True)
class LoadImm64:
    """A 64-bit immediate; ``value`` is unsigned and final once ``pseudo`` is PLAIN.

    Before bind ``value`` holds the two immediates as encoded (low word first); after bind the
    final address.  ``offs`` are the two offset fields, non-zero only in the 2020 ksym proposal.
    """

    dst: Reg
    value: int
    pseudo: Pseudo = Pseudo.PLAIN
    offs: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Jump:
    """A jump to the absolute slot ``target``; JA is unconditional (dst and src are ignored).

    ``width`` is the compare width in bits; for JA it is 32 when encoded as ``gotol``.
    """

    op: JmpOp
    width: int
    dst: Reg
    src: Reg | Imm
    target: Slot


@dataclass(frozen=True, slots=True)
class MayGoto:
    """A conditional exit from a loop, taken when its hidden budget is used up (Linux 6.9)."""

    target: Slot


@dataclass(frozen=True, slots=True)
class AddrSpaceCast:
    """``dst = addr_space_cast(src, to_space, from_space)``: arena pointers (Linux 6.9)."""

    dst: Reg
    src: Reg
    to_space: int
    from_space: int


@dataclass(frozen=True, slots=True)
class PacketLoad:
    """Legacy packet access, LD_ABS (``index`` None) or LD_IND.

    Big-endian load of ``size`` bytes of the implicit skb (in r6) into r0; clobbers r1 to r5; a
    failing access ends the program with 0.
    """

    size: int
    offset: int
    index: Reg | None


@dataclass(frozen=True, slots=True)
class Call:
    """A call through the gate.

    Before bind ``kind`` is "helper", "helper_btf" or "kfunc" and ``imm``/``off`` are as encoded;
    after bind ``target`` is the index into ``ProgramImage.calls``.
    """

    kind: str
    imm: int
    off: int = 0
    target: int = -1


@dataclass(frozen=True, slots=True)
class CallSub:
    """A call within the program, to the subprogram that starts at slot ``target``."""

    target: Slot


@dataclass(frozen=True, slots=True)
class CallReg:
    """A call through a register (RFC 9669 section 4.3.1 ``callx``)."""

    reg: Reg


@dataclass(frozen=True, slots=True)
class Exit:
    """Return from the subprogram, or end the program."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The second half of a 64-bit immediate load; never executed."""


Insn: TypeAlias = (
    Alu
    | Swap
    | Load
    | Store
    | Atomic
    | LoadImm64
    | Jump
    | MayGoto
    | AddrSpaceCast
    | PacketLoad
    | Call
    | CallSub
    | CallReg
    | Exit
    | Tail
)
