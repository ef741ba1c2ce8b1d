"""bpf_iter_task: processes and threads (kernel/bpf/task_iter.c).

::

    stack slots  0        8       16          24
                 │ task   │ pos   │ u32 flags │     pos is the element that comes next

Nothing is held: elements are protected by the RCU read section around the loop.
"""

from __future__ import annotations

from errno import EINVAL
from typing import Any

from bpfemu.proto.decl import int_, uint
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
    KF_RET_NULL,
    KF_TRUSTED_ARGS,
)
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Tasks
from bpfemu.proto.types import NULL, Ptr, Struct, u32
from bpfemu.world.task import task_struct

BPF_TASK_ITER_ALL_PROCS = 0  # the group leader of each process
BPF_TASK_ITER_ALL_THREADS = 1
BPF_TASK_ITER_PROC_THREADS = 2  # one process, from the given thread on


class bpf_iter_task(Struct, opaque=True):
    """The iterator on the program's stack."""

    task: Ptr[task_struct]
    pos: Ptr[task_struct]
    flags: u32


@kfunc(KF_ITER_NEW | KF_TRUSTED_ARGS | KF_RCU_PROTECTED, since=(6, 7))
def bpf_iter_task_new(
    it: Ptr[bpf_iter_task], task__nullable: Ptr[task_struct], flags: uint, *, tasks: Tasks
) -> int_:
    """Start at init_task, or at the given thread; -EINVAL leaves only ``pos`` defined."""
    it.pos = NULL
    if flags in (BPF_TASK_ITER_ALL_PROCS, BPF_TASK_ITER_ALL_THREADS):
        it.task = tasks.init_task
    elif flags == BPF_TASK_ITER_PROC_THREADS and task__nullable:
        it.task = task__nullable
    else:
        return int_(-EINVAL)
    it.pos = it.task
    it.flags = flags
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 7))
def bpf_iter_task_next(it: Ptr[bpf_iter_task], *, tasks: Tasks) -> Ptr[task_struct]:
    """Hand out ``pos`` and step on; NULL at the end, and from then on."""
    pos: Ptr[Any] = it.pos
    if not pos:
        return pos
    flags = it.flags
    if flags != BPF_TASK_ITER_ALL_PROCS:
        it.pos = tasks.next_thread(pos)
        if it.pos or flags == BPF_TASK_ITER_PROC_THREADS:
            return pos
    it.task = tasks.next_task(it.task)
    it.pos = NULL if it.task == tasks.init_task else it.task
    return pos


@kfunc(KF_ITER_DESTROY, since=(6, 7))
def bpf_iter_task_destroy(it: Ptr[bpf_iter_task]) -> None:
    """Nothing is held."""
