"""What BPF_MAP_CREATE checks before any map type is asked, and how a refusal is worded.

Source: kernel/bpf/syscall.c map_create, include/linux/bpf.h bpf_map_flags_access_ok; the errno of
every row were compared with Linux 6.18.44.
"""

from __future__ import annotations

from collections.abc import Iterable
from errno import EINVAL, errorcode
from typing import Final

from bpfemu.errors import InputError
from bpfemu.kernel.maps.types import (
    BPF_F_NUMA_NODE,
    BPF_F_RDONLY,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY,
    BPF_F_WRONLY_PROG,
    ENOTSUPP,
    MAP_TYPES,
    map_type_name,
)
from bpfemu.object import MapDef

__all__ = [
    "KMALLOC_MAX_SIZE",
    "PCPU_MIN_UNIT_SIZE",
    "Row",
    "access_row",
    "check_common",
    "check_rows",
    "numa_node_set",
]

PCPU_MIN_UNIT_SIZE: Final = 32 << 10  # bytes: the largest per-CPU value
KMALLOC_MAX_SIZE: Final = 4 << 20  # bytes: the largest element
NAME_SIZE: Final = 15  # characters of a name that the kernel keeps (BPF_OBJ_NAME_LEN - 1)
MAP_EXTRA_TYPES: Final = (30, 33)  # bloom filter, arena

Row = tuple[bool, int, str]
"""(is it wrong, errno, the rule in words); the first wrong row of a list refuses the map."""


def check_rows(definition: MapDef, rows: Iterable[Row]) -> None:
    """InputError with errno for the first row that is wrong."""
    for wrong, errno, rule in rows:
        if wrong:
            code = "ENOTSUPP" if errno == ENOTSUPP else errorcode[errno]
            kind = map_type_name(definition.type)
            raise InputError(
                f"map {definition.name!r} ({kind}): {rule} (map_create: -{code})", errno=errno
            )


def check_common(definition: MapDef) -> None:
    """The checks that every map type shares, in the kernel's order."""
    flags = definition.flags
    name = definition.name[:NAME_SIZE]
    both = BPF_F_RDONLY | BPF_F_WRONLY
    check_rows(
        definition,
        (
            (
                bool(definition.key_type and not definition.value_type),
                EINVAL,
                f"key has BTF type {definition.key_type}, the value has none",
            ),
            (
                definition.map_extra != 0 and definition.type not in MAP_EXTRA_TYPES,
                EINVAL,
                f"map_extra is {definition.map_extra:#x}, must be 0 for this type",
            ),
            (flags & both == both, EINVAL, "BPF_F_RDONLY and BPF_F_WRONLY exclude each other"),
            (
                numa_node_set(definition) and definition.numa_node != 0,
                EINVAL,
                f"NUMA node {definition.numa_node} is not there, only node 0",
            ),
            (definition.type not in MAP_TYPES, EINVAL, "Linux 6.18 has no such map type"),
            (
                any(not (c.isascii() and c.isalnum()) and c not in "_." for c in name),
                EINVAL,
                "a name has letters, digits, '_' and '.' only",
            ),
        ),
    )


def numa_node_set(definition: MapDef) -> bool:
    """Does the definition ask for a NUMA node (bpf_map_attr_numa_node)?"""
    return bool(definition.flags & BPF_F_NUMA_NODE)


def access_row(flags: int) -> Row:
    """bpf_map_flags_access_ok: a map that programs may neither read nor write makes no sense."""
    both = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG
    rule = "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG exclude each other"
    return flags & both == both, EINVAL, rule
