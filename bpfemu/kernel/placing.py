"""Where an image wants its maps and data: claimed in the order of addresses.

::

    arena base ──▶ map handle │ map handle │ … │ array values │ .data │ .rodata │ … │ the heap
"""

from __future__ import annotations

from typing import Final

from bpfemu.errors import InputError
from bpfemu.image import MapSlot, ProgramImage
from bpfemu.machine.memory import KERNEL, READ_ONLY, VALID, Memory, RegionKind

__all__ = ["HANDLE_SIZE", "place_image"]

HANDLE_SIZE: Final = 512  # bytes: what stands for a struct bpf_map


def place_image(image: ProgramImage, memory: Memory, placed: dict[int, str]) -> list[MapSlot]:
    """Claim what is not in ``placed`` yet and fill in the data; the maps that are new."""
    wanted: dict[int, tuple[str, MapSlot | None]] = {}
    new = [slot for slot in image.maps if _is_new(slot.addr, slot.definition.name, placed)]
    for slot in new:
        wanted[slot.addr] = slot.definition.name, slot
        if slot.values:
            wanted[slot.values] = slot.definition.name, slot
    segments = {
        segment.addr: segment
        for segment in image.segments
        if _is_new(segment.addr, segment.map_name, placed)
    }
    for addr in sorted({*wanted, *segments}):
        segment = segments.get(addr)
        if segment is not None:
            state = VALID if segment.writable else READ_ONLY
            memory.place(addr, len(segment.data), RegionKind.DATA, segment.name, state)
            memory.write(addr, segment.data)
            placed[addr] = segment.map_name
            continue
        name, owner = wanted[addr]
        assert owner is not None
        if addr == owner.addr:
            memory.place(addr, HANDLE_SIZE, RegionKind.MAP, f"map {name!r}", KERNEL)
        else:
            size = _values_size(owner)
            memory.place(addr, size, RegionKind.VALUE, f"map {name!r} values")
        placed[addr] = name
    return new


def _is_new(addr: int, name: str, placed: dict[int, str]) -> bool:
    """False when it is there already; InputError when something else is."""
    there = placed.get(addr)
    if there is not None and there != name:
        raise InputError(f"{name!r} wants {addr:#x}, where {there!r} of another object is")
    return there is None


def _values_size(slot: MapSlot) -> int:
    """Bytes of an array's values: elements are rounded up to 8."""
    definition = slot.definition
    return ((definition.value_size + 7) & ~7) * definition.max_entries
