"""bpf_iter_dmabuf: every DMA buffer (kernel/bpf/dmabuf_iter.c).

::

    stack slot   0         8
                 │ dmabuf  │     NULL before the first and behind the last

Held between calls: a reference on the file of ``dmabuf``.  Since both ends look the same, a call
after the end begins anew.
"""

from __future__ import annotations

from bpfemu.proto.decl import int_
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RET_NULL,
    KF_SLEEPABLE,
)
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import DmaBufs
from bpfemu.proto.types import NULL, Ptr, Struct
from bpfemu.world.dmabuf import dma_buf


class bpf_iter_dmabuf(Struct, opaque=True):
    """The iterator on the program's stack."""

    dmabuf: Ptr[dma_buf]


@kfunc(KF_ITER_NEW | KF_SLEEPABLE, since=(6, 16))
def bpf_iter_dmabuf_new(it: Ptr[bpf_iter_dmabuf]) -> int_:
    """Stand before the first; never fails."""
    it.dmabuf = NULL
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL | KF_SLEEPABLE, since=(6, 16))
def bpf_iter_dmabuf_next(it: Ptr[bpf_iter_dmabuf], *, dmabufs: DmaBufs) -> Ptr[dma_buf]:
    """Drop the last buffer, hold and hand out the next that is not being released."""
    found = dmabufs.following(it.dmabuf) if it.dmabuf else dmabufs.first()
    it.dmabuf = found
    return found


@kfunc(KF_ITER_DESTROY | KF_SLEEPABLE, since=(6, 16))
def bpf_iter_dmabuf_destroy(it: Ptr[bpf_iter_dmabuf], *, dmabufs: DmaBufs) -> None:
    """Drop the buffer; the slot keeps what it holds."""
    if it.dmabuf:
        dmabufs.put(it.dmabuf)
