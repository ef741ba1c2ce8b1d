"""Fixed addresses for maps, array values and global data.

::

    arena_base                                                            free
    │ page 0 │ map handles, 512 bytes each │ array values │ data sections │ …

They depend on the object and the seed alone, so every program of an object agrees about them.
The names, flags and sizes of data maps are those libbpf gives them (notes, section 8.7).
"""

from __future__ import annotations

from errno import EINVAL, ENOMEM
from typing import Final

from bpfemu.bind.options import BindOptions
from bpfemu.errors import BindError
from bpfemu.image import MapSlot, Segment
from bpfemu.object import BpfObject, DataSection, MapDef
from bpfemu.record import dataclass, replace

__all__ = ["HANDLE_SIZE", "Layout", "arena_base", "data_map", "lay_out"]

HANDLE_SIZE: Final = 512  # bytes that a map pointer points at
PAGE: Final = 4096
GAP: Final = 64  # bytes kept free between neighbours

_DIRECT_MAP: Final = 0xFFFF_8880_0000_0000  # x86-64 page_offset_base
_SPREAD: Final = (64 << 30) // PAGE  # pages within which the seed places the arena

ARRAY: Final = 2
RINGBUFS: Final = (27, 31)  # RINGBUF, USER_RINGBUF
ARENA_SECTION: Final = ".addr_space.1"  # initial data of an arena, no map of its own
_F_RDONLY_PROG: Final = 1 << 7
_F_MMAPABLE: Final = 1 << 10


def arena_base(seed: int) -> int:
    """Where the arena begins for a seed: a page below 64 GiB of the direct map."""
    return _DIRECT_MAP + _splitmix64(seed) % _SPREAD * PAGE


def _splitmix64(seed: int) -> int:
    mask = (1 << 64) - 1
    z = (seed + 0x9E37_79B9_7F4A_7C15) & mask
    z = (z ^ z >> 30) * 0xBF58_476D_1CE4_E5B9 & mask
    z = (z ^ z >> 27) * 0x94D0_49BB_1331_11EB & mask
    return z ^ z >> 31


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of an object lies; addresses are u64."""

    base: int
    maps: tuple[MapSlot, ...]  # declared ones first, then those of the data sections
    segments: tuple[Segment, ...]

    def map_at(self, section: str, offset: int) -> MapSlot | None:
        """The declared map whose variable stands at these bytes of a section."""
        for slot in self.maps:
            if slot.definition.section == section and slot.definition.offset == offset:
                return slot
        return None

    def segment(self, name: str) -> Segment | None:
        """The segment of a data section."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def map_of(self, segment: Segment) -> MapSlot | None:
        """The array map that a segment is the value of."""
        return next((slot for slot in self.maps if slot.values == segment.addr), None)


class _Cursor:
    """Hands out ascending addresses within the arena."""

    def __init__(self, base: int, size: int) -> None:
        self._next = base + PAGE
        self._end = base + size

    def take(self, size: int, align: int, what: str) -> int:
        addr = (self._next + align - 1) // align * align
        if addr + size + GAP > self._end:
            rule = f"{what} needs {size} bytes, the arena has {max(self._end - addr, 0)} left"
            raise BindError(rule, symbol=what, errno=ENOMEM)
        self._next = addr + size + GAP
        return addr


def lay_out(obj: BpfObject, options: BindOptions, kconfig: bytes) -> Layout:
    """Place an object; ``kconfig`` is what its ``.kconfig`` section holds."""
    base = arena_base(options.seed)
    cursor = _Cursor(base, options.arena_size)
    declared = [_definition(found, options) for found in obj.maps]
    sections = [_filled(s, options, kconfig) for s in obj.data if s.name != ARENA_SECTION]
    data_maps = [data_map(obj.name, section) for section in sections]
    definitions = [*declared, *data_maps]
    handles = [cursor.take(HANDLE_SIZE, 64, f"map {d.name!r}") for d in definitions]
    slots = [
        MapSlot(definition, addr, _values(cursor, definition), _inner(definition))
        for definition, addr in zip(declared, handles, strict=False)
    ]
    segments = []
    for section, definition, addr in zip(
        sections, data_maps, handles[len(declared) :], strict=True
    ):
        align = PAGE if definition.flags & _F_MMAPABLE else 8
        values = cursor.take(len(section.data), align, f"section {section.name!r}")
        slots.append(MapSlot(definition, addr, values))
        segments.append(
            Segment(
                section.name,
                definition.name,
                values,
                section.data,
                section.writable,
                section.btf_id,
            )
        )
    return Layout(base, tuple(slots), tuple(segments))


def _definition(found: MapDef, options: BindOptions) -> MapDef:
    found = options.map_overrides.get(found.name, found)
    if found.type in RINGBUFS and found.max_entries:
        entries = PAGE
        while entries < found.max_entries:
            entries *= 2
        found = replace(found, max_entries=entries)
    return found


def _inner(definition: MapDef) -> MapSlot | None:
    if definition.inner is None:
        return None
    return MapSlot(replace(definition.inner, name=f"{definition.name}.inner"[:15]), 0)


def _values(cursor: _Cursor, definition: MapDef) -> int:
    """The first value of an array; array_map_alloc rounds each element up to 8 bytes."""
    if definition.type != ARRAY:
        return 0
    size = (definition.value_size + 7) // 8 * 8 * definition.max_entries
    align = PAGE if definition.flags & _F_MMAPABLE else 8
    return cursor.take(size, align, f"map {definition.name!r}") if size else 0


def _filled(section: DataSection, options: BindOptions, kconfig: bytes) -> DataSection:
    """The section with the bytes it will start with."""
    if section.name == ".kconfig":
        return replace(section, data=kconfig)
    data = options.rodata.get(section.name)
    if data is None:
        return section
    if len(data) != len(section.data):
        rule = f"section {section.name!r} has {len(section.data)} bytes, not {len(data)}"
        raise BindError(rule, symbol=section.name, errno=EINVAL)
    return replace(section, data=bytes(data))


def data_map(object_name: str, section: DataSection) -> MapDef:
    """The array map that libbpf makes of a data section."""
    flags = _F_MMAPABLE if section.mmapable else 0
    if not section.writable:
        flags |= _F_RDONLY_PROG
    return MapDef(
        name=_data_map_name(object_name, section.name),
        type=ARRAY,
        key_size=4,
        value_size=len(section.data),
        max_entries=1,
        flags=flags,
        value_type=section.btf_id,
        section=section.name,
    )


def _data_map_name(object_name: str, section: str) -> str:
    if "." in section[1:]:
        name = section[:15]  # a section of the user's own keeps its name
    else:
        suffix = min(max(7, len(section)), 15)
        name = object_name[: 15 - suffix] + section[:suffix]
    return "".join(c if c.isascii() and (c.isalnum() or c in "_.") else "_" for c in name)
