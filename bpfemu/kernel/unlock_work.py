"""The per-CPU irq_work that releases mmap_lock where interrupts are off.

Source: iterator notes, section 2.4 (kernel/bpf/mmap_unlock_work.h): used by bpf_find_vma and by
the task_vma iterator up to 6.18.32.  Releasing the lock may wake a writer and take scheduler
locks, which can deadlock with interrupts off; so it is put off until they are on.
"""

from __future__ import annotations

from typing import Any

from bpfemu.kernel.cpu import Cpus, IrqWork
from bpfemu.kernel.locks import LockTable

__all__ = ["MmapUnlockWork", "UnlockWorks"]


class MmapUnlockWork:
    """One CPU's instance: a work and the mm whose lock it is to release."""

    def __init__(self, locks: LockTable) -> None:
        self._locks = locks
        self.mm: Any = None
        self.irq_work = IrqWork(self._run)

    def _run(self) -> None:
        self._locks.mmap_read_unlock(self.mm)


class UnlockWorks:
    """Service ``unlock_work``."""

    def __init__(self, cpus: Cpus, locks: LockTable, *, preempt_rt: bool) -> None:
        self._cpus = cpus
        self._locks = locks
        self._preempt_rt = preempt_rt
        self._works: dict[int, MmapUnlockWork] = {}

    def get(self) -> tuple[MmapUnlockWork | None, bool]:
        """(work, busy): no work means that the lock can be released directly.

        Having been handed out does not make a work busy; only being queued or running does.  So
        two nested holders get the same one, the second's unlock is refused as already pending,
        and one of the two locks is never released.
        """
        if not self._cpus.irqs_disabled():
            return None, False
        if self._preempt_rt:
            return None, True
        work = self.of(self._cpus.current)
        return work, work.irq_work.busy

    def unlock(self, work: MmapUnlockWork | None, mm: Any) -> None:
        """mmap_read_unlock now, or from the next irq_work interrupt."""
        if work is None:
            self._locks.mmap_read_unlock(mm)
            return
        work.mm = mm
        self._cpus.here.queue(work.irq_work)

    def of(self, cpu: int) -> MmapUnlockWork:
        """One CPU's instance."""
        work = self._works.get(cpu)
        if work is None:
            work = self._works[cpu] = MmapUnlockWork(self._locks)
        return work
