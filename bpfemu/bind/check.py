"""Structural rules, and what reached code may ask of this kernel."""

from __future__ import annotations

from errno import E2BIG, EINVAL, ENOTSUP
from typing import Final

from bpfemu.bind.layout import Layout
from bpfemu.bind.link import Linked
from bpfemu.bind.relocate import Relocated
from bpfemu.bind.values import Kind
from bpfemu.errors import BindError, DecodeError
from bpfemu.isa.flow import check_structure
from bpfemu.proto.catalog import Catalog

__all__ = ["MAP_TYPES", "check_reached", "check_shape", "map_type_name"]

MAX_SUBPROGS: Final = 256
MAX_MAPS: Final = 64
MAX_SLOTS: Final = 1_000_000

_MAP_TYPE_TEXT: Final = """
unspec hash array prog_array perf_event_array percpu_hash percpu_array stack_trace cgroup_array
lru_hash lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap sockmap cpumap xskmap
sockhash cgroup_storage reuseport_sockarray percpu_cgroup_storage queue stack sk_storage
devmap_hash struct_ops ringbuf inode_storage task_storage bloom_filter user_ringbuf cgrp_storage
arena
"""

MAP_TYPES: Final = tuple(_MAP_TYPE_TEXT.split())
"""bpftool's names by BPF_MAP_TYPE_* number."""


def map_type_name(number: int) -> str:
    """``hash`` for 1."""
    return MAP_TYPES[number] if 0 < number < len(MAP_TYPES) else f"type {number}"


def check_shape(linked: Linked) -> None:
    """The kernel's limits and its rules about control flow, in its words (notes, section 6)."""

    def refuse(rule: str, errno: int, slot: int | None = None) -> BindError:
        return BindError(rule, program=linked.name, slot=slot, errno=errno)

    if len(linked.code) > MAX_SLOTS:
        rule = f"program of {len(linked.code)} insns, at most {MAX_SLOTS} are allowed"
        raise refuse(rule, E2BIG)
    if len(linked.parts) > MAX_SUBPROGS:
        raise refuse(f"too many subprograms: {len(linked.parts)} > {MAX_SUBPROGS}", E2BIG)
    entries = [0] + [linked.exception_callback] * (linked.exception_callback >= 0)
    try:
        check_structure(linked.code, entries=entries)
    except DecodeError as error:
        rule = str(error).partition(": ")[2]
        raise refuse(rule, error.errno or EINVAL, error.slot) from error


def check_reached(
    linked: Linked, found: Relocated, reached: bytearray, layout: Layout, catalog: Catalog
) -> None:
    """Raise the first thing that reached code wants and this kernel lacks."""
    for slot, error in sorted(found.errors.items(), key=lambda item: item[0]):
        if reached[slot]:
            raise error
    used: dict[int, int] = {}
    for slot, value in sorted(found.values.items()):
        if reached[slot] and value.kind in (Kind.MAP, Kind.MAP_VALUE):
            used.setdefault(value.ref, slot)
    if len(used) > MAX_MAPS:
        rule = f"The total number of maps per program has reached the limit of {MAX_MAPS}"
        raise BindError(rule, program=linked.name, slot=max(used.values()), errno=E2BIG)
    for index, slot in used.items():
        definition = layout.maps[index].definition
        if definition.type not in catalog.map_types:
            kind = map_type_name(definition.type)
            known = kind != f"type {definition.type}"
            what = f"map type {kind} ({definition.type})" if known else f"map {kind}"
            rule = f"map {definition.name!r}: {what} is not emulated"
            raise BindError(
                rule, program=linked.name, symbol=definition.name, slot=slot, errno=ENOTSUP
            )
