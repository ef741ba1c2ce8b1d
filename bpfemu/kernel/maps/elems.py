"""Where the elements of hash maps come from: a preallocated free list, or bpf_mem_alloc.

Preallocated elements return to the free list of the CPU that deletes them and are handed out
again newest first.  Nobody waits for readers: a program that kept a pointer to a deleted value
reads what is there, the next owner's value included; that is how the kernel behaves, so the bytes
stay readable here too.  Source: kernel/bpf/hashtab.c prealloc_init, alloc_htab_elem,
kernel/bpf/percpu_freelist.c.
"""

from __future__ import annotations

from typing import Protocol

from bpfemu.kernel.maps.base import BpfMap, round_up_8
from bpfemu.machine.memory import Region
from bpfemu.machine.stop import Site

__all__ = ["ELEM_HEADER", "Elem", "ElemPool", "OnDemandPool", "PreallocatedPool"]

ELEM_HEADER = 48  # sizeof(struct htab_elem)
_NOBODY = Site(-1, "", "")


class Elem:
    """One element: ``values`` are the addresses of its values, one or one per CPU."""

    __slots__ = ("bucket", "key", "key_region", "next", "regions", "unit", "values")

    def __init__(self, values: tuple[int, ...]) -> None:
        self.key = b""
        self.bucket = 0
        self.next: Elem | None = None  # in its bucket; kept when deleted, as under RCU
        self.values = values
        self.regions: tuple[Region, ...] = ()
        self.unit = 0  # address in bpf_mem_alloc
        self.key_region: Region | None = None  # the key, once a callback has asked for it


class ElemPool(Protocol):
    """Gives elements out and takes them back."""

    def take(self) -> Elem | int:
        """An element, or a negative errno."""

    def replace(self, old: Elem) -> Elem | int:
        """An element that takes the place of ``old``, or a negative errno."""

    def replaced(self, old: Elem) -> None:
        """The old one is out of its bucket."""

    def give_back(self, elem: Elem) -> None:
        """A deleted element."""


class PreallocatedPool:
    """max_entries elements, and one extra per CPU for replacing (not for per-CPU maps).

    Memory is taken when an element is first handed out.
    """

    def __init__(self, owner: BpfMap, full: int) -> None:
        self._map = owner
        self._full = full  # negative errno when the list is empty
        cpus = owner.env.cpus.count
        extra = 0 if owner.percpu else cpus
        share, rest = divmod(owner.max_entries + extra, cpus)
        self._fresh = [share + (cpu < rest) for cpu in range(cpus)]  # never handed out, by CPU
        self._free: list[list[Elem]] = [[] for _ in range(cpus)]  # last in, first out
        self._extra: list[Elem | None] = [None] * extra
        for _ in range(extra):
            self._take_fresh(owner.env.cpus.current)

    def _take_fresh(self, cpu: int) -> None:
        count = len(self._fresh)
        cpus = (other % count for other in range(cpu, cpu + count))
        self._fresh[next(cpu for cpu in cpus if self._fresh[cpu])] -= 1

    def take(self) -> Elem | int:
        """From this CPU's list, else from the next one's that has any."""
        here, count = self._map.env.cpus.current, len(self._free)
        for other in range(here, here + count):
            cpu = other % count
            if self._free[cpu]:
                return self._hand_out(self._free[cpu].pop())
            if self._fresh[cpu]:
                self._fresh[cpu] -= 1
                return self._hand_out(self._make())
        return self._full

    def replace(self, old: Elem) -> Elem | int:
        """This CPU's extra element; ``old`` becomes the extra one."""
        cpu = self._map.env.cpus.current
        new = self._extra[cpu] or self._make()
        self._extra[cpu] = old
        return self._hand_out(new)

    def replaced(self, old: Elem) -> None:
        """It is the extra element already."""
        self._retire(old)

    def give_back(self, elem: Elem) -> None:
        """To the head of this CPU's list."""
        self._retire(elem)
        self._free[self._map.env.cpus.current].append(elem)

    def _make(self) -> Elem:
        owner = self._map
        count = owner.env.cpus.count if owner.percpu else 1
        regions = tuple(owner.allocate_value() for _ in range(count))
        elem = Elem(tuple(region.addr for region in regions))
        elem.regions = regions
        return elem

    def _hand_out(self, elem: Elem) -> Elem:
        for region in elem.regions:
            region.allocated_by, region.freed_by = self._map.memory.site, None
        return elem

    def _retire(self, elem: Elem) -> None:
        for region in elem.regions:
            region.freed_by = self._map.memory.site or _NOBODY


class OnDemandPool:
    """BPF_F_NO_PREALLOC: each element is a unit of bpf_mem_alloc, per-CPU values another.

    ::

        unit ──▶ │ struct htab_elem, 48 bytes │ key, rounded up to 8 │ value, rounded up to 8 │
    """

    def __init__(self, owner: BpfMap, full: int, out_of_memory: int) -> None:
        self._map = owner
        self._full = full
        self._out_of_memory = out_of_memory
        self._count = 0
        self._value_at = ELEM_HEADER + round_up_8(owner.key_size)
        tail = 8 if owner.percpu else round_up_8(owner.value_size)
        make = owner.env.new_allocator
        self.units = make(self._value_at + tail, False, f"map {owner.name!r} element")
        self.areas = (
            make(round_up_8(owner.value_size), True, f"map {owner.name!r} value")
            if owner.percpu
            else None
        )

    def take(self) -> Elem | int:
        """A new unit; full is full, out of memory is out of memory."""
        if self._count >= self._map.max_entries:
            return self._full
        return self._allocate()

    def replace(self, old: Elem) -> Elem | int:
        """A new unit, even when the map is full: the old one goes."""
        return self._allocate()

    def replaced(self, old: Elem) -> None:
        """Back to the allocator."""
        self.give_back(old)

    def give_back(self, elem: Elem) -> None:
        """Free the unit; its bytes stay readable until a grace period has passed."""
        self._count -= 1
        if self.areas is not None:
            self.areas.cache_free(self._map.memory.read_int(elem.unit + self._value_at, 8))
        self.units.cache_free(elem.unit)
        self._open(elem)

    def _allocate(self) -> Elem | int:
        unit = self.units.cache_alloc()
        if not unit:
            return self._out_of_memory
        elem = Elem((unit + self._value_at,))
        if self.areas is not None:
            area = self.areas.cache_alloc()
            if not area:
                self.units.cache_free(unit)
                return self._out_of_memory
            self._map.memory.write_int(unit + self._value_at, 8, area)
            cpus = range(self._map.env.cpus.count)
            elem.values = tuple(self.areas.area(area, cpu) for cpu in cpus)
        elem.unit = unit
        self._count += 1
        self._open(elem)
        return elem

    def _open(self, elem: Elem) -> None:
        for addr in elem.values:
            self._map.open_value(addr)
