"""Hypothesis strategies for instructions: every family, every form, values at the edges."""

from __future__ import annotations

from hypothesis import strategies as st

from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Call,
    CallReg,
    CallSub,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    MayGoto,
    PacketLoad,
    Reg,
    Slot,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo, SwapOp
from bpfemu.record import replace

__all__ = ["codes", "insns", "regs", "s16", "s32", "u64"]

regs = st.integers(0, 10).map(Reg)
s16 = st.sampled_from([0, 1, -1, 2**15 - 1, -(2**15)]) | st.integers(-(2**15), 2**15 - 1)
s32 = st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
u64 = st.sampled_from([0, 2**31, 2**32 - 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
_imms = s32.map(Imm)
_MOVSX_WIDTHS = {AluOp.MOVSX8: (32, 64), AluOp.MOVSX16: (32, 64), AluOp.MOVSX32: (64,)}
_ORDERED = (AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL)


def _alu(op: AluOp) -> st.SearchStrategy[Insn]:
    widths = st.sampled_from(_MOVSX_WIDTHS.get(op, (32, 64)))
    if op is AluOp.NEG:
        return st.builds(Alu, st.just(op), widths, regs, st.just(Imm(0)))
    src = regs if op in _MOVSX_WIDTHS else regs | _imms
    return st.builds(Alu, st.just(op), widths, regs, src)


def _atomic(op: AtomicOp) -> st.SearchStrategy[Insn]:
    sizes = st.sampled_from((1, 2, 4, 8) if op in _ORDERED else (4, 8))
    return st.builds(Atomic, st.just(op), sizes, regs, s16, regs)


_PLACELESS: st.SearchStrategy[Insn] = st.one_of(
    *(_alu(op) for op in AluOp),
    *(_atomic(op) for op in AtomicOp),
    st.builds(Swap, st.sampled_from(SwapOp), st.sampled_from((16, 32, 64)), regs),
    st.builds(AddrSpaceCast, regs, regs, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.builds(Load, st.sampled_from((1, 2, 4, 8)), st.just(False), regs, regs, s16),
    st.builds(Load, st.sampled_from((1, 2, 4)), st.just(True), regs, regs, s16),
    st.builds(Store, st.sampled_from((1, 2, 4, 8)), regs, s16, regs | _imms),
    st.builds(PacketLoad, st.sampled_from((1, 2, 4)), s32, st.none() | regs),
    st.builds(Call, st.just("helper"), s32),
    st.builds(Call, st.just("kfunc"), s32, s16),
    st.builds(CallReg, regs),
    st.just(Exit()),
)


def _jumps() -> st.SearchStrategy[Insn]:
    conditional = st.sampled_from([op for op in JmpOp if op is not JmpOp.JA])
    near, far = s16.map(lambda distance: 1 + distance), s32.map(lambda distance: 1 + distance)
    nothing = (st.just(Reg(0)), st.just(Imm(0)))
    return st.one_of(
        st.builds(Jump, conditional, st.sampled_from((32, 64)), regs, regs | _imms, near),
        st.builds(Jump, st.just(JmpOp.JA), st.just(64), *nothing, near),
        st.builds(Jump, st.just(JmpOp.JA), st.just(32), *nothing, far),
        st.builds(MayGoto, near),
        st.builds(CallSub, far),
    )


_OFFS = st.just((0, 0)) | st.tuples(s16, s16)
_WIDE: st.SearchStrategy[Insn] = st.builds(LoadImm64, regs, u64, st.sampled_from(Pseudo), _OFFS)

insns: st.SearchStrategy[Insn] = st.one_of(_PLACELESS, _jumps(), _WIDE)
"""Any instruction that can stand at slot 0 (a 64-bit immediate load needs its Tail)."""


def _place(code: list[Insn], start: Slot) -> tuple[Insn, ...]:
    """Instructions for slot 0 one behind the other from ``start``, tails added."""
    placed: list[Insn] = []
    for insn in code:
        if isinstance(insn, Jump | MayGoto | CallSub):
            insn = replace(insn, target=insn.target + start + len(placed))
        placed.append(insn)
        if isinstance(insn, LoadImm64):
            placed.append(Tail())
    return tuple(placed)


def codes(*, start: Slot = 0, max_insns: int = 12) -> st.SearchStrategy[tuple[Insn, ...]]:
    """A code array as an object file may hold it: jumps go anywhere, tails are in place."""
    return st.lists(insns, max_size=max_insns).map(lambda code: _place(code, start))
