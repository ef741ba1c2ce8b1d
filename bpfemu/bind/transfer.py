"""What one instruction does to a state: one function per family, in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

from bpfemu.bind.arith import combine, decide, extend
from bpfemu.bind.state import OWN, SCRATCHED, Function, State
from bpfemu.bind.values import SCALAR, UNKNOWN, Kind, Trust, Value, constant, load_kind
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
    from bpfemu.bind.kinds import Facts, Input, _Solver

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
_ZERO: Final = constant(0)
_WRITE_ONLY: Final = frozenset({AluOp.MOV, AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32})


class Transfer:
    """Applies instructions to states; notes loads, unset reads and stack use in ``facts``.

    ``branch`` is what the last visited jump was decided to do, None when it goes both ways.
    """

    def __init__(self, given: Input, facts: Facts, solver: _Solver) -> None:
        self._given = given
        self._facts = facts
        self._solver = solver
        self.branch: bool | None = None

    def step(self, function: Function, state: State, insn: Insn, slot: int) -> bool:
        """One instruction; False where control does not go on to the next."""
        return _TABLE[type(insn)](self, function, state, insn, slot)

    def _read(self, state: State, number: int, slot: int) -> Value:
        if state.uninit >> number & 1:
            self._facts.uninit.add(slot)
        return state.regs[number]

    def _operand(self, state: State, src: Reg | Imm, slot: int) -> Value:
        if isinstance(src, Imm):
            return constant(extend(src.value))
        return self._read(state, src.n, slot)

    def _write(self, function: Function, state: State, number: int, value: Value) -> None:
        if number == 10:
            return  # the frame pointer is read-only
        state.regs[number] = value
        state.uninit &= ~(1 << number)
        if value.kind is Kind.STACK and value.ref == OWN and value.off is not None:
            function.depth = max(function.depth, -value.off)

    # ---- arithmetic ------------------------------------------------------------------------

    def _alu(self, function: Function, state: State, insn: Alu, slot: int) -> bool:
        src = self._operand(state, insn.src, slot)
        if insn.op is AluOp.MOV and insn.width == 64:
            value = src
        elif insn.op in _WRITE_ONLY:
            value = combine(insn.op, insn.width, _ZERO, src) if src.kind is Kind.SCALAR else SCALAR
        else:
            dst = self._read(state, insn.dst.n, slot)
            value = combine(insn.op, insn.width, dst, src)
        self._write(function, state, insn.dst.n, value)
        return True

    def _swap(self, function: Function, state: State, insn: Swap, slot: int) -> bool:
        self._read(state, insn.dst.n, slot)
        self._write(function, state, insn.dst.n, SCALAR)
        return True

    def _cast(self, function: Function, state: State, insn: AddrSpaceCast, slot: int) -> bool:
        self._read(state, insn.src.n, slot)
        self._write(function, state, insn.dst.n, Value(Kind.ARENA))
        return True

    def _immediate(self, function: Function, state: State, insn: LoadImm64, slot: int) -> bool:
        value = self._given.values.get(slot)
        if value is None:
            target = func_target(insn, slot)
            value = constant(insn.value) if target is None else Value(Kind.FUNC, target, 0)
        self._write(function, state, insn.dst.n, value)
        return True

    def _nothing(self, function: Function, state: State, insn: Insn, slot: int) -> bool:
        return True

    # ---- memory ----------------------------------------------------------------------------

    def _access(
        self,
        function: Function,
        state: State,
        base: int,
        offset: int,
        slot: int,
        *,
        store: bool = False,
    ) -> Value:
        """Note what an access goes through; its base register's value."""
        value = self._read(state, base, slot)
        self._facts.loads[slot] = load_kind(value, store=store)
        if value.kind is Kind.MIXED:
            self._facts.mixed.add(slot)
        elif value.kind is Kind.CTX:
            self._facts.contexts[slot] = value
        elif value.kind is Kind.STACK and value.ref == OWN and value.off is not None:
            function.depth = max(function.depth, -(value.off + offset))
        return value

    def _load(self, function: Function, state: State, insn: Load, slot: int) -> bool:
        base = self._access(function, state, insn.base.n, insn.offset, slot)
        value = self._loaded(function, state, base, insn.offset, insn.size, signed=insn.signed)
        self._write(function, state, insn.dst.n, value)
        return True

    def _loaded(
        self,
        function: Function,
        state: State,
        base: Value,
        offset: int,
        size: int,
        *,
        signed: bool = False,
    ) -> Value:
        """What stands in memory there, as far as known."""
        kind = base.kind
        if kind is Kind.STACK:
            return self._stack_slot(function, state, base, offset, size)
        if kind is Kind.BTF:
            return self._given.context.walker.load(base, offset, size, rcu=state.rcu)
        if kind is Kind.MAP_VALUE:
            return self._frozen(base, offset, size, signed)
        if kind is Kind.CTX:
            return self._given.context.load(None if base.off is None else base.off + offset, size)
        return UNKNOWN if kind is Kind.UNKNOWN and size == 8 else SCALAR

    def _stack_slot(
        self, function: Function, state: State, base: Value, offset: int, size: int
    ) -> Value:
        if base.off is None or size != 8:
            return SCALAR
        at = base.off + offset
        if base.ref == OWN:
            return state.stack.get(at, SCALAR)
        if base.ref in function.constant_kills or at in function.kills.get(base.ref, ()):
            return UNKNOWN
        return function.outer.get(base.ref, {}).get(at, UNKNOWN)

    def _frozen(self, base: Value, offset: int, size: int, signed: bool) -> Value:
        """Read-only globals are constants."""
        data = self._given.frozen.get(base.ref)
        if data is None or base.off is None:
            return SCALAR
        at = base.off + offset
        if not 0 <= at <= len(data) - size:
            return SCALAR
        return constant(
            int.from_bytes(data[at : at + size], "little", signed=signed) & (1 << 64) - 1
        )

    def _store(self, function: Function, state: State, insn: Store, slot: int) -> bool:
        value = self._operand(state, insn.src, slot)
        base = self._access(function, state, insn.base.n, insn.offset, slot, store=True)
        self._stored(function, state, base, insn.offset, insn.size, value)
        return True

    def _stored(
        self,
        function: Function,
        state: State,
        base: Value,
        offset: int,
        size: int | None,
        value: Value = SCALAR,
    ) -> None:
        """``size`` bytes (None: unknown how many) were written there."""
        if base.kind is Kind.UNKNOWN:
            state.forget_constants()
            self._note_kills(function, set(function.outer), None)
            return
        if base.kind is not Kind.STACK:
            return
        at = None if base.off is None else base.off + offset
        if base.ref != OWN:
            slots = None if at is None or size is None else set(range(at - 7, at + size))
            self._note_kills(function, {base.ref}, slots)
        elif at is None or size is None:
            state.forget_constants(-512 if at is None else at - 7)
        else:
            state.forget(at, at + size)
            if size == 8:
                state.stack[at] = value

    def _note_kills(self, function: Function, frames: set[int], slots: set[int] | None) -> None:
        """The function writes into its callers' frames: tell them, and itself."""
        changed = False
        for frame in frames:
            if slots is None:
                changed |= frame not in function.constant_kills
                function.constant_kills.add(frame)
            else:
                known = function.kills.setdefault(frame, set())
                changed |= not slots <= known
                known |= slots
        if changed:
            self._solver.revisit_users(function)
            self._solver.again(function.start)

    def _atomic(self, function: Function, state: State, insn: Atomic, slot: int) -> bool:
        reg = insn.reg.n
        if insn.op is not AtomicOp.LOAD_ACQ:
            self._read(state, reg, slot)
        if insn.op is AtomicOp.CMPXCHG:
            self._read(state, 0, slot)
        store = insn.op is not AtomicOp.LOAD_ACQ
        base = self._access(function, state, insn.base.n, insn.offset, slot, store=store)
        if insn.op is AtomicOp.LOAD_ACQ:
            value = self._loaded(function, state, base, insn.offset, insn.size)
            self._write(function, state, reg, value)
            return True
        old = self._loaded(function, state, base, insn.offset, insn.size)
        new = state.regs[reg] if insn.op in (AtomicOp.STORE_REL, AtomicOp.XCHG) else SCALAR
        self._stored(function, state, base, insn.offset, insn.size, new)
        if insn.op in _FETCHES:
            self._write(function, state, reg, old if insn.op is AtomicOp.XCHG else SCALAR)
        elif insn.op is AtomicOp.CMPXCHG:
            self._write(function, state, 0, SCALAR)
        return True

    def _packet(self, function: Function, state: State, insn: PacketLoad, slot: int) -> bool:
        self._read(state, 6, slot)
        if insn.index is not None:
            self._read(state, insn.index.n, slot)
        self._scratch(state)
        self._write(function, state, 0, SCALAR)
        return True

    # ---- control ---------------------------------------------------------------------------

    def _jump(self, function: Function, state: State, insn: Jump, slot: int) -> bool:
        if insn.op is not JmpOp.JA:
            dst = self._read(state, insn.dst.n, slot)
            src = self._operand(state, insn.src, slot)
            self.branch = decide(insn.op, insn.width, dst, src)
        return True

    def _exit(self, function: Function, state: State, insn: Exit, slot: int) -> bool:
        value = self._read(state, 0, slot) if function.exits else state.regs[0]
        if value.kind is Kind.STACK and value.ref in (OWN, function.frame):
            value = UNKNOWN  # its frame is gone
        uninit = bool(state.uninit & 1)
        if function.leave(value, uninit=uninit, rcu=state.rcu):
            self._solver.revisit_users(function)
        return False

    def _scratch(self, state: State) -> None:
        state.uninit |= SCRATCHED
        for number in range(1, 6):
            state.regs[number] = SCALAR

    def _call(self, function: Function, state: State, insn: Call, slot: int) -> bool:
        calls, target = self._given.calls, self._given.targets[slot]
        for number in range(1, len(target.spec.params) + 1 if target.spec else 1):
            self._read(state, number, slot)
        result = calls.result(target, state)
        written = calls.written(target, state)
        for start, values in calls.callbacks(target, state):
            self._call_back(function, state, slot, start, values)
        for pointer, size in written:
            self._stored(function, state, pointer, 0, size)
        self._rcu(state, target.name)
        self._scratch(state)
        if result is None:
            state.regs[0] = SCALAR
            state.uninit |= 1
        else:
            self._write(function, state, 0, result)
        return calls.returns(target)

    def _rcu(self, state: State, name: str) -> None:
        if name == "bpf_rcu_read_lock":
            state.rcu = True
        elif name == "bpf_rcu_read_unlock" and not self._given.rcu:
            state.rcu = False
            values = {*state.regs, *state.stack.values()}
            weaken = {v: v._replace(trust=Trust.UNTRUSTED) for v in values if v.trust is Trust.RCU}
            state.end_rcu(weaken)

    def _call_back(
        self, function: Function, state: State, slot: int, start: int, values: list[Value]
    ) -> None:
        missing = 0b111110 & ~((1 << len(values) + 1) - 1)
        callee = self._enter(function, state, slot, start, values, missing)
        if callee is not None:
            callee.exits = True
            self._apply_kills(function, state, callee)

    def _enter(
        self,
        function: Function,
        state: State,
        slot: int,
        start: int,
        values: list[Value],
        missing: int,
    ) -> Function | None:
        """Hand a function its arguments and a view of the stacks above it."""
        outer = {**function.outer, function.frame: self._exported(function, state)}
        args = [self._outside(function, value) for value in values]
        callee = self._solver.enter(start, args, missing, outer, state.rcu)
        if callee is not None:
            callee.users.add(slot)
        return callee

    def _exported(self, function: Function, state: State) -> dict[int, Value]:
        return {at: self._outside(function, value) for at, value in state.stack.items()}

    def _outside(self, function: Function, value: Value) -> Value:
        """A pointer to this function's stack as others see it."""
        if value.kind is Kind.STACK and value.ref == OWN:
            return value._replace(ref=function.frame)
        return value

    def _apply_kills(self, function: Function, state: State, callee: Function) -> None:
        for at in callee.kills.get(function.frame, ()):
            state.stack.pop(at, None)
        if function.frame in callee.constant_kills:
            state.forget_constants()
        others = {frame: slots for frame, slots in callee.kills.items() if frame in function.outer}
        for frame, slots in others.items():
            self._note_kills(function, {frame}, slots)
        frames = callee.constant_kills & set(function.outer)
        if frames:
            self._note_kills(function, frames, None)

    def _call_sub(self, function: Function, state: State, insn: CallSub, slot: int) -> bool:
        return self._call_function(function, state, slot, insn.target)

    def _call_reg(self, function: Function, state: State, insn: CallReg, slot: int) -> bool:
        value = self._read(state, insn.reg.n, slot)
        if value.kind is Kind.FUNC and value.ref >= 0:
            return self._call_function(function, state, slot, value.ref)
        self._scratch(state)
        self._write(function, state, 0, UNKNOWN)
        return True

    def _call_function(self, function: Function, state: State, slot: int, start: int) -> bool:
        missing = state.uninit & SCRATCHED
        callee = self._enter(function, state, slot, start, state.regs[1:6], missing)
        if callee is None or callee.result is None:
            return False  # nobody has seen it return yet
        self._apply_kills(function, state, callee)
        self._scratch(state)
        result = callee.result
        if result.kind is Kind.STACK and result.ref == function.frame:
            result = result._replace(ref=OWN)
        self._write(function, state, 0, result)
        if callee.result_uninit:
            state.uninit |= 1
        state.rcu = callee.rcu_after
        return True


_Step = Callable[[Transfer, Function, State, Any, int], bool]

_TABLE: Final[dict[type, _Step]] = {
    Alu: Transfer._alu,
    Swap: Transfer._swap,
    AddrSpaceCast: Transfer._cast,
    LoadImm64: Transfer._immediate,
    Tail: Transfer._nothing,
    Load: Transfer._load,
    Store: Transfer._store,
    Atomic: Transfer._atomic,
    PacketLoad: Transfer._packet,
    Jump: Transfer._jump,
    MayGoto: Transfer._nothing,
    Exit: Transfer._exit,
    Call: Transfer._call,
    CallSub: Transfer._call_sub,
    CallReg: Transfer._call_reg,
}
assert set(_TABLE) == set(get_args(Insn)), "an instruction family has no transfer function"
