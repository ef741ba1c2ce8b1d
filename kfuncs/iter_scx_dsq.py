"""bpf_iter_scx_dsq: the tasks in a dispatch queue (kernel/sched/ext.c).

::

    stack slots  0                                  24     32     40     48
                 │ cursor: node, u32 flags, u32 priv │ dsq  │ slice │ vtime │

The cursor stands in the queue itself, behind the task that was handed out.  Tasks that were queued
after ``new`` are left out by their sequence number.  At the end the cursor is unlinked, as at the
start, so a further call begins anew.
"""

from __future__ import annotations

from errno import EINVAL, ENODEV, ENOENT
from typing import Any

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
    KF_RET_NULL,
)
from bpfemu.proto.marks import kfunc
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.services import Locks, Scx
from bpfemu.proto.types import NULL, Ptr, Struct, s32, u32, u64
from bpfemu.world.base import list_head
from bpfemu.world.sched_ext import scx_dispatch_q
from bpfemu.world.task import task_struct

SCX_DSQ_LNODE_ITER_CURSOR = 1 << 0
SCX_DSQ_ITER_REV = 1 << 16  # the only flag of programs
HOOKS = ("tracing", "struct_ops", "syscall")


class bpf_iter_scx_dsq(Struct, opaque=True):
    """The iterator on the program's stack."""

    next: Ptr[list_head]  # these four are a struct scx_dsq_list_node, the cursor
    prev: Ptr[list_head]
    flags: u32
    priv: u32
    dsq: Ptr[scx_dispatch_q]
    slice: u64
    vtime: u64


@kfunc(KF_ITER_NEW | KF_RCU_PROTECTED, since=(6, 12), hooks=HOOKS)
def bpf_iter_scx_dsq_new(
    it: Ptr[bpf_iter_scx_dsq], dsq_id: u64, flags: u64, *, scx: Scx, profile: KernelProfile
) -> int_:
    """Stand before the first task; a failure leaves only ``dsq`` defined."""
    it.dsq = NULL
    if profile.at_least((6, 17)) and not scx.is_loaded:
        return int_(-ENODEV)
    if flags & ~SCX_DSQ_ITER_REV:
        return int_(-EINVAL)
    it.dsq = scx.find(dsq_id)
    if not it.dsq:
        return int_(-ENOENT)
    scx.init_cursor(_cursor(it))
    it.flags = SCX_DSQ_LNODE_ITER_CURSOR | flags
    it.priv = it.dsq.seq
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 12), hooks=HOOKS)
def bpf_iter_scx_dsq_next(it: Ptr[bpf_iter_scx_dsq], *, scx: Scx, locks: Locks) -> Ptr[task_struct]:
    """The next task that was there at ``new``; NULL at the end, and the first again after that."""
    if not it.dsq:
        return NULL
    lock = it.dsq.address_of_("lock")
    locks.spin_lock(lock)
    found = _step(it, scx)
    locks.spin_unlock(lock)
    return found


def _cursor(it: Ptr[Any]) -> Ptr[Any]:
    """Its list_head, which stands in the queue."""
    return it.address_of_("next")


def _step(it: Ptr[Any], scx: Scx) -> Ptr[Any]:
    node = _cursor(it)
    reverse = bool(it.flags & SCX_DSQ_ITER_REV)
    at: Ptr[Any] = node if scx.is_linked(node) else NULL
    while task := scx.next_task(it.dsq, at, reverse):
        # u32_before(): numbers may have wrapped
        if s32(it.priv - task.address_of_("scx").dsq_seq) >= 0:
            scx.move_cursor(node, task, reverse)
            return task
        at = scx.place_of(task)
    scx.unlink_cursor(node)
    return NULL


@kfunc(KF_ITER_DESTROY, since=(6, 12), hooks=HOOKS)
def bpf_iter_scx_dsq_destroy(it: Ptr[bpf_iter_scx_dsq], *, scx: Scx, locks: Locks) -> None:
    """Take the cursor out of the queue."""
    if not it.dsq:
        return
    node = _cursor(it)
    if scx.is_linked(node):
        lock = it.dsq.address_of_("lock")
        locks.spin_lock(lock)
        scx.unlink_cursor(node)
        locks.spin_unlock(lock)
    it.dsq = NULL
