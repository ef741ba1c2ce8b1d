"""Where the members of a struct lie: from a declared Struct, or from BTF by name."""

from __future__ import annotations

import sys

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import DeclarationError, InputError
from bpfemu.proto.ctype import (
    ArrayType,
    CType,
    IntType,
    PtrType,
    StructType,
    VoidType,
    ctype_of,
)
from bpfemu.proto.types import Struct
from bpfemu.record import dataclass, replace

__all__ = [
    "ArrayType",
    "CType",
    "Field",
    "IntType",
    "Layout",
    "Layouts",
    "PtrType",
    "StructType",
    "VoidType",
    "ctype_of",
]


@dataclass(frozen=True, slots=True)
class Field:
    """A member: ``offset`` in bytes."""

    offset: int
    type: CType


@dataclass(frozen=True, slots=True)
class Layout:
    """A struct's size and alignment in bytes, and its members; anonymous ones are flattened."""

    name: str
    size: int
    align: int
    fields: dict[str, Field]

    def field(self, name: str) -> Field:
        """The member ``name``; InputError names the struct and its nearest members otherwise."""
        found = self.fields.get(name)
        if found is None:
            raise InputError(
                f"struct {self.name} has no member {name!r} (members: "
                f"{', '.join(list(self.fields)[:12])}{', …' if len(self.fields) > 12 else ''})"
            )
        return found


class Layouts:
    """Layouts by declared class or by name; names are looked up in ``btf``, then in ``declared``.

    Structs marked private always have their declared layout.
    """

    def __init__(self, btf: Btf | None, declared: dict[str, type[Struct]] | None = None) -> None:
        self.btf = btf
        self._declared = declared or {}
        self._cache: dict[StructType | str, Layout] = {}
        self._btf_types: dict[int, CType] = {}

    def of(self, struct: StructType) -> Layout:
        """The layout of a struct; InputError when nobody describes it."""
        found = self._cache.get(struct)
        if found is None:
            found = self._cache[struct] = self._find(struct)
        return found

    def named(self, name: str) -> Layout:
        """The layout of ``struct name``."""
        return self.of(StructType(name, self._declared.get(name)))

    def has(self, name: str, member: str = "") -> bool:
        """Is there such a struct (and such a member)?"""
        try:
            layout = self.named(name)
        except InputError:
            return False
        return not member or member in layout.fields

    def size_of(self, ctype: CType) -> int:
        """Bytes; 1 for void, as in the kernel's pointer arithmetic."""
        match ctype:
            case IntType():
                return ctype.size
            case PtrType():
                return 8
            case ArrayType():
                return self.size_of(ctype.elem) * ctype.count
            case StructType():
                return self.of(ctype).size
        return 1

    def align_of(self, ctype: CType) -> int:
        """Bytes."""
        match ctype:
            case ArrayType():
                return self.align_of(ctype.elem)
            case StructType():
                return self.of(ctype).align
        return self.size_of(ctype)

    def _find(self, struct: StructType) -> Layout:
        cls = struct.cls or self._declared.get(struct.name)
        if cls is not None and (cls.c_private or cls.c_opaque):
            return self._from_class(cls)
        if self.btf is not None:
            type_id = struct.btf_id or self._btf_id(struct.name)
            if type_id:
                return self._from_btf(struct.name, type_id)
        if cls is not None:
            return self._from_class(cls)
        raise InputError(f"the kernel's BTF has no struct {struct.name}")

    def _btf_id(self, name: str) -> int | None:
        """The struct or union with that tag, or that a typedef of that name stands for."""
        assert self.btf is not None
        found = self.btf.find(name, k.Struct, k.Union)
        if found is None:
            typedef = self.btf.find(name, k.Typedef)
            found = self.btf.resolve(typedef) if typedef else None
        struct = found is not None and isinstance(self.btf.type(found), k.Struct | k.Union)
        return found if struct else None

    def _from_class(self, cls: type[Struct]) -> Layout:
        if (alias := cls.c_alias()) is not None:
            return self._from_class(alias)
        fields: dict[str, Field] = {}
        align, end = 1, 0  # bytes
        for name, field in self.members(cls):
            align = max(align, self.align_of(field.type))
            end = max(end, _end(field, self.size_of(field.type)))
            self._add(fields, name, field.offset, field.type)
        align = cls.c_align or (8 if cls.c_opaque else align)
        size = cls.c_size or end + -end % align
        if size < end:
            raise DeclarationError(cls.c_name, f"members need {end} bytes, size says {size}")
        return Layout(cls.c_name, size, align, fields)

    def members(self, cls: type[Struct]) -> list[tuple[str, Field]]:
        """The members of a declared struct as they are written, anonymous ones included."""
        scope = vars(sys.modules[cls.__module__])
        members: list[tuple[str, Field]] = []
        bit = 0
        for name, note in cls.c_members().items():
            ctype = ctype_of(note, scope)
            bit = 0 if cls.c_union else bit
            if isinstance(ctype, IntType) and ctype.bits:
                at, size = _bit_position(bit, ctype), ctype.bits
                ctype = replace(ctype, shift=at % (8 * ctype.size))
                members.append((name, Field((at - ctype.shift) // 8, ctype)))
            else:
                at = bit + -bit % (8 * self.align_of(ctype))
                size = 8 * self.size_of(ctype)
                members.append((name, Field(at // 8, ctype)))
            bit = at + size
        return members

    def _add(self, fields: dict[str, Field], name: str, at: int, ctype: CType) -> None:
        """A member named ``_anon…`` is anonymous: its own members are reached directly."""
        if not name.startswith("_anon") or not isinstance(ctype, StructType):
            fields[name] = Field(at, ctype)
            return
        for inner, field in self.of(ctype).fields.items():
            fields[inner] = Field(at + field.offset, field.type)

    def _from_btf(self, name: str, type_id: int) -> Layout:
        btf = self.btf
        assert btf is not None
        fields: dict[str, Field] = {}
        for member in btf.members(type_id):
            ctype = self.btf_type(member.type)
            offset = member.bit_offset // 8
            if member.bit_size and isinstance(ctype, IntType):
                unit = 8 * ctype.size
                offset = member.bit_offset // unit * ctype.size
                shift = member.bit_offset - 8 * offset
                ctype = IntType(ctype.size, ctype.signed, ctype.name, member.bit_size, shift)
            fields.setdefault(member.name, Field(offset, ctype))
        return Layout(name, btf.size_of(type_id), btf.align_of(type_id), fields)

    def btf_type(self, type_id: int) -> CType:
        """The C type of a BTF id."""
        found = self._btf_types.get(type_id)
        if found is None:
            found = self._btf_types[type_id] = self._read_btf_type(type_id)
        return found

    def _read_btf_type(self, type_id: int) -> CType:
        btf = self.btf
        assert btf is not None
        real = btf.resolve(type_id)
        kind = btf.type(real)
        match kind:
            case k.Int():
                return IntType(_int_size(kind), bool(kind.encoding & 1), kind.name)
            case k.Enum() | k.Enum64():
                return IntType(_int_size(kind), kind.signed, kind.name)
            case k.Ptr():
                return PtrType(self.btf_type(kind.type) if kind.type else VoidType())
            case k.Array():
                return ArrayType(self.btf_type(kind.elem), kind.nelems)
            case k.Struct() | k.Union():
                return StructType(kind.name, None, real)
            case k.Fwd():
                return StructType(kind.name)
        return VoidType()


def _int_size(kind: k.Int | k.Enum | k.Enum64) -> int:
    """Bytes; a file may claim any number, the kernel takes these (btf_int_check_meta)."""
    if kind.size not in (1, 2, 4, 8, 16):
        name = kind.name or "(anon)"
        raise InputError(f"the kernel's BTF: integer {name} has {kind.size} bytes, not 1 to 16")
    return kind.size


def _bit_position(bit: int, ctype: IntType) -> int:
    """Where a bit field starts: in the unit that is being filled, if it fits, else in the next."""
    unit = 8 * ctype.size
    return bit if bit % unit + ctype.bits <= unit else bit + -bit % unit


def _end(field: Field, size: int) -> int:
    """The byte behind a member; a bit field ends with its last bit."""
    ctype = field.type
    if isinstance(ctype, IntType) and ctype.bits:
        return field.offset + (ctype.shift + ctype.bits + 7) // 8
    return field.offset + size
