"""Plain functions on objects and types, with drgn's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.objects.arith import wrap
from bpfemu.objects.object import Object
from bpfemu.objects.types import Type, TypeKind
from bpfemu.objects.values import SCALARS

if TYPE_CHECKING:
    from bpfemu.objects.program import Program

__all__ = ["NULL", "alignof", "cast", "container_of", "offsetof", "reinterpret", "sizeof"]


def NULL(prog: Program, type: str | Type) -> Object:  # noqa: N802 - C's name, and drgn's
    """A null pointer of a pointer type."""
    return Object(prog, type, 0)


def cast(type: str | Type, obj: Object) -> Object:
    """``(type)obj``: the same number as another type, wrapped to its width."""
    target = obj.prog_.type(type)
    if target.underlying.kind not in SCALARS or not obj.is_scalar_():
        raise TypeError(f"cannot cast {obj.type_} to {target}")
    if TypeKind.POINTER in (target.underlying.kind, obj.type_.underlying.kind):
        number = int(obj) & (1 << 64) - 1
        return Object(obj.prog_, target, wrap(target, number))
    return Object(obj.prog_, target, wrap(target, obj.value_()))


def reinterpret(type: str | Type, obj: Object) -> Object:
    """The same memory, or the same bytes, as another type."""
    target = obj.prog_.type(type)
    if obj.address_ is not None:
        return Object(obj.prog_, target, address=obj.address_, bit_offset=obj.bit_offset_ or 0)
    return Object.from_bytes_(obj.prog_, target, obj.to_bytes_())


def container_of(ptr: Object, type: str | Type, member: str) -> Object:
    """The struct around the member that ``ptr`` points to; ``member`` may be a path."""
    if ptr.type_.underlying.kind is not TypeKind.POINTER:
        raise TypeError(f"container_of wants a pointer, not a {ptr.type_}")
    struct = ptr.prog_.type(type)
    address = int(ptr) - offsetof(struct, member) & (1 << 64) - 1
    return Object(ptr.prog_, struct.pointer_to(), address)


def offsetof(type: Type, member: str) -> int:
    """Bytes from a struct's start to a member; a path such as ``a.b[2].c`` steps inward."""
    offset = 0
    for step in member.replace("[", ".[").split("."):
        if step.startswith("["):
            real = type.underlying
            if real.kind is not TypeKind.ARRAY or not step[1:-1].isdecimal() or step[-1] != "]":
                raise LookupError(f"{type} has no element {step}")
            type = real.type
            offset += int(step[1:-1]) * type.size
            continue
        found = type.member(step)
        if found.bit_field_size is not None:
            raise ValueError(f"{step!r} is a bit field, which has no offset in bytes")
        type, offset = found.type, offset + found.offset
    return offset


def sizeof(thing: Type | Object) -> int:
    """Bytes of a type, or of an object's."""
    return thing.type_.size if isinstance(thing, Object) else thing.size


def alignof(type: Type) -> int:
    """Bytes that the addresses of a type are multiples of."""
    return type.align
