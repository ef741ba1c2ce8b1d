"""Which cgroup the current task is in.  Source: kernel/bpf/helpers.c."""

from __future__ import annotations

from typing import Any

from bpfemu.proto.marks import helper
from bpfemu.proto.services import Tasks
from bpfemu.proto.types import s32, u64


@helper(80)
def bpf_get_current_cgroup_id(*, tasks: Tasks) -> u64:
    """The id of the task's cgroup in the default hierarchy."""
    return u64(_cgroup(tasks).kn.id)


@helper(123)
def bpf_get_current_ancestor_cgroup_id(ancestor_level: s32, *, tasks: Tasks) -> u64:
    """The id of its ancestor at that level, the root being 0; 0 when there is none."""
    cgroup = _cgroup(tasks)
    if not 0 <= ancestor_level <= cgroup.level:
        return u64(0)
    if ancestor_level < cgroup.level:
        cgroup = cgroup.ancestors[ancestor_level]
    return u64(cgroup.kn.id)


def _cgroup(tasks: Tasks) -> Any:
    return tasks.current.cgroups.dfl_cgrp
