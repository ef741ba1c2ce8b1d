"""bpf_mem_alloc: size classes, per-CPU caches, nothing that may sleep or wait.

Source: iterator notes, section 3 (kernel/bpf/memalloc.c).  Caches are created when first touched;
a created cache holds its prefill, so nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bpfemu.errors import InputError, InternalError
from bpfemu.kernel.cpu import Cpus, CpuState
from bpfemu.kernel.mem_cache import Cache
from bpfemu.kernel.mem_units import HEADER, Units
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.machine.memory import FREED, KERNEL, Memory, RegionKind
from bpfemu.machine.stop import Fault, FaultKind, Site, Trap
from bpfemu.outcome import CacheStats
from bpfemu.record import dataclass

__all__ = ["SIZES", "BpfMemAlloc", "CacheView", "class_index"]

SIZES: Final = (96, 192, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Unit sizes in bytes, in the order of the kernel's array."""

CACHE_SIZE: Final = 208  # sizeof(struct bpf_mem_cache), 6.18
E2BIG: Final = 7


def class_index(total: int) -> int:
    """The index in :data:`SIZES` for ``total`` bytes, header included; -1 when there is none."""
    if total <= 0 or total > 4096:
        return -1
    if total <= 192:
        return next(index for limit, index in _SMALL if total <= limit)
    return (total - 1).bit_length() - 2  # 256: index 6, 512: index 7, …


_SMALL: Final = ((16, 2), (32, 3), (64, 4), (96, 0), (128, 5), (192, 1))


@dataclass(frozen=True, slots=True)
class CacheView:
    """One cache as it stands: every list, head first, by the addresses of its units."""

    cpu: int
    unit_size: int  # bytes
    addr: int
    free_cnt: int
    active: int
    pending: bool  # the refill work waits
    low: int
    high: int
    batch: int
    lists: dict[str, tuple[int, ...]]


class BpfMemAlloc:
    """One ``struct bpf_mem_alloc`` (service ``mem_alloc``).

    ``size`` 0 gives every class; otherwise one class for objects of that many bytes.  ``percpu``
    units hold the address of one area per CPU.  ``alloc_fails`` is asked before each allocation,
    with its size: True makes the cache behave as if its free list were empty.
    """

    def __init__(
        self,
        memory: Memory,
        cpus: Cpus,
        rcu: ReadCopyUpdate,
        *,
        size: int = 0,
        percpu: bool = False,
        name: str = "bpf_mem_alloc",
        freed_state: int = FREED,
    ) -> None:
        self.name = name
        self.percpu = percpu
        self.alloc_fails: Callable[[int], bool] | None = None
        self.units = Units(
            memory, name, percpu_count=cpus.count if percpu else 0, freed_state=freed_state
        )
        self._cpus = cpus
        self._rcu = rcu
        self._fixed = size + (0 if percpu else HEADER) if size else 0
        self._caches: dict[tuple[int, int], Cache] = {}  # (CPU, class index)
        self._by_addr: dict[int, Cache] = {}
        self._blocks: dict[int, int] = {}  # CPU: address of its caches
        self._destroyed = False

    @property
    def fixed_size(self) -> int:
        """Bytes of a unit where there is one class only, 0 where there is every class."""
        return self._fixed

    # ---- the kernel's entry points --------------------------------------------------------

    def alloc(self, size: int) -> int:
        """bpf_mem_alloc: the address of ``size`` bytes, 0 when there are none."""
        if size <= 0:
            return 0
        index = class_index(size if self.percpu else size + HEADER)
        if index < 0:
            return 0
        return self._alloc(self._cache(self._cpus.here, index), size)

    def free(self, addr: int) -> None:
        """bpf_mem_free: into this CPU's cache; reusable at once; 0 is ignored."""
        if addr:
            allocator = self._owner(addr)
            self._here(allocator).free(addr - HEADER, allocator)

    def free_rcu(self, addr: int) -> None:
        """bpf_mem_free_rcu: reusable after the grace periods; 0 is ignored."""
        if addr:
            allocator = self._owner(addr)
            self._here(allocator).free_after_rcu(addr - HEADER, allocator)

    def cache_alloc(self) -> int:
        """bpf_mem_cache_alloc: an object of the fixed size, or 0."""
        return self._alloc(self._cache(self._cpus.here, 0), self._fixed)

    def cache_alloc_sleepable(self) -> int:
        """bpf_mem_cache_alloc_flags(GFP_KERNEL): straight from the slab when the cache is empty."""
        addr = self.cache_alloc()
        unit = 0 if addr else self.units.take(self._fixed, may_fail=False)
        if not unit:
            return addr
        cache = self._cache(self._cpus.here, 0)
        self.units.memory.write_int(unit, 8, cache.addr)
        return self.units.hand_out(unit)

    cache_free = free
    cache_free_rcu = free_rcu

    def raw_free(self, addr: int) -> None:
        """bpf_mem_cache_raw_free: past the lists, back to the slab; 0 is ignored."""
        if addr:
            self._owner(addr)
            self.units.take_in(addr - HEADER)
            self.units.give_back(addr - HEADER)

    def check_size(self, size: int) -> int:
        """bpf_mem_alloc_check_size: 0, or -E2BIG when no class is large enough."""
        return -E2BIG if size > (4096 if self.percpu else 4096 - HEADER) else 0

    def area(self, addr: int, cpu: int) -> int:
        """The area of one CPU behind a per-CPU object (``*(void __percpu **)addr``)."""
        size = self._owner(addr).unit_size
        return self.units.areas[addr - HEADER].addr + cpu * self.units.stride(size)

    def destroy(self) -> None:
        """bpf_mem_alloc_destroy: every list back to the slab, now or after the grace periods."""
        self._destroyed = True
        for cache in self._caches.values():
            cache.draining = True
            cache.cpu.sync(cache.work)
            cache.drain()
        if any(c.call_rcu_in_progress or c.call_rcu_ttrace_in_progress for c in self._all()):
            self._rcu.call_rcu_tasks_trace(lambda: self._rcu.call_rcu(self._assert_empty))

    # ---- insides --------------------------------------------------------------------------

    def _alloc(self, cache: Cache, size: int) -> int:
        refuse = self.alloc_fails is not None and self.alloc_fails(size)
        return cache.alloc(refuse=refuse)

    def _owner(self, addr: int) -> Cache:
        """The cache whose address stands in the header: the one that it was allocated from."""
        if addr not in self.units.live:
            raise Trap(self._bad_free(addr))
        cache = self._by_addr.get(self.units.memory.read_int(addr - HEADER, 8))
        if cache is None:
            raise InternalError(f"{self.name}: the header before {addr:#x} names no cache")
        return cache

    def _bad_free(self, addr: int) -> Fault:
        region = self.units.memory.find_region(addr)
        twice = addr - HEADER in self.units.regions
        return Fault(
            FaultKind.DOUBLE_FREE if twice else FaultKind.BAD_CALL,
            f"free of {addr:#x}, which {'is free already' if twice else 'was never allocated'}",
            addr=addr,
            region=self.units.memory.describe(addr),
            allocated_by=region.allocated_by if region else None,
            freed_by=region.freed_by if region else None,
        )

    def _here(self, allocator: Cache) -> Cache:
        index = 0 if self._fixed else SIZES.index(allocator.unit_size)
        return self._cache(self._cpus.here, index)

    def _cache(self, cpu: CpuState, index: int) -> Cache:
        cache = self._caches.get((cpu.id, index))
        return cache if cache is not None else self._create(cpu, index)

    def _create(self, cpu: CpuState, index: int) -> Cache:
        if self._destroyed:
            raise InternalError(f"{self.name} is used after its destruction")
        addr = self._block(cpu.id) + index * CACHE_SIZE
        size = self._fixed or SIZES[index]
        cache = Cache(self.units, cpu, self._rcu, size, addr)
        self._caches[cpu.id, index] = self._by_addr[addr] = cache
        return cache

    def _block(self, cpu: int) -> int:
        addr = self._blocks.get(cpu)
        if addr is None:
            size = CACHE_SIZE * (1 if self._fixed else len(SIZES))
            name = f"{self.name} caches of CPU {cpu}"
            region = self.units.memory.allocate(size, RegionKind.PERCPU, name, state=KERNEL)
            region.allocated_by = None
            addr = self._blocks[cpu] = region.addr
        return addr

    def _all(self) -> list[Cache]:
        return [self._caches[key] for key in sorted(self._caches)]

    def _assert_empty(self) -> None:
        for cache in self._all():
            for name, units in cache.lists().items():
                if units:
                    raise InternalError(f"{self.name}: {name} holds {len(units)} units at the end")

    # ---- for tests, stress plans and the debugger -------------------------------------------

    def cache(self, unit_size: int, cpu: int = 0) -> Cache:
        """One cache (created now if nobody touched it); InputError for an unknown class."""
        if unit_size != self._fixed and (self._fixed or unit_size not in SIZES):
            known = (self._fixed,) if self._fixed else SIZES
            raise InputError(f"{self.name} has no class of {unit_size} bytes, only {known}")
        return self._cache(self._cpus.state(cpu), 0 if self._fixed else SIZES.index(unit_size))

    @contextmanager
    def inside(self, unit_size: int, cpu: int = 0) -> Iterator[None]:
        """As if an NMI struck while somebody was inside that cache's lists."""
        cache = self.cache(unit_size, cpu)
        cache.active += 1
        try:
            yield
        finally:
            cache.active -= 1

    def allocated_since(self, serial: int) -> list[tuple[int, int, Site | None]]:
        """(address, size, who) of what was allocated after ``units.serial`` was ``serial``."""
        regions = self.units.regions
        found = []
        for addr, number in reversed(self.units.live.items()):
            if number <= serial:
                break
            region = regions[addr - HEADER]
            found.append((addr, region.size - HEADER, region.allocated_by))
        return found[::-1]

    def snapshot(self) -> dict[tuple[int, int], tuple[int, int, int, int]]:
        """The counters of every touched cache, for :meth:`stats`."""
        return {key: cache.counters() for key, cache in self._caches.items()}

    def stats(
        self, since: dict[tuple[int, int], tuple[int, int, int, int]] | None = None
    ) -> tuple[CacheStats, ...]:
        """Every cache that anything happened in since the snapshot, by CPU and size."""
        since = since or {}
        zero = (0, 0, 0, 0)
        stats = [
            cache.stats(since.get(key, zero))
            for key, cache in self._caches.items()
            if cache.counters() != since.get(key, zero)
        ]
        return tuple(sorted(stats, key=lambda s: (s.cpu, s.unit_size)))

    def heap_view(self) -> tuple[CacheView, ...]:
        """Every touched cache with its lists, by CPU and class index."""
        return tuple(
            CacheView(
                c.cpu.id,
                c.unit_size,
                c.addr,
                c.free_cnt,
                c.active,
                bool(c.work.flags & 1),
                c.low,
                c.high,
                c.batch,
                {name: units.view() for name, units in c.lists().items()},
            )
            for c in self._all()
        )
