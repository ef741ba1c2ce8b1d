"""Maps on real memory, CPUs and allocators, without a kernel around them."""

from __future__ import annotations

from typing import Any

from bpfemu.image import MapSlot
from bpfemu.kernel.clock import EmulatedClock
from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.maps.base import MapEnv
from bpfemu.kernel.maps.table import MapTable
from bpfemu.kernel.mem_alloc import BpfMemAlloc
from bpfemu.kernel.random import RandomStream
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.machine.memory import KERNEL, Memory, RegionKind
from bpfemu.object import MapDef
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.layout import Layouts
from bpfemu.proto.space import Space

BASE = 0xFFFF_8880_1234_5000
CATALOG = Catalog.discover("bpfemu.kernel.maps")


class Bench:
    """A map table and what it stands on; ``allocators`` are those that maps asked for."""

    def __init__(self, cpus: int = 2, size: int = 4 << 20) -> None:
        self.memory = Memory(BASE, size)
        self.cpus = Cpus(cpus)
        self.rcu = ReadCopyUpdate()
        self.allocators: list[BpfMemAlloc] = []
        self.env = MapEnv(
            memory=self.memory,
            space=Space(self.memory, Layouts(None)),
            cpus=self.cpus,
            rcu=self.rcu,
            clock=EmulatedClock(0),
            random=RandomStream(0, "maps"),
            new_allocator=self.new_allocator,
        )
        self.table = MapTable(self.env, CATALOG)

    def new_allocator(self, size: int, percpu: bool, name: str) -> BpfMemAlloc:
        made = BpfMemAlloc(self.memory, self.cpus, self.rcu, size=size, percpu=percpu, name=name)
        self.allocators.append(made)
        return made

    def create(
        self, type: int, key: int, value: int, entries: int, flags: int = 0, **more: Any
    ) -> Any:
        """A map with a handle of its own."""
        definition = MapDef(more.pop("name", "m"), type, key, value, entries, flags, **more)
        handle = self.memory.allocate(512, RegionKind.MAP, definition.name, state=KERNEL)
        return self.table.create(MapSlot(definition, handle.addr))


def u32(number: int) -> bytes:
    """A key or value of four bytes."""
    return number.to_bytes(4, "little")


def u64(number: int) -> bytes:
    """A value of eight bytes."""
    return number.to_bytes(8, "little")
