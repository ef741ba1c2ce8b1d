"""bpf_testmod's iterator: one number a number of times (the kernel's BPF selftests).

::

    stack slots  0            8             16
                 │ s64 value  │ int cnt     │     elements are &value

The module's BTF shows the members: this iterator is not opaque.
"""

from __future__ import annotations

from errno import EINVAL

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import NULL, Ptr, Struct, s64


class bpf_iter_testmod_seq(Struct):
    """The iterator on the program's stack."""

    value: s64
    cnt: int_


@kfunc(KF_ITER_NEW, since=(6, 4))
def bpf_iter_testmod_seq_new(it: Ptr[bpf_iter_testmod_seq], value: s64, cnt: int_) -> int_:
    """``value`` comes ``cnt`` times; -EINVAL below 0 leaves only ``cnt`` defined."""
    it.cnt = cnt
    if cnt < 0:
        return int_(-EINVAL)
    it.value = value
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 4))
def bpf_iter_testmod_seq_next(it: Ptr[bpf_iter_testmod_seq]) -> Ptr[s64]:
    """Once more; NULL at the end, and from then on."""
    if it.cnt <= 0:
        return NULL
    it.cnt = it.cnt - 1
    return it.address_of_("value")


@kfunc(since=(6, 10))
def bpf_iter_testmod_seq_value(val: int_, it__iter: Ptr[bpf_iter_testmod_seq]) -> s64:
    """The number, and ``val`` added; 0 when new has failed."""
    return s64(0 if it__iter.cnt < 0 else val + it__iter.value)


@kfunc(KF_ITER_DESTROY, since=(6, 4))
def bpf_iter_testmod_seq_destroy(it: Ptr[bpf_iter_testmod_seq]) -> None:
    """Nothing is left to hand out."""
    it.cnt = 0
