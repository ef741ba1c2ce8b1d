"""bpf_find_vma: the mmap lock, the unlock work, the callback (iterator notes, section 2.4)."""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOENT
from types import SimpleNamespace
from typing import Any

import pytest

from bpfemu.kernel.locks import LockTable
from bpfemu.kernel.unlock_work import UnlockWorks
from tests.kernel.helpers.env import HelperBench, callback

FIND_VMA = "bpf_find_vma"


class Vma:
    """A VMA as the helper sees one."""

    def __init__(self, addr: int, start: int, end: int) -> None:
        self.addr, self.vm_start, self.vm_end = addr, start, end

    def __int__(self) -> int:
        return self.addr


class Mm(int):
    """An mm: its address."""

    vmas = (Vma(0x1000, 0x400000, 0x401000), Vma(0x2000, 0x500000, 0x502000))


class Task:
    """A task as the helper sees one."""

    def __init__(self, mm: Any) -> None:
        self.mm = mm

    def __int__(self) -> int:
        return 0x7777


MM = Mm(0x8888)


def find(mm: Any, addr: int) -> Any:
    return next((vma for vma in mm.vmas if vma.vm_end > addr), None)


def call(
    addr: int, *, mm: Any = MM, task: bool = True, flags: int = 0, irqs_on: bool = True
) -> tuple[int, list[tuple[int, ...]], LockTable]:
    """(result, arguments of the callbacks, the locks)."""
    bench = HelperBench()
    locks = LockTable(bench.memory)
    if mm == 0xBAD:
        locks.hold_mmap(mm)
    bench.services.update(
        locks=locks,
        unlock_work=UnlockWorks(bench.cpus, locks, preempt_rt=False),
        vmas=SimpleNamespace(find=find),
    )
    bench.cpus.here.irqs_on = irqs_on
    seen: list[tuple[int, ...]] = []

    def note(*args: int) -> int:
        assert locks.mmap(mm).readers == 1
        seen.append(args)
        return 1

    spec_call = bench.call_raw(
        FIND_VMA, Task(mm) if task else None, addr, callback(note), 0x1234, flags
    )
    return spec_call, seen, locks


def test_the_vma_that_holds_the_address_is_shown() -> None:
    result, seen, locks = call(0x500FFF)

    assert (result, seen) == (0, [(0x7777, 0x2000, 0x1234)])
    assert locks.mmap(MM).readers == 0


@pytest.mark.parametrize("addr", [0x3FFFFF, 0x401000, 0x4FFFFF, 0x502000, 1 << 63])
def test_an_address_between_vmas_has_none(addr: int) -> None:
    result, seen, locks = call(addr)

    assert (result, seen) == (-ENOENT, [])
    assert locks.mmap(MM).readers == 0


def test_a_task_without_memory_has_none() -> None:
    assert call(0x400000, mm=0)[0] == -ENOENT
    assert call(0x400000, task=False)[0] == -ENOENT


def test_flags_come_first() -> None:
    assert call(0x400000, task=False, flags=1)[0] == -EINVAL


def test_a_lock_that_a_writer_holds_is_busy() -> None:
    result, seen, _ = call(0x400000, mm=Mm(0xBAD))

    assert (result, seen) == (-EBUSY, [])


def test_with_interrupts_off_the_unlock_waits_for_the_interrupt() -> None:
    result, seen, locks = call(0x400000, irqs_on=False)

    assert result == 0 and len(seen) == 1
    assert locks.mmap(MM).readers == 1
