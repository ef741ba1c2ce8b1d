"""BPF_MAP_TYPE_RINGBUF: records from programs to user space, in order of reservation.

::

    data ──▶ │ header │ record │ pad │ header │ record │ pad │ …   max_entries bytes, then again
               8 bytes           to 8                               (mapped twice: no record wraps)

    consumer_pos ≤ pending_pos ≤ producer_pos      bytes since the beginning, never reduced

A header is the record's length with a busy and a discard bit, and the page offset of the record.
A program may touch the records it has reserved and nothing else of the ring.  Source:
kernel/bpf/ringbuf.c.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from errno import EINVAL
from typing import Final

from bpfemu.image import MapSlot
from bpfemu.kernel.maps.base import BpfMap, MapEnv, UserValue, round_up_8
from bpfemu.kernel.maps.create import Row, check_rows
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields
from bpfemu.kernel.maps.types import BPF_F_NUMA_NODE, ENOTSUPP
from bpfemu.machine.memory import FREED, KERNEL, UNINIT, Memory, RegionKind
from bpfemu.machine.stop import Fault, FaultKind, Trap
from bpfemu.object import MapDef
from bpfemu.proto.marks import map_type

__all__ = [
    "BUSY_BIT",
    "DISCARD_BIT",
    "FORCE_WAKEUP",
    "HDR_SIZE",
    "MAX_RECORD_SIZE",
    "NO_WAKEUP",
    "RingbufMap",
    "bad_record",
]

HDR_SIZE: Final = 8  # bytes, BPF_RINGBUF_HDR_SZ
BUSY_BIT: Final = 1 << 31
DISCARD_BIT: Final = 1 << 30
MAX_RECORD_SIZE: Final = 0xFFFF_FFFF // 4  # bytes, RINGBUF_MAX_RECORD_SZ
PAGE: Final = 4096
DATA_PAGE: Final = 3  # pages of struct bpf_ringbuf before its data

# Flags of submit, discard and output.
NO_WAKEUP: Final = 1
FORCE_WAKEUP: Final = 2

# Questions of bpf_ringbuf_query.
AVAIL_DATA: Final = 0
RING_SIZE: Final = 1
CONS_POS: Final = 2
PROD_POS: Final = 3


def ringbuf_rows(definition: MapDef) -> Iterator[Row]:
    """ringbuf_map_alloc."""
    size, flags = definition.max_entries, definition.flags
    rule = f"map_flags {flags:#x} are not for ring buffers"
    yield flags & ~BPF_F_NUMA_NODE != 0, EINVAL, rule
    both = definition.key_size or definition.value_size
    yield bool(both), EINVAL, "key_size and value_size must be 0"
    rule = f"max_entries is {size}, must be a power of two and whole pages of {PAGE} bytes"
    yield size < PAGE or size & (size - 1) != 0, EINVAL, rule


@map_type(27)
class RingbufMap(BpfMap):
    """One ring.  ``reserved`` are the records in the program's hands: address to position."""

    shows_elements = False

    def __init__(self, slot: MapSlot, env: MapEnv, fields: ValueFields = NO_FIELDS) -> None:
        super().__init__(slot, env, fields)
        self.size = self.max_entries  # bytes
        self.consumer_pos = 0
        self.producer_pos = 0
        self.pending_pos = 0
        self.wakeups = 0  # times that a waiting consumer was told
        self.reserved: dict[int, int] = {}
        self._records: deque[tuple[int, int]] = deque()  # (position, size) not yet consumed
        self._data = 0  # address; 0 until the first record

    @classmethod
    def check(cls, definition: MapDef) -> None:
        """ringbuf_map_alloc."""
        check_rows(definition, ringbuf_rows(definition))

    # ---- producers ----------------------------------------------------------------------

    def reserve(self, size: int) -> int:
        """__bpf_ringbuf_reserve: the address of ``size`` bytes, 0 when they do not fit."""
        taken = round_up_8(size + HDR_SIZE)
        if size > MAX_RECORD_SIZE or taken > self.size:
            return 0
        self._advance_pending()
        end = self.producer_pos + taken
        most = self.size - 1
        if end - self.consumer_pos > most or end - self.pending_pos > most:
            return 0
        addr = self._open(self.producer_pos, size)
        self.reserved[addr] = self.producer_pos
        self._records.append((self.producer_pos, size))
        self.producer_pos = end
        return addr

    def commit(self, addr: int, flags: int, *, discard: bool) -> None:
        """bpf_ringbuf_commit: Trap when ``addr`` is no reserved record."""
        position = self.reserved.pop(addr, None)
        if position is None:
            raise Trap(bad_record(addr, self.memory))
        header = addr - HDR_SIZE
        length = self.memory.read_int(header, 4) ^ BUSY_BIT
        self.memory.write_int(header, 4, length | (DISCARD_BIT if discard else 0))
        # The record is out of the program's hands; the kernel and user space still read it.
        self.memory.set_state(addr, length, FREED)
        self.memory.note_freed(addr)
        if flags & FORCE_WAKEUP or (position == self.consumer_pos and not flags & NO_WAKEUP):
            self.wakeups += 1

    def output(self, data: bytes, flags: int) -> bool:
        """Reserve, copy and submit at once; False when it does not fit."""
        addr = self.reserve(len(data))
        if addr:
            self.memory.write(addr, data)
            self.commit(addr, flags, discard=False)
        return bool(addr)

    def query(self, what: int) -> int:
        """bpf_ringbuf_query: bytes; 0 for an unknown question."""
        answers = {
            AVAIL_DATA: self.producer_pos - self.consumer_pos,
            RING_SIZE: self.size,
            CONS_POS: self.consumer_pos,
            PROD_POS: self.producer_pos,
        }
        return answers.get(what, 0)

    # ---- user space ---------------------------------------------------------------------

    def drain(self) -> list[bytes]:
        """Consume as libbpf does: in order, up to the first record that is still busy."""
        out = []
        while self._records:
            position, size = self._records[0]
            addr = self._addr(position)
            length = self._word(addr - HDR_SIZE)
            if length & BUSY_BIT:
                break
            self._records.popleft()
            if not length & DISCARD_BIT:
                low = addr - self.memory.base
                out.append(bytes(self.memory.b[low : low + size]))
            self.memory.set_state(addr, size, KERNEL)
            self.consumer_pos = position + round_up_8(size + HDR_SIZE)
        return out

    def user_lookup(self, key: bytes, flags: int = 0) -> UserValue | None:
        """InputError: a ring has no elements (-ENOTSUPP)."""
        raise self._refused("a ring buffer has no elements", ENOTSUPP)

    def user_update(self, key: bytes, value: UserValue, flags: int = 0) -> int:
        """-ENOTSUPP."""
        return -ENOTSUPP

    def user_delete(self, key: bytes) -> int:
        """-ENOTSUPP."""
        return -ENOTSUPP

    # ---- inside -------------------------------------------------------------------------

    def _advance_pending(self) -> None:
        """Step over the records that have been committed."""
        while self.pending_pos < self.producer_pos:
            length = self._word(self._addr(self.pending_pos) - HDR_SIZE)
            if length & BUSY_BIT:
                return
            self.pending_pos += round_up_8((length & ~DISCARD_BIT) + HDR_SIZE)

    def _open(self, position: int, size: int) -> int:
        """Write a busy header and let the program at the record, which nobody has written."""
        addr = self._addr(position)
        page = DATA_PAGE + (position & (self.size - 1)) // PAGE
        self.memory.set_state(addr - HDR_SIZE, round_up_8(size + HDR_SIZE), KERNEL)
        self.memory.write_int(addr - HDR_SIZE, 8, size | BUSY_BIT | page << 32)
        self.memory.set_state(addr, size, UNINIT)
        self.memory.note_part(addr, size, RegionKind.RECORD, self.name)
        return addr

    def _addr(self, position: int) -> int:
        """Where a record's bytes begin, behind its header."""
        if not self._data:
            name = f"map {self.name!r} ring"
            region = self.memory.allocate(
                2 * self.size, RegionKind.MAP, name, align=PAGE, state=KERNEL
            )
            region.allocated_by = None
            self._data = region.addr
        return self._data + (position & (self.size - 1)) + HDR_SIZE

    def _word(self, addr: int) -> int:
        return int(self.memory.d[(addr - self.memory.base) >> 2])


def bad_record(addr: int, memory: Memory) -> Fault:
    """What is wrong with an address that is not a reserved record."""
    owner = memory.owner(addr)
    return Fault(
        FaultKind.REFERENCE_STATE,
        f"{addr:#x} is not a reserved ring buffer record",
        addr=addr,
        region=memory.describe(addr),
        allocated_by=owner.allocated_by if owner else None,
        freed_by=owner.freed_by if owner else None,
    )
