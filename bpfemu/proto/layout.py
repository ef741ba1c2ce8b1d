"""Where the members of a struct lie: from a declared Struct, or from BTF by name."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ForwardRef, TypeAlias, get_args, get_origin

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import DeclarationError, InputError
from bpfemu.proto.types import Ptr, Scalar, Struct, bool_, void

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
class IntType:
    """An integer, bool, char or enum of ``size`` bytes; ``bits`` > 0 marks a bit field."""

    size: int
    signed: bool = False
    name: str = ""
    bits: int = 0
    shift: int = 0  # first bit within the ``size`` bytes

    def __str__(self) -> str:
        return self.name or f"{'s' if self.signed else 'u'}{8 * self.size}"


@dataclass(frozen=True, slots=True)
class PtrType:
    """A pointer to ``target``."""

    target: CType

    def __str__(self) -> str:
        return f"{self.target} *"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """``count`` elements of ``elem``."""

    elem: CType
    count: int

    def __str__(self) -> str:
        return f"{self.elem}[{self.count}]"


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct or union by name; ``cls`` when it was declared in Python, ``btf_id`` from BTF."""

    name: str
    cls: type[Struct] | None = None
    btf_id: int = 0

    def __str__(self) -> str:
        return f"struct {self.name}"


@dataclass(frozen=True, slots=True)
class VoidType:
    """``void``, and everything that cannot be read through a pointer (functions)."""

    def __str__(self) -> str:
        return "void"


CType: TypeAlias = IntType | PtrType | ArrayType | StructType | VoidType


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


def ctype_of(annotation: Any, scope: dict[str, Any] | None = None) -> CType:
    """The C type of an annotation: Scalar subclass, Ptr[...], Struct subclass, (type, count)."""
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        value = _evaluate(annotation, scope)
        return StructType(annotation) if value is None else ctype_of(value, scope)
    if isinstance(annotation, tuple) and len(annotation) == 2:
        return ArrayType(ctype_of(annotation[0], scope), annotation[1])
    if get_origin(annotation) is Ptr:
        return PtrType(ctype_of(get_args(annotation)[0], scope))
    if annotation is void or annotation is None or annotation is Any:
        return VoidType()
    if isinstance(annotation, type):
        if issubclass(annotation, Scalar):
            name = "bool" if annotation is bool_ else annotation.__name__
            return IntType(annotation.bits // 8, annotation.signed, name)
        if issubclass(annotation, Struct):
            return StructType(annotation.c_name, annotation)
    raise DeclarationError(str(annotation), "is not a C type that bpfemu knows")


def _evaluate(text: str, scope: dict[str, Any] | None) -> Any:
    """The value of a string annotation, or None when it is just a struct's name."""
    try:
        return eval(text, scope or {})  # annotations of our own modules only
    except NameError:
        if text.isidentifier():
            return None
        raise DeclarationError(text, "names a type that its module does not import") from None


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
            type_id = struct.btf_id or self.btf.find(struct.name, k.Struct, k.Union)
            if type_id:
                return self._from_btf(struct.name, type_id)
        if cls is not None:
            return self._from_class(cls)
        raise InputError(f"the kernel's BTF has no struct {struct.name}")

    def _from_class(self, cls: type[Struct]) -> Layout:
        scope = vars(sys.modules[cls.__module__])
        fields: dict[str, Field] = {}
        at = end = 0
        align = 1
        for name, annotation in vars(cls).get("__annotations__", {}).items():
            ctype = ctype_of(annotation, scope)
            width = self.align_of(ctype)
            align = max(align, width)
            at = 0 if cls.c_union else at + -at % width
            self._add(fields, name, at, ctype)
            at += self.size_of(ctype)
            end = max(end, at)
        align = cls.c_align or (8 if cls.c_opaque else align)
        size = cls.c_size or end + -end % align
        if size < end:
            raise DeclarationError(cls.c_name, f"members need {end} bytes, size says {size}")
        return Layout(cls.c_name, size, align, fields)

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
                return IntType(kind.size, bool(kind.encoding & 1), kind.name)
            case k.Enum() | k.Enum64():
                return IntType(kind.size, kind.signed, kind.name)
            case k.Ptr():
                return PtrType(self.btf_type(kind.type) if kind.type else VoidType())
            case k.Array():
                return ArrayType(self.btf_type(kind.elem), kind.nelems)
            case k.Struct() | k.Union():
                return StructType(kind.name, None, real)
            case k.Fwd():
                return StructType(kind.name)
        return VoidType()
