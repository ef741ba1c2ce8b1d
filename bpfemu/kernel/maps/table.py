"""The maps of one kernel (service ``maps``): created from their slots, found by address."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EINVAL
from typing import Final

from bpfemu.btf import Btf
from bpfemu.errors import InputError
from bpfemu.image import MapSlot
from bpfemu.kernel.maps.base import BpfMap, MapEnv
from bpfemu.kernel.maps.create import check_common
from bpfemu.kernel.maps.fields import find_fields
from bpfemu.kernel.maps.ringbuf import RingbufMap
from bpfemu.kernel.maps.types import map_type_name
from bpfemu.proto.catalog import Catalog

__all__ = ["MapTable"]

FROZEN_SECTIONS: Final = (".rodata", ".kconfig")
"""Data sections whose maps libbpf freezes once they are filled."""


class MapTable:
    """Creates what the catalog offers and remembers it."""

    def __init__(self, env: MapEnv, catalog: Catalog) -> None:
        self._env = env
        self._catalog = catalog
        self._by_addr: dict[int, BpfMap] = {}
        self._rings: list[RingbufMap] = []

    def create(self, slot: MapSlot, btf: Btf | None = None) -> BpfMap:
        """BPF_MAP_CREATE; ``btf`` is the object's, for special fields of the values.

        InputError with the kernel's errno for attributes that it refuses.
        """
        definition = slot.definition
        check_common(definition)
        cls: type[BpfMap] | None = self._catalog.map_types.get(definition.type)
        if cls is None:
            kind = map_type_name(definition.type)
            raise InputError(f"map {definition.name!r}: bpfemu has no {kind} yet", errno=EINVAL)
        cls.check(definition)
        made = cls(slot, self._env, find_fields(btf, definition.value_type))
        if definition.section.startswith(FROZEN_SECTIONS):
            made.freeze()
        self._by_addr[slot.addr] = made
        if isinstance(made, RingbufMap):
            self._rings.append(made)
        return made

    def at(self, addr: int) -> BpfMap | None:
        """The map that a map pointer in a program stands for."""
        return self._by_addr.get(addr)

    def find(self, name: str) -> BpfMap | None:
        """The map with this name; the one created last where several have it."""
        found = [one for one in self if one.name == name]
        return found[-1] if found else None

    def record_at(self, addr: int) -> RingbufMap | None:
        """The ring buffer in which a record is reserved at ``addr``."""
        return next((ring for ring in self._rings if addr in ring.reserved), None)

    def __iter__(self) -> Iterator[BpfMap]:
        """Every map, in order of creation."""
        return iter(self._by_addr.values())

    def __len__(self) -> int:
        return len(self._by_addr)
