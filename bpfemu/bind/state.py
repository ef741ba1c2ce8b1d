"""What is known at one point of the program: registers, spilled stack slots, RCU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bpfemu.bind.values import SCALAR, UNKNOWN, Kind, Trust, Value, join
from bpfemu.record import dataclass, field

__all__ = ["ENTRY_UNINIT", "OWN", "SCRATCHED", "Function", "State"]

OWN: Final = 0
"""The ``ref`` of a pointer to the stack frame at hand; other frames have their function's."""

_FP: Final = Value(Kind.STACK, OWN, 0)
SCRATCHED: Final = 0b111110  # r1 to r5 after a call
ENTRY_UNINIT: Final = 0b1111000001  # r0, r6 to r9 of a callee


@dataclass(slots=True)
class State:
    """``stack`` holds full 8-byte slots by offset from the frame's top (negative, in bytes);
    ``uninit`` has a bit for each register that may never have been written."""

    regs: list[Value]
    stack: dict[int, Value] = field(default_factory=dict)
    uninit: int = 0
    rcu: bool = False  # within an RCU read section

    @classmethod
    def entry(cls, args: Iterable[Value], *, missing: int, rcu: bool) -> State:
        """At the start of a function; ``missing``: bits of arguments that may be unset."""
        regs = [UNKNOWN] * 10 + [_FP]
        for number, value in enumerate(args, 1):
            regs[number] = value
        return cls(regs, {}, ENTRY_UNINIT | missing, rcu)

    def copy(self) -> State:
        """A state that can be changed alone."""
        return State(self.regs.copy(), self.stack.copy(), self.uninit, self.rcu)

    def merge(self, other: State) -> bool:
        """Keep what holds for both; did anything change?"""
        changed = False
        regs, theirs = self.regs, other.regs
        for number in range(10):
            mine = regs[number]
            if mine is not theirs[number] and mine != theirs[number]:
                joined = join(mine, theirs[number])
                if joined != mine:
                    regs[number] = joined
                    changed = True
        if other.uninit & ~self.uninit:
            self.uninit |= other.uninit
            changed = True
        if self.rcu and not other.rcu:
            self.rcu = False
            changed = True
        return merge_stack(self.stack, other.stack) or changed

    def forget(self, low: int, high: int) -> None:
        """Bytes ``low`` to ``high`` (exclusive) of the stack were written with unknown data."""
        for at in [at for at in self.stack if low < at + 8 and at < high]:
            del self.stack[at]

    def forget_constants(self, low: int = -512) -> None:
        """Something at or above ``low`` was written; what held a pointer is taken to hold it yet.

        Spilled pointers lie in slots of the compiler's own, which no access of the source reaches.
        """
        for at in [at for at, v in self.stack.items() if at >= low and v.kind is Kind.SCALAR]:
            del self.stack[at]

    def read(self, number: int, slot: int, uninit: set[int]) -> Value:
        """A register's value; the slot is noted in ``uninit`` when nobody may have written it."""
        if self.uninit >> number & 1:
            uninit.add(slot)
        return self.regs[number]

    def write(self, function: Function, number: int, value: Value) -> None:
        """Set a register (r10 is read-only); pointers into the stack tell how deep it is."""
        if number == 10:
            return
        self.regs[number] = value
        self.uninit &= ~(1 << number)
        if value.kind is Kind.STACK and value.ref == OWN and value.number is not None:
            function.depth = max(function.depth, -value.number)

    def scratch(self) -> None:
        """r1 to r5 after a call."""
        self.uninit |= SCRATCHED
        self.regs[1:6] = [SCALAR] * 5

    def end_rcu(self) -> None:
        """The read section ends: RCU pointers are not trusted any more."""
        self.rcu = False
        self.regs = [_weakened(value) for value in self.regs]
        self.stack = {at: _weakened(value) for at, value in self.stack.items()}


def _weakened(value: Value) -> Value:
    if Trust.RCU not in value.trust:
        return value
    return value._replace(trust=value.trust & ~Trust.RCU | Trust.UNTRUSTED)


def merge_stack(mine: dict[int, Value], theirs: dict[int, Value]) -> bool:
    """Keep slots that both know; did anything change?"""
    changed = False
    for at in list(mine):
        other = theirs.get(at)
        if other is None:
            del mine[at]
            changed = True
        elif other != mine[at]:
            joined = join(mine[at], other)
            if joined != mine[at]:
                mine[at] = joined
                changed = True
    return changed


@dataclass(slots=True)
class Function:
    """A subprogram as its callers see it; contexts of all its call sites are merged."""

    index: int
    start: int
    end: int
    entry: State | None = None
    outer: dict[int, dict[int, Value]] = field(default_factory=dict)  # callers' stacks, by frame
    result: Value | None = None  # None: no way to its end is known yet
    result_uninit: bool = False
    rcu_after: bool = False
    kills: dict[int, set[int]] = field(default_factory=dict)  # slots written, by frame
    constant_kills: set[int] = field(default_factory=set)  # frames written somewhere
    users: set[int] = field(default_factory=set)  # blocks that wait for its summary
    depth: int = 0  # bytes of stack used
    exits: bool = False  # reads r0 when it ends (programs, callbacks, global functions)

    @property
    def frame(self) -> int:
        """What pointers into its stack carry, seen from outside."""
        return self.index + 1

    def enter(self, state: State, outer: dict[int, dict[int, Value]]) -> bool:
        """One more way to call it; did that add anything?"""
        changed = False
        if self.entry is None:
            self.entry, changed = state, True
        else:
            changed = self.entry.merge(state)
        for frame, stack in outer.items():
            known = self.outer.get(frame)
            if known is None:
                self.outer[frame], changed = dict(stack), True
            else:
                changed |= merge_stack(known, stack)
        return changed

    def leave(self, value: Value, *, uninit: bool, rcu: bool) -> bool:
        """One more way to its end; did that add anything?"""
        joined = value if self.result is None else join(self.result, value)
        changed = joined != self.result or (uninit and not self.result_uninit)
        changed |= self.rcu_after and not rcu
        self.rcu_after = rcu and (self.rcu_after or self.result is None)
        self.result = joined
        self.result_uninit |= uninit
        return changed
