"""Bytes ⇄ Python values by :class:`Type`; what an object holds.

Numbers are ``int``, ``bool`` and ``float``, pointers their address, structs ``dict``, arrays
``list``: as drgn's ``value_()``.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from bpfemu.btf.values import FLOATS
from bpfemu.errors import InputError
from bpfemu.objects.types import Type, TypeKind, TypeMember

__all__ = ["INTEGERS", "SCALARS", "from_bytes", "is_char", "member_bytes", "to_bytes"]

INTEGERS: Final = (TypeKind.INT, TypeKind.BOOL, TypeKind.ENUM)
SCALARS: Final = (*INTEGERS, TypeKind.FLOAT, TypeKind.POINTER)
_COMPOSITES: Final = (TypeKind.STRUCT, TypeKind.UNION)


def is_char(type: Type) -> bool:
    """Whether it is C's ``char`` in any of its three forms."""
    real = type.underlying
    return real.kind is TypeKind.INT and real.size == 1 and "char" in (real.name or "")


def from_bytes(type: Type, data: bytes) -> Any:
    """The Python value of a type's bytes; TypeError for types without values."""
    real = type.underlying
    kind = real.kind
    if kind is TypeKind.FLOAT and real.size in FLOATS:
        return struct.unpack("<" + FLOATS[real.size], data)[0]
    if kind is TypeKind.BOOL:
        return any(data)
    if kind in SCALARS:
        return int.from_bytes(data, "little", signed=real.is_signed)
    if kind is TypeKind.ARRAY:
        elem, size = real.type, real.type.size
        count = real.length or 0
        return [from_bytes(elem, data[at * size : at * size + size]) for at in range(count)]
    if kind in _COMPOSITES:
        return {
            member.name: from_bytes(member.type, member_bytes(member, data))
            for member in real.flat_members
        }
    raise TypeError(f"{type} has no value")


def member_bytes(member: TypeMember, data: bytes) -> bytes:
    """A member's own bytes out of its struct's; a bit field is widened to its type."""
    size = member.type.size if member.type.is_complete else 0
    if member.bit_field_size is None:
        return data[member.offset : member.offset + size]
    return widen(member.type, data, member.bit_offset, member.bit_field_size)


def widen(type: Type, data: bytes, bit_offset: int, bits: int) -> bytes:
    """A bit field as the bytes of its type, sign and all."""
    number = int.from_bytes(data, "little") >> bit_offset & (1 << bits) - 1
    if type.is_signed and number >> bits - 1:
        number -= 1 << bits
    size = type.size
    return (number & (1 << 8 * size) - 1).to_bytes(size, "little")


def to_bytes(type: Type, value: Any, what: str = "") -> bytes:
    """A Python value as a type's bytes; InputError names the part that does not fit."""
    real = type.underlying
    if isinstance(value, bytes | bytearray) and real.kind not in SCALARS:
        return _raw(type, bytes(value), what)
    if real.kind is TypeKind.FLOAT and real.size in FLOATS:
        return struct.pack("<" + FLOATS[real.size], _number(type, value, what, float))
    if real.kind in SCALARS:
        return _integer(real, _number(type, value, what, int), what)
    if real.kind is TypeKind.ARRAY:
        return _array(real, value, what)
    if real.kind in _COMPOSITES:
        return _struct(real, value, what)
    raise TypeError(f"{type} has no value")


def _number(type: Type, value: Any, what: str, convert: Any) -> Any:
    if isinstance(value, str) and type.underlying.kind is TypeKind.ENUM:
        for one in type.underlying.enumerators:
            if one.name == value:
                return one.value
        names = ", ".join(one.name for one in type.underlying.enumerators[:12])
        raise InputError(f"{what or 'value'}: {type} has no {value!r}; there are {names}")
    try:
        return convert(value) if not isinstance(value, str) else convert("")
    except (TypeError, ValueError):
        raise InputError(f"{what or 'value'}: {value!r} is no {type}") from None


def _integer(real: Type, number: int, what: str) -> bytes:
    """An integer that fits, else InputError: a silent cut would be a bug of the caller's."""
    size = real.size
    bits = 8 * size
    low = -(1 << bits - 1)
    if not low <= number < 1 << bits:
        raise InputError(f"{what or 'value'}: {number:#x} does not fit {real}, {size} bytes")
    return (number & (1 << bits) - 1).to_bytes(size, "little")


def _raw(type: Type, value: bytes, what: str) -> bytes:
    size = type.size
    short = is_char_array(type) and len(value) < size
    if len(value) != size and not short:
        raise InputError(f"{what or 'value'}: {len(value)} bytes, {type} has {size}")
    return value.ljust(size, b"\0")


def is_char_array(type: Type) -> bool:
    """Whether it is an array of ``char``."""
    real = type.underlying
    return real.kind is TypeKind.ARRAY and is_char(real.type)


def _array(real: Type, value: Any, what: str) -> bytes:
    if isinstance(value, str) and is_char_array(real):
        return _raw(real, value.encode("utf-8", "surrogateescape"), what)
    count = real.length or 0
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise InputError(f"{what or 'value'}: {value!r} is no {real}")
    parts = [to_bytes(real.type, one, f"{what}[{at}]") for at, one in enumerate(value)]
    if len(parts) > count:
        raise InputError(f"{what or 'value'}: {len(parts)} elements, {real} has {count}")
    return b"".join(parts).ljust(real.size, b"\0")


def _struct(real: Type, value: Any, what: str) -> bytes:
    if not isinstance(value, dict):
        raise InputError(f"{what or 'value'}: {value!r} is no {real}")
    image = 0
    for name, one in value.items():
        path = f"{what}.{name}" if what else str(name)
        try:
            member = real.member(name)
        except LookupError as error:
            raise InputError(f"{path}: {error}") from None
        image = insert(image, member, one, path)
    return image.to_bytes(real.size, "little")


def insert(image: int, member: TypeMember, value: Any, what: str) -> int:
    """The struct (as one number) with a member in its place."""
    number = int.from_bytes(to_bytes(member.type, value, what), "little")
    bits = member.bit_field_size or 8 * member.type.size
    number = fits(member, number, bits, what)
    return image & ~((1 << bits) - 1 << member.bit_offset) | number << member.bit_offset


def fits(member: TypeMember, number: int, bits: int, what: str) -> int:
    """The low bits of a bit field's value; InputError where it has more."""
    wide = 8 * member.type.size
    low, rest = number & (1 << bits) - 1, number >> bits
    negative = rest == (1 << wide - bits) - 1 and low >> bits - 1
    if rest and not negative:
        raise InputError(f"{what}: the value does not fit {bits} bits")
    return low
