"""Locks by address, and the mmap unlock work (iterator notes, sections 2.4 and 2.5)."""

from __future__ import annotations

from typing import Any

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.locks import LockTable
from bpfemu.kernel.unlock_work import UnlockWorks
from bpfemu.machine.memory import KERNEL, RegionKind
from bpfemu.machine.stop import FaultKind, Site, Trap
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr, Struct, u64
from tests.kernel.conftest import Parts, make_parts

MM = 0x1000


class mm_struct(Struct):
    """An mm whose lock is its second member."""

    pad: u64
    mmap_lock: u64


def table(parts: Parts) -> LockTable:
    return LockTable(parts.memory)


def fault_of(call: Any) -> Any:
    with pytest.raises(Trap) as trap:
        call()
    return trap.value.fault


# ---- spin locks ---------------------------------------------------------------------------------


def test_a_spin_lock_can_be_taken_once_by_anybody(parts: Parts) -> None:
    locks = table(parts)
    addr = parts.memory.allocate(4, RegionKind.OBJECT, "lock", state=KERNEL).addr

    assert locks.spin_trylock(addr)
    assert parts.memory.read_int(addr, 4) == 1
    assert not locks.spin_trylock(addr)
    locks.spin_unlock(addr)
    assert parts.memory.read_int(addr, 4) == 0
    assert not locks.is_held(addr)
    locks.hold(addr, "CPU 1")
    assert not locks.spin_trylock(addr)
    assert locks.is_held(addr)
    locks.drop(addr)
    assert locks.spin_trylock(addr)


def test_own_locks_remember_where_they_were_taken(parts: Parts) -> None:
    locks = table(parts)
    parts.memory.site = Site(7, "prog", "call lock")
    locks.spin_lock(8)
    locks.hold(16)

    assert locks.own == {8: Site(7, "prog", "call lock")}


def test_waiting_for_ever_is_a_fault_that_names_the_holder(parts: Parts) -> None:
    locks = table(parts)
    parts.memory.site = Site(7, "prog", "call lock")
    locks.spin_lock(8)

    fault = fault_of(lambda: locks.spin_lock(8))

    assert fault.kind is FaultKind.LOCK_STATE
    assert "held by the program, call lock at prog+7" in fault.detail
    parts.memory.site = None
    locks.hold(16, "CPU 1")
    assert fault_of(lambda: locks.spin_lock(16)).detail.endswith("is held by CPU 1")


def test_unlocking_what_one_does_not_hold_is_a_fault(parts: Parts) -> None:
    locks = table(parts)
    locks.hold(8)

    assert fault_of(lambda: locks.spin_unlock(8)).kind is FaultKind.LOCK_STATE
    assert fault_of(lambda: locks.spin_unlock(16)).kind is FaultKind.LOCK_STATE


def test_scripts_are_told_when_they_contradict_themselves(parts: Parts) -> None:
    locks = table(parts)
    locks.hold(8)
    with pytest.raises(InputError, match="held already"):
        locks.hold(8)
    with pytest.raises(InputError, match="nobody holds the spin lock"):
        locks.drop(16)


# ---- mmap_lock ----------------------------------------------------------------------------------


def test_readers_share_the_mmap_lock(parts: Parts) -> None:
    locks = table(parts)

    assert locks.mmap_read_trylock(MM)
    assert locks.mmap_read_trylock(MM)
    assert locks.mmap(MM).readers == 2
    locks.mmap_read_unlock(MM)
    locks.mmap_read_unlock(MM)
    assert fault_of(lambda: locks.mmap_read_unlock(MM)).kind is FaultKind.LOCK_STATE


def test_a_writer_keeps_readers_out(parts: Parts) -> None:
    locks = table(parts)
    locks.hold_mmap(MM)
    assert not locks.mmap_read_trylock(MM)
    locks.drop_mmap(MM)
    assert locks.mmap_read_trylock(MM)


def test_a_waiting_writer_keeps_new_readers_out(parts: Parts) -> None:
    locks = table(parts)
    locks.hold_mmap(MM, write=False)
    assert locks.mmap_read_trylock(MM)
    locks.queue_writer(MM)
    assert not locks.mmap_read_trylock(MM)
    locks.queue_writer(MM, -1)
    assert locks.mmap_read_trylock(MM)


def test_the_lock_word_shows_readers_writer_and_waiters(parts: Parts) -> None:
    locks = table(parts)
    space = Space(parts.memory, Layouts(None, {"mm_struct": mm_struct}))
    region = parts.memory.allocate(16, RegionKind.OBJECT, "mm", state=KERNEL)
    mm = space.pointer(region.addr, mm_struct)

    locks.mmap_read_trylock(mm)
    locks.hold_mmap(mm, write=False)
    assert mm.mmap_lock == 2 * 256  # RWSEM_READER_BIAS
    locks.queue_writer(mm)
    assert mm.mmap_lock == 2 * 256 + 2  # RWSEM_FLAG_WAITERS
    locks.queue_writer(mm, -1)
    locks.drop_mmap(mm)
    locks.mmap_read_unlock(mm)
    assert mm.mmap_lock == 0
    locks.hold_mmap(mm)
    assert mm.mmap_lock == 1  # RWSEM_WRITER_LOCKED


def test_an_mm_without_the_member_is_locked_all_the_same(parts: Parts) -> None:
    locks = table(parts)
    space = Space(parts.memory, Layouts(None, {}))

    assert locks.mmap_read_trylock(space.pointer(MM, "nothing"))
    assert locks.mmap_read_trylock(Ptr(MM))
    assert locks.mmap(MM).readers == 2


def test_a_script_cannot_write_lock_what_is_held(parts: Parts) -> None:
    locks = table(parts)
    locks.mmap_read_trylock(MM)
    with pytest.raises(InputError, match="held already"):
        locks.hold_mmap(MM)
    with pytest.raises(InputError, match="nobody holds the mmap lock"):
        locks.drop_mmap(0x2000)


@pytest.mark.parametrize("release", [False, True])
def test_forgotten_readers_are_named_once(parts: Parts, release: bool) -> None:
    locks = table(parts)
    locks.hold_mmap(MM, write=False)
    parts.memory.site = Site(7, "prog", "call new")
    locks.mmap_read_trylock(MM)

    assert locks.forget_readers(release=release) == [(MM, Site(7, "prog", "call new"))]
    assert locks.forget_readers(release=release) == []
    assert locks.mmap(MM).readers == (1 if release else 2)


# ---- per-VMA locks ------------------------------------------------------------------------------


def test_a_vma_is_read_locked_unless_somebody_changes_it(parts: Parts) -> None:
    locks = table(parts)
    assert locks.vma_read_trylock(8)
    assert locks.vma_read_trylock(8)
    with pytest.raises(InputError, match="held already"):
        locks.hold_vma(8)
    locks.vma_read_unlock(8)
    locks.vma_read_unlock(8)
    assert fault_of(lambda: locks.vma_read_unlock(8)).kind is FaultKind.LOCK_STATE
    locks.hold_vma(8)
    assert locks.vma_write_locked(8)
    assert not locks.vma_read_trylock(8)
    locks.drop_vma(8)
    assert not locks.vma_write_locked(8)
    with pytest.raises(InputError, match="nobody write-locked"):
        locks.drop_vma(8)


# ---- the unlock work ----------------------------------------------------------------------------


def works(parts: Parts, *, preempt_rt: bool = False) -> tuple[UnlockWorks, LockTable]:
    locks = table(parts)
    return UnlockWorks(parts.cpus, locks, preempt_rt=preempt_rt), locks


def test_with_interrupts_on_the_lock_is_released_directly(parts: Parts) -> None:
    unlock, locks = works(parts)
    locks.mmap_read_trylock(MM)

    work, busy = unlock.get()
    unlock.unlock(work, MM)

    assert (work, busy) == (None, False)
    assert locks.mmap(MM).readers == 0


@pytest.mark.parametrize("context", ["irqoff", "hardirq", "nmi"])
def test_with_interrupts_off_it_stays_read_held_until_the_interrupt(context: str) -> None:
    parts = make_parts()
    unlock, locks = works(parts)
    parts.cpus.here.enter(context)
    locks.mmap_read_trylock(MM)

    work, busy = unlock.get()
    assert work is not None and not busy
    assert unlock.get() == (work, False)  # handed out is not busy
    unlock.unlock(work, MM)

    assert locks.mmap(MM).readers == 1
    assert unlock.get() == (work, True)
    parts.cpus.here.leave()
    assert locks.mmap(MM).readers == 0
    parts.cpus.here.enter(context)
    assert unlock.get() == (work, False)


def test_each_cpu_has_its_own_work(parts: Parts) -> None:
    unlock, _ = works(parts)
    parts.cpus.here.enter("nmi")
    first, _ = unlock.get()
    parts.cpus.switch(1)
    parts.cpus.here.enter("nmi")
    second, _ = unlock.get()

    assert first is not second


def test_on_preempt_rt_there_is_no_way_with_interrupts_off(parts: Parts) -> None:
    unlock, _ = works(parts, preempt_rt=True)
    parts.cpus.here.enter("irqoff")

    assert unlock.get() == (None, True)


def test_two_nested_holders_leak_one_read_lock(parts: Parts) -> None:
    unlock, locks = works(parts)
    other = 0x2000
    parts.cpus.here.enter("nmi")
    locks.mmap_read_trylock(MM)
    first, _ = unlock.get()
    locks.mmap_read_trylock(other)
    second, busy = unlock.get()
    assert first is second and not busy

    unlock.unlock(second, other)
    unlock.unlock(first, MM)  # overwrites work.mm; queueing is refused
    parts.cpus.here.leave()

    assert locks.mmap(MM).readers == 0
    assert locks.mmap(other).readers == 1


def test_a_reader_taken_before_anybody_noted_it_can_be_released(parts: Parts) -> None:
    locks = table(parts)
    locks.mmap(MM).readers = 1
    locks.mmap_read_unlock(MM)
    assert locks.mmap(MM).readers == 0
    locks.mmap(MM).readers = 1
    locks.drop_mmap(MM)
    assert locks.mmap(MM).readers == 0
