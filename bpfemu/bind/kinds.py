"""The forward type pass: what every load reads through, and which registers may be unset.

An abstract interpretation over registers and spilled stack slots.  Blocks are visited until
nothing changes; the contexts of all call sites of a function are merged, and its effects (result,
what it wrote on its callers' stacks) are a summary that its callers wait for.  Values only rise in
a shallow lattice, so the number of visits is bounded by the size of the program.

Branches on constants (read-only globals among them) are decided, as the kernel does before it
removes dead code; slots that are never visited are dead.
"""

from __future__ import annotations

from bisect import bisect_right
from errno import EINVAL
from heapq import heappop, heappush

from bpfemu.bind.context import Context
from bpfemu.bind.results import Calls
from bpfemu.bind.state import Function, State
from bpfemu.bind.transfer import Transfer
from bpfemu.bind.values import SCALAR, Kind, Value
from bpfemu.errors import BindError
from bpfemu.image import CallTarget
from bpfemu.isa.flow import Block, blocks
from bpfemu.isa.insn import Insn, Jump
from bpfemu.machine.memory import LoadKind
from bpfemu.record import dataclass, field

__all__ = ["Facts", "Input", "Solver", "find_kinds"]


@dataclass(frozen=True, slots=True)
class Input:
    """Everything the pass looks at.

    ``starts`` are the first slots of the functions; ``globals_`` those whose result is read
    whatever the caller does; ``values`` what immediate loads yield; ``frozen`` the bytes of
    read-only data by map index.
    """

    name: str
    code: list[Insn]
    starts: tuple[int, ...]
    globals_: frozenset[int]
    values: dict[int, Value]
    targets: dict[int, CallTarget]
    frozen: dict[int, bytes]
    calls: Calls
    context: Context
    rcu: bool  # the program runs within an RCU read section
    gpl: bool = True
    exception_callback: int = -1


@dataclass(slots=True)
class Facts:
    """What was found, by slot."""

    loads: list[LoadKind]
    reached: bytearray
    uninit: set[int] = field(default_factory=set)
    mixed: set[int] = field(default_factory=set)  # accesses the kernel would refuse
    closed: dict[int, str] = field(default_factory=dict)  # accesses that need the GPL: the struct
    refused: dict[int, str] = field(default_factory=dict)  # calls that fault, and why
    contexts: dict[int, Value] = field(default_factory=dict)  # base of each context access
    depths: list[int] = field(default_factory=list)  # bytes of stack, by function


def find_kinds(given: Input) -> Facts:
    """Run the pass; BindError where one instruction meets pointers that the kernel keeps apart."""
    solver = Solver(given)
    solver.run()
    facts = solver.facts
    facts.depths = [function.depth for function in solver.functions]
    if facts.mixed:
        rule = "same insn cannot be used with different pointers"
        raise BindError(rule, program=given.name, slot=min(facts.mixed), errno=EINVAL)
    if facts.closed:
        slot = min(facts.closed)
        rule = f"Cannot access kernel 'struct {facts.closed[slot]}' from non-GPL compatible program"
        raise BindError(rule, program=given.name, slot=slot, errno=EINVAL)
    return facts


class Solver:
    """The worklist: blocks in ascending order, each with the state at its start."""

    def __init__(self, given: Input) -> None:
        code = given.code
        self._given = given
        self.facts = Facts([LoadKind.UNKNOWN] * len(code), bytearray(len(code)))
        self._blocks = {block.start: block for block in blocks(code, entries=given.starts)}
        self._block_starts = sorted(self._blocks)
        self._starts = given.starts
        ends = (*given.starts[1:], len(code))
        self.functions = [
            Function(index, start, end)
            for index, (start, end) in enumerate(zip(given.starts, ends, strict=True))
        ]
        self._by_start = {function.start: function for function in self.functions}
        for start in (0, *given.globals_):
            self._by_start[start].exits = True
        self._states: dict[int, State] = {}
        self._queue: list[int] = []
        self._queued: set[int] = set()
        self._transfer = Transfer(given, self.facts, self)

    def run(self) -> None:
        """Visit blocks until nothing changes."""
        given = self._given
        missing = 0b111100  # r2 to r5
        self.enter(0, [Value(Kind.CTX, 0, 0)], missing, {}, rcu=given.rcu)
        if given.exception_callback >= 0:
            self._by_start[given.exception_callback].exits = True
            self.enter(given.exception_callback, [SCALAR], missing, {}, rcu=given.rcu)
        while self._queue:
            start = heappop(self._queue)
            self._queued.discard(start)
            self._visit(self._blocks[start], self._states[start].copy())

    def function_at(self, slot: int) -> Function:
        """The function that holds a slot."""
        return self.functions[bisect_right(self._starts, slot) - 1]

    def enter(
        self,
        start: int,
        args: list[Value],
        missing: int,
        outer: dict[int, dict[int, Value]],
        *,
        rcu: bool,
    ) -> Function | None:
        """One call of the function at ``start``; None where no function starts."""
        function = self._by_start.get(start)
        if function is None:
            return None
        if function.enter(State.entry(args, missing=missing, rcu=rcu), outer):
            assert function.entry is not None
            self.flow(start, function.entry)
        return function

    def flow(self, target: int, state: State) -> None:
        """Control may reach ``target`` with ``state``."""
        known = self._states.get(target)
        if known is None:
            self._states[target] = state.copy()
        elif not known.merge(state):
            return
        self.again(target)

    def again(self, start: int) -> None:
        """Visit a block (once more)."""
        if start not in self._queued:
            self._queued.add(start)
            heappush(self._queue, start)

    def revisit_users(self, function: Function) -> None:
        """A function's summary changed: its callers see new things."""
        for slot in function.users:
            self.again(self._block_starts[bisect_right(self._block_starts, slot) - 1])

    def _visit(self, block: Block, state: State) -> None:
        code, reached, steps = self._given.code, self.facts.reached, self._transfer.steps
        function = self.function_at(block.start)
        for slot in range(block.start, block.end):
            reached[slot] = 1
            insn = code[slot]
            if not steps[type(insn)](function, state, insn, slot):
                return
        taken = self._transfer.branch
        self._transfer.branch = None
        last = code[block.end - 1]
        targets = block.successors
        if taken is not None and isinstance(last, Jump):
            targets = (last.target,) if taken else (block.end,)
        for target in targets:
            self.flow(target, state)
