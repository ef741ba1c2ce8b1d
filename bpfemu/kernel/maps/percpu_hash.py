"""BPF_MAP_TYPE_PERCPU_HASH.  Source: kernel/bpf/hashtab.c __htab_percpu_map_update_elem."""

from __future__ import annotations

from bpfemu.kernel.maps.htab import HashTable, flags_error
from bpfemu.proto.marks import map_type

__all__ = ["PercpuHashMap"]


@map_type(5)
class PercpuHashMap(HashTable):
    """A value per CPU behind each key; an update from a program writes its own CPU's only."""

    percpu = True

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """This CPU's value; a new key's values on other CPUs are zero."""
        here = self.env.cpus.current
        count = self.env.cpus.count
        fresh = [value if cpu == here else bytes(self.value_size) for cpu in range(count)]
        return self._put(key, fresh, flags, (here,))

    def _copy_in(self, key: bytes, values: list[bytes], flags: int) -> int:
        """bpf_percpu_hash_update: every CPU's value."""
        return self._put(key, values, flags, range(self.env.cpus.count))

    def _put(self, key: bytes, values: list[bytes], flags: int, cpus: range | tuple[int]) -> int:
        """Write ``values`` of ``cpus`` into an element, of all CPUs into a new one."""
        if error := flags_error(flags, lockable=False):
            return error
        old = self.find(key)
        if error := self.update_error(old, flags):
            return error
        if old is not None:
            for cpu in cpus:
                self.write_value(old.values[cpu], values[cpu])
            return 0
        new = self.pool.take()
        if isinstance(new, int):
            return new
        for addr, value in zip(new.values, values, strict=True):
            self.memory.write(addr, self.fields.blank(value))
        self.insert(key, new, None)
        return 0
