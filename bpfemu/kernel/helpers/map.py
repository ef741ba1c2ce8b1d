"""Helpers for the elements of maps.  Source: kernel/bpf/helpers.c, kernel/bpf/map_iter.c."""

from __future__ import annotations

from collections.abc import Generator
from errno import EINVAL

from bpfemu.kernel.helpers.compat import checked_map
from bpfemu.machine.memory import Memory
from bpfemu.proto.marks import helper
from bpfemu.proto.types import Callback, MapPtr, Ptr, s64, u32, u64, void


@helper(1)
def bpf_map_lookup_elem(map: MapPtr, key: Ptr[void], *, memory: Memory) -> Ptr[void]:
    """The value behind a key, NULL when there is none."""
    target = checked_map(map, 1, "bpf_map_lookup_elem")
    return Ptr(target.lookup(memory.load_bytes(int(key), target.key_size)))


@helper(2)
def bpf_map_update_elem(
    map: MapPtr, key: Ptr[void], value: Ptr[void], flags: u64, *, memory: Memory
) -> s64:
    """Insert or replace an element."""
    target = checked_map(map, 2, "bpf_map_update_elem")
    new = memory.load_bytes(int(value), target.value_size)
    return s64(target.update(memory.load_bytes(int(key), target.key_size), new, flags))


@helper(3)
def bpf_map_delete_elem(map: MapPtr, key: Ptr[void], *, memory: Memory) -> s64:
    """Remove an element."""
    target = checked_map(map, 3, "bpf_map_delete_elem")
    return s64(target.delete(memory.load_bytes(int(key), target.key_size)))


@helper(195)
def bpf_map_lookup_percpu_elem(
    map: MapPtr, key: Ptr[void], cpu: u32, *, memory: Memory
) -> Ptr[void]:
    """The value on another CPU; NULL for a CPU that there cannot be."""
    target = checked_map(map, 195, "bpf_map_lookup_percpu_elem")
    wanted = memory.load_bytes(int(key), target.key_size)
    return Ptr(target.lookup_percpu(wanted, cpu) if cpu < target.env.cpus.count else 0)


@helper(164)
def bpf_for_each_map_elem(
    map: MapPtr, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64
) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    """Call back for each element until a call returns non-zero; how many calls there were.

    The callback gets the map, addresses of key and value, and ``callback_ctx``.
    """
    target = checked_map(map, 164, "bpf_for_each_map_elem")
    if flags:
        return s64(-EINVAL)
    count = 0
    for key, value in target.walk():
        count += 1
        if (yield from callback_fn(target.addr, key, value, int(callback_ctx))):
            break
    return s64(count)
