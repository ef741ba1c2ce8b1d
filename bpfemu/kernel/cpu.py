"""CPUs: contexts, interrupts, preemption, migration, irq_work.

Source: iterator notes, sections 4.1 and 4.2; rule 2 of 5.2 says when irq_work runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bpfemu.errors import InputError, InternalError

__all__ = ["BUSY", "CLAIMED", "PENDING", "X86_EFLAGS_IF", "CpuState", "Cpus", "IrqWork"]

PENDING: Final = 1  # IRQ_WORK_PENDING: on a list
BUSY: Final = 2  # IRQ_WORK_BUSY: from queueing until its function has returned
CLAIMED: Final = 3  # IRQ_WORK_CLAIMED

X86_EFLAGS_IF: Final = 0x200  # interrupts are on
_FLAGS: Final = 0x46  # the other EFLAGS bits as they usually stand: ZF, PF and bit 1

_IRQS_OFF: Final = frozenset({"hardirq", "nmi", "irqoff"})
_INTERRUPTS: Final = frozenset({"softirq", "hardirq", "nmi"})


class IrqWork:
    """One ``struct irq_work``: a function to be called from the next irq_work interrupt."""

    __slots__ = ("flags", "function")

    def __init__(self, function: Callable[[], None]) -> None:
        self.flags = 0
        self.function = function

    @property
    def busy(self) -> bool:
        """Queued or running."""
        return bool(self.flags & BUSY)


class CpuState:
    """One CPU.  ``contexts`` is what interrupted what, the innermost last."""

    __slots__ = (
        "_works",
        "contexts",
        "held",
        "id",
        "irqs_on",
        "migrate_count",
        "preempt_count",
        "threaded",
    )

    def __init__(self, number: int, *, threaded: bool = False) -> None:
        self.id = number
        self.irqs_on = True
        self.contexts: list[tuple[str, bool]] = []  # (name, interrupts before)
        self.preempt_count = 0
        self.migrate_count = 0
        self.threaded = threaded  # PREEMPT_RT: irq_work runs in a thread, not at once
        self.held = False  # irq_work waits, whatever happens
        self._works: list[IrqWork] = []

    # ---- contexts -----------------------------------------------------------------------

    def enter(self, context: str) -> None:
        """Something interrupts what runs here: hardirq, NMI and irqoff turn interrupts off."""
        self.contexts.append((context, self.irqs_on))
        if context in _IRQS_OFF:
            self.irqs_on = False

    def leave(self) -> None:
        """Back to what was interrupted; pending irq_work runs if that has interrupts on."""
        if not self.contexts:
            raise InternalError(f"CPU {self.id} leaves a context that it never entered")
        _, self.irqs_on = self.contexts.pop()
        self.service()

    def has(self, context: str) -> bool:
        """Is this context on the stack?"""
        return any(name == context for name, _ in self.contexts)

    # ---- interrupts ---------------------------------------------------------------------

    def irq_save(self) -> bool:
        """Turn interrupts off; returns whether they were on."""
        before = self.irqs_on
        self.irqs_on = False
        return before

    def irq_restore(self, before: bool) -> None:
        """Undo :meth:`irq_save`; what was queued meanwhile runs now if that turns them on."""
        self.irqs_on = before
        if before and self._works:
            self.service()

    # ---- irq_work -----------------------------------------------------------------------

    def queue(self, work: IrqWork) -> bool:
        """irq_work_queue: False when it is pending already, then nothing else happens."""
        if work.flags & PENDING:
            return False
        work.flags |= CLAIMED
        self._works.append(work)
        self.service()
        return True

    @property
    def pending(self) -> int:
        """How many works wait for the interrupt."""
        return len(self._works)

    def service(self) -> None:
        """Take the irq_work interrupt, again and again while something is queued."""
        while self._works and self.irqs_on and not (self.threaded or self.held):
            self._run_list()

    def run_thread(self) -> None:
        """PREEMPT_RT: the irq_work thread gets the CPU."""
        while self._works and not self.held:
            self._run_list()

    def sync(self, work: IrqWork) -> None:
        """irq_work_sync: wait until a work has run."""
        if work.flags & PENDING:
            self._works.remove(work)
            self._run(work)

    def _run_list(self) -> None:
        works, self._works = self._works, []
        for work in reversed(works):
            self._run(work)

    def _run(self, work: IrqWork) -> None:
        self.contexts.append(("hardirq", self.irqs_on))
        self.irqs_on = False
        work.flags &= ~PENDING
        work.function()
        if not work.flags & PENDING:
            work.flags &= ~BUSY
        _, self.irqs_on = self.contexts.pop()


class Cpus:
    """Every possible CPU; as service ``cpu`` it answers for the one that runs now."""

    def __init__(self, count: int, *, preempt_rt: bool = False) -> None:
        self.count = count
        self._preempt_rt = preempt_rt
        self._states: dict[int, CpuState] = {}
        self.here = self.state(0)
        self.program_sleepable = False  # set by whoever starts a program
        self.in_rcu_section: Callable[[], bool] = lambda: False

    def state(self, number: int) -> CpuState:
        """One CPU; InputError when there is no such CPU."""
        if not 0 <= number < self.count:
            raise InputError(f"CPU {number} must be from 0 to {self.count - 1}")
        found = self._states.get(number)
        if found is None:
            found = self._states[number] = CpuState(number, threaded=self._preempt_rt)
        return found

    def switch(self, number: int) -> None:
        """From now on code runs on that CPU."""
        self.here = self.state(number)

    def touched(self) -> list[CpuState]:
        """The CPUs that anything ever ran on, by number."""
        return [self._states[number] for number in sorted(self._states)]

    @property
    def current(self) -> int:
        """The number of the CPU that runs now."""
        return self.here.id

    # ---- the service of bodies -----------------------------------------------------------

    @property
    def id(self) -> int:
        """smp_processor_id()."""
        return self.here.id

    def irqs_disabled(self) -> bool:
        """In hardirq, NMI or an irq-off region."""
        return not self.here.irqs_on

    def in_nmi(self) -> bool:
        """In NMI context."""
        return self.here.has("nmi")

    def in_interrupt(self) -> bool:
        """In softirq, hardirq or NMI context."""
        return any(name in _INTERRUPTS for name, _ in self.here.contexts)

    def local_irq_save(self) -> int:
        """Interrupts off; the flags register before."""
        return _FLAGS | (X86_EFLAGS_IF if self.here.irq_save() else 0)

    def local_irq_restore(self, flags: int) -> None:
        """Interrupts as in ``flags``; pending irq_work runs when that turns them on."""
        self.here.irq_restore(bool(flags & X86_EFLAGS_IF))

    def preempt_disable(self) -> None:
        """Nest one level."""
        self.here.preempt_count += 1

    def preempt_enable(self) -> None:
        """Leave one level; nothing happens at zero."""
        self.here.preempt_count = max(self.here.preempt_count - 1, 0)

    def migrate_disable(self) -> None:
        """Stay on this CPU: nest one level."""
        self.here.migrate_count += 1

    def migrate_enable(self) -> None:
        """Leave one level."""
        self.here.migrate_count -= 1

    def sleepable(self) -> bool:
        """May the code that runs now sleep?"""
        here = self.here
        return (
            self.program_sleepable
            and here.irqs_on
            and not here.preempt_count
            and all(name == "task" for name, _ in here.contexts)
            and not self.in_rcu_section()
        )
