"""Special fields of map values: what the kernel owns within them, found by BTF.

A ``struct bpf_spin_lock`` and its like in a value are not data: copies leave them alone, user
space reads zeros there.  Source: kernel/bpf/btf.c btf_parse_fields, include/linux/bpf.h
bpf_obj_memcpy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.machine.memory import KERNEL
from bpfemu.record import dataclass

__all__ = ["NO_FIELDS", "SPECIAL_STRUCTS", "ValueFields", "find_fields"]

SPECIAL_STRUCTS: Final = frozenset(
    {
        "bpf_spin_lock",
        "bpf_res_spin_lock",
        "bpf_timer",
        "bpf_wq",
        "bpf_task_work",
        "bpf_list_head",
        "bpf_list_node",
        "bpf_rb_root",
        "bpf_rb_node",
        "bpf_refcount",
    }
)
"""Structs that mean something to the kernel when they lie in a map value (6.18)."""

KPTR_TAGS: Final = frozenset({"kptr", "kptr_untrusted", "percpu_kptr", "uptr"})
MAX_DEPTH: Final = 4  # levels of nested structs that the kernel looks into
FIELDS_MAX: Final = 11  # BTF_FIELDS_MAX


@dataclass(frozen=True, slots=True)
class ValueFields:
    """The special fields of a value: (name, offset in bytes, size in bytes), by offset."""

    fields: tuple[tuple[str, int, int], ...] = ()

    @property
    def spin_lock(self) -> bool:
        """Is there a lock that BPF_F_LOCK can take?"""
        return any(name == "bpf_spin_lock" for name, _, _ in self.fields)

    def paint(self, state: int, size: int) -> bytes:
        """Shadow states of a value: programs may not touch what is a kernel struct in it."""
        states = bytearray([state]) * size
        for name, offset, length in self.fields:
            if name in SPECIAL_STRUCTS:
                states[offset : offset + length] = bytes([KERNEL]) * length
        return bytes(states)

    def plain(self, size: int) -> Iterator[tuple[int, int]]:
        """The (start, end) of every stretch of a value of ``size`` bytes that is data."""
        at = 0
        for _, offset, length in self.fields:
            if offset > at:
                yield at, offset
            at = offset + length
        if at < size:
            yield at, size

    def blank(self, value: bytes) -> bytes:
        """The value with zeros where the special fields lie."""
        if not self.fields:
            return value
        out = bytearray(value)
        for _, offset, length in self.fields:
            out[offset : offset + length] = bytes(length)
        return bytes(out)


NO_FIELDS: Final = ValueFields()


def find_fields(btf: Btf | None, type_id: int) -> ValueFields:
    """The special fields of a value type; none without BTF."""
    if btf is None or not type_id or not _mentions_any(btf):
        return NO_FIELDS
    found = sorted(islice(_walk(btf, type_id, 0, 0), FIELDS_MAX), key=lambda field: field[1])
    return ValueFields(tuple(found)) if found else NO_FIELDS


def _mentions_any(btf: Btf) -> bool:
    """Does any of the names that matter stand in the BTF at all?  Most objects have none."""
    return any(btf.find_string(name) for name in (*SPECIAL_STRUCTS, *KPTR_TAGS))


def _walk(btf: Btf, type_id: int, at: int, depth: int) -> Iterator[tuple[str, int, int]]:
    """Special fields below a type at offset ``at``."""
    if tag := _kptr_tag(btf, type_id):
        yield tag, at, 8
        return
    resolved = btf.resolve(type_id)
    found = btf.type(resolved)
    if isinstance(found, k.Array):
        if depth < MAX_DEPTH:
            yield from _elements(btf, found, at, depth + 1)
        return
    if isinstance(found, k.DataSec):
        for entry in found.entries:
            var = btf.type(entry.type)
            yield from _walk(btf, var.type if isinstance(var, k.Var) else 0, entry.offset, depth)
        return
    if not isinstance(found, k.Struct):
        return
    if found.name in SPECIAL_STRUCTS:
        yield found.name, at, found.size
    elif depth < MAX_DEPTH:
        for member in found.members:
            yield from _walk(btf, member.type, at + member.bit_offset // 8, depth + 1)


def _elements(btf: Btf, found: k.Array, at: int, depth: int) -> Iterator[tuple[str, int, int]]:
    """Special fields of each element, if one of them has any."""
    if next(_walk(btf, found.elem, 0, depth), None) is not None:
        size = btf.size_of(found.elem)
        for number in range(found.nelems):
            yield from _walk(btf, found.elem, at + number * size, depth)


def _kptr_tag(btf: Btf, type_id: int) -> str:
    """'kptr' for a pointer that carries the type tag, '' otherwise."""
    found = btf.type(btf.resolve(type_id))
    if not isinstance(found, k.Ptr) or not found.type:
        return ""
    target = btf.type(found.type)
    return target.name if isinstance(target, k.TypeTag) and target.name in KPTR_TAGS else ""
