"""C types of objects: those that BTF has, pointers to them, arrays of them, and C's own numbers.

BTF need not have a pointer to each of its types, so a :class:`Type` is a BTF id and what was put
around it since, innermost first: ``-1`` for a pointer, else the length of an array.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.layout import POINTER_SIZE, bitfield_of
from bpfemu.btf.spelling import Speller
from bpfemu.errors import InputError
from bpfemu.objects.numbers import C_NUMBERS, number_name
from bpfemu.record import dataclass, replace

__all__ = ["POINTER", "Type", "TypeEnumerator", "TypeKind", "TypeMember", "number_type"]

POINTER: Final = -1
_NESTING: Final = 32


class TypeKind(Enum):
    """What sort of type it is."""

    VOID = "void"
    INT = "int"
    BOOL = "bool"
    FLOAT = "float"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    TYPEDEF = "typedef"
    POINTER = "pointer"
    ARRAY = "array"
    FUNCTION = "function"


_KINDS: Final = {
    k.Float: TypeKind.FLOAT,
    k.Struct: TypeKind.STRUCT,
    k.Union: TypeKind.UNION,
    k.Enum: TypeKind.ENUM,
    k.Enum64: TypeKind.ENUM,
    k.Typedef: TypeKind.TYPEDEF,
    k.Ptr: TypeKind.POINTER,
    k.Array: TypeKind.ARRAY,
    k.FuncProto: TypeKind.FUNCTION,
    k.Func: TypeKind.FUNCTION,
}


@dataclass(frozen=True, slots=True)
class TypeMember:
    """A member; ``name`` is None for an anonymous struct or union."""

    name: str | None
    type: Type
    bit_offset: int
    bit_field_size: int | None = None  # bits

    @property
    def offset(self) -> int:
        """The byte it starts in."""
        return self.bit_offset // 8


@dataclass(frozen=True, slots=True)
class TypeEnumerator:
    """One name of an enumeration."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Type:
    """A C type; ``own`` is a number that stands in no BTF."""

    btf: Btf | None
    id: int
    derived: tuple[int, ...] = ()
    own: k.Int | k.Float | None = None

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def kind(self) -> TypeKind:
        """What sort of type it is; qualifiers do not count."""
        if self.derived:
            return TypeKind.POINTER if self.derived[-1] == POINTER else TypeKind.ARRAY
        found = self._found()
        if isinstance(found, k.Int):
            return TypeKind.BOOL if found.encoding & k.IntEncoding.BOOL else TypeKind.INT
        if isinstance(found, k.Fwd):
            return TypeKind.UNION if found.is_union else TypeKind.STRUCT
        return _KINDS.get(type(found), TypeKind.VOID)

    def _found(self) -> k.Type:
        """The BTF type, qualifiers skipped; only where nothing was put around it."""
        if self.own is not None:
            return self.own
        return self.btf.type(self.btf.skip_mods(self.id)) if self.btf is not None else k.Void()

    @property
    def underlying(self) -> Type:
        """Without typedefs and qualifiers."""
        if self.derived or self.btf is None:
            return self
        real = self.btf.resolve(self.id)
        return self if real == self.id else Type(self.btf, real)

    @property
    def type(self) -> Type:
        """What a pointer points to, an array is made of, a typedef stands for."""
        if self.derived:
            return replace(self, derived=self.derived[:-1])
        match self._found():
            case k.Ptr(id) | k.Typedef(_, id) | k.Array(id, _, _):
                return Type(self.btf, id)
        raise AttributeError(f"{self} has no type of its own")

    @property
    def name(self) -> str | None:
        """Of a number, or of a typedef."""
        found = None if self.derived else self._found()
        return found.name if isinstance(found, k.Int | k.Float | k.Typedef) else None

    @property
    def tag(self) -> str | None:
        """Of a struct, union or enum; None for one without."""
        found = None if self.derived else self._found()
        tagged = isinstance(found, k.Struct | k.Union | k.Enum | k.Enum64 | k.Fwd)
        return (getattr(found, "name", "") or None) if tagged else None

    @property
    def is_signed(self) -> bool:
        """Whether a number or an enumeration has values below zero."""
        found = None if self.derived else self.underlying._found()
        return isinstance(found, k.Int | k.Enum | k.Enum64) and found.signed

    @property
    def is_complete(self) -> bool:
        """Whether its size is known: not of a struct that is only declared, nor of ``x[]``."""
        real = self.underlying
        if real.kind is TypeKind.ARRAY:
            return bool(real.length) and real.type.is_complete
        if real.derived:
            return True
        return not isinstance(real._found(), k.Fwd | k.Void | k.FuncProto | k.Func)

    @property
    def length(self) -> int | None:
        """Elements of an array; None for ``x[]``."""
        if self.derived and self.derived[-1] != POINTER:
            return self.derived[-1] or None
        found = None if self.derived else self._found()
        if not isinstance(found, k.Array):
            raise AttributeError(f"{self} is no array")
        return found.nelems or None

    # ---- sizes and members ----------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Bytes; TypeError where it has none."""
        if self.derived:
            last = self.derived[-1]
            return POINTER_SIZE if last == POINTER else last * self.type.size
        if self.own is not None:
            return self.own.size
        if self.btf is None:
            raise TypeError("void has no size")
        try:
            return self.btf.size_of(self.id)
        except InputError:
            raise TypeError(f"{self} has no size") from None

    @property
    def align(self) -> int:
        """Bytes."""
        real = self.underlying
        if real.kind is TypeKind.ARRAY:
            return real.type.align
        if real.derived or real.own is not None or real.btf is None:
            return min(real.size, POINTER_SIZE)
        return real.btf.align_of(real.id)

    def _composite(self) -> tuple[Btf, k.Struct | k.Union]:
        real = self.underlying
        found = None if real.derived else real._found()
        if real.btf is None or not isinstance(found, k.Struct | k.Union):
            raise TypeError(f"{self} is not a struct or union with members")
        return real.btf, found

    @property
    def members(self) -> list[TypeMember]:
        """The members as they are written; TypeError where there cannot be any."""
        btf, found = self._composite()
        return [
            TypeMember(member.name or None, Type(btf, member.type), at, bits or None)
            for member in found.members
            for at, bits in [bitfield_of(btf, member)]
        ]

    @property
    def flat_members(self) -> list[TypeMember]:
        """The members that have a name, those of anonymous ones inside among them."""
        btf, _ = self._composite()
        return [
            TypeMember(
                member.name, Type(btf, member.type), member.bit_offset, member.bit_size or None
            )
            for member in btf.members(self.underlying.id)
        ]

    def member(self, name: str) -> TypeMember:
        """A member by name, also one of an anonymous member; LookupError when there is none."""
        for member in self.flat_members:
            if member.name == name:
                return member
        raise LookupError(f"{self} has no member {name!r}")

    def has_member(self, name: str) -> bool:
        """Whether there is one."""
        return any(member.name == name for member in self.flat_members)

    @property
    def enumerators(self) -> list[TypeEnumerator]:
        """The names of an enumeration and their values."""
        found = None if self.derived else self.underlying._found()
        if not isinstance(found, k.Enum | k.Enum64):
            raise AttributeError(f"{self} is no enumeration")
        return [TypeEnumerator(value.name, value.value) for value in found.values]

    # ---- new types and text ---------------------------------------------------------------------

    def pointer_to(self) -> Type:
        """``T *``."""
        return replace(self, derived=(*self.derived, POINTER))

    def array_of(self, length: int) -> Type:
        """``T [length]``."""
        if length < 0:
            raise InputError(f"an array of {length} elements")
        return replace(self, derived=(*self.derived, length))

    def type_name(self) -> str:
        """The type as C writes it in a cast: ``struct task_struct *``, ``char [16]``."""
        inner = ""
        for layer in reversed(self.derived):
            if layer == POINTER:
                inner = f"*{inner}"
            else:
                inner = f"({inner})" if inner.startswith("*") else inner
                inner = f"{inner}[{layer or ''}]"
        if self.own is not None or self.btf is None:
            base = self.own.name if self.own is not None else "void"
            return f"{base} {inner}" if inner else base
        text = Speller(self.btf, lambda tag: "", _shown).declare(self.id, inner)
        return _spaced(" ".join(text.split()))

    def __str__(self) -> str:
        return self.type_name()

    def __repr__(self) -> str:
        return f"prog.type({self.type_name()!r})"


def _shown(id: int, found: k.Type) -> str:
    """A type's name; numbers are called as C calls them, whatever the compiler wrote."""
    name = getattr(found, "name", "")
    if isinstance(found, k.Int) and " " in name:
        name = number_name(name.split()) or name
    return name or "<anonymous>"


def _spaced(text: str) -> str:
    """``char[16]`` → ``char [16]``; what a pointer or a function stands around is left alone."""
    head, bracket, tail = text.partition("[")
    return f"{head} [{tail}" if bracket and head[-1:].isalnum() and "(" not in head else text


def number_type(name: str) -> Type:
    """One of C's own numbers."""
    return Type(None, 0, own=C_NUMBERS[name])
