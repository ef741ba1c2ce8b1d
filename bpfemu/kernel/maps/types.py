"""Numbers of maps: types, creation flags, update flags, sizes.

Source: include/uapi/linux/bpf.h, enum bpf_map_type, as in the BTF of Linux 6.18.44.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BPF_ANY",
    "BPF_EXIST",
    "BPF_F_INNER_MAP",
    "BPF_F_LOCK",
    "BPF_F_MMAPABLE",
    "BPF_F_NO_COMMON_LRU",
    "BPF_F_NO_PREALLOC",
    "BPF_F_NUMA_NODE",
    "BPF_F_PRESERVE_ELEMS",
    "BPF_F_RDONLY",
    "BPF_F_RDONLY_PROG",
    "BPF_F_WRONLY",
    "BPF_F_WRONLY_PROG",
    "BPF_F_ZERO_SEED",
    "BPF_NOEXIST",
    "ENOTSUPP",
    "F_ACCESS_MASK",
    "MAP_TYPES",
    "map_type_name",
]

MAP_TYPES: Final[dict[int, str]] = {
    1: "BPF_MAP_TYPE_HASH",
    2: "BPF_MAP_TYPE_ARRAY",
    3: "BPF_MAP_TYPE_PROG_ARRAY",
    4: "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    5: "BPF_MAP_TYPE_PERCPU_HASH",
    6: "BPF_MAP_TYPE_PERCPU_ARRAY",
    7: "BPF_MAP_TYPE_STACK_TRACE",
    8: "BPF_MAP_TYPE_CGROUP_ARRAY",
    9: "BPF_MAP_TYPE_LRU_HASH",
    10: "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    11: "BPF_MAP_TYPE_LPM_TRIE",
    12: "BPF_MAP_TYPE_ARRAY_OF_MAPS",
    13: "BPF_MAP_TYPE_HASH_OF_MAPS",
    14: "BPF_MAP_TYPE_DEVMAP",
    15: "BPF_MAP_TYPE_SOCKMAP",
    16: "BPF_MAP_TYPE_CPUMAP",
    17: "BPF_MAP_TYPE_XSKMAP",
    18: "BPF_MAP_TYPE_SOCKHASH",
    19: "BPF_MAP_TYPE_CGROUP_STORAGE",
    20: "BPF_MAP_TYPE_REUSEPORT_SOCKARRAY",
    21: "BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE",
    22: "BPF_MAP_TYPE_QUEUE",
    23: "BPF_MAP_TYPE_STACK",
    24: "BPF_MAP_TYPE_SK_STORAGE",
    25: "BPF_MAP_TYPE_DEVMAP_HASH",
    26: "BPF_MAP_TYPE_STRUCT_OPS",
    27: "BPF_MAP_TYPE_RINGBUF",
    28: "BPF_MAP_TYPE_INODE_STORAGE",
    29: "BPF_MAP_TYPE_TASK_STORAGE",
    30: "BPF_MAP_TYPE_BLOOM_FILTER",
    31: "BPF_MAP_TYPE_USER_RINGBUF",
    32: "BPF_MAP_TYPE_CGRP_STORAGE",
    33: "BPF_MAP_TYPE_ARENA",
}
"""Every map type of 6.18 by number; 0 is BPF_MAP_TYPE_UNSPEC."""

# How an update treats an element that is there, or is not.
BPF_ANY: Final = 0
BPF_NOEXIST: Final = 1
BPF_EXIST: Final = 2
BPF_F_LOCK: Final = 4

# Creation flags.
BPF_F_NO_PREALLOC: Final = 1 << 0
BPF_F_NO_COMMON_LRU: Final = 1 << 1
BPF_F_NUMA_NODE: Final = 1 << 2
BPF_F_RDONLY: Final = 1 << 3  # user space may not write
BPF_F_WRONLY: Final = 1 << 4  # user space may not read
BPF_F_ZERO_SEED: Final = 1 << 6
BPF_F_RDONLY_PROG: Final = 1 << 7  # programs may not write
BPF_F_WRONLY_PROG: Final = 1 << 8  # programs may not read
BPF_F_MMAPABLE: Final = 1 << 10
BPF_F_PRESERVE_ELEMS: Final = 1 << 11
BPF_F_INNER_MAP: Final = 1 << 12

F_ACCESS_MASK: Final = BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG
"""BPF_F_ACCESS_MASK (include/linux/bpf.h)."""

ENOTSUPP: Final = 524
"""The kernel's own errno for "not supported" (include/linux/errno.h)."""


def map_type_name(number: int) -> str:
    """'BPF_MAP_TYPE_HASH' for 1; 'map type 99' for a number that 6.18 does not have."""
    return MAP_TYPES.get(number, f"map type {number}")
