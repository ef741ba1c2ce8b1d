"""types → bytes: the inverse of parse, and a builder for BTF of our own.

Ids are handed out in the order of adding.  A type may refer to an id that is only reserved, so
that cycles (a struct that points to itself) can be written down.
"""

from __future__ import annotations

import struct as packing
import sys
from collections.abc import Callable, Iterable
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import HEADER_SIZE, MAGIC
from bpfemu.btf.types import Btf
from bpfemu.errors import InputError

__all__ = ["BtfBuilder", "encode"]

_MAX_VLEN: Final = 0xFFFF

MemberLike = k.Member | tuple[str, int, int] | tuple[str, int, int, int]
ValueLike = k.EnumValue | tuple[str, int]
ParamLike = k.Param | tuple[str, int]
SecVarLike = k.SecVar | tuple[int, int, int]


def encode(btf: Btf) -> bytes:
    """Return a blob with the same own types and ids; its strings are deduplicated."""
    builder = BtfBuilder(btf.base, btf.byteorder)
    for _, found in btf.types():
        builder.add(found)
    return builder.encode()


class BtfBuilder:
    """Collects types; every method that adds one returns its id."""

    def __init__(self, base: Btf | None = None, byteorder: str = sys.byteorder) -> None:
        self._base = base
        self._byteorder = byteorder
        self._start_id = base.type_count if base else 1
        self._types: list[k.Type | None] = []

    def reserve(self) -> int:
        """Take an id for a type that :meth:`set` will give."""
        self._types.append(None)
        return self._start_id + len(self._types) - 1

    def set(self, id: int, found: k.Type) -> int:
        """Say what a reserved id is (or replace a type)."""
        number = id - self._start_id
        if not 0 <= number < len(self._types):
            raise InputError(f"BTF id {id} was not handed out by this builder")
        self._types[number] = found
        return id

    def add(self, found: k.Type) -> int:
        """Add a type."""
        return self.set(self.reserve(), found)

    def int_(
        self,
        name: str,
        size: int,
        encoding: int = 0,
        bits: int | None = None,
        bit_offset: int = 0,
    ) -> int:
        """Add an INT of ``size`` bytes; ``bits`` defaults to all of them."""
        return self.add(k.Int(name, size, encoding, 8 * size if bits is None else bits, bit_offset))

    def ptr(self, type: int = 0) -> int:
        """Add a PTR."""
        return self.add(k.Ptr(type))

    def array(self, elem: int, index: int, nelems: int) -> int:
        """Add an ARRAY."""
        return self.add(k.Array(elem, index, nelems))

    def struct(
        self, name: str, size: int, members: Iterable[MemberLike], bitfields: bool | None = None
    ) -> int:
        """Add a STRUCT; members are (name, type, bit offset[, bit size])."""
        return self.add(k.Struct(name, size, *_members(members, bitfields)))

    def union(
        self, name: str, size: int, members: Iterable[MemberLike], bitfields: bool | None = None
    ) -> int:
        """Add a UNION; members are (name, type, bit offset[, bit size])."""
        return self.add(k.Union(name, size, *_members(members, bitfields)))

    def enum(self, name: str, size: int, values: Iterable[ValueLike], signed: bool = False) -> int:
        """Add an ENUM; values are (name, number)."""
        return self.add(k.Enum(name, size, signed, _values(values)))

    def enum64(
        self, name: str, size: int, values: Iterable[ValueLike], signed: bool = False
    ) -> int:
        """Add an ENUM64; values are (name, number)."""
        return self.add(k.Enum64(name, size, signed, _values(values)))

    def fwd(self, name: str, is_union: bool = False) -> int:
        """Add a FWD."""
        return self.add(k.Fwd(name, is_union))

    def typedef(self, name: str, type: int) -> int:
        """Add a TYPEDEF."""
        return self.add(k.Typedef(name, type))

    def volatile(self, type: int) -> int:
        """Add a VOLATILE."""
        return self.add(k.Volatile(type))

    def const(self, type: int) -> int:
        """Add a CONST."""
        return self.add(k.Const(type))

    def restrict(self, type: int) -> int:
        """Add a RESTRICT."""
        return self.add(k.Restrict(type))

    def func(self, name: str, type: int, linkage: int = k.Linkage.GLOBAL) -> int:
        """Add a FUNC whose prototype is ``type``."""
        return self.add(k.Func(name, type, int(linkage)))

    def func_proto(self, ret: int, params: Iterable[ParamLike] = ()) -> int:
        """Add a FUNC_PROTO; params are (name, type)."""
        made = (p if isinstance(p, k.Param) else k.Param(*p) for p in params)
        return self.add(k.FuncProto(ret, tuple(made)))

    def var(self, name: str, type: int, linkage: int = k.Linkage.GLOBAL) -> int:
        """Add a VAR."""
        return self.add(k.Var(name, type, int(linkage)))

    def datasec(self, name: str, size: int, entries: Iterable[SecVarLike]) -> int:
        """Add a DATASEC; entries are (VAR id, offset, size) in bytes."""
        made = (e if isinstance(e, k.SecVar) else k.SecVar(*e) for e in entries)
        return self.add(k.DataSec(name, size, tuple(made)))

    def float_(self, name: str, size: int) -> int:
        """Add a FLOAT."""
        return self.add(k.Float(name, size))

    def decl_tag(self, text: str, type: int, component: int = -1, kind_flag: bool = False) -> int:
        """Add a DECL_TAG on a type, or on one of its members or parameters."""
        return self.add(k.DeclTag(text, type, component, kind_flag))

    def type_tag(self, text: str, type: int, kind_flag: bool = False) -> int:
        """Add a TYPE_TAG."""
        return self.add(k.TypeTag(text, type, kind_flag))

    def encode(self) -> bytes:
        """Return the blob; every reserved id must have been set."""
        order = "<" if self._byteorder == "little" else ">"
        strings = _Strings(self._base)
        words: list[int] = []
        for number, found in enumerate(self._types):
            if found is None:
                raise InputError(f"BTF id {self._start_id + number} was reserved and never set")
            words += _record(found, strings.offset)
        types = packing.pack(f"{order}{len(words)}I", *words)
        lengths = (HEADER_SIZE, 0, len(types), len(types), len(strings.data))
        header = packing.pack(order + "HBBIIIII", MAGIC, 1, 0, *lengths)
        return header + types + strings.data

    def build(self, name: str = "") -> Btf:
        """Return what was added as a :class:`Btf`."""
        return Btf.parse(self.encode(), self._base, name)


class _Strings:
    """A string section in which every text stands once; the base's texts are used again."""

    def __init__(self, base: Btf | None) -> None:
        self.data = bytearray() if base else bytearray(1)
        self._base = base
        self._start = base.strings_size if base else 0
        self._offsets: dict[str, int] = {"": 0}

    def offset(self, text: str) -> int:
        known = self._offsets.get(text)
        if known is None:
            if "\0" in text:
                raise InputError(f"BTF string {text!r} contains a NUL")
            known = self._base.find_string(text) if self._base else None
            if known is None:
                known = self._start + len(self.data)
                self.data += text.encode("utf-8", "surrogateescape") + b"\0"
            self._offsets[text] = known
        return known


def _members(
    members: Iterable[MemberLike], bitfields: bool | None
) -> tuple[tuple[k.Member, ...], bool]:
    made = tuple(m if isinstance(m, k.Member) else k.Member(*m) for m in members)
    return made, any(m.bit_size for m in made) if bitfields is None else bitfields


def _values(values: Iterable[ValueLike]) -> tuple[k.EnumValue, ...]:
    return tuple(v if isinstance(v, k.EnumValue) else k.EnumValue(*v) for v in values)


Offset = Callable[[str], int]  # text → its string offset


def _field(what: str, value: int, bits: int, signed: bool = False) -> int:
    """Return a number as an unsigned field of ``bits`` bits; it must fit."""
    low, high = (-1 << bits - 1, 1 << bits - 1) if signed else (0, 1 << bits)
    if not low <= value < high:
        raise InputError(f"BTF {what} is {value}, must be {low} to {high - 1}")
    return value & (1 << bits) - 1


def _record(found: k.Type, offset: Offset) -> list[int]:
    """Return the words of one type record."""
    name = offset(getattr(found, "name", ""))
    third, flag, vlen, trailer = _shape(found, offset)
    info = _field("vlen", vlen, 16) | found.KIND << 24 | flag << 31
    return [name, info, third, *trailer]


def _shape(found: k.Type, offset: Offset) -> tuple[int, bool, int, list[int]]:
    """Return a record's third word, kind_flag, vlen and trailer."""
    match found:
        case k.Int():
            return _size(found.size), False, 0, [_int_data(found)]
        case k.Array():
            words = (("elem", found.elem), ("index", found.index), ("nelems", found.nelems))
            return 0, False, 0, [_field(f"ARRAY {what}", value, 32) for what, value in words]
        case k.Struct() | k.Union():
            trailer = _member_words(found, offset)
            return _size(found.size), found.bitfields, len(found.members), trailer
        case k.Enum() | k.Enum64():
            trailer = _value_words(found, offset)
            return _size(found.size), found.signed, len(found.values), trailer
        case k.Fwd():
            return 0, found.is_union, 0, []
        case k.Func():
            return _id(found.type), False, found.linkage, []
        case k.FuncProto():
            trailer = [word for p in found.params for word in (offset(p.name), _id(p.type))]
            return _id(found.ret), False, len(found.params), trailer
        case k.Var():
            return _id(found.type), False, 0, [_field("VAR linkage", found.linkage, 32)]
        case k.DataSec():
            trailer = [_field("DATASEC entry", n, 32) for e in found.entries for n in _entry(e)]
            return _size(found.size), False, len(found.entries), trailer
        case k.Float():
            return _size(found.size), False, 0, []
        case k.DeclTag():
            component = _field("DECL_TAG component", found.component, 32, signed=True)
            return _id(found.type), found.kind_flag, 0, [component]
        case k.TypeTag():
            return _id(found.type), found.kind_flag, 0, []
        case k.Void():
            raise InputError("BTF void has id 0 and is never stored")
        case _:
            return _id(found.type), False, 0, []


def _int_data(found: k.Int) -> int:
    bits, offset = _field("INT bits", found.bits, 8), _field("INT bit offset", found.bit_offset, 8)
    return bits | offset << 16 | _field("INT encoding", found.encoding, 4) << 24


def _id(value: int) -> int:
    return _field("type id", value, 32)


def _size(value: int) -> int:
    return _field("size", value, 32)


def _entry(entry: k.SecVar) -> tuple[int, int, int]:
    return entry.type, entry.offset, entry.size


def _member_words(found: k.Struct | k.Union, offset: Offset) -> list[int]:
    words = []
    for member in found.members:
        if found.bitfields:
            where = _field("member bit offset", member.bit_offset, 24)
            where |= _field("member bit size", member.bit_size, 8) << 24
        else:
            where = _field("member bit offset", member.bit_offset, 32)
            _field(f"bit size of {member.name!r} without bitfields", member.bit_size, 0)
        words += [offset(member.name), _id(member.type), where]
    return words


def _value_words(found: k.Enum | k.Enum64, offset: Offset) -> list[int]:
    bits = 32 if isinstance(found, k.Enum) else 64
    words = []
    for value in found.values:
        number = _field(f"value of {value.name!r}", value.value, bits, found.signed)
        words += [offset(value.name), number & 0xFFFFFFFF]
        if bits == 64:
            words.append(number >> 32)
    return words
