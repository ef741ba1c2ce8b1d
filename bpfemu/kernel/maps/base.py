"""What every map is: identity, sizes, permissions, and the two sides it is used from.

::

    program ── helpers ──▶ lookup  update  delete  walk      addresses, negative errno
    user space ─ bpf(2) ─▶ user_lookup  user_update  …       bytes, negative errno

Values live in emulated memory; a program's pointer into one is an ordinary address there, with red
zones around it.  Source: kernel/bpf/syscall.c (user side), each map type's file (program side).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from errno import EINVAL, EPERM
from typing import Any, ClassVar, TypeAlias

from bpfemu.errors import InputError
from bpfemu.image import MapSlot
from bpfemu.kernel.clock import EmulatedClock
from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.maps.fields import NO_FIELDS, ValueFields
from bpfemu.kernel.maps.types import (
    BPF_F_LOCK,
    BPF_F_RDONLY,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY,
    BPF_F_WRONLY_PROG,
)
from bpfemu.kernel.mem_alloc import BpfMemAlloc
from bpfemu.kernel.random import RandomStream
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.machine.memory import READ_ONLY, VALID, WRITE, Memory, Region, RegionKind
from bpfemu.object import MapDef
from bpfemu.proto.space import Space
from bpfemu.record import dataclass

__all__ = ["BpfMap", "MapEnv", "UserValue", "Walk", "round_up_8"]

UserValue: TypeAlias = bytes | list[bytes]
"""A value as user space holds it: bytes, or one entry per possible CPU for per-CPU maps."""

Walk: TypeAlias = Generator[tuple[int, int], None, None]
"""(address of the key, address of the value) of each element, live."""


@dataclass(slots=True)
class MapEnv:
    """What maps stand on.  ``new_allocator(size, percpu, name)`` makes a bpf_mem_alloc."""

    memory: Memory
    space: Space
    cpus: Cpus
    rcu: ReadCopyUpdate
    clock: EmulatedClock
    random: RandomStream
    new_allocator: Callable[[int, bool, str], BpfMemAlloc]


def round_up_8(size: int) -> int:
    """The next multiple of 8, in bytes."""
    return (size + 7) & ~7


class BpfMap:
    """Base of the map types; implements ``proto.types.MapPtr``.

    ``percpu``: a value per CPU.  ``shows_elements``: it makes sense to list its elements.
    """

    percpu: ClassVar[bool] = False
    shows_elements: ClassVar[bool] = True

    def __init__(self, slot: MapSlot, env: MapEnv, fields: ValueFields = NO_FIELDS) -> None:
        definition = slot.definition
        self.slot = slot
        self.definition = definition
        self.env = env
        self.memory = env.memory
        self.fields = fields
        self.name = definition.name
        self.type = definition.type
        self.addr = slot.addr
        self.key_size = definition.key_size
        self.value_size = definition.value_size
        self.max_entries = definition.max_entries
        self.flags = definition.flags
        self.frozen = False

    @classmethod
    def check(cls, definition: MapDef) -> None:
        """The type's map_alloc_check: InputError with errno for what it refuses."""

    # ---- the program's side -------------------------------------------------------------

    def lookup(self, key: bytes) -> int:
        """The address of the value on this CPU, 0 when there is none."""
        return 0

    def lookup_percpu(self, key: bytes, cpu: int) -> int:
        """The address of the value on that CPU, 0 when there is none."""
        return 0

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Insert or replace; 0 or a negative errno."""
        return -EINVAL

    def delete(self, key: bytes) -> int:
        """Remove; 0 or a negative errno."""
        return -EINVAL

    def walk(self) -> Walk:
        """Each element once, as bpf_for_each_map_elem meets them."""
        yield from ()

    # ---- user space ---------------------------------------------------------------------

    def next_key(self, key: bytes | None) -> bytes | None:
        """BPF_MAP_GET_NEXT_KEY: the first key for None or an unknown key, None after the last."""
        return None

    def user_keys(self) -> list[bytes]:
        """Every key, in the map's own order."""
        return []

    def items(self) -> Iterator[tuple[bytes, UserValue]]:
        """Every (key, value), in the map's own order."""
        for key in self.user_keys():
            value = self._copy_out(key)
            if value is not None:
                yield key, value

    def user_lookup(self, key: bytes, flags: int = 0) -> UserValue | None:
        """BPF_MAP_LOOKUP_ELEM: the value, None when there is none (-ENOENT).

        InputError with errno for what the system call refuses.
        """
        if flags & ~BPF_F_LOCK:
            raise self._refused(f"lookup flags {flags:#x} are unknown", EINVAL)
        if self.flags & BPF_F_WRONLY:
            raise self._refused("BPF_F_WRONLY: user space may not read", EPERM)
        if flags and not self.fields.spin_lock:
            raise self._refused("BPF_F_LOCK, and the value has no bpf_spin_lock", EINVAL)
        return self._copy_out(self._own_key(key))

    def user_update(self, key: bytes, value: UserValue, flags: int = 0) -> int:
        """BPF_MAP_UPDATE_ELEM; a per-CPU map takes a list, or one value for all CPUs."""
        if self.frozen or self.flags & BPF_F_RDONLY:
            return -EPERM
        if flags & BPF_F_LOCK and not self.fields.spin_lock:
            return -EINVAL
        return self._copy_in(self._own_key(key), self._own_values(value), flags)

    def user_delete(self, key: bytes) -> int:
        """BPF_MAP_DELETE_ELEM; 0 or a negative errno."""
        if self.frozen or self.flags & BPF_F_RDONLY:
            return -EPERM
        return self.delete(self._own_key(key))

    def freeze(self) -> int:
        """BPF_MAP_FREEZE: no more writes by system call; -EPERM when they are refused already."""
        if self.frozen or self.flags & BPF_F_RDONLY:
            return -EPERM
        self.frozen = True
        return 0

    def drain(self) -> list[bytes]:
        """The records that user space would receive; only ring buffers have any."""
        return []

    # ---- for the types ------------------------------------------------------------------

    def _copy_out(self, key: bytes) -> UserValue | None:
        """bpf_map_copy_value for a key of the right size."""
        if not self.percpu:
            addr = self.lookup(key)
            return self.read_value(addr) if addr else None
        addrs = [self.lookup_percpu(key, cpu) for cpu in range(self.env.cpus.count)]
        return [self.read_value(addr) for addr in addrs] if all(addrs) else None

    def _copy_in(self, key: bytes, values: list[bytes], flags: int) -> int:
        """bpf_map_update_value: one value, or one per CPU."""
        return self.update(key, values[0], flags)

    def read_value(self, addr: int) -> bytes:
        """A value as user space receives it: special fields are zero."""
        return self.fields.blank(self.memory.read(addr, self.value_size))

    def write_value(self, addr: int, value: bytes) -> None:
        """copy_map_value: everything but the special fields, which stay what they are."""
        if not self.fields.fields:
            self.memory.write(addr, value)
            return
        for start, end in self.fields.plain(self.value_size):
            self.memory.write(addr + start, value[start:end])

    @property
    def value_state(self) -> int:
        """What a program may do with a value, as a shadow state."""
        if self.flags & BPF_F_RDONLY_PROG:
            return READ_ONLY
        return WRITE if self.flags & BPF_F_WRONLY_PROG else VALID

    def allocate_value(self) -> Region:
        """Memory for one value, zeroed, red zones around it."""
        name = f"map {self.name!r} value"
        region = self.memory.allocate(self.value_size, RegionKind.VALUE, name)
        self.open_value(region.addr)
        return region

    def open_value(self, addr: int) -> None:
        """Let programs at a value, as far as flags and special fields do."""
        if self.fields.fields:
            low = addr - self.memory.base
            states = self.fields.paint(self.value_state, self.value_size)
            self.memory.shadow[low : low + self.value_size] = states
        else:
            self.memory.set_state(addr, self.value_size, self.value_state)

    def _own_key(self, key: bytes) -> bytes:
        if len(key) != self.key_size:
            rule = f"key has {len(key)} bytes, must have {self.key_size}"
            raise InputError(f"map {self.name!r}: {rule}", errno=EINVAL)
        return bytes(key)

    def _own_values(self, value: UserValue) -> list[bytes]:
        count = self.env.cpus.count if self.percpu else 1
        values: list[Any] = list(value) if isinstance(value, list) else [value] * count
        if len(values) != count:
            rule = f"{len(values)} values given, must be {count}: one per possible CPU"
            raise InputError(f"map {self.name!r}: {rule}", errno=EINVAL)
        for one in values:
            if len(one) != self.value_size:
                rule = f"value has {len(one)} bytes, must have {self.value_size}"
                raise InputError(f"map {self.name!r}: {rule}", errno=EINVAL)
        return [bytes(one) for one in values]

    def _refused(self, rule: str, errno: int) -> InputError:
        return InputError(f"map {self.name!r}: {rule}", errno=errno)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"
