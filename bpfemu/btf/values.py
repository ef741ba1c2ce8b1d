"""Bytes → Python values and C text, by type: what a map's value or a context holds.

==================  =======================================================================
BTF                 Python
==================  =======================================================================
INT, FLOAT, PTR     ``int`` (``bool`` if it is one), ``float``, ``int``; ``bytes`` above 16 of them
ENUM, ENUM64        the name of the value, or an ``int`` that has none
ARRAY of char       ``str``, if it is printable and ends in NUL; else as below
ARRAY               ``list``
STRUCT, UNION       ``dict``; members of anonymous ones are the outer one's
VAR, DATASEC        the variable's value; ``dict`` by variable name
==================  =======================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby
from typing import Final, Literal

from bpfemu.btf import kinds as k
from bpfemu.btf.layout import MemberAt
from bpfemu.btf.types import Btf
from bpfemu.errors import InputError

__all__ = ["format_value", "value_to_python"]

FLOATS: Final = {2: "e", 4: "f", 8: "d"}  # struct codes by size in bytes
WIDEST: Final = 16  # bytes of the widest number
_REPEATS: Final = 8  # equal elements in a row that are printed once
_NESTING: Final = 32
_ESCAPES: Final = {34: '\\"', 92: "\\\\", 10: "\\n", 9: "\\t", 13: "\\r"}  # by character


def value_to_python(btf: Btf, id: int, data: bytes | bytearray | memoryview) -> object:
    """Return the bytes as a Python value; there must be at least the type's size of them."""
    return _Reader(btf).whole(id, data)


def format_value(btf: Btf, id: int, data: bytes | bytearray | memoryview) -> str:
    """Return the bytes as a C initialiser on one line: ``{.pid = 7, .comm = "init"}``."""
    return _format(btf, id, _Reader(btf).whole(id, data))


class _Reader:
    """Reads one value; counts its parts, so that hostile types cannot keep it busy."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._order = byte_order(btf)
        self._left = 0

    def whole(self, id: int, data: bytes | bytearray | memoryview) -> object:
        size = self._btf.size_of(id)
        if len(data) < size:
            raise InputError(f"BTF type {id} has {size} bytes, {len(data)} are given")
        self._left = 4096 + 64 * size
        return self._read(id, bytes(data[:size]), 0)

    def _read(self, id: int, data: bytes, depth: int) -> object:
        self._left -= 1
        if self._left < 0 or depth > _NESTING:
            raise InputError(f"BTF type {id}: structs nested without end")
        btf, found = self._btf, self._btf.type(self._btf.resolve(id))
        match found:
            case k.Array():
                return self._array(found, data, depth)
            case k.Struct() | k.Union():
                members = btf.members(id)
                return {member.name: self._member(member, data, depth) for member in members}
            case k.Var():
                return self._read(found.type, data, depth + 1)
            case k.DataSec():
                places = variables_of(btf, found)
                return {name: self._part(type, 8 * at, data, depth) for name, type, at in places}
            case k.Float() if found.size in FLOATS:
                sign = "<" if self._order == "little" else ">"
                return float(struct.unpack(sign + FLOATS[found.size], data)[0])
            case k.Int() | k.Enum() | k.Enum64() | k.Float() if len(data) > WIDEST:
                return data
            case k.Int() if 0 < found.bits + found.bit_offset <= 8 * len(data):
                number = extract_bits(data, found.bit_offset, found.bits, self._order)
                return _number(found, number, found.bits)
            case _:
                return _number(found, int.from_bytes(data, self._order), 8 * len(data))

    def _part(self, id: int, bit_offset: int, data: bytes, depth: int) -> object:
        at, size = bit_offset // 8, self._btf.size_of(id)
        if at + size > len(data):
            raise InputError(f"BTF type {id} at byte {at} passes the end of what it is in")
        return self._read(id, data[at : at + size], depth + 1)

    def _member(self, member: MemberAt, data: bytes, depth: int) -> object:
        if not member.bit_size:
            return self._part(member.type, member.bit_offset, data, depth)
        if member.bit_offset + member.bit_size > 8 * len(data):
            raise InputError(f"bitfield {member.name!r} passes the end of its struct")
        number = extract_bits(data, member.bit_offset, member.bit_size, self._order)
        return _number(self._btf.type(self._btf.resolve(member.type)), number, member.bit_size)

    def _array(self, array: k.Array, data: bytes, depth: int) -> object:
        btf, nelems = self._btf, array.nelems
        if nelems and is_char(btf, array.elem) and (text := _text(data)) is not None:
            return text
        size = btf.size_of(array.elem)
        parts = [data[at : at + size] for at in range(0, nelems * size, size or 1)]
        return [self._read(array.elem, part, depth + 1) for part in parts]


def byte_order(btf: Btf) -> Literal["little", "big"]:
    """Return the byte order of the machine that the types describe."""
    return "little" if btf.byteorder == "little" else "big"


def extract_bits(data: bytes, bit_offset: int, bits: int, order: Literal["little", "big"]) -> int:
    """Return ``bits`` bits; a bit offset counts from the end that comes first in memory."""
    first, last = bit_offset // 8, (bit_offset + bits + 7) // 8
    number = int.from_bytes(data[first:last], order)
    low = bit_offset % 8
    shift = low if order == "little" else 8 * (last - first) - low - bits
    return number >> shift & (1 << bits) - 1


def _number(found: k.Type, number: int, bits: int) -> object:
    if isinstance(found, k.Int | k.Enum | k.Enum64) and found.signed and number << 1 >> bits:
        number -= 1 << bits
    match found:
        case k.Int() if found.encoding & k.IntEncoding.BOOL and 0 <= number <= 1:
            return bool(number)
        case k.Enum() | k.Enum64():
            return next((value.name for value in found.values if value.value == number), number)
        case _:
            return number


def is_char(btf: Btf, id: int) -> bool:
    """Whether the type is C's ``char`` (not ``signed char``, which is a small number)."""
    found = btf.type(btf.resolve(id))
    if not isinstance(found, k.Int) or found.size != 1:
        return False
    return found.name == "char" or bool(found.encoding & k.IntEncoding.CHAR)


def _text(data: bytes) -> str | None:
    head, nul, _ = data.partition(b"\0")
    try:
        text = head.decode()
    except UnicodeDecodeError:
        return None
    printable = all(char.isprintable() or char in "\t\n\r" for char in text)
    return text if nul and printable else None


def variables_of(btf: Btf, section: k.DataSec) -> Iterator[tuple[str, int, int]]:
    """Yield the variables of a section: name, type, byte offset.

    Extern functions in a section have no bytes and are left out.
    """
    for place in section.entries:
        var = btf.type(place.type)
        if isinstance(var, k.Var):
            yield var.name, var.type, place.offset


def _format(btf: Btf, id: int, value: object) -> str:
    found = btf.type(btf.resolve(id))
    match found, value:
        case k.Array(), list():
            return _format_list(btf, found.elem, value)
        case ((k.Struct() | k.Union()), dict()):
            types = {member.name: member.type for member in btf.members(id)}
            return _format_dict(btf, types, value)
        case k.DataSec(), dict():
            types = {name: type for name, type, _ in variables_of(btf, found)}
            return _format_dict(btf, types, value)
        case k.Var(), _:
            return _format(btf, found.type, value)
        case k.Ptr(), int():
            return f"{value:#x}" if value else "NULL"
        case ((k.Enum() | k.Enum64()), _):
            return str(value)
        case _:
            return _format_plain(value)


def _format_plain(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"0x{value.hex()}"
        case str():
            return '"' + value.translate(_ESCAPES) + '"'
        case _:
            return str(value)


def _format_dict(btf: Btf, types: dict[str, int], values: dict[str, object]) -> str:
    parts = [f".{name} = {_format(btf, types[name], value)}" for name, value in values.items()]
    return "{" + ", ".join(parts) + "}"


def _format_list(btf: Btf, elem: int, values: list[object]) -> str:
    parts: list[str] = []
    for text, group in groupby(_format(btf, elem, value) for value in values):
        count = len(list(group))
        many = count >= _REPEATS
        parts += [f"{text} <repeats {count} times>"] if many else [text] * count
    return "{" + ", ".join(parts) + "}"
