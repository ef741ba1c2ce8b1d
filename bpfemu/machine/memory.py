"""The arena: one range of emulated kernel addresses, and a shadow that knows each byte.

::

    address   base ............................................. base + size
    data      the bytes themselves (mmap, demand-zero)
    shadow    one state byte for each data byte: 0 means "nothing here"

A load of n bytes is allowed when each of its n shadow bytes has READ; with a shadow of one byte
per byte that is one comparison of an n-byte word, for any alignment, in Python and in machine code
alike.  Regions say who owns a range, who allocated and who freed it; they are consulted only to
write reports.
"""

from __future__ import annotations

import mmap
import sys
from collections import deque
from typing import Final

from bpfemu.errors import InputError, InternalError
from bpfemu.machine.regions import Region, RegionKind, Regions
from bpfemu.machine.shadow import (
    FREED,
    ITER,
    ITER_BIT,
    KERNEL,
    READ,
    READ_ONLY,
    REDZONE,
    UNINIT,
    UNINIT_BIT,
    VALID,
    WRITE,
    LoadKind,
)
from bpfemu.machine.stop import Fault, FaultKind, Site, Trap

__all__ = [
    "FREED",
    "ITER",
    "KERNEL",
    "READ",
    "READ_ONLY",
    "REDZONE",
    "U64",
    "UNINIT",
    "VALID",
    "WRITE",
    "LoadKind",
    "Memory",
    "Region",
    "RegionKind",
]

U64: Final = (1 << 64) - 1
PAGE: Final = 4096
USER_END: Final = 1 << 47  # the first address that is not user space's (x86-64, four levels)

# bytes.translate(*_UNMAPPED) leaves the states that are not mapped.
_UNMAPPED: Final = (None, bytes(s for s in range(1, 256) if not s & (FREED | REDZONE)))
_READABLE: Final = bytes(state for state in range(256) if state & (READ | UNINIT_BIT))
_WRITABLE: Final = bytes(state for state in range(256) if state & (WRITE | ITER_BIT))
_TAKEN: Final = bytes([VALID, READ_ONLY, UNINIT])  # what a program may hand to the kernel

REDZONE_SIZE: Final = 32  # bytes kept free around each allocation
QUARANTINE_SIZE: Final = 1 << 20  # bytes of freed memory kept out of use

_WHOLE: Final = frozenset(
    int.from_bytes(bytes([state]) * 8, "little") for state in (VALID, READ_ONLY, KERNEL)
)
"""Shadow words of eight bytes that the kernel may read and write without a closer look."""


class Memory:
    """One arena of ``size`` bytes at ``base``, and its shadow.

    ``load``/``store`` are what a program does: checked to the byte, misuse raises
    :class:`Trap`.  ``read``/``write`` are what the kernel does: any mapped byte, whatever its
    state.  ``q d h b`` (and ``shq shd shh shb`` for the shadow) are the same bytes as arrays of
    8, 4, 2 and 1 byte words, for engines; ``shf8 shf4`` are the shadow as floating-point numbers,
    which Python makes and compares faster than integers of that size.  ``reach`` is the power of
    two not below ``size``: the shadow has that many bytes, so an offset below it can be looked up
    without another check.
    """

    def __init__(self, base: int, size: int) -> None:
        if base % PAGE or size % PAGE or size <= 0 or base + size > 1 << 64:
            raise InternalError(f"arena {base:#x}+{size:#x} is not made of whole pages")
        if sys.byteorder != "little":
            raise InputError("bpfemu emulates little-endian kernels and needs such a host")
        self.base = base
        self.size = size
        self.data = mmap.mmap(-1, size)
        self.reach = 1 << (size - 1).bit_length()
        self.shadow = mmap.mmap(-1, self.reach)
        data, shadow = memoryview(self.data), memoryview(self.shadow)
        self.b, self.h, self.d, self.q = data, data.cast("H"), data.cast("I"), data.cast("Q")
        self.shb, self.shh = shadow, shadow.cast("H")
        self.shd, self.shq = shadow.cast("I"), shadow.cast("Q")
        self.shf4, self.shf8 = shadow.cast("f"), shadow.cast("d")
        self.findings: list[tuple[FaultKind, int, int]] = []  # (kind, addr, size), run went on
        self.clobbered: list[tuple[int, int]] = []  # (addr, size) of overwritten iterator bytes
        self.site: Site | None = None  # who allocates and frees just now
        self._regions = Regions()
        self._next = base
        self._end = base + size  # what is handed out lies below
        self._quarantine: deque[Region] = deque()
        self._quarantined = 0
        self._reusable: dict[tuple[int, int, int], list[int]] = {}

    # ---- allocation ---------------------------------------------------------------------

    def place(
        self, addr: int, size: int, kind: RegionKind, name: str, state: int = VALID
    ) -> Region:
        """Claim a fixed range; addresses below it are never handed out afterwards."""
        if addr < self._next or addr + size > self._end:
            raise InternalError(f"cannot place {name} at {addr:#x}+{size:#x}")
        self._next = (addr + size + REDZONE_SIZE + 7) & ~7
        return self._claim(addr, size, kind, name, state, None)

    def place_last(
        self, addr: int, size: int, kind: RegionKind, name: str, state: int = VALID
    ) -> Region:
        """Claim a fixed range near the end; addresses from it on are never handed out afterwards.

        Raises InputError when what lies below has grown that far.
        """
        if addr < self._next or addr + size > self.base + self.size:
            raise InputError(f"out of emulated memory: {name} wants {size} bytes at {addr:#x}")
        self._end = min(self._end, addr - REDZONE_SIZE)
        return self._claim(addr, size, kind, name, state, None)

    def allocate(
        self,
        size: int,
        kind: RegionKind,
        name: str,
        *,
        align: int = 8,
        state: int = VALID,
        offset: int = 0,
    ) -> Region:
        """Take ``size`` bytes with ``addr % align == offset % align``, zeroed, red zones around.

        Raises InputError when the arena is full.
        """
        key = (size, align, offset % align)
        free = self._reusable.get(key)
        if free:
            addr = free.pop()
            self.b[addr - self.base : addr - self.base + size] = bytes(size)
            return self._claim(addr, size, kind, name, state, key)
        addr = self._next + REDZONE_SIZE
        addr += (offset - addr) % align
        if addr + size + REDZONE_SIZE > self._end:
            raise InputError(f"out of emulated memory: {name} wants {size} bytes of {self.size}")
        low = self._next - self.base
        self._next = (addr + size + 7) & ~7
        self.shadow[low : addr - self.base] = bytes([REDZONE]) * (addr - self.base - low)
        region = self._claim(addr, size, kind, name, state, key)
        tail = addr + size - self.base
        pad = self._next + REDZONE_SIZE - self.base - tail
        self.shadow[tail : tail + pad] = bytes([REDZONE]) * pad
        return region

    def free(self, addr: int) -> None:
        """Give a region back: its bytes become FREED and stay so while quarantined."""
        region = self._regions.at(addr)
        if region is None or region.freed_by is not None:
            raise InternalError(f"free of {addr:#x}, which is not allocated")
        region.freed_by = self.site or Site(-1, "", "")
        self.set_state(addr, region.size, FREED)
        self._quarantine.append(region)
        self._quarantined += region.size
        while self._quarantined > QUARANTINE_SIZE:
            old = self._quarantine.popleft()
            self._quarantined -= old.size
            if old.key is not None:
                self._reusable.setdefault(old.key, []).append(old.addr)

    def _claim(
        self,
        addr: int,
        size: int,
        kind: RegionKind,
        name: str,
        state: int,
        key: tuple[int, int, int] | None,
    ) -> Region:
        region = Region(addr, size, kind, name, self.site, None, key)
        self._regions.add(region)
        self.set_state(addr, size, state)
        return region

    def note_part(self, addr: int, size: int, kind: RegionKind, name: str) -> None:
        """Say for reports that a part of a region now belongs to whoever allocates just now."""
        self._regions.add_part(Region(addr, size, kind, name, self.site))

    def note_freed(self, addr: int) -> None:
        """Say for reports that the part at ``addr`` was given back just now."""
        part = self._regions.part_at(addr)
        if part is not None:
            part.freed_by = self.site or Site(-1, "", "")

    def set_state(self, addr: int, size: int, state: int) -> None:
        """Set the shadow of ``size`` bytes at ``addr``."""
        low = addr - self.base
        if low < 0 or low + size > self.size:
            raise InternalError(f"shadow of {addr:#x}+{size:#x} is outside the arena")
        self.shadow[low : low + size] = bytes([state]) * size

    def state_of(self, addr: int) -> int:
        """The shadow state of one byte; 0 outside the arena."""
        low = addr - self.base
        return self.shadow[low] if 0 <= low < self.size else 0

    @property
    def used(self) -> int:
        """Bytes of the arena handed out so far, red zones included."""
        return self._next - self.base

    # ---- the kernel's accesses ----------------------------------------------------------

    def contains(self, addr: int, size: int = 1) -> bool:
        """Is every byte inside the arena and mapped to something not freed?"""
        low = addr - self.base
        if low < 0 or low + size > self.size:
            return False
        return not self.shadow[low : low + size].translate(*_UNMAPPED)

    def read(self, addr: int, size: int) -> bytes:
        """Bytes as the kernel reads them; Trap when something there is not mapped."""
        low = addr - self.base
        if low < 0 or low + size > self.size or self.shadow[low : low + size].translate(*_UNMAPPED):
            raise self.trap(addr, size, "read")
        return self.data[low : low + size]

    def write(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Bytes as the kernel writes them; UNINIT bytes become VALID."""
        size = len(data)
        low = addr - self.base
        states = self.shadow[low : low + size] if low >= 0 else b""
        if len(states) != size or low + size > self.size or states.translate(*_UNMAPPED):
            raise self.trap(addr, size, "write")
        self.data[low : low + size] = bytes(data)
        if UNINIT in states:
            self.shadow[low : low + size] = states.replace(bytes([UNINIT]), bytes([VALID]))

    def read_int(self, addr: int, size: int, signed: bool = False) -> int:
        """A little-endian integer as the kernel reads it."""
        low = addr - self.base
        if size == 8 and not low & 7 and 0 <= low < self.size and self.shq[low >> 3] in _WHOLE:
            value = self.q[low >> 3]
            return value - (1 << 64) if signed and value >> 63 else value
        if low < 0 or low + size > self.size or self.shadow[low : low + size].translate(*_UNMAPPED):
            raise self.trap(addr, size, "read")
        return int.from_bytes(self.data[low : low + size], "little", signed=signed)

    def write_int(self, addr: int, size: int, value: int) -> None:
        """Write the low ``size`` bytes of ``value``."""
        low = addr - self.base
        if size == 8 and not low & 7 and 0 <= low < self.size and self.shq[low >> 3] in _WHOLE:
            self.q[low >> 3] = value & U64
            return
        self.write(addr, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    # ---- the program's accesses ---------------------------------------------------------

    def load(self, addr: int, size: int, kind: LoadKind = LoadKind.UNKNOWN) -> int:
        """What a load instruction reads, unsigned; Trap unless each byte may be read.

        Reads of never-written bytes succeed and are noted in ``findings``.
        """
        low = (addr - self.base) & U64
        if low + size > self.size:
            raise self.trap(addr, size, "read")
        unwritten = False
        for state in self.shadow[low : low + size]:
            if state & ITER_BIT and kind == LoadKind.STACK:
                raise self.trap(addr, size, "read", FaultKind.ITERATOR_STATE)
            if not state & READ:
                if not state & UNINIT_BIT:
                    raise self.trap(addr, size, "read")
                unwritten = True
        if unwritten:
            self.findings.append((FaultKind.UNINITIALISED, addr, size))
        return int.from_bytes(self.data[low : low + size], "little")

    def store(self, addr: int, size: int, value: int, kind: LoadKind = LoadKind.UNKNOWN) -> None:
        """What a store instruction writes; Trap unless each byte may be written.

        Overwritten iterator bytes are noted in ``clobbered``: the kernel accepts the store and
        refuses the next use of the iterator.  Through an element pointer they are read-only.
        """
        low = (addr - self.base) & U64
        if low + size > self.size:
            raise self.trap(addr, size, "write")
        self._check_write(low, addr, size, kind)
        self.shadow[low : low + size] = bytes([VALID]) * size
        self.data[low : low + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def load_bytes(self, addr: int, size: int) -> bytes:
        """Bytes that the program hands to the kernel: each must be readable by the program."""
        low = (addr - self.base) & U64
        if low + size > self.size:
            raise self.trap(addr, size, "read")
        states = self.shadow[low : low + size]
        if states.translate(None, _TAKEN):
            in_iter = any(state & ITER_BIT for state in states)
            raise self.trap(addr, size, "read", FaultKind.ITERATOR_STATE if in_iter else None)
        if UNINIT in states:
            self.findings.append((FaultKind.UNINITIALISED, addr, size))
        return self.data[low : low + size]

    def store_bytes(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Bytes that the kernel hands to the program: each must be writable by the program."""
        size = len(data)
        low = (addr - self.base) & U64
        if low + size > self.size:
            raise self.trap(addr, size, "write")
        self._check_write(low, addr, size, LoadKind.UNKNOWN)
        self.shadow[low : low + size] = bytes([VALID]) * size
        self.data[low : low + size] = bytes(data)

    def _check_write(self, low: int, addr: int, size: int, kind: LoadKind) -> None:
        """Trap unless each byte may be written; iterator bytes are noted."""
        states = set(self.shadow[low : low + size])
        if any(not state & (WRITE | ITER_BIT) for state in states):
            raise self.trap(addr, size, "write")
        if any(state & ITER_BIT for state in states):
            if kind is LoadKind.MEM:
                raise self.trap(addr, size, "write", FaultKind.READ_ONLY)
            self.clobbered.append((addr, size))

    # ---- reports ------------------------------------------------------------------------

    def find_region(self, addr: int) -> Region | None:
        """The region that holds ``addr``, or None."""
        region = self._regions.nearest(addr)
        return region if region is not None and region.addr <= addr < region.end else None

    def regions(self) -> list[Region]:
        """Every region, by address; freed ones while their bytes are not in use again."""
        return list(self._regions)

    def owner(self, addr: int) -> Region | None:
        """The region, or the part of one, that an address belongs to or lies next to."""
        inside = self.base <= addr < self.base + self.size
        return self._regions.innermost(addr) if inside else None

    def describe(self, addr: int) -> str:
        """In words: which region an address belongs to or lies next to."""
        if PAGE <= addr < USER_END:
            return "a user address: bpf_probe_read_user and bpf_copy_from_user read there"
        if not self.base <= addr < self.base + self.size:
            return "no emulated memory is near"
        return self._regions.describe(addr)

    def trap(self, addr: int, size: int, verb: str, kind: FaultKind | None = None) -> Trap:
        """The Trap for an access of ``size`` bytes at ``addr`` that is not allowed."""
        addr &= U64
        bad = addr if kind else self._first_bad(addr, size, verb)
        near = self.owner(bad)
        kind = kind or self._kind(addr, bad, verb)
        return Trap(
            Fault(
                kind=kind,
                detail=f"{verb} of {size} bytes at {addr:#x}: {kind.value}",
                addr=addr,
                size=size,
                region=self.describe(bad),
                allocated_by=near.allocated_by if near else None,
                freed_by=near.freed_by if near else None,
            )
        )

    def _first_bad(self, addr: int, size: int, verb: str) -> int:
        low = addr - self.base
        if not 0 <= low < self.size:
            return addr
        states = self.shadow[low : min(low + size, self.size)]
        rest = states.lstrip(_READABLE if verb == "read" else _WRITABLE)
        return addr + len(states) - len(rest)

    def _kind(self, addr: int, bad: int, verb: str) -> FaultKind:
        state = self.state_of(bad)
        if addr < PAGE:
            return FaultKind.NULL_DEREF
        if state & FREED:
            return FaultKind.USE_AFTER_FREE
        if verb == "write" and state & READ:
            return FaultKind.READ_ONLY
        return FaultKind.OUT_OF_BOUNDS
