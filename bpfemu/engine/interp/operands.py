"""Which registers an instruction reads and writes, one row per family."""

from __future__ import annotations

from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    CallReg,
    Exit,
    Insn,
    Jump,
    Load,
    LoadImm64,
    PacketLoad,
    Reg,
    Store,
    Swap,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp

__all__ = ["reads_of", "writes_of"]

_ONLY_SOURCE = (AluOp.MOV, AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32)
_BLIND = (AtomicOp.ADD, AtomicOp.OR, AtomicOp.AND, AtomicOp.XOR, AtomicOp.STORE_REL)


def reads_of(insn: Insn) -> tuple[int, ...]:
    """The registers whose values an instruction needs, source before destination.

    A call's arguments are the callee's matter and not among them.
    """
    match insn:
        case Alu(op=op, dst=Reg(d), src=src):
            source = (src.n,) if isinstance(src, Reg) else ()
            return source if op in _ONLY_SOURCE else (*source, d)
        case Swap(dst=Reg(d)):
            return (d,)
        case Load(base=Reg(b)):
            return (b,)
        case Store(base=Reg(b), src=src):
            return (src.n, b) if isinstance(src, Reg) else (b,)
        case Atomic(op=op, base=Reg(b), reg=Reg(s)):
            if op is AtomicOp.LOAD_ACQ:
                return (b,)
            return (s, b, 0) if op is AtomicOp.CMPXCHG else (s, b)
        case Jump(op=op, dst=Reg(d), src=src):
            if op is JmpOp.JA:
                return ()
            return (src.n, d) if isinstance(src, Reg) else (d,)
        case AddrSpaceCast(src=Reg(s)):
            return (s,)
        case PacketLoad(index=Reg(n)):
            return (n, 6)
        case PacketLoad():
            return (6,)
        case CallReg(reg=Reg(n)):
            return (n,)
        case Exit():
            return (0,)
        case _:
            return ()


def writes_of(insn: Insn) -> int | None:
    """The register that a straight-line instruction writes, if any."""
    match insn:
        case Alu() | Swap() | Load() | LoadImm64() | AddrSpaceCast():
            return insn.dst.n
        case Atomic(op=AtomicOp.CMPXCHG):
            return 0
        case Atomic(op=op, reg=Reg(n)) if op not in _BLIND:
            return n
        case _:
            return None
