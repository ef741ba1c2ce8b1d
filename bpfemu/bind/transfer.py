"""What one instruction does to a state: one function per family, in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

from bpfemu.bind.arith import combine, decide, extend
from bpfemu.bind.calling import Calling
from bpfemu.bind.effects import Effects
from bpfemu.bind.state import Function, State
from bpfemu.bind.values import SCALAR, Kind, Value, constant
from bpfemu.isa.flow import func_target
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
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp

if TYPE_CHECKING:
    from bpfemu.bind.kinds import Facts, Input, Solver

__all__ = ["Transfer"]

_FETCHES: Final = frozenset(
    {
        AtomicOp.FETCH_ADD,
        AtomicOp.FETCH_OR,
        AtomicOp.FETCH_AND,
        AtomicOp.FETCH_XOR,
        AtomicOp.XCHG,
    }
)
_MOVES: Final = frozenset({AluOp.MOV, AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32})
_ZERO: Final = constant(0)

_Step = Callable[[Function, State, Any, int], bool]
"""Applies an instruction at a slot; False where control does not go on to the next."""


class Transfer:
    """Applies instructions to states; ``steps`` has a function for each family.

    ``branch`` is what the last visited jump was decided to do, None when it goes both ways.
    """

    def __init__(self, given: Input, facts: Facts, solver: Solver) -> None:
        self._given = given
        self._uninit = facts.uninit
        self._effects = Effects(given, facts, solver)
        self.branch: bool | None = None
        calling = Calling(given, facts, solver, self._effects)
        self.steps: dict[type, _Step] = {
            Alu: self._alu,
            Swap: self._swap,
            AddrSpaceCast: self._cast,
            LoadImm64: self._immediate,
            Tail: self._nothing,
            Load: self._load,
            Store: self._store,
            Atomic: self._atomic,
            PacketLoad: self._packet,
            Jump: self._jump,
            MayGoto: self._nothing,
            Exit: calling.exit,
            Call: calling.call,
            CallSub: calling.call_sub,
            CallReg: calling.call_reg,
        }
        assert set(self.steps) == set(get_args(Insn)), "an instruction family has no step"

    def _operand(self, state: State, src: Reg | Imm, slot: int) -> Value:
        if isinstance(src, Imm):
            return constant(extend(src.value))
        return state.read(src.n, slot, self._uninit)

    def _alu(self, function: Function, state: State, insn: Alu, slot: int) -> bool:
        src = self._operand(state, insn.src, slot)
        if insn.op is AluOp.MOV and insn.width == 64:
            value = src
        elif insn.op in _MOVES:
            value = combine(insn.op, insn.width, _ZERO, src) if src.kind is Kind.SCALAR else SCALAR
        else:
            dst = state.read(insn.dst.n, slot, self._uninit)
            value = combine(insn.op, insn.width, dst, src)
        state.write(function, insn.dst.n, value)
        return True

    def _swap(self, function: Function, state: State, insn: Swap, slot: int) -> bool:
        state.read(insn.dst.n, slot, self._uninit)
        state.write(function, insn.dst.n, SCALAR)
        return True

    def _cast(self, function: Function, state: State, insn: AddrSpaceCast, slot: int) -> bool:
        state.read(insn.src.n, slot, self._uninit)
        state.write(function, insn.dst.n, Value(Kind.ARENA))
        return True

    def _immediate(self, function: Function, state: State, insn: LoadImm64, slot: int) -> bool:
        value = self._given.values.get(slot)
        if value is None:
            target = func_target(insn, slot)
            value = constant(insn.value) if target is None else Value(Kind.FUNC, target, 0)
        state.write(function, insn.dst.n, value)
        return True

    def _nothing(self, function: Function, state: State, insn: Insn, slot: int) -> bool:
        return True

    def _load(self, function: Function, state: State, insn: Load, slot: int) -> bool:
        base = self._effects.access(function, state, insn.base.n, insn.offset, slot)
        value = self._effects.loaded(
            function, state, base, insn.offset, insn.size, signed=insn.signed
        )
        state.write(function, insn.dst.n, value)
        return True

    def _store(self, function: Function, state: State, insn: Store, slot: int) -> bool:
        value = self._operand(state, insn.src, slot)
        base = self._effects.access(function, state, insn.base.n, insn.offset, slot, store=True)
        self._effects.stored(function, state, base, insn.offset, insn.size, value)
        return True

    def _atomic(self, function: Function, state: State, insn: Atomic, slot: int) -> bool:
        op, reg, where = insn.op, insn.reg.n, (insn.offset, insn.size)
        store = op is not AtomicOp.LOAD_ACQ
        if store:
            state.read(reg, slot, self._uninit)
        if op is AtomicOp.CMPXCHG:
            state.read(0, slot, self._uninit)
        base = self._effects.access(function, state, insn.base.n, insn.offset, slot, store=store)
        old = self._effects.loaded(function, state, base, *where)
        if not store:
            state.write(function, reg, old)
            return True
        new = state.regs[reg] if op in (AtomicOp.STORE_REL, AtomicOp.XCHG) else SCALAR
        self._effects.stored(function, state, base, *where, new)
        if op in _FETCHES:
            state.write(function, reg, old if op is AtomicOp.XCHG else SCALAR)
        elif op is AtomicOp.CMPXCHG:
            state.write(function, 0, SCALAR)
        return True

    def _packet(self, function: Function, state: State, insn: PacketLoad, slot: int) -> bool:
        state.read(6, slot, self._uninit)
        if insn.index is not None:
            state.read(insn.index.n, slot, self._uninit)
        state.scratch()
        state.write(function, 0, SCALAR)
        return True

    def _jump(self, function: Function, state: State, insn: Jump, slot: int) -> bool:
        if insn.op is not JmpOp.JA:
            dst = state.read(insn.dst.n, slot, self._uninit)
            src = self._operand(state, insn.src, slot)
            self.branch = decide(insn.op, insn.width, dst, src)
        return True
