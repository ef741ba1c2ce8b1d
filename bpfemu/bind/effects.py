"""What loads and stores do: what they go through, what they yield, what they overwrite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.bind.state import OWN, Function, State
from bpfemu.bind.values import SCALAR, UNKNOWN, Kind, Value, constant, load_kind

if TYPE_CHECKING:
    from bpfemu.bind.kinds import Facts, Input, Solver

__all__ = ["Effects"]

_U64 = (1 << 64) - 1
_STACK_BOTTOM = -512


class Effects:
    """Accesses of one program; notes what they go through in ``facts``."""

    def __init__(self, given: Input, facts: Facts, solver: Solver) -> None:
        self._given = given
        self._facts = facts
        self._solver = solver

    def access(
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
        value = state.read(base, slot, self._facts.uninit)
        self._facts.loads[slot] = load_kind(value, store=store)
        if value.kind is Kind.MIXED:
            self._facts.mixed.add(slot)
        elif value.kind is Kind.CTX:
            self._facts.contexts[slot] = value
        elif value.kind is Kind.STACK and value.ref == OWN and value.number is not None:
            function.depth = max(function.depth, -(value.number + offset))
        elif value.kind is Kind.BTF and not self._given.gpl:
            self._facts.closed[slot] = self._given.context.walker.name_of(value.ref)
        return value

    def loaded(
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
            return self._given.context.load(
                None if base.number is None else base.number + offset, size
            )
        return UNKNOWN if kind is Kind.UNKNOWN and size == 8 else SCALAR

    def _stack_slot(
        self, function: Function, state: State, base: Value, offset: int, size: int
    ) -> Value:
        if base.number is None or size != 8:
            return SCALAR
        at = base.number + offset
        if base.ref == OWN:
            return state.stack.get(at, SCALAR)
        if base.ref in function.constant_kills or at in function.kills.get(base.ref, ()):
            return UNKNOWN
        return function.outer.get(base.ref, {}).get(at, UNKNOWN)

    def _frozen(self, base: Value, offset: int, size: int, signed: bool) -> Value:
        """Read-only globals are constants."""
        data = self._given.frozen.get(base.ref)
        if data is None or base.number is None:
            return SCALAR
        at = base.number + offset
        if not 0 <= at <= len(data) - size:
            return SCALAR
        return constant(int.from_bytes(data[at : at + size], "little", signed=signed) & _U64)

    def stored(
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
            self.note_kills(function, set(function.outer), None)
            return
        if base.kind is not Kind.STACK:
            return
        at = None if base.number is None else base.number + offset
        if base.ref != OWN:
            slots = None if at is None or size is None else set(range(at - 7, at + min(size, 512)))
            frames = {base.ref} if base.ref > 0 else set(function.outer)
            self.note_kills(function, frames, slots)
        elif at is None or size is None:
            state.forget_constants(_STACK_BOTTOM if at is None else at - 7)
        else:
            state.forget(at, at + size)
            if size == 8:
                state.stack[at] = value

    def note_kills(self, function: Function, frames: set[int], slots: set[int] | None) -> None:
        """The function writes into its callers' frames (``slots`` None: somewhere in them)."""
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
