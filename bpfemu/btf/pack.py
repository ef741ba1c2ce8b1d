"""Python values → bytes, by type: the inverse of ``values``.

Every refusal names the field by its path, the value and the rule: ``limits[3].max: 300 does not
fit u8, 0 to 255``.  A dict may leave fields out (they are zero); ``bytes`` of the right length
stand for any type; ``None`` is a NULL pointer.
"""

from __future__ import annotations

import errno
import struct
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.spelling import type_name
from bpfemu.btf.types import Btf
from bpfemu.btf.values import FLOATS, WIDEST, byte_order, is_char, variables_of
from bpfemu.errors import InputError

__all__ = ["python_to_bytes"]

_MOST_BYTES: Final = 1 << 30


def python_to_bytes(btf: Btf, id: int, value: object, path: str = "") -> bytes:
    """Return the value as the type's bytes; ``path`` names it in errors."""
    size = btf.size_of(id)
    if size > _MOST_BYTES:
        raise _wrong(path, value, f"{type_name(btf, id)} has {size} bytes")
    return _Packer(btf).pack(id, value, path)


def _wrong(path: str, value: object, rule: str) -> InputError:
    text = repr(value) if not isinstance(value, int) or abs(value) >> 128 == 0 else hex(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return InputError(f"{path or 'value'}: {shown}: {rule}", errno=errno.EINVAL)


class _Packer:
    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._order = byte_order(btf)

    def pack(self, id: int, value: object, path: str) -> bytes:
        btf, size = self._btf, self._btf.size_of(id)
        found = btf.type(btf.resolve(id))
        if isinstance(value, bytes | bytearray | memoryview):
            return self._raw(id, bytes(value), size, path)
        match found:
            case k.Int() | k.Enum() | k.Enum64() | k.Float() if size > WIDEST:
                raise _wrong(path, value, f"a number of {size} bytes takes bytes")
            case k.Array():
                return self._array(id, found, value, path)
            case k.Struct() | k.Union():
                return self._struct(id, value, size, path)
            case k.DataSec():
                return self._section(found, value, path)
            case k.Var():
                return self.pack(found.type, value, path)
            case k.Float() if found.size in FLOATS:
                return self._float(found, value, path)
            case k.Int() if 0 < found.bit_offset + found.bits <= 8 * size:
                number = self._number(id, value, found.bits, path)
                image = bytearray(size)
                self._place(image, bytearray(size), found.bit_offset, found.bits, number)
                return bytes(image)
            case _:
                return self._number(id, value, 8 * size, path).to_bytes(size, self._order)

    def _raw(self, id: int, value: bytes, size: int, path: str) -> bytes:
        found = self._btf.type(self._btf.resolve(id))
        short = isinstance(found, k.Array) and self._btf.size_of(found.elem) == 1
        if len(value) == size or (short and len(value) < size):
            return value.ljust(size, b"\0")
        raise _wrong(path, value, f"{len(value)} bytes, {type_name(self._btf, id)} has {size}")

    def _number(self, id: int, value: object, bits: int, path: str) -> int:
        """Return an integer type's value as ``bits`` unsigned bits."""
        found = self._btf.type(self._btf.resolve(id))
        if isinstance(found, k.Enum | k.Enum64) and isinstance(value, str):
            value = self._enumerator(found, value, path)
        if isinstance(found, k.Ptr) and value is None:
            value = 0
        if not isinstance(value, int):
            raise _wrong(path, value, f"{type_name(self._btf, id)} takes an integer")
        signed = isinstance(found, k.Int | k.Enum | k.Enum64) and found.signed
        low, high = (-1 << bits - 1, 1 << bits - 1) if signed and bits else (0, 1 << bits)
        if not low <= value < high:
            rule = f"does not fit {type_name(self._btf, id)}, {low} to {high - 1}"
            raise _wrong(path, value, rule)
        return value & (1 << bits) - 1

    def _enumerator(self, found: k.Enum | k.Enum64, name: str, path: str) -> int:
        for known in found.values:
            if known.name == name:
                return known.value
        names = ", ".join(value.name for value in found.values[:8])
        raise _wrong(path, name, f"enum {found.name or '(anonymous)'} has {names}")

    def _float(self, found: k.Float, value: object, path: str) -> bytes:
        if not isinstance(value, int | float):
            raise _wrong(path, value, f"{found.name} takes a number")
        try:
            sign = "<" if self._order == "little" else ">"
            return struct.pack(sign + FLOATS[found.size], value)
        except (OverflowError, struct.error):
            raise _wrong(path, value, f"does not fit {found.name}") from None

    def _array(self, id: int, array: k.Array, value: object, path: str) -> bytes:
        size = self._btf.size_of(id)
        if isinstance(value, str):
            return self._string(array, value, size, path)
        if not isinstance(value, list | tuple):
            raise _wrong(path, value, f"{type_name(self._btf, id)} takes a list")
        if len(value) > array.nelems:
            rule = f"{len(value)} elements, {type_name(self._btf, id)} has {array.nelems}"
            raise _wrong(path, value, rule)
        parts = (self.pack(array.elem, one, f"{path}[{at}]") for at, one in enumerate(value))
        return b"".join(parts).ljust(size, b"\0")

    def _string(self, array: k.Array, value: str, size: int, path: str) -> bytes:
        if not is_char(self._btf, array.elem):
            raise _wrong(path, value, "only an array of char takes a string")
        try:
            text = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise _wrong(path, value, "is not text that UTF-8 can hold") from None
        if len(text) >= size:
            raise _wrong(path, value, f"{len(text)} bytes and a NUL, the array has {size}")
        return text.ljust(size, b"\0")

    def _struct(self, id: int, value: object, size: int, path: str) -> bytes:
        members = {member.name: member for member in self._btf.members(id)}
        fields = self._fields(value, list(members), type_name(self._btf, id), path)
        image, taken = bytearray(size), bytearray(size)
        for name, one in fields.items():
            member, where = members[name], f"{path}.{name}".lstrip(".")
            bits = member.bit_size or 8 * self._btf.size_of(member.type)
            if member.bit_offset + bits > 8 * size:
                raise _wrong(where, one, "the field passes the end of its struct")
            if member.bit_size:
                number = self._number(member.type, one, bits, where)
            else:
                number = int.from_bytes(self.pack(member.type, one, where), self._order)
            if not self._place(image, taken, member.bit_offset, bits, number):
                raise _wrong(where, one, "another field of the union has another value there")
        return bytes(image)

    def _section(self, section: k.DataSec, value: object, path: str) -> bytes:
        places = {name: (type, at) for name, type, at in variables_of(self._btf, section)}
        fields = self._fields(value, list(places), f"section {section.name}", path)
        image = bytearray(section.size)
        for name, one in fields.items():
            type, at = places[name]
            where = f"{path}.{name}".lstrip(".")
            data = self.pack(type, one, where)
            if at + len(data) > len(image):
                raise _wrong(where, one, "the variable passes the end of its section")
            image[at : at + len(data)] = data
        return bytes(image)

    def _fields(self, value: object, known: list[str], what: str, path: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise _wrong(path, value, f"{what} takes a dict")
        for name in value:
            if name not in known:
                from difflib import get_close_matches

                close = get_close_matches(str(name), known) or known[:8]
                raise _wrong(path, name, f"{what} has no such field, but {', '.join(close)}")
        return value

    def _place(
        self, image: bytearray, taken: bytearray, bit_offset: int, bits: int, number: int
    ) -> bool:
        """Set bits; False if some of them were taken by another value."""
        first, last = bit_offset // 8, (bit_offset + bits + 7) // 8
        low = bit_offset % 8
        shift = low if self._order == "little" else 8 * (last - first) - low - bits
        mask, new = (1 << bits) - 1 << shift, number << shift
        old = int.from_bytes(image[first:last], self._order)
        used = int.from_bytes(taken[first:last], self._order)
        image[first:last] = (old & ~mask | new).to_bytes(last - first, self._order)
        taken[first:last] = (used | mask).to_bytes(last - first, self._order)
        return not (old ^ new) & used & mask
