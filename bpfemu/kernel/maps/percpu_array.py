"""BPF_MAP_TYPE_PERCPU_ARRAY: an array whose every element has one value per CPU.

Elements that nobody has touched are zero and have no memory yet.  Source: kernel/bpf/arraymap.c.
"""

from __future__ import annotations

from errno import E2BIG, EEXIST, EINVAL

from bpfemu.image import MapSlot
from bpfemu.kernel.maps.array import IndexedMap
from bpfemu.kernel.maps.base import MapEnv, UserValue
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields
from bpfemu.kernel.maps.types import BPF_EXIST, BPF_NOEXIST
from bpfemu.proto.marks import map_type

__all__ = ["PercpuArrayMap"]


@map_type(6)
class PercpuArrayMap(IndexedMap):
    """Addresses differ per CPU; a program sees its own CPU's unless it asks for another."""

    percpu = True

    def __init__(self, slot: MapSlot, env: MapEnv, fields: ValueFields = NO_FIELDS) -> None:
        super().__init__(slot, env, fields)
        self._values: dict[tuple[int, int], int] = {}  # (index, CPU): address

    def value_at(self, index: int, cpu: int) -> int:
        """The address of an element's value on one CPU."""
        addr = self._values.get((index, cpu))
        if addr is None:
            addr = self._values[index, cpu] = self.allocate_value().addr
        return addr

    def _copy_out(self, key: bytes) -> UserValue | None:
        """bpf_percpu_array_copy; reading does not give an element memory."""
        index = int.from_bytes(key, "little")
        if index >= self.max_entries:
            return None
        addrs = [self._values.get((index, cpu)) for cpu in range(self.env.cpus.count)]
        return [self.read_value(addr) if addr else bytes(self.value_size) for addr in addrs]

    def _copy_in(self, key: bytes, values: list[bytes], flags: int) -> int:
        """bpf_percpu_array_update: every CPU's value."""
        if flags > BPF_EXIST:
            return -EINVAL
        index = int.from_bytes(key, "little")
        if index >= self.max_entries:
            return -E2BIG
        if flags == BPF_NOEXIST:
            return -EEXIST
        for cpu, value in enumerate(values):
            self.write_value(self.value_at(index, cpu), value)
        return 0
