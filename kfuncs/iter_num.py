"""bpf_iter_num: the numbers of a range (kernel/bpf/bpf_iter.c).

::

    stack slot   0        4        8
                 │ s32 cur│ s32 end│     elements are &cur
"""

from __future__ import annotations

from errno import E2BIG, EINVAL

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import (
    BPF_MAX_LOOPS,
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RET_NULL,
)
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import NULL, Ptr, Struct, s32


class bpf_iter_num(Struct, opaque=True):
    """The iterator on the program's stack."""

    cur: s32  # last value handed out
    end: s32  # exclusive


@kfunc(KF_ITER_NEW, since=(6, 4))
def bpf_iter_num_new(it: Ptr[bpf_iter_num], start: int_, end: int_) -> int_:
    """Range over [start, end); -EINVAL when it runs backwards, -E2BIG beyond BPF_MAX_LOOPS."""
    it.cur = it.end = 0
    if start > end:
        return int_(-EINVAL)
    if end - start > BPF_MAX_LOOPS:
        return int_(-E2BIG)
    it.cur = s32(start - 1)  # wraps: INT_MIN becomes INT_MAX, and next wraps back
    it.end = end
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 4))
def bpf_iter_num_next(it: Ptr[bpf_iter_num]) -> Ptr[int_]:
    """Step to the next number; NULL when the range is used up, and from then on."""
    following = s32(it.cur + 1)
    if following >= it.end:
        it.cur = it.end = 0
        return NULL
    it.cur = following
    return it.address_of_("cur")


@kfunc(KF_ITER_DESTROY, since=(6, 4))
def bpf_iter_num_destroy(it: Ptr[bpf_iter_num]) -> None:
    """Empty the range; nothing is held."""
    it.cur = it.end = 0
