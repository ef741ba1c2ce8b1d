"""bpf_iter_css: cgroups below or above one (kernel/bpf/cgroup_iter.c).

::

    stack slots  0        8       16          24
                 │ start  │ pos   │ u32 flags │     pos is what was handed out last

Nothing is held: elements are protected by the RCU read section around the loop.  At the end
``pos`` is NULL as at the start, so a further call begins anew.
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
from bpfemu.proto.services import Cgroups
from bpfemu.proto.types import NULL, Ptr, Struct, u32
from bpfemu.world.cgroup import cgroup_subsys_state

BPF_CGROUP_ITER_DESCENDANTS_PRE = 2  # parents first
BPF_CGROUP_ITER_DESCENDANTS_POST = 3  # parents last
BPF_CGROUP_ITER_ANCESTORS_UP = 4


class bpf_iter_css(Struct, opaque=True):
    """The iterator on the program's stack."""

    start: Ptr[cgroup_subsys_state]
    pos: Ptr[cgroup_subsys_state]
    flags: u32


@kfunc(KF_ITER_NEW | KF_TRUSTED_ARGS | KF_RCU_PROTECTED, since=(6, 7))
def bpf_iter_css_new(it: Ptr[bpf_iter_css], start: Ptr[cgroup_subsys_state], flags: uint) -> int_:
    """Start at a css; -EINVAL leaves only ``start`` defined."""
    it.start = NULL
    if flags not in (
        BPF_CGROUP_ITER_DESCENDANTS_PRE,
        BPF_CGROUP_ITER_DESCENDANTS_POST,
        BPF_CGROUP_ITER_ANCESTORS_UP,
    ):
        return int_(-EINVAL)
    it.start = start
    it.pos = NULL
    it.flags = flags
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 7))
def bpf_iter_css_next(it: Ptr[bpf_iter_css], *, cgroups: Cgroups) -> Ptr[cgroup_subsys_state]:
    """Step on; NULL at the end, and the first one again after that."""
    if not it.start:
        return NULL
    match int(it.flags):
        case 2:
            it.pos = _next_pre(it.pos, it.start, cgroups)
        case 3:
            it.pos = _next_post(it.pos, it.start, cgroups)
        case _:
            it.pos = it.pos.parent if it.pos else it.start
    found: Ptr[Any] = it.pos
    return found


def _next_pre(pos: Ptr[Any], root: Ptr[Any], cgroups: Cgroups) -> Ptr[Any]:
    """css_next_descendant_pre()."""
    if not pos:
        return root
    following = cgroups.next_child(NULL, pos)
    while not following and pos != root:
        following = cgroups.next_child(pos, pos.parent)
        pos = pos.parent
    return following


def _next_post(pos: Ptr[Any], root: Ptr[Any], cgroups: Cgroups) -> Ptr[Any]:
    """css_next_descendant_post()."""
    if not pos:
        return _leftmost(root, cgroups)
    if pos == root:
        return NULL
    following = cgroups.next_child(pos, pos.parent)
    return _leftmost(following, cgroups) if following else pos.parent


def _leftmost(pos: Ptr[Any], cgroups: Cgroups) -> Ptr[Any]:
    """css_leftmost_descendant()."""
    while child := cgroups.next_child(NULL, pos):
        pos = child
    return pos


@kfunc(KF_ITER_DESTROY, since=(6, 7))
def bpf_iter_css_destroy(it: Ptr[bpf_iter_css]) -> None:
    """Nothing is held."""
