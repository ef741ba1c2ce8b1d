"""References on tasks (kernel/bpf/helpers.c).

Registered for the hooks that 6.18 registers its generic set for.
"""

from __future__ import annotations

from typing import Any

from bpfemu.proto.flags import KF_ACQUIRE, KF_RCU, KF_RELEASE, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Tasks
from bpfemu.proto.types import NULL, Ptr, s32
from bpfemu.world.task import task_struct

GENERIC = ("tracing", "tc", "xdp", "struct_ops", "syscall", "cgroup")


@kfunc(KF_ACQUIRE | KF_RCU | KF_RET_NULL, since=(6, 2), hooks=GENERIC)
def bpf_task_acquire(p: Ptr[task_struct], *, tasks: Tasks) -> Ptr[task_struct]:
    """Take a reference; NULL when the task is already being freed."""
    return p if tasks.get_unless_zero(p) else NULL


@kfunc(KF_RELEASE, since=(6, 2), hooks=GENERIC)
def bpf_task_release(p: Ptr[task_struct], *, tasks: Tasks) -> None:
    """Give a reference back."""
    tasks.put_rcu(p)


@kfunc(KF_ACQUIRE | KF_RET_NULL, since=(6, 2), hooks=GENERIC)
def bpf_task_from_pid(pid: s32, *, tasks: Tasks) -> Ptr[task_struct]:
    """The task with that number in the initial pid namespace, referenced, or NULL."""
    return _acquired(tasks.by_pid(pid), tasks)


@kfunc(KF_ACQUIRE | KF_RET_NULL, since=(6, 13), hooks=GENERIC)
def bpf_task_from_vpid(vpid: s32, *, tasks: Tasks) -> Ptr[task_struct]:
    """The task with that number in the current task's pid namespace, referenced, or NULL."""
    return _acquired(tasks.by_vpid(vpid), tasks)


def _acquired(task: Ptr[Any], tasks: Tasks) -> Ptr[Any]:
    return task if task and tasks.get_unless_zero(task) else NULL
