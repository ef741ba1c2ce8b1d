"""The units that bpf_mem_alloc deals in: where they come from, what the program may see of them.

::

    unit ──▶ ┌──────────────┐  header, 8 bytes: the next unit of a list while free,
             │ link / cache │  the cache it was popped from while allocated; KERNEL shadow
    addr ──▶ ├──────────────┤
             │   payload    │  KERNEL while allocated (its user may open it), FREED while free
             └──────────────┘

A per-CPU unit is a cell of 16 bytes whose payload is the address of the per-CPU area.
Source: iterator notes, sections 3.1, 3.4 and 3.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bpfemu.errors import InputError
from bpfemu.machine.memory import FREED, KERNEL, PAGE, Memory, Region, RegionKind
from bpfemu.machine.stop import Site

__all__ = ["HEADER", "UnitList", "Units", "natural_align"]

HEADER: Final = 8  # bytes, LLIST_NODE_SZ
CELL: Final = 16  # bytes of a per-CPU unit
_NOBODY: Final = Site(-1, "", "")


def natural_align(size: int) -> int:
    """What kmalloc aligns an object of ``size`` bytes to, in bytes.

    Its bucket's largest power-of-two divisor: 512 for 512, 32 for the 96-byte bucket.
    """
    if size > 2 * PAGE:
        return PAGE
    bucket = max(8, 1 << (size - 1).bit_length())
    if 64 < size <= 96:
        bucket = 96
    elif 128 < size <= 192:
        bucket = 192
    return bucket & -bucket


class Units:
    """Takes units from the slab allocator and returns them; knows who allocated and freed each.

    ``slab_fails`` is asked before each unit taken in irq_work (GFP_NOWAIT), with its size.
    ``freed_state`` is the shadow state of a freed payload.
    """

    def __init__(self, memory: Memory, name: str, *, percpu_count: int, freed_state: int) -> None:
        self.memory = memory
        self.name = name
        self.percpu_count = percpu_count  # areas per unit; 0: not per-CPU
        self.freed_state = freed_state
        self.slab_fails: Callable[[int], bool] | None = None
        self.regions: dict[int, Region] = {}  # unit: its region
        self.areas: dict[int, Region] = {}  # per-CPU unit: its areas
        self.live: dict[int, int] = {}  # allocated payload address: serial number
        self.serial = 0  # allocations so far

    def take(self, size: int, *, may_fail: bool) -> int:
        """A zeroed unit from the slab, 0 when there is none."""
        if may_fail and self.slab_fails is not None and self.slab_fails(size):
            return 0
        site, self.memory.site = self.memory.site, None
        try:
            region = self._percpu(size) if self.percpu_count else self._plain(size)
        except InputError:  # the arena is full: out of memory, as the kernel can be
            return 0
        finally:
            self.memory.site = site
        self.regions[region.addr] = region
        return region.addr

    def _plain(self, size: int) -> Region:
        name, align = f"{self.name}-{size}", natural_align(size)
        return self.memory.allocate(size, RegionKind.HEAP, name, align=align, state=KERNEL)

    def _percpu(self, size: int) -> Region:
        name = f"{self.name}-{size}"
        stride = self.stride(size)
        area = self.memory.allocate(
            stride * self.percpu_count, RegionKind.PERCPU, f"{name} areas", state=KERNEL
        )
        cell = self.memory.allocate(CELL, RegionKind.HEAP, name, align=CELL, state=KERNEL)
        self.memory.write_int(cell.addr + HEADER, 8, area.addr)
        self.areas[cell.addr] = area
        return cell

    @staticmethod
    def stride(size: int) -> int:
        """Bytes between the areas of two CPUs."""
        return (size + 7) & ~7

    def give_back(self, unit: int) -> None:
        """Return a unit to the slab; the report keeps who freed it."""
        region = self.regions.pop(unit)
        site, self.memory.site = self.memory.site, region.freed_by
        region.freed_by = None
        area = self.areas.pop(unit, None)
        if area is not None:
            self.memory.free(area.addr)
        self.memory.free(unit)
        self.memory.site = site

    def hand_out(self, unit: int) -> int:
        """A unit leaves the allocator: its payload address.  Old contents stay."""
        region = self.regions[unit]
        region.allocated_by, region.freed_by = self.memory.site, None
        self._paint(region, KERNEL)
        self.serial += 1
        self.live[unit + HEADER] = self.serial
        return unit + HEADER

    def take_in(self, unit: int, *, readable: bool = False) -> None:
        """A unit comes back; ``readable`` while a grace period still protects its readers."""
        self.live.pop(unit + HEADER, None)
        self.regions[unit].freed_by = self.memory.site or _NOBODY
        if not readable:
            self.bury(unit)

    def bury(self, unit: int) -> None:
        """From now on the program has no business in the payload."""
        if self.freed_state != FREED:
            return
        self._paint(self.regions[unit], FREED)

    def _paint(self, region: Region, state: int) -> None:
        low = region.addr + HEADER - self.memory.base
        size = region.size - HEADER
        self.memory.shadow[low : low + size] = bytes((state,)) * size
        area = self.areas.get(region.addr)
        if area is not None:
            self.memory.set_state(area.addr, area.size, state)


class UnitList:
    """A singly linked list of units (``struct llist_head``), linked through their headers."""

    __slots__ = ("_base", "_units", "_words")

    def __init__(self, memory: Memory) -> None:
        self._words = memory.q
        self._base = memory.base
        self._units: list[int] = []  # the head is last

    def __len__(self) -> int:
        return len(self._units)

    def __bool__(self) -> bool:
        return bool(self._units)

    def push(self, unit: int) -> None:
        """llist_add: the new head."""
        units = self._units
        self._words[(unit - self._base) >> 3] = units[-1] if units else 0
        units.append(unit)

    def pop(self) -> int:
        """llist_del_first: the head, 0 when empty."""
        return self._units.pop() if self._units else 0

    def take_all(self) -> list[int]:
        """llist_del_all: every unit, head first; the list is empty afterwards."""
        units, self._units = self._units, []
        units.reverse()
        return units

    def view(self) -> tuple[int, ...]:
        """Every unit, head first."""
        return tuple(reversed(self._units))
