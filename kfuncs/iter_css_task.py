"""bpf_iter_css_task: the tasks of a cgroup (kernel/bpf/task_iter.c).

::

    stack slot   0         8         bpf_mem_alloc   0                        104
                 │ css_it ─┼───────────────────────▶ │ struct css_task_iter    │

Held between calls: the css_set that the walk stands in, and the task that was handed out.
"""

from __future__ import annotations

from errno import EINVAL, ENOMEM

from bpfemu.proto.decl import int_, uint
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RET_NULL,
    KF_TRUSTED_ARGS,
)
from bpfemu.proto.layout import StructType
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Cgroups, MemAlloc
from bpfemu.proto.space import Space
from bpfemu.proto.types import NULL, Ptr, Struct
from bpfemu.world.cgroup import cgroup_subsys_state, css_task_iter
from bpfemu.world.task import task_struct

CSS_TASK_ITER_PROCS = 1  # leaders only
CSS_TASK_ITER_THREADED = 2  # those of threaded cgroups below, too; with PROCS alone


class bpf_iter_css_task(Struct, opaque=True):
    """The iterator on the program's stack."""

    css_it: Ptr[css_task_iter]


@kfunc(KF_ITER_NEW | KF_TRUSTED_ARGS, since=(6, 7))
def bpf_iter_css_task_new(
    it: Ptr[bpf_iter_css_task],
    css: Ptr[cgroup_subsys_state],
    flags: uint,
    *,
    mem_alloc: MemAlloc,
    cgroups: Cgroups,
    space: Space,
) -> int_:
    """Stand at the first task of the css; every failure leaves an empty iterator."""
    it.css_it = NULL
    if flags not in (0, CSS_TASK_ITER_PROCS, CSS_TASK_ITER_PROCS | CSS_TASK_ITER_THREADED):
        return int_(-EINVAL)
    size = space.layouts.of(StructType("css_task_iter", css_task_iter)).size
    it.css_it = mem_alloc.alloc(size)
    if not it.css_it:
        return int_(-ENOMEM)
    cgroups.task_iter_start(css, flags, it.css_it)
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 7))
def bpf_iter_css_task_next(it: Ptr[bpf_iter_css_task], *, cgroups: Cgroups) -> Ptr[task_struct]:
    """Drop the last task, hold and hand out the next; NULL at the end, and from then on."""
    if not it.css_it:
        return NULL
    return cgroups.task_iter_next(it.css_it)


@kfunc(KF_ITER_DESTROY, since=(6, 7))
def bpf_iter_css_task_destroy(
    it: Ptr[bpf_iter_css_task], *, mem_alloc: MemAlloc, cgroups: Cgroups
) -> None:
    """Let go of everything; the slot keeps what it holds."""
    if not it.css_it:
        return
    cgroups.task_iter_end(it.css_it)
    mem_alloc.free(int(it.css_it))
