"""bpf_find_vma.  Source: kernel/bpf/task_iter.c."""

from __future__ import annotations

from collections.abc import Generator
from errno import EBUSY, EINVAL, ENOENT
from typing import Any

from bpfemu.proto.marks import helper
from bpfemu.proto.services import Locks, UnlockWork, Vmas
from bpfemu.proto.types import Callback, Ptr, s64, u64, void
from bpfemu.world.task import task_struct


@helper(180)
def bpf_find_vma(
    task: Ptr[task_struct],
    addr: u64,
    callback_fn: Callback,
    callback_ctx: Ptr[void],
    flags: u64,
    *,
    locks: Locks,
    unlock_work: UnlockWork,
    vmas: Vmas,
) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    """Call back with the VMA that holds ``addr``, under the mmap lock; -ENOENT without one."""
    if flags:
        return s64(-EINVAL)
    if not task or not task.mm:
        return s64(-ENOENT)
    mm: Ptr[Any] = task.mm
    work, busy = unlock_work.get()
    if busy or not locks.mmap_read_trylock(mm):
        return s64(-EBUSY)
    found = vmas.find(mm, addr)
    inside = bool(found) and found.vm_start <= addr
    if inside:
        yield from callback_fn(int(task), int(found), int(callback_ctx))
    unlock_work.unlock(work, mm)
    return s64(0 if inside else -ENOENT)
