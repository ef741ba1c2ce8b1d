"""bpf_iter_task_vma as it was up to 6.18.32: the mmap lock is held for the whole loop.

::

    stack slot   0       8         bpf_mem_alloc   0       8     16     24               (bytes)
                 │ data ─┼───────────────────────▶ │ task  │ mm  │ work │ vma_iterator │

Elements are the live VMAs.  Source: kernel/bpf/task_iter.c as of those releases.  No mm reference
is taken: when the task exits, the mm can go away under the iterator (CVE-2026-53085).
"""

from __future__ import annotations

from errno import EBUSY, ENOENT, ENOMEM
from typing import Any

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RCU, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.services import Cpu, Locks, MemAlloc, Tasks, UnlockWork, Vmas
from bpfemu.proto.space import Space
from bpfemu.proto.types import NULL, Ptr, Struct, u64
from bpfemu.world.mm import mm_struct, vm_area_struct
from bpfemu.world.task import task_struct

ULONG_MAX = (1 << 64) - 1
LOCKED = "task_vma_mmap_lock"


class bpf_iter_task_vma_kern_data(Struct, private=True):
    """The heap object; its true size depends on the kernel (``task_vma_data_size``)."""

    task: Ptr[task_struct]
    mm: Ptr[mm_struct]
    work: u64  # 0, or 1 + the CPU whose unlock work it is
    tree: u64  # the maple state: tree, and the range it stands on
    index: u64
    last: u64


class bpf_iter_task_vma(Struct, opaque=True):
    """The iterator on the program's stack."""

    data: u64


def _data(it: Ptr[Any], space: Space) -> Ptr[Any]:
    return space.pointer(it.data, bpf_iter_task_vma_kern_data)


@kfunc(KF_ITER_NEW | KF_RCU, since=(6, 7), feature=LOCKED)
def bpf_iter_task_vma_new(
    it: Ptr[bpf_iter_task_vma],
    task: Ptr[task_struct],
    addr: u64,
    *,
    mem_alloc: MemAlloc,
    tasks: Tasks,
    locks: Locks,
    unlock_work: UnlockWork,
    cpu: Cpu,
    profile: KernelProfile,
    space: Space,
) -> int_:
    """Walk from the first VMA above ``addr`` on, holding the task and its mmap lock."""
    it.data = mem_alloc.alloc(profile.task_vma_data_size)
    if not it.data:
        return int_(-ENOMEM)
    data = _data(it, space)
    tasks.get(task)
    data.task, data.mm, data.work = task, task.mm, 0
    error = ENOENT
    if data.mm:
        work, busy = unlock_work.get()
        data.work = 0 if work is None else 1 + cpu.id
        if not busy and locks.mmap_read_trylock(data.mm):
            data.tree, data.index, data.last = data.mm, addr, addr - 1
            return int_(0)
        error = EBUSY
    tasks.put(task)
    mem_alloc.free(it.data)
    it.data = 0
    return int_(-error)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 7), feature=LOCKED)
def bpf_iter_task_vma_next(
    it: Ptr[bpf_iter_task_vma], *, vmas: Vmas, space: Space
) -> Ptr[vm_area_struct]:
    """Step to the following VMA; NULL at the end, and from then on."""
    if not it.data:
        return NULL
    data = _data(it, space)
    if data.index == ULONG_MAX:
        return NULL  # the maple state has run over the end
    vma: Ptr[Any] = vmas.find(data.mm, (data.last + 1) & ULONG_MAX)
    if vma:
        data.index, data.last = vma.vm_start, vma.vm_end - 1
    else:
        data.index = ULONG_MAX
    return vma


@kfunc(KF_ITER_DESTROY, since=(6, 7), feature=LOCKED)
def bpf_iter_task_vma_destroy(
    it: Ptr[bpf_iter_task_vma],
    *,
    mem_alloc: MemAlloc,
    tasks: Tasks,
    unlock_work: UnlockWork,
    space: Space,
) -> None:
    """Release the mmap lock, at once or from irq_work, then the task and the heap object."""
    if not it.data:
        return
    data = _data(it, space)
    unlock_work.unlock(unlock_work.of(data.work - 1) if data.work else None, data.mm)
    tasks.put(data.task)
    mem_alloc.free(it.data)  # the slot keeps the pointer
