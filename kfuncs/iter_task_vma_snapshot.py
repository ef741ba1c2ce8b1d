"""bpf_iter_task_vma from 6.18.33 on: no lock between calls, elements are copies.

::

    stack slot   0       8         bpf_mem_alloc   0       8     64              next_addr
                 │ data ─┼───────────────────────▶ │ task  │ mm  │ vm_area_struct │ u64   │

Each next locks one VMA, copies it and unlocks it; a VMA that is being changed just then is left
out.  Source: kernel/bpf/task_iter.c with d8e27d2d22b6, bee9ef4a40a2 and 4cbee026db54 (also in
6.12.91 and 7.0.10).
"""

from __future__ import annotations

from errno import EBUSY, ENOENT, ENOMEM
from typing import Any

from bpfemu.proto.decl import int_
from bpfemu.proto.errno import EOPNOTSUPP
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RCU, KF_RET_NULL
from bpfemu.proto.layout import StructType
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.services import Cpu, Files, Locks, MemAlloc, Tasks, Vmas
from bpfemu.proto.space import Space
from bpfemu.proto.types import NULL, Ptr, Struct, u64
from bpfemu.world.flags import PF_KTHREAD
from bpfemu.world.mm import mm_struct, vm_area_struct
from bpfemu.world.task import task_struct
from kfuncs.iter_task_vma import bpf_iter_task_vma

SNAPSHOT = "task_vma_snapshot"
LINE = 64  # bytes: C alignment of the snapshot


class task_vma_snapshot_head(Struct, private=True):
    """What stands before the snapshot in the heap object."""

    task: Ptr[task_struct]
    mm: Ptr[mm_struct]


class _Data:
    """The heap object: its head, the snapshot, and where to go on from."""

    def __init__(self, addr: int, space: Space) -> None:
        self.head = space.pointer(addr, task_vma_snapshot_head)
        self.snapshot = space.pointer(addr + LINE, vm_area_struct)
        self.vma_size = space.layout(self.snapshot).size  # bytes
        self._next_addr = space.pointer(addr + LINE + self.vma_size, u64)

    @property
    def next_addr(self) -> int:
        """The user address that the next VMA must end above."""
        return int(self._next_addr[0])

    @next_addr.setter
    def next_addr(self, value: int) -> None:
        self._next_addr[0] = value


def _vma_size(space: Space) -> int:
    return space.layouts.of(StructType("vm_area_struct", vm_area_struct)).size


def _data_size(space: Space, profile: KernelProfile) -> int:
    """sizeof(struct bpf_iter_task_vma_kern_data): 320 where a VMA has 192 bytes."""
    members = LINE + _vma_size(space) + 8
    return max(profile.task_vma_data_size, members + -members % LINE)


@kfunc(KF_ITER_NEW | KF_RCU, since=(6, 7), feature=SNAPSHOT)
def bpf_iter_task_vma_new(
    it: Ptr[bpf_iter_task_vma],
    task: Ptr[task_struct],
    addr: u64,
    *,
    mem_alloc: MemAlloc,
    tasks: Tasks,
    locks: Locks,
    cpu: Cpu,
    profile: KernelProfile,
    space: Space,
) -> int_:
    """Walk from the first VMA above ``addr`` on, holding the task and a reference on its mm."""
    it.data = 0
    if not profile.per_vma_lock:
        return int_(-EOPNOTSUPP)
    if cpu.irqs_disabled():
        return int_(-EBUSY)
    it.data = mem_alloc.alloc(_data_size(space, profile))
    if not it.data:
        return int_(-ENOMEM)
    data = _Data(it.data, space)
    tasks.get(task)
    error = _take_mm(data, task, tasks, locks)
    if error:
        tasks.put(task)
        mem_alloc.free(it.data)
        it.data = 0
        return int_(-error)
    data.head.task = task
    data.snapshot.vm_file = NULL
    data.next_addr = addr
    data.snapshot.readable_(data.vma_size)
    return int_(0)


def _take_mm(data: _Data, task: Ptr[Any], tasks: Tasks, locks: Locks) -> int:
    """Reference the task's own mm under its alloc_lock; 0 or an errno."""
    lock = task.address_of_("alloc_lock")
    if not locks.spin_trylock(lock):
        return EBUSY
    mm: Ptr[Any] = NULL if task.flags & PF_KTHREAD else task.mm
    if mm:
        tasks.mmget(mm)
    data.head.mm = mm
    locks.spin_unlock(lock)
    return 0 if mm else ENOENT


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 7), feature=SNAPSHOT)
def bpf_iter_task_vma_next(
    it: Ptr[bpf_iter_task_vma], *, vmas: Vmas, files: Files, profile: KernelProfile, space: Space
) -> Ptr[vm_area_struct]:
    """Copy the next VMA into the snapshot; NULL when there is none above ``next_addr`` now."""
    if not it.data:
        return NULL
    data = _Data(it.data, space)
    _drop_file(data, files)
    vma = _find_next(data, vmas, profile.page_size)
    if not vma:
        return NULL
    data.snapshot.write_(vma.read_(data.vma_size))
    if data.snapshot.vm_file:
        files.get(data.snapshot.vm_file)
    data.next_addr = vma.vm_end
    vmas.read_unlock(vma)
    return data.snapshot


def _find_next(data: _Data, vmas: Vmas, page_size: int) -> Ptr[Any]:
    """The next VMA, read-locked; one that cannot be locked is left out, not waited for."""
    mm = data.head.mm
    while found := vmas.find(mm, data.next_addr):
        start, end = found.vm_start, found.vm_end
        vma = vmas.read_lock(mm, start)
        if not vma:
            data.next_addr = data.next_addr + page_size if end <= data.next_addr else end
        elif vma.vm_end <= data.next_addr:
            data.next_addr += page_size
            vmas.read_unlock(vma)
        else:
            return vma
    return NULL


def _drop_file(data: _Data, files: Files) -> None:
    if data.snapshot.vm_file:
        files.put(data.snapshot.vm_file)
        data.snapshot.vm_file = NULL


@kfunc(KF_ITER_DESTROY, since=(6, 7), feature=SNAPSHOT)
def bpf_iter_task_vma_destroy(
    it: Ptr[bpf_iter_task_vma],
    *,
    mem_alloc: MemAlloc,
    tasks: Tasks,
    files: Files,
    space: Space,
) -> None:
    """Drop the file, the task and the mm; the slot and the snapshot keep what they hold."""
    if not it.data:
        return
    data = _Data(it.data, space)
    if data.snapshot.vm_file:
        files.put(data.snapshot.vm_file)
    tasks.put(data.head.task)
    tasks.mmput_async(data.head.mm)
    mem_alloc.free(it.data)
