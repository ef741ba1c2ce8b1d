"""BPF_MAP_TYPE_HASH.  Source: kernel/bpf/hashtab.c htab_map_update_elem."""

from __future__ import annotations

from errno import EINVAL

from bpfemu.kernel.maps.htab import HashTable, flags_error
from bpfemu.kernel.maps.types import BPF_F_LOCK
from bpfemu.proto.marks import map_type

__all__ = ["HashMap"]


@map_type(1)
class HashMap(HashTable):
    """An update never changes a value in place: the key gets another element."""

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Insert or replace; -E2BIG when full, -ENOMEM when bpf_mem_alloc has nothing."""
        if error := flags_error(flags, lockable=True):
            return error
        if flags & BPF_F_LOCK and not self.fields.spin_lock:
            return -EINVAL
        old = self.find(key)
        if error := self.update_error(old, flags):
            return error
        if flags & BPF_F_LOCK and old is not None:
            self.write_value(old.values[0], value)
            return 0
        new = self.pool.take() if old is None else self.pool.replace(old)
        if isinstance(new, int):
            return new
        self.memory.write(new.values[0], self.fields.blank(value))
        self.insert(key, new, old)
        return 0
