"""The heap of a bpf_mem_alloc at one moment: every list, every counter, who owns what.

::

    bpf_global_ma
      cpu 0 class 128 at 0xffff…: free_cnt 3 (low 32, high 96, batch 48), refill pending
        free_llist        0xffff…48 0xffff…c8 0xffff…48        head first: the next one handed out
        allocated         0xffff…48, 128 bytes: call bpf_iter_task_vma_new at walk+7 (…)
"""

from __future__ import annotations

from typing import Any

from bpfemu.kernel.mem_alloc import BpfMemAlloc, CacheView
from bpfemu.kernel.mem_units import HEADER
from bpfemu.machine.stop import Site
from bpfemu.record import dataclass

__all__ = ["HeapView", "LiveUnit", "view_heap"]


@dataclass(frozen=True, slots=True)
class LiveUnit:
    """A unit that somebody owns."""

    addr: int  # of the unit; its payload starts 8 bytes behind
    size: int  # bytes, header included
    serial: int  # the how manieth allocation it was
    owner: Site | None  # the call that allocated it, None outside any program

    @property
    def payload(self) -> int:
        """What bpf_mem_alloc returned."""
        return self.addr + HEADER


@dataclass(frozen=True, slots=True)
class HeapView:
    """One allocator: its touched caches by CPU and class, its live units in the order made."""

    name: str
    caches: tuple[CacheView, ...]
    live: tuple[LiveUnit, ...]

    def data(self) -> dict[str, Any]:
        """Everything as plain data, for JSON; addresses are numbers."""
        return {
            "name": self.name,
            "caches": [
                {name: getattr(cache, name) for name in CacheView.__dataclass_fields__}
                for cache in self.caches
            ],
            "live": [
                {
                    "addr": unit.addr,
                    "payload": unit.payload,
                    "size": unit.size,
                    "serial": unit.serial,
                    "owner": None if unit.owner is None else str(unit.owner),
                }
                for unit in self.live
            ],
        }

    def __str__(self) -> str:
        lines = [self.name]
        for cache in self.caches:
            lines += _cache_lines(cache)
        lines += [
            f"  allocated {unit.addr:#x}, {unit.size} bytes: {unit.owner or 'outside any program'}"
            for unit in self.live
        ]
        return "\n".join(lines)


def _cache_lines(cache: CacheView) -> list[str]:
    notes = ", refill pending" if cache.pending else ""
    notes += f", active {cache.active}" if cache.active else ""
    head = (
        f"  cpu {cache.cpu} class {cache.unit_size} at {cache.addr:#x}: free_cnt {cache.free_cnt} "
        f"(low {cache.low}, high {cache.high}, batch {cache.batch}){notes}"
    )
    lists = [
        f"    {name:<21} {' '.join(f'{unit:#x}' for unit in units)}"
        for name, units in cache.lists.items()
        if units
    ]
    return [head, *lists]


def view_heap(allocator: BpfMemAlloc) -> HeapView:
    """The allocator as it stands now."""
    units = allocator.units
    live = tuple(
        LiveUnit(
            addr - HEADER,
            units.regions[addr - HEADER].size,
            serial,
            units.regions[addr - HEADER].allocated_by,
        )
        for addr, serial in units.live.items()
    )
    return HeapView(allocator.name, allocator.heap_view(), live)
