"""What calls do: helpers, kfunc, callbacks, subprograms, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bpfemu.bind.effects import Effects
from bpfemu.bind.state import OWN, SCRATCHED, Function, State
from bpfemu.bind.values import UNKNOWN, Kind, Value
from bpfemu.isa.insn import Call, CallReg, CallSub, Exit
from bpfemu.machine.frame import FRAME_COUNT

if TYPE_CHECKING:
    from bpfemu.bind.kinds import Facts, Input, Solver

__all__ = ["Calling"]

_PERCPU: Final = ("bpf_per_cpu_ptr", "bpf_this_cpu_ptr")
_PERCPU_EXPECTED: Final = "expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"


class Calling:
    """Calls of one program."""

    def __init__(self, given: Input, facts: Facts, solver: Solver, effects: Effects) -> None:
        self._given = given
        self._facts = facts
        self._uninit = facts.uninit
        self._solver = solver
        self._effects = effects

    def exit(self, function: Function, state: State, insn: Exit, slot: int) -> bool:
        """The way back: what a caller sees of r0."""
        value = state.read(0, slot, self._uninit) if function.exits else state.regs[0]
        if value.kind is Kind.STACK and value.ref in (OWN, function.frame):
            value = UNKNOWN  # its frame is gone
        if function.leave(value, uninit=bool(state.uninit & 1), rcu=state.rcu):
            self._solver.revisit_users(function)
        return False

    def call(self, function: Function, state: State, insn: Call, slot: int) -> bool:
        """A call through the gate."""
        calls, target = self._given.calls, self._given.targets[slot]
        if target.spec is not None:
            for number in range(1, len(target.spec.params) + 1):
                state.read(number, slot, self._uninit)
        if target.name in _PERCPU and state.regs[1].kind is Kind.SCALAR:
            self._facts.refused[slot] = f"R1 type=scalar {_PERCPU_EXPECTED}"
        result = calls.result(target, state)
        written = calls.written(target, state)
        for start, values in calls.callbacks(target, state):
            self._call_back(function, state, slot, start, values)
        for pointer, size in written:
            self._effects.stored(function, state, pointer, 0, size)
        self._rcu(state, target.name)
        state.scratch()
        state.write(function, 0, UNKNOWN if result is None else result)
        if result is None:
            state.uninit |= 1
        return calls.returns(target)

    def _rcu(self, state: State, name: str) -> None:
        if name == "bpf_rcu_read_lock":
            state.rcu = True
        elif name == "bpf_rcu_read_unlock" and not self._given.rcu:
            state.end_rcu()

    def _call_back(
        self, function: Function, state: State, slot: int, start: int, values: list[Value]
    ) -> None:
        missing = SCRATCHED & ~((1 << len(values) + 1) - 1)
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
        args = [_outside(function, value) for value in values]
        outer = _reached_frames(function, state, args)
        callee = self._solver.enter(start, args, missing, outer, rcu=state.rcu)
        if callee is not None:
            callee.users.add(slot)
        return callee

    def _apply_kills(self, function: Function, state: State, callee: Function) -> None:
        """What the callee wrote on the stacks above it, this function's among them."""
        for at in callee.kills.get(function.frame, ()):
            state.stack.pop(at, None)
        if function.frame in callee.constant_kills:
            state.forget_constants()
        for frame, slots in list(callee.kills.items()):
            if frame in function.outer:
                self._effects.note_kills(function, {frame}, set(slots))
        frames = callee.constant_kills & set(function.outer)
        if frames:
            self._effects.note_kills(function, frames, None)

    def call_sub(self, function: Function, state: State, insn: CallSub, slot: int) -> bool:
        """A call within the program."""
        return self._call_function(function, state, slot, insn.target)

    def call_reg(self, function: Function, state: State, insn: CallReg, slot: int) -> bool:
        """A call through a register."""
        value = state.read(insn.reg.n, slot, self._uninit)
        if value.kind is Kind.FUNC and value.ref >= 0:
            return self._call_function(function, state, slot, value.ref)
        state.scratch()
        state.write(function, 0, UNKNOWN)
        return True

    def _call_function(self, function: Function, state: State, slot: int, start: int) -> bool:
        missing = state.uninit & SCRATCHED
        callee = self._enter(function, state, slot, start, state.regs[1:6], missing)
        if callee is None or callee.result is None:
            return False  # nobody has seen it return yet
        self._apply_kills(function, state, callee)
        state.scratch()
        result = callee.result
        if result.kind is Kind.STACK and result.ref == function.frame:
            result = result._replace(ref=OWN)
        state.write(function, 0, result)
        if callee.result_uninit:
            state.uninit |= 1
        if state.rcu and not callee.rcu_after:
            state.end_rcu()
        state.rcu = callee.rcu_after
        return True


def _reached_frames(
    function: Function, state: State, args: list[Value]
) -> dict[int, dict[int, Value]]:
    """The stacks that arguments point into, directly or through other such stacks."""
    found: dict[int, dict[int, Value]] = {}
    pending = args
    while pending and len(found) < FRAME_COUNT:
        following: list[Value] = []
        for value in pending:
            if value.kind is not Kind.STACK or value.ref in found:
                continue
            stack = function.outer.get(value.ref, {})
            if value.ref == function.frame:
                stack = {at: _outside(function, held) for at, held in state.stack.items()}
            found[value.ref] = stack
            following.extend(stack.values())
        pending = following
    return found


def _outside(function: Function, value: Value) -> Value:
    """A pointer to the function's stack as others see it."""
    if value.kind is Kind.STACK and value.ref == OWN:
        return value._replace(ref=function.frame)
    return value
