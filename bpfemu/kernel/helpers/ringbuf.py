"""Helpers for ring buffers.  Source: kernel/bpf/ringbuf.c."""

from __future__ import annotations

from errno import EINVAL

from bpfemu.kernel.helpers.compat import checked_ring
from bpfemu.kernel.maps.ringbuf import FORCE_WAKEUP, NO_WAKEUP, bad_record
from bpfemu.machine.memory import Memory
from bpfemu.machine.stop import Trap
from bpfemu.proto.errno import EAGAIN
from bpfemu.proto.marks import helper
from bpfemu.proto.services import Maps
from bpfemu.proto.types import MapPtr, Ptr, s64, u64, void


@helper(130)
def bpf_ringbuf_output(
    ringbuf: MapPtr, data: Ptr[void], size: u64, flags: u64, *, memory: Memory
) -> s64:
    """Copy a record in; -EAGAIN when it does not fit, -EINVAL for unknown flags."""
    ring = checked_ring(ringbuf, 130, "bpf_ringbuf_output")
    if flags & ~(NO_WAKEUP | FORCE_WAKEUP):
        return s64(-EINVAL)
    return s64(0 if ring.output(memory.load_bytes(int(data), size), flags) else -EAGAIN)


@helper(131)
def bpf_ringbuf_reserve(ringbuf: MapPtr, size: u64, flags: u64) -> Ptr[void]:
    """Room for a record, to be submitted or discarded; NULL when it does not fit."""
    ring = checked_ring(ringbuf, 131, "bpf_ringbuf_reserve")
    return Ptr(0 if flags else ring.reserve(size))


@helper(132)
def bpf_ringbuf_submit(data: Ptr[void], flags: u64, *, maps: Maps, memory: Memory) -> None:
    """Hand a reserved record to user space."""
    _commit(int(data), flags, maps, memory, discard=False)


@helper(133)
def bpf_ringbuf_discard(data: Ptr[void], flags: u64, *, maps: Maps, memory: Memory) -> None:
    """Drop a reserved record; user space skips it."""
    _commit(int(data), flags, maps, memory, discard=True)


@helper(134)
def bpf_ringbuf_query(ringbuf: MapPtr, flags: u64) -> u64:
    """Bytes not consumed (0), size of the ring (1), consumer (2), producer position (3)."""
    return u64(checked_ring(ringbuf, 134, "bpf_ringbuf_query").query(flags))


def _commit(addr: int, flags: int, maps: Maps, memory: Memory, *, discard: bool) -> None:
    ring = maps.record_at(addr)
    if ring is None:
        raise Trap(bad_record(addr, memory))
    ring.commit(addr, flags, discard=discard)
