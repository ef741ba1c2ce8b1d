"""Who owns which range of the arena: for reports, never for checks."""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Iterator

from bpfemu.machine.stop import Site
from bpfemu.record import dataclass

__all__ = ["Region", "RegionKind", "Regions"]


class RegionKind(enum.Enum):
    """What a region holds."""

    STACK = "stack"
    CTX = "context"
    MAP = "map"
    VALUE = "map value"
    DATA = "global data"
    HEAP = "allocator unit"
    OBJECT = "kernel object"
    PACKET = "packet"
    RECORD = "ring buffer record"
    PERCPU = "per-CPU data"
    MEMORY = "memory"


@dataclass(slots=True)
class Region:
    """A range of the arena with an owner.  ``freed_by`` is set once it is freed."""

    addr: int  # u64
    size: int  # bytes
    kind: RegionKind
    name: str
    allocated_by: Site | None = None
    freed_by: Site | None = None
    key: tuple[int, int, int] | None = None  # (size, align, offset) of those it can stand in for

    @property
    def end(self) -> int:
        """The address behind the last byte."""
        return self.addr + self.size

    def distance(self, addr: int) -> int:
        """Bytes between ``addr`` and the region; 0 inside."""
        return max(self.addr - addr, addr - self.end + 1, 0)


class Regions:
    """All regions by address; freed ones stay while their bytes are not in use again."""

    def __init__(self) -> None:
        self._by_addr: dict[int, Region] = {}
        self._starts: list[int] = []
        self._sorted = True
        self._parts: dict[int, Region] = {}  # newest last

    def __iter__(self) -> Iterator[Region]:
        self._sort()
        return (self._by_addr[start] for start in self._starts)

    def add(self, region: Region) -> None:
        """Take a region in, in the place of one that began at the same address."""
        if region.addr not in self._by_addr:
            self._sorted = False
        self._by_addr[region.addr] = region

    def add_part(self, part: Region) -> None:
        """Note who owns a part of a region; older parts that it overlaps no longer count."""
        self._parts.pop(part.addr, None)
        self._parts[part.addr] = part

    def part_at(self, addr: int) -> Region | None:
        """The part that begins at ``addr``, or None."""
        return self._parts.get(addr)

    def at(self, addr: int) -> Region | None:
        """The region that begins at ``addr``, or None."""
        return self._by_addr.get(addr)

    def nearest(self, addr: int) -> Region | None:
        """The region that holds ``addr``, else the closest one."""
        self._sort()
        if not self._starts:
            return None
        at = bisect_right(self._starts, addr)
        below = self._by_addr[self._starts[at - 1]] if at else None
        above = self._by_addr[self._starts[at]] if at < len(self._starts) else None
        if below is None or above is None:
            return below or above
        if addr < below.end or addr - below.end <= above.addr - addr:
            return below
        return above

    def innermost(self, addr: int) -> Region | None:
        """The nearest region, or, where that one has parts, the nearest of those."""
        region = self.nearest(addr)
        if region is None or not region.addr <= addr < region.end:
            return region
        parts = [part for part in self._parts.values() if region.addr <= part.addr < region.end]
        return min(reversed(parts), key=lambda part: part.distance(addr), default=region)

    def describe(self, addr: int) -> str:
        """In words: which region an address belongs to or lies next to."""
        region = self.innermost(addr)
        if region is None:
            return "no emulated memory is near"
        what = f"{region.size}-byte {region.kind.value} '{region.name}'"
        if region.freed_by is not None:
            what = f"freed {what}"
        if region.addr <= addr < region.end:
            return f"{addr - region.addr} bytes inside the {what}"
        if addr >= region.end:
            return f"{addr - region.end} bytes behind the {what}"
        return f"{region.addr - addr} bytes before the {what}"

    def _sort(self) -> None:
        if not self._sorted:
            self._starts = sorted(self._by_addr)
            self._sorted = True
