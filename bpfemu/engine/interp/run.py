"""One run: the loop, stepping, and how it stops.

Two ways through the same program: block functions as fast as they go, or one instruction at a
time, for observers and debuggers.  Both leave the same state behind at every instruction, so a
run can change from one to the other wherever it stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from itertools import repeat
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bpfemu.engine.interp.access import Access, unreadable
from bpfemu.engine.interp.alu import FUNCTIONS
from bpfemu.engine.interp.block import PATH_LIMIT, Block, way_to
from bpfemu.engine.interp.call import Ended, Handler, Pending, Stacks
from bpfemu.engine.interp.observe import Watch
from bpfemu.engine.interp.recover import call_chain, complete, read_before_write, recover
from bpfemu.engine.interp.single import make_step
from bpfemu.isa.insn import Slot
from bpfemu.machine.frame import Frame
from bpfemu.machine.gate import UNSET, ProgramExit, Throw
from bpfemu.machine.machine import Machine
from bpfemu.machine.memory import U64
from bpfemu.machine.stop import Fault, FaultKind, Stop, StopKind, Trap

if TYPE_CHECKING:
    from bpfemu.engine.interp.engine import InterpCode

__all__ = ["TRAIL_SIZE", "InterpRun"]

Until: TypeAlias = "Callable[[InterpRun], bool] | Collection[Slot] | None"

TRAIL_SIZE: Final = 40  # instructions remembered
_MARKS: Final = 256  # handlers remembered
_FIRST_BURST: Final = 2048  # handlers run before the first look at what is hot
_LAST_BURST: Final = 8192  # handlers run between two looks in the end
_SLICE: Final = 1 << 29  # instructions granted at once; small numbers count faster

_GLOBALS: Final[dict[str, Any]] = {"repeat": repeat, "unreadable": unreadable, **FUNCTIONS}


class _Paused(Exception):
    """A breakpoint has been reached."""


class InterpRun:
    """A program on its way: ``regs`` are r0–r10, ``pc`` the next slot, ``frames`` innermost last.

    ``stop`` is None until the run has ended.
    """

    def __init__(
        self, code: InterpCode, machine: Machine, args: tuple[int, ...], entry: Slot
    ) -> None:
        self.code = code
        self.image = code.image
        self.machine = machine
        self.access = Access(code.image, machine.memory)
        self.regs: list[int] = [UNSET] * 11
        self.frames: list[Frame] = []
        machine.frames = self.frames
        self.stacks = Stacks(code, machine)
        self.pending: list[Pending] = []
        self.stop: Stop | None = None
        self.thrown = False
        self.at: tuple[Slot, int] | None = None  # (slot, left) of a call that is being resumed
        self.origin = 0  # insns = origin - left
        self.left = 0
        self._watch = Watch(self)
        self._marks: deque[Slot] = deque(maxlen=_MARKS)  # where handlers stood
        self._last: list[Slot] = []  # the way to a fault inside a function
        self._bound = code.bindings(machine, self.access)
        self._cuts: frozenset[Slot] = frozenset()
        self._tables: dict[frozenset[Slot], list[Handler | None]] = {}
        self._steps: list[Handler | None] = [None] * (len(code.image.code) + 1)
        self._burst = _FIRST_BURST
        self.regs[1 : 1 + len(args)] = [arg & U64 for arg in args]
        self.pc = self.stacks.enter(entry, -1, self.regs)

    @property
    def insns(self) -> int:
        """Instructions executed so far."""
        return self.origin - self.left

    @property
    def trail(self) -> tuple[Slot, ...]:
        """The last instructions, newest last, a faulting one included.

        Exact where the run was stepped and where code is not hot.  Of functions only the head is
        noted: of a loop that ran within one function only the last round is seen.
        """
        slots: list[Slot] = []
        marks = list(self._marks)[-TRAIL_SIZE:]
        if self._last:
            marks.pop()
        following = [*marks[1:], self._last[0] if self._last else self.pc]
        for mark, target in zip(marks, following, strict=False):
            block = self.code.known(mark, self._cuts)
            way = way_to(block.exits.get(target)) if block is not None else []
            slots += way or [mark]
        return tuple([*slots, *self._last][-TRAIL_SIZE:])

    # ---- what a user does ---------------------------------------------------------------

    def step(self, count: int = 1) -> Stop | None:
        """Execute ``count`` instructions; returns a Stop if the run ended or paused before that."""
        if self.stop is not None and not self._revived():
            return self.stop
        return self._walk(count, None)

    def resume(self, until: Until = None) -> Stop:
        """Go on to the end, or until a BREAKPOINT: a slot in ``until``, or ``until`` says True.

        At least one instruction is executed, so that a run can leave a breakpoint behind.
        """
        if self.stop is not None and not self._revived():
            return self.stop
        stop = self._walk(1, None) if until is not None else None
        if callable(until):
            return stop or self._walk_on(until)
        cuts = self._cuts = frozenset(until or ())
        while stop is None and self._is_free():
            stop = self._race(cuts)
        return stop or self._walk_on((lambda run: run.pc in cuts) if cuts else None)

    def _is_free(self) -> bool:
        """Is nobody watching, and the budget so far away that any function may run?"""
        return self.machine.probe is None and self.insns + PATH_LIMIT <= self.machine.budget

    def _walk_on(self, until: Callable[[InterpRun], bool] | None) -> Stop:
        stop = self._walk(-1, until)
        assert stop is not None
        return stop

    def _revived(self) -> bool:
        """Has the budget been raised since it was exceeded?"""
        assert self.stop is not None
        if self.stop.kind is not StopKind.BUDGET or self.insns >= self.machine.budget:
            return False
        self.stop = None
        return True

    # ---- the two loops ------------------------------------------------------------------

    def _race(self, cuts: frozenset[Slot]) -> Stop | None:
        """Run while the longest way through a function fits into what is left of a slice."""
        table = self._tables.setdefault(cuts, [None] * (len(self.image.code) + 1))
        regs, note, self._last = self.regs, self._marks.append, []
        self._grant()
        pc, left = self.pc, self.left

        def make(slot: Slot) -> Handler:
            handler = table[slot] = self._handler_at(slot, cuts)
            return handler

        try:
            while left >= PATH_LIMIT:
                for _ in repeat(None, self._burst):
                    note(pc)
                    pc, left = (table[pc] or make(pc))(regs, left)
                    if left < PATH_LIMIT:
                        break
                else:
                    self._promote(table, cuts)
                    self._burst = min(2 * self._burst, _LAST_BURST)
        except BaseException as error:
            return self._caught(error, pc, left)
        self.pc, self.left = pc, left
        return None

    def _walk(self, count: int, until: Callable[[InterpRun], bool] | None) -> Stop | None:
        """Execute ``count`` instructions one by one, without end if negative."""
        watch = self._watch if self.machine.probe is not None else None
        steps, self._last = self._steps, []
        while count:
            count -= 1
            if self.left < 1 and not self._grant():
                return self._stopped(StopKind.BUDGET)
            if (until is not None and until(self)) or (watch is not None and watch.before()):
                return self._paused()
            pc = self.pc
            self._marks.append(pc)
            try:
                self.pc, self.left = (steps[pc] or self._step_at(pc))(self.regs, self.left)
            except BaseException as error:
                stop = self._caught(error, pc, self.left)
                if stop is not None:
                    return stop
            else:
                if watch is not None:
                    watch.after(pc)
        return None

    def _grant(self) -> int:
        """Allow the next slice of instructions: what is left of the budget, or a part of it."""
        done = self.insns
        self.left = max(0, min(self.machine.budget - done, _SLICE))
        self.origin = done + self.left
        return self.left

    # ---- handlers -----------------------------------------------------------------------

    def _step_at(self, slot: Slot) -> Handler:
        """The handler of one instruction."""
        step = self._steps[slot]
        if step is None:
            step = self._steps[slot] = make_step(self, slot)
        return step

    def _handler_at(self, slot: Slot, cuts: frozenset[Slot]) -> Handler:
        """A function if there is one or there should be, else one instruction."""
        if slot in cuts:
            return _pause
        block = self.code.known(slot, cuts)
        return self._step_at(slot) if block is None else self._bind(block)

    def _promote(self, table: list[Handler | None], cuts: frozenset[Slot]) -> None:
        """Compile what has been seen more than once of late, from where it is entered."""
        for slot in self.code.notice(self._marks):
            if slot not in cuts:
                table[slot] = self._bind(self.code.block(slot, cuts))

    def _bind(self, block: Block) -> Handler:
        bound = self._bound
        defaults = tuple([bound[name] for name in block.bound])
        return FunctionType(block.code, _GLOBALS, "block", defaults)

    # ---- stopping -----------------------------------------------------------------------

    def _caught(self, error: BaseException, pc: Slot, left: int) -> Stop | None:
        """What becomes of an exception: a Stop, None to go on, or raised again if not ours."""
        found = recover(error, self.code.origins, self.regs)
        if found is not None:
            node, left = found
            pc, self._last = node.slot, way_to(node)
        elif self.at is not None:
            pc, left = self.at
            self.at = None
        self.pc, self.left = pc, left
        match error:
            case Ended():
                self.left = error.left
                return self._stopped(error.kind, error.r0)
            case _Paused():
                return self._paused()
            case Trap():
                return self._faulted(error.fault)
            case Throw():
                return self._unwind(error.cookie)
            case ProgramExit():
                self.left -= 1
                return self._stopped(StopKind.EXIT, error.r0 & U64)
            case TypeError():
                reg = read_before_write(self.image, pc, self.regs)
                if reg is not None:
                    return self._faulted(Fault(FaultKind.UNINITIALISED, f"R{reg} !read_ok"))
        raise error

    def _unwind(self, cookie: int) -> Stop | None:
        """bpf_throw: leave all frames; the exception callback, if any, runs in their place."""
        if self.thrown:
            return self._faulted(Fault(FaultKind.BAD_CALL, "bpf_throw in the exception callback"))
        self.thrown = True
        self.left -= 1
        if self.image.exception_callback < 0:
            return self._stopped(StopKind.THROW, cookie & U64)
        self._abandon()
        self.frames.clear()
        self.regs[1:6] = [cookie & U64, UNSET, UNSET, UNSET, UNSET]
        handler = self.code.inside(self.image.exception_callback)
        self.pc = self.stacks.enter(handler, -1, self.regs)
        return None

    def _faulted(self, fault: Fault) -> Stop:
        callers = [waiting.pc for waiting in self.pending]
        chain = call_chain(self.image, self.pc, self.frames, callers)
        fault = complete(fault, self.image, self.pc, chain, self.regs)
        return self._stopped(StopKind.FAULT, fault=fault)

    def _abandon(self) -> None:
        """Close kernel functions whose callbacks will never come back."""
        while self.pending:
            self.pending.pop().upcall.close()

    def _stopped(self, kind: StopKind, r0: int | None = None, fault: Fault | None = None) -> Stop:
        if kind is not StopKind.BUDGET:
            self._abandon()
            self.code.notice(self._marks)
        self.stop = self._stop(kind, r0, fault)
        return self.stop

    def _paused(self) -> Stop:
        return self._stop(StopKind.BREAKPOINT)

    def _stop(self, kind: StopKind, r0: int | None = None, fault: Fault | None = None) -> Stop:
        self.machine.insns = self.insns
        if self.machine.memory.findings:
            self.access.collect(self.pc)
        return Stop(
            kind=kind,
            r0=(self.regs[0] or 0) if r0 is None else r0,
            insns=self.insns,
            pc=self.pc,
            fault=fault,
            probe_reads=self.access.probe_reads,
            findings=tuple(self.access.findings.values()),
            trail=() if kind is StopKind.EXIT else self.trail,
        )


def _pause(regs: list[int], left: int) -> tuple[Slot, int]:
    raise _Paused
