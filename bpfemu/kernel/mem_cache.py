"""One size class of bpf_mem_alloc on one CPU: ``struct bpf_mem_cache``.

Source: iterator notes, sections 3.3 to 3.7 (kernel/bpf/memalloc.c).
"""

from __future__ import annotations

from bpfemu.kernel.cpu import CpuState, IrqWork
from bpfemu.kernel.mem_units import UnitList, Units
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.outcome import CacheStats

__all__ = ["Cache", "prefill_of", "watermarks"]


def watermarks(unit_size: int, *, percpu: bool) -> tuple[int, int, int]:
    """(low, high, batch) in objects for a class of ``unit_size`` bytes."""
    if percpu:
        low, high = 1, 3
    elif unit_size <= 256:
        low, high = 32, 96
    else:
        low, high = max(8192 // unit_size, 1), max(24576 // unit_size, 3)
    return low, high, max((high - low) // 4 * 3, 1)


def prefill_of(unit_size: int, *, percpu: bool) -> int:
    """How many objects a cache is created with."""
    return 4 if not percpu and unit_size <= 256 else 1


class Cache:
    """Free lists, counters and the refill work; ``addr`` stands for the struct's address.

    ``free_cnt`` counts ``free_llist`` exactly.  ``active`` is above zero while somebody is inside
    the lists: whoever interrupts then finds them closed.
    """

    def __init__(
        self, units: Units, cpu: CpuState, rcu: ReadCopyUpdate, unit_size: int, addr: int
    ) -> None:
        memory = units.memory
        percpu = units.percpu_count > 0
        self.units = units
        self.cpu = cpu
        self.rcu = rcu
        self.unit_size = unit_size
        self.addr = addr
        self.low, self.high, self.batch = watermarks(unit_size, percpu=percpu)
        self.free_cnt = 0
        self.active = 0
        self.draining = False
        self.tgt = self
        self.work = IrqWork(self.refill)
        self.free_llist = UnitList(memory)
        self.free_llist_extra = UnitList(memory)
        self.free_by_rcu = UnitList(memory)
        self.free_llist_extra_rcu = UnitList(memory)
        self.waiting_for_gp = UnitList(memory)
        self.free_by_rcu_ttrace = UnitList(memory)
        self.waiting_for_gp_ttrace = UnitList(memory)
        self.call_rcu_in_progress = False
        self.call_rcu_ttrace_in_progress = False
        self.allocs = self.frees = self.failed = self.refills = self.trims = 0
        self._words = memory.q
        self._base = memory.base
        for _ in range(prefill_of(unit_size, percpu=percpu)):
            self._add(units.take(unit_size, may_fail=False))

    # ---- in and out ---------------------------------------------------------------------

    def alloc(self, *, refuse: bool = False) -> int:
        """unit_alloc: the payload address of the newest free unit, or 0."""
        cpu = self.cpu
        before = cpu.irq_save()
        unit = count = 0
        self.active += 1
        if self.active == 1 and not refuse:
            unit = self.free_llist.pop()
            if unit:
                self.free_cnt = count = self.free_cnt - 1
                self._words[(unit - self._base) >> 3] = self.addr
        self.active -= 1
        if count < self.low:
            cpu.queue(self.work)
        cpu.irq_restore(before)
        if not unit:
            self.failed += 1
            return 0
        self.allocs += 1
        return self.units.hand_out(unit)

    def free(self, unit: int, allocator: Cache) -> None:
        """unit_free: at once reusable on this CPU; parked when the lists are closed."""
        self.tgt = allocator
        self.frees += 1
        self.units.take_in(unit)
        before = self.cpu.irq_save()
        count = 0
        self.active += 1
        if self.active == 1:
            self.free_llist.push(unit)
            self.free_cnt = count = self.free_cnt + 1
        else:
            self.free_llist_extra.push(unit)
        self.active -= 1
        if count > self.high:
            self.cpu.queue(self.work)
        self.cpu.irq_restore(before)

    def free_after_rcu(self, unit: int, allocator: Cache) -> None:
        """unit_free_rcu: reusable after a normal and a tasks-trace grace period."""
        self.tgt = allocator
        self.frees += 1
        self.units.take_in(unit, readable=True)
        before = self.cpu.irq_save()
        self.active += 1
        (self.free_by_rcu if self.active == 1 else self.free_llist_extra_rcu).push(unit)
        self.active -= 1
        if not self.call_rcu_in_progress:
            self.cpu.queue(self.work)
        self.cpu.irq_restore(before)

    # ---- irq_work -----------------------------------------------------------------------

    def refill(self) -> None:
        """bpf_mem_refill: add a batch, or trim; then start a grace period for what waits."""
        count = self.free_cnt
        if count < self.low:
            self.refills += 1
            self._add_batch()
        elif count > self.high:
            self.trims += 1
            self._trim()
        self._start_grace_period()

    def _add_batch(self) -> None:
        """alloc_bulk: units that wait for a grace period first, then fresh ones."""
        for _ in range(self.batch):
            unit = self.free_by_rcu_ttrace.pop() or self.waiting_for_gp_ttrace.pop()
            if not self._add(unit or self.units.take(self.unit_size, may_fail=True)):
                return

    def _add(self, unit: int) -> bool:
        """One unit onto the free list, the lists closed to others meanwhile."""
        if not unit:
            return False
        self.active += 1
        self.free_llist.push(unit)
        self.free_cnt += 1
        self.active -= 1
        return True

    def _trim(self) -> None:
        """free_bulk: down to the middle; everything parked goes the same way."""
        target = self.tgt
        while True:
            self.active += 1
            unit = self.free_llist.pop()
            count = 0
            if unit:
                self.free_cnt = count = self.free_cnt - 1
            self.active -= 1
            if unit:
                target.free_by_rcu_ttrace.push(unit)
            if count <= (self.high + self.low) // 2:
                break
        for unit in self.free_llist_extra.take_all():
            target.free_by_rcu_ttrace.push(unit)
        target.start_trace_grace_period()

    def _start_grace_period(self) -> None:
        """check_free_by_rcu: one normal grace period per cache at a time."""
        for unit in self.free_llist_extra_rcu.take_all():
            self.free_by_rcu.push(unit)
        if not self.free_by_rcu or self.call_rcu_in_progress:
            return
        self.call_rcu_in_progress = True
        for unit in reversed(self.free_by_rcu.take_all()):
            self.waiting_for_gp.push(unit)
        if self.draining:
            self._give_back(self.waiting_for_gp)
            self.call_rcu_in_progress = False
        else:
            self.rcu.call_rcu(self._after_grace_period)

    def _after_grace_period(self) -> None:
        """__free_by_rcu: on to the tasks-trace grace period."""
        target = self.tgt
        waited = self.waiting_for_gp.take_all()
        for unit in reversed(waited):
            self.units.bury(unit)
            target.free_by_rcu_ttrace.push(unit)
        if waited:
            target.start_trace_grace_period()
        self.call_rcu_in_progress = False

    def start_trace_grace_period(self) -> None:
        """do_call_rcu_ttrace: one tasks-trace grace period per cache at a time."""
        if self.call_rcu_ttrace_in_progress:
            if self.draining:
                self._give_back(self.free_by_rcu_ttrace)
            return
        self.call_rcu_ttrace_in_progress = True
        for unit in self.free_by_rcu_ttrace.take_all():
            self.waiting_for_gp_ttrace.push(unit)
        if self.draining:
            self._after_trace_grace_period()
        else:
            self.rcu.call_rcu_tasks_trace(self._after_trace_grace_period)

    def _after_trace_grace_period(self) -> None:
        """__free_rcu: what no refill took back goes to the slab."""
        self._give_back(self.waiting_for_gp_ttrace)
        self.call_rcu_ttrace_in_progress = False

    # ---- teardown -----------------------------------------------------------------------

    def drain(self) -> None:
        """drain_mem_cache: every list back to the slab, whatever it waits for."""
        for units in self.lists().values():
            self._give_back(units)
        self.free_cnt = 0

    def _give_back(self, units: UnitList) -> None:
        for unit in units.take_all():
            self.units.give_back(unit)

    # ---- views --------------------------------------------------------------------------

    def lists(self) -> dict[str, UnitList]:
        """Every list by its kernel name."""
        return {
            "free_llist": self.free_llist,
            "free_llist_extra": self.free_llist_extra,
            "free_by_rcu": self.free_by_rcu,
            "free_llist_extra_rcu": self.free_llist_extra_rcu,
            "waiting_for_gp": self.waiting_for_gp,
            "free_by_rcu_ttrace": self.free_by_rcu_ttrace,
            "waiting_for_gp_ttrace": self.waiting_for_gp_ttrace,
        }

    def counters(self) -> tuple[int, int, int, int]:
        """(allocs, frees, failed, refills) since creation."""
        return self.allocs, self.frees, self.failed, self.refills

    def stats(self, since: tuple[int, int, int, int] = (0, 0, 0, 0)) -> CacheStats:
        """What happened here after ``since``, and how it stands now."""
        allocs, frees, failed, refills = (
            now - then for now, then in zip(self.counters(), since, strict=True)
        )
        return CacheStats(
            self.cpu.id,
            self.unit_size,
            allocs,
            frees,
            failed,
            self.free_cnt,
            self.low,
            self.high,
            refills,
        )

    def force_free_count(self, count: int) -> None:
        """Make the free list ``count`` units long (tests and stress plans)."""
        while self.free_cnt > count:
            self.units.give_back(self.free_llist.pop())
            self.free_cnt -= 1
        while self.free_cnt < count:
            self._add(self.units.take(self.unit_size, may_fail=False))
