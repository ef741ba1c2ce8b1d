"""References on cgroups (kernel/bpf/helpers.c).

Registered for the hooks that 6.18 registers its generic set for.
"""

from __future__ import annotations

from typing import Any

from bpfemu.proto.decl import int_, long_
from bpfemu.proto.flags import KF_ACQUIRE, KF_RCU, KF_RELEASE, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Cgroups
from bpfemu.proto.types import NULL, Ptr, u64
from bpfemu.world.cgroup import cgroup
from bpfemu.world.task import task_struct

GENERIC = ("tracing", "tc", "xdp", "struct_ops", "syscall", "cgroup")


@kfunc(KF_ACQUIRE | KF_RCU | KF_RET_NULL, since=(6, 2), hooks=GENERIC)
def bpf_cgroup_acquire(cgrp: Ptr[cgroup], *, cgroups: Cgroups) -> Ptr[cgroup]:
    """Take a reference; NULL when the cgroup is being released."""
    return _acquired(cgrp, cgroups)


@kfunc(KF_RELEASE, since=(6, 2), hooks=GENERIC)
def bpf_cgroup_release(cgrp: Ptr[cgroup], *, cgroups: Cgroups) -> None:
    """Give a reference back."""
    cgroups.put(cgrp.address_of_("self"))


@kfunc(KF_ACQUIRE | KF_RCU | KF_RET_NULL, since=(6, 2), hooks=GENERIC)
def bpf_cgroup_ancestor(cgrp: Ptr[cgroup], level: int_, *, cgroups: Cgroups) -> Ptr[cgroup]:
    """The ancestor at that level, the root being 0, referenced; NULL when there is none."""
    if level > cgrp.level or level < 0:
        return NULL
    return _acquired(cgrp.ancestors[level], cgroups)


@kfunc(KF_ACQUIRE | KF_RET_NULL, since=(6, 4), hooks=GENERIC)
def bpf_cgroup_from_id(cgid: u64, *, cgroups: Cgroups) -> Ptr[cgroup]:
    """The cgroup of the default hierarchy with that id, referenced, or NULL."""
    found = cgroups.from_id(cgid)
    return _acquired(found, cgroups) if found else NULL


@kfunc(KF_RCU, since=(6, 5), hooks=GENERIC)
def bpf_task_under_cgroup(task: Ptr[task_struct], ancestor: Ptr[cgroup]) -> long_:
    """Is the task in that cgroup or below it?"""
    own = task.cgroups.dfl_cgrp
    if own.root != ancestor.root or own.level < ancestor.level:
        return long_(0)
    return long_(own.ancestors[ancestor.level] == ancestor)


def _acquired(found: Ptr[Any], cgroups: Cgroups) -> Ptr[Any]:
    return found if cgroups.tryget(found.address_of_("self")) else NULL
