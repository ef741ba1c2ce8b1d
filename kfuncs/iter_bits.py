"""bpf_iter_bits: the numbers of the bits that are set (kernel/bpf/helpers.c).

::

    stack slots  0                    8              12           16
                 │ bits or bits_copy  │ s32 nr_bits  │ s32 bit    │     elements are &bit

One word is copied into the iterator; more go into a buffer from bpf_mem_alloc.
"""

from __future__ import annotations

from errno import E2BIG, EFAULT, EINVAL, ENOMEM

from bpfemu.proto.decl import Const, int_
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import MemAlloc, ProbeRead
from bpfemu.proto.types import NULL, Ptr, Struct, s32, u32, u64

BITS_ITER_NR_WORDS_MAX = 511  # what fits bpf_mem_alloc's largest class behind its header


class bpf_iter_bits_word(Struct, private=True, union=True):
    """The only word, or where the words are."""

    bits: Ptr[u64]
    bits_copy: u64


class bpf_iter_bits(Struct, opaque=True):
    """The iterator on the program's stack."""

    _anon_word: bpf_iter_bits_word
    nr_bits: s32
    bit: s32  # last one handed out


@kfunc(KF_ITER_NEW, since=(6, 11))
def bpf_iter_bits_new(
    it: Ptr[bpf_iter_bits],
    unsafe_ptr__ign: Ptr[Const[u64]],
    nr_words: u32,
    *,
    mem_alloc: MemAlloc,
    probe_read: ProbeRead,
) -> int_:
    """Copy ``nr_words`` words from kernel memory; every failure leaves an empty iterator."""
    it.nr_bits = 0
    it.bits_copy = 0
    it.bit = -1
    if not unsafe_ptr__ign or not nr_words:
        return int_(-EINVAL)
    if nr_words > BITS_ITER_NR_WORDS_MAX:
        return int_(-E2BIG)
    if nr_words == 1:
        word = probe_read.kernel(int(unsafe_ptr__ign), 8)
        if isinstance(word, int):
            return int_(-EFAULT)
        it.bits_copy = int.from_bytes(word, "little")
        it.nr_bits = 64
        return int_(0)
    it.bits = mem_alloc.alloc(8 * nr_words)
    if not it.bits:
        return int_(-ENOMEM)
    words = probe_read.kernel(int(unsafe_ptr__ign), 8 * nr_words)
    if isinstance(words, int):
        mem_alloc.free(int(it.bits))  # the pointer stays: nr_bits is what next goes by
        return int_(words)
    it.bits.write_(words)
    it.nr_bits = 64 * nr_words
    return int_(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL, since=(6, 11))
def bpf_iter_bits_next(it: Ptr[bpf_iter_bits]) -> Ptr[int_]:
    """Step to the next bit that is set; NULL when there is none, and from then on."""
    nr_bits, bit = it.nr_bits, it.bit
    if nr_bits == 0 or bit >= nr_bits:
        return NULL
    words = it.address_of_("bits_copy") if nr_bits == 64 else it.bits
    higher = int.from_bytes(words.read_(nr_bits // 8), "little") >> (bit + 1)
    if not higher:
        it.bit = nr_bits
        return NULL
    it.bit = bit + (higher & -higher).bit_length()
    return it.address_of_("bit")


@kfunc(KF_ITER_DESTROY, since=(6, 11))
def bpf_iter_bits_destroy(it: Ptr[bpf_iter_bits], *, mem_alloc: MemAlloc) -> None:
    """Give the buffer back, if there is one."""
    if it.nr_bits <= 64:
        return
    mem_alloc.free(int(it.bits))
