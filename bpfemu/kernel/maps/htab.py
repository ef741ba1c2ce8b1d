"""What hash maps have in common: buckets, their order, and who may replace whom.

::

    bucket[hash & (n_buckets - 1)] ──▶ newest ──▶ … ──▶ oldest

New elements go to the head of their bucket; walking goes from bucket to bucket.  The hash is the
kernel's, so a map created with BPF_F_ZERO_SEED lists its keys in the kernel's order.  Source:
kernel/bpf/hashtab.c.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from errno import E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM
from typing import Final

from bpfemu.image import MapSlot
from bpfemu.kernel.maps.base import BpfMap, MapEnv, Walk, round_up_8
from bpfemu.kernel.maps.create import (
    KMALLOC_MAX_SIZE,
    PCPU_MIN_UNIT_SIZE,
    Row,
    access_row,
    check_rows,
    numa_node_set,
)
from bpfemu.kernel.maps.elems import ELEM_HEADER, Elem, ElemPool, OnDemandPool, PreallocatedPool
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields
from bpfemu.kernel.maps.jhash import jhash
from bpfemu.kernel.maps.types import (
    BPF_EXIST,
    BPF_F_LOCK,
    BPF_F_NO_COMMON_LRU,
    BPF_F_NO_PREALLOC,
    BPF_F_NUMA_NODE,
    BPF_F_ZERO_SEED,
    BPF_NOEXIST,
    F_ACCESS_MASK,
)
from bpfemu.machine.memory import READ_ONLY, RegionKind
from bpfemu.object import MapDef

__all__ = ["HashTable"]

CREATE_FLAGS: Final = (
    BPF_F_NO_PREALLOC | BPF_F_NO_COMMON_LRU | BPF_F_NUMA_NODE | F_ACCESS_MASK | BPF_F_ZERO_SEED
)
MAX_BUCKETS: Final = 1 << 31


def hash_rows(definition: MapDef, percpu: bool) -> Iterator[Row]:
    """htab_map_alloc_check and the limits of htab_map_alloc, for hash maps without LRU."""
    flags, key, value = definition.flags, definition.key_size, definition.value_size
    entries = definition.max_entries
    rule = f"map_flags {flags:#x} are not for hash maps"
    yield flags & ~CREATE_FLAGS != 0, EINVAL, rule
    yield access_row(flags)
    yield flags & BPF_F_NO_COMMON_LRU != 0, EINVAL, "BPF_F_NO_COMMON_LRU is for LRU maps only"
    yield percpu and numa_node_set(definition), EINVAL, "per-CPU maps have no NUMA node"
    yield entries == 0, EINVAL, "max_entries is 0"
    yield key == 0, EINVAL, "key_size is 0"
    yield value == 0, EINVAL, "value_size is 0"
    most = KMALLOC_MAX_SIZE - ELEM_HEADER - 1
    rule = f"key and value have {key + value} bytes, must have at most {most}"
    yield key + value > most, E2BIG, rule
    rule = f"value_size is {value}, a per-CPU value has at most {PCPU_MIN_UNIT_SIZE} bytes"
    yield percpu and round_up_8(value) > PCPU_MIN_UNIT_SIZE, E2BIG, rule
    buckets = 1 << (entries - 1).bit_length() if entries else 0
    yield buckets >= MAX_BUCKETS, E2BIG, f"max_entries is {entries}: {buckets} buckets are too many"


class HashTable(BpfMap):
    """Elements by key, in buckets."""

    def __init__(self, slot: MapSlot, env: MapEnv, fields: ValueFields = NO_FIELDS) -> None:
        super().__init__(slot, env, fields)
        self._seed = 0 if self.flags & BPF_F_ZERO_SEED else env.random.u32()
        self._mask = (1 << (self.max_entries - 1).bit_length()) - 1
        self._by_key: dict[bytes, Elem] = {}
        self._heads: dict[int, Elem] = {}  # by bucket; empty ones are not there
        self._order: list[int] = []  # buckets, ascending; some may be empty, or there twice
        self._born: set[int] = set()  # buckets that may not be in _order yet
        self.pool: ElemPool = (
            OnDemandPool(self, -E2BIG, -ENOMEM)
            if self.flags & BPF_F_NO_PREALLOC
            else PreallocatedPool(self, -E2BIG)
        )

    @classmethod
    def check(cls, definition: MapDef) -> None:
        """htab_map_alloc_check."""
        check_rows(definition, hash_rows(definition, cls.percpu))

    def __len__(self) -> int:
        return len(self._by_key)

    # ---- the program's side -------------------------------------------------------------

    def find(self, key: bytes) -> Elem | None:
        """The element with this key."""
        return self._by_key.get(key)

    def lookup(self, key: bytes) -> int:
        """The value's address on this CPU, 0 when the key is not there."""
        return self.lookup_percpu(key, self.env.cpus.current)

    def lookup_percpu(self, key: bytes, cpu: int) -> int:
        """The value's address on that CPU, 0 when the key is not there."""
        elem = self._by_key.get(key)
        if elem is None:
            return 0
        return elem.values[cpu if self.percpu else 0]

    def delete(self, key: bytes) -> int:
        """-ENOENT when the key is not there."""
        elem = self._by_key.pop(key, None)
        if elem is None:
            return -ENOENT
        self._unlink(elem)
        self.pool.give_back(elem)
        return 0

    def walk(self) -> Walk:
        """bpf_for_each_hash_elem: the next element is chosen before the callback runs."""
        bucket = -1
        while (bucket := self._bucket_after(bucket)) >= 0:
            elem: Elem | None = self._heads[bucket]
            while elem is not None:
                following = elem.next
                yield self._key_addr(elem), elem.values[self._here]
                elem = following

    # ---- user space ---------------------------------------------------------------------

    def next_key(self, key: bytes | None) -> bytes | None:
        """htab_map_get_next_key: an unknown key starts over."""
        elem = None if key is None else self._by_key.get(key)
        if elem is not None and elem.next is not None:
            return elem.next.key
        bucket = self._bucket_after(-1 if elem is None else elem.bucket)
        return self._heads[bucket].key if bucket >= 0 else None

    def user_keys(self) -> list[bytes]:
        """Every key, bucket by bucket."""
        keys = []
        bucket = -1
        while (bucket := self._bucket_after(bucket)) >= 0:
            elem: Elem | None = self._heads[bucket]
            while elem is not None:
                keys.append(elem.key)
                elem = elem.next
        return keys

    # ---- for the types ------------------------------------------------------------------

    @property
    def _here(self) -> int:
        return self.env.cpus.current if self.percpu else 0

    def update_error(self, old: Elem | None, flags: int) -> int:
        """check_flags, after the flags themselves; 0 when the update may go on."""
        want = flags & ~BPF_F_LOCK
        if old is not None and want == BPF_NOEXIST:
            return -EEXIST
        return -ENOENT if old is None and want == BPF_EXIST else 0

    def insert(self, key: bytes, elem: Elem, old: Elem | None) -> None:
        """Link an element at the head of its bucket, then unlink the one it replaces."""
        elem.key = key
        if elem.key_region is not None:
            self.memory.write(elem.key_region.addr, key)
        self._by_key[key] = elem
        bucket = jhash(key, self._seed) & self._mask if old is None else old.bucket
        head = self._heads.get(bucket)
        if head is None:
            self._born.add(bucket)
        elem.bucket, elem.next = bucket, head
        self._heads[bucket] = elem
        if old is not None:
            self._unlink(old)
            self.pool.replaced(old)

    def _unlink(self, elem: Elem) -> None:
        """hlist_nulls_del_rcu: ``elem.next`` stays, whoever stands on it walks on."""
        at = self._heads[elem.bucket]
        if at is not elem:
            while at.next is not None and at.next is not elem:
                at = at.next
            at.next = elem.next
        elif elem.next is not None:
            self._heads[elem.bucket] = elem.next
        else:
            del self._heads[elem.bucket]

    def _bucket_after(self, bucket: int) -> int:
        """The next bucket that is not empty, -1 after the last."""
        if self._born:
            if len(self._order) > 2 * len(self._heads):
                self._order.clear()
                self._born.update(self._heads)
            self._order += self._born
            self._order.sort()
            self._born.clear()
        at = bisect_right(self._order, bucket)
        while at < len(self._order):
            if self._order[at] in self._heads:
                return self._order[at]
            at += 1
        return -1

    def _key_addr(self, elem: Elem) -> int:
        """The element's own key, in memory that the program may read."""
        if elem.key_region is None:
            name = f"map {self.name!r} key"
            elem.key_region = self.memory.allocate(
                self.key_size, RegionKind.VALUE, name, state=READ_ONLY
            )
            self.memory.write(elem.key_region.addr, elem.key)
        return elem.key_region.addr


def flags_error(flags: int, *, lockable: bool) -> int:
    """-EINVAL for update flags beyond BPF_EXIST; BPF_F_LOCK counts only where it is allowed."""
    mode = flags & ~BPF_F_LOCK if lockable else flags
    return -EINVAL if mode > BPF_EXIST else 0
