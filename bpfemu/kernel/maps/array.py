"""BPF_MAP_TYPE_ARRAY: values side by side, all there from the start; global data is one element.

::

    values ──▶ │ value 0 │ pad │ value 1 │ pad │ …      elem_size: value_size rounded up to 8

The key is a 32-bit index.  Source: kernel/bpf/arraymap.c.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from errno import E2BIG, EEXIST, EINVAL
from typing import Final

from bpfemu.image import MapSlot
from bpfemu.kernel.maps.base import BpfMap, MapEnv, Walk, round_up_8
from bpfemu.kernel.maps.create import (
    PCPU_MIN_UNIT_SIZE,
    Row,
    access_row,
    check_rows,
    numa_node_set,
)
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields
from bpfemu.kernel.maps.types import (
    BPF_EXIST,
    BPF_F_INNER_MAP,
    BPF_F_LOCK,
    BPF_F_MMAPABLE,
    BPF_F_NUMA_NODE,
    BPF_NOEXIST,
    F_ACCESS_MASK,
)
from bpfemu.machine.memory import READ_ONLY, REDZONE, RegionKind
from bpfemu.object import MapDef
from bpfemu.proto.marks import map_type

__all__ = ["ArrayMap", "IndexedMap"]

CREATE_FLAGS: Final = BPF_F_NUMA_NODE | BPF_F_MMAPABLE | F_ACCESS_MASK | BPF_F_INNER_MAP
INT_MAX: Final = (1 << 31) - 1


def array_rows(definition: MapDef) -> Iterator[Row]:
    """array_map_alloc_check, for both kinds of array."""
    flags, size = definition.flags, definition.value_size
    percpu = definition.type == 6
    yield definition.max_entries == 0, EINVAL, "max_entries is 0"
    yield definition.key_size != 4, EINVAL, f"key_size is {definition.key_size}, must be 4"
    yield size == 0, EINVAL, "value_size is 0"
    yield flags & ~CREATE_FLAGS != 0, EINVAL, f"map_flags {flags:#x} are not for arrays"
    yield access_row(flags)
    yield percpu and numa_node_set(definition), EINVAL, "per-CPU maps have no NUMA node"
    only = BPF_F_MMAPABLE | BPF_F_INNER_MAP
    rule = "BPF_F_MMAPABLE and BPF_F_INNER_MAP are for BPF_MAP_TYPE_ARRAY only"
    yield percpu and flags & only != 0, EINVAL, rule
    yield size > INT_MAX, E2BIG, f"value_size is {size}, must be at most {INT_MAX}"
    rule = f"value_size is {size}, a per-CPU value has at most {PCPU_MIN_UNIT_SIZE} bytes"
    yield percpu and round_up_8(size) > PCPU_MIN_UNIT_SIZE, E2BIG, rule


class IndexedMap(BpfMap):
    """What array and per-CPU array have in common: indices for keys, no births, no deaths."""

    @classmethod
    def check(cls, definition: MapDef) -> None:
        """array_map_alloc_check."""
        check_rows(definition, array_rows(definition))

    @abstractmethod
    def value_at(self, index: int, cpu: int) -> int:
        """The address of an element that is there."""
        ...

    def lookup(self, key: bytes) -> int:
        """The element's address on this CPU; 0 beyond the end."""
        return self.lookup_percpu(key, self.env.cpus.current)

    def lookup_percpu(self, key: bytes, cpu: int) -> int:
        """The element's address on that CPU; 0 beyond the end."""
        index = int.from_bytes(key[:4], "little")
        return self.value_at(index, cpu) if index < self.max_entries else 0

    def update_error(self, key: bytes, flags: int) -> int:
        """The errno of array_map_update_elem, 0 when the update may go on."""
        if flags & ~BPF_F_LOCK > BPF_EXIST:
            return -EINVAL
        if int.from_bytes(key[:4], "little") >= self.max_entries:
            return -E2BIG
        if flags & BPF_NOEXIST:
            return -EEXIST
        if flags & BPF_F_LOCK and not self.fields.spin_lock:
            return -EINVAL
        return 0

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Overwrite this CPU's value; -E2BIG beyond the end, -EEXIST for BPF_NOEXIST."""
        error = self.update_error(key, flags)
        if not error:
            self.write_value(self.lookup(key), value)
        return error

    def walk(self) -> Walk:
        """bpf_for_each_array_elem: in index order; the key is a number on the kernel's stack."""
        scratch = self.memory.allocate(
            4, RegionKind.MEMORY, f"map {self.name!r} key", state=READ_ONLY
        )
        try:
            for index in range(self.max_entries):
                self.memory.write_int(scratch.addr, 4, index)
                yield scratch.addr, self.value_at(index, self.env.cpus.current)
        finally:
            self.memory.free(scratch.addr)

    def next_key(self, key: bytes | None) -> bytes | None:
        """array_map_get_next_key: an index beyond the end starts over."""
        index = -1 if key is None else int.from_bytes(key[:4], "little")
        if index >= self.max_entries:
            index = -1
        return None if index == self.max_entries - 1 else (index + 1).to_bytes(4, "little")

    def user_keys(self) -> list[bytes]:
        """Every index."""
        return [index.to_bytes(4, "little") for index in range(self.max_entries)]


@map_type(2)
class ArrayMap(IndexedMap):
    """One block of values at a fixed address (``MapSlot.values``)."""

    def __init__(self, slot: MapSlot, env: MapEnv, fields: ValueFields = NO_FIELDS) -> None:
        super().__init__(slot, env, fields)
        self.elem_size = round_up_8(self.value_size)
        self.values = slot.values
        pad = self.elem_size - self.value_size
        size = self.elem_size * self.max_entries
        if self.max_entries == 1:
            size = self.value_size  # a lone value ends with its region: no pad
        name = f"map {self.name!r} values"
        if not self.values:
            self.values = self.memory.allocate(size, RegionKind.VALUE, name).addr
        elif self.memory.find_region(self.values) is None:
            self.memory.place(self.values, size, RegionKind.VALUE, name)
        self._open(size, pad)

    def _open(self, size: int, pad: int) -> None:
        """Let programs at each value; each pad is a red zone."""
        if self.max_entries == 1:
            self.open_value(self.values)
        elif pad or self.fields.fields:
            states = self.fields.paint(self.value_state, self.value_size) + bytes([REDZONE]) * pad
            low = self.values - self.memory.base
            self.memory.shadow[low : low + size] = states * self.max_entries
        else:
            self.memory.set_state(self.values, size, self.value_state)

    def value_at(self, index: int, cpu: int) -> int:
        """The address of an element."""
        return self.values + index * self.elem_size
