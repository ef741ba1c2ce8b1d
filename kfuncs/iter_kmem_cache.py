"""bpf_iter_kmem_cache: every slab cache (kernel/bpf/kmem_cache_iter.c).

::

    stack slot   0      8
                 │ pos  │     1 before the first, NULL behind the last

Held between calls: one reference on ``pos``, except on caches that slab was booted with, whose
count is negative.
"""

from __future__ import annotations

from typing import Any

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RET_NULL,
    KF_SLEEPABLE,
)
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Slabs
from bpfemu.proto.types import NULL, Ptr, Struct
from bpfemu.world.slab import kmem_cache

KMEM_CACHE_POS_START = 1  # tells "not begun" from "at the end"


class bpf_iter_kmem_cache(Struct, opaque=True):
    """The iterator on the program's stack."""

    pos: Ptr[kmem_cache]


@kfunc(KF_ITER_NEW | KF_SLEEPABLE, since=(6, 13))
def bpf_iter_kmem_cache_new(it: Ptr[bpf_iter_kmem_cache]) -> int_:
    """Stand before the first; never fails."""
    it.pos = KMEM_CACHE_POS_START
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL | KF_SLEEPABLE, since=(6, 13))
def bpf_iter_kmem_cache_next(it: Ptr[bpf_iter_kmem_cache], *, slabs: Slabs) -> Ptr[kmem_cache]:
    """Hold and hand out the next; NULL at the end, and from then on."""
    before: Ptr[Any] = it.pos
    if not before:
        return NULL
    first = slabs.first()
    if not first:
        return NULL
    begun = before != KMEM_CACHE_POS_START
    following = slabs.following(before) if begun else first
    if following and following.refcount > 0:
        following.refcount = following.refcount + 1
    if begun:
        _drop(before, slabs)
    it.pos = following
    return following


def _drop(cache: Ptr[Any], slabs: Slabs) -> None:
    """Drop our reference; when it is the last, destroy the cache."""
    if cache.refcount > 1:
        cache.refcount = cache.refcount - 1
    elif cache.refcount == 1:
        slabs.destroy(cache)


@kfunc(KF_ITER_DESTROY | KF_SLEEPABLE, since=(6, 13))
def bpf_iter_kmem_cache_destroy(it: Ptr[bpf_iter_kmem_cache], *, slabs: Slabs) -> None:
    """Drop the reference; the slot keeps what it holds."""
    if it.pos and it.pos != KMEM_CACHE_POS_START:
        _drop(it.pos, slabs)
