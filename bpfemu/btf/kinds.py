"""What a C type is: one frozen dataclass per BTF kind.

A type refers to others by their BTF id (an ``int``); id 0 is ``void``.  The numbers and fields are
those of the kernel's ``include/uapi/linux/btf.h``; sizes are in bytes unless a name says bits.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import ClassVar, Final, TypeAlias

from bpfemu.record import dataclass

__all__ = [
    "KINDS",
    "KIND_NAMES",
    "MODIFIERS",
    "Array",
    "Const",
    "DataSec",
    "DeclTag",
    "Enum",
    "Enum64",
    "EnumValue",
    "Float",
    "Func",
    "FuncProto",
    "Fwd",
    "Int",
    "IntEncoding",
    "Linkage",
    "Member",
    "Param",
    "Ptr",
    "Restrict",
    "SecVar",
    "Struct",
    "Type",
    "TypeTag",
    "Typedef",
    "Union",
    "Var",
    "Void",
    "Volatile",
]


class IntEncoding(IntFlag):
    """How an INT's bits are meant; 0 is a plain unsigned number."""

    SIGNED = 1
    CHAR = 2
    BOOL = 4


class Linkage(IntEnum):
    """Where a FUNC or VAR is defined."""

    STATIC = 0
    GLOBAL = 1
    EXTERN = 2


@dataclass(frozen=True, slots=True)
class Void:
    """Type id 0; it is never stored."""

    KIND: ClassVar[int] = 0


@dataclass(frozen=True, slots=True)
class Int:
    """An integer, a character or a bool."""

    KIND: ClassVar[int] = 1
    name: str
    size: int
    encoding: int = 0  # IntEncoding bits
    bits: int = 0  # width of the value in bits; 8 * size unless it is an old bitfield type
    bit_offset: int = 0  # where the value starts within its storage, in bits

    @property
    def signed(self) -> bool:
        """Whether the value is two's complement."""
        return bool(self.encoding & IntEncoding.SIGNED)


@dataclass(frozen=True, slots=True)
class Ptr:
    """A pointer to ``type``."""

    KIND: ClassVar[int] = 2
    type: int


@dataclass(frozen=True, slots=True)
class Array:
    """``nelems`` elements of type ``elem``; ``index`` is the type of an index."""

    KIND: ClassVar[int] = 3
    elem: int
    index: int
    nelems: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union."""

    name: str  # empty for an anonymous struct or union
    type: int
    bit_offset: int
    bit_size: int = 0  # width of a bitfield in bits; 0 is not a bitfield


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct; an anonymous one has an empty name."""

    KIND: ClassVar[int] = 4
    name: str
    size: int
    members: tuple[Member, ...]
    bitfields: bool = False  # kind_flag: members carry their bit sizes


@dataclass(frozen=True, slots=True)
class Union:
    """A union; an anonymous one has an empty name."""

    KIND: ClassVar[int] = 5
    name: str
    size: int
    members: tuple[Member, ...]
    bitfields: bool = False  # kind_flag: members carry their bit sizes


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One name of an enumeration."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Enum:
    """An enumeration whose values fit 32 bits."""

    KIND: ClassVar[int] = 6
    name: str
    size: int
    signed: bool
    values: tuple[EnumValue, ...]


@dataclass(frozen=True, slots=True)
class Fwd:
    """A struct or union that is declared, not defined."""

    KIND: ClassVar[int] = 7
    name: str
    is_union: bool = False


@dataclass(frozen=True, slots=True)
class Typedef:
    """Another name for ``type``."""

    KIND: ClassVar[int] = 8
    name: str
    type: int


@dataclass(frozen=True, slots=True)
class Volatile:
    """``volatile`` before ``type``."""

    KIND: ClassVar[int] = 9
    type: int


@dataclass(frozen=True, slots=True)
class Const:
    """``const`` before ``type``."""

    KIND: ClassVar[int] = 10
    type: int


@dataclass(frozen=True, slots=True)
class Restrict:
    """``restrict`` on the pointer ``type``."""

    KIND: ClassVar[int] = 11
    type: int


@dataclass(frozen=True, slots=True)
class Func:
    """A function; ``type`` is its FUNC_PROTO."""

    KIND: ClassVar[int] = 12
    name: str
    type: int
    linkage: int = 0  # Linkage


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a prototype; no name and type 0 at the end means ``...``."""

    name: str
    type: int


@dataclass(frozen=True, slots=True)
class FuncProto:
    """The return type and parameters of a function."""

    KIND: ClassVar[int] = 13
    ret: int
    params: tuple[Param, ...]

    @property
    def variadic(self) -> bool:
        """Whether the parameters end in ``...``."""
        return bool(self.params) and self.params[-1] == Param("", 0)


@dataclass(frozen=True, slots=True)
class Var:
    """A global variable."""

    KIND: ClassVar[int] = 14
    name: str
    type: int
    linkage: int = 0  # Linkage


@dataclass(frozen=True, slots=True)
class SecVar:
    """Where a variable (or an extern FUNC) lies in its section, in bytes."""

    type: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class DataSec:
    """An ELF section of variables."""

    KIND: ClassVar[int] = 15
    name: str
    size: int
    entries: tuple[SecVar, ...]


@dataclass(frozen=True, slots=True)
class Float:
    """A floating point number."""

    KIND: ClassVar[int] = 16
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class DeclTag:
    """A text attached to a declaration; it is called ``name`` because BTF keeps it there."""

    KIND: ClassVar[int] = 17
    name: str
    type: int
    component: int = -1  # index of a member or parameter; -1 is the whole thing
    kind_flag: bool = False  # an attribute of any kind, not only btf_decl_tag


@dataclass(frozen=True, slots=True)
class TypeTag:
    """A text attached to what a pointer points at (``__kptr``, ``__rcu`` and the like)."""

    KIND: ClassVar[int] = 18
    name: str
    type: int
    kind_flag: bool = False  # an attribute of any kind, not only btf_type_tag


@dataclass(frozen=True, slots=True)
class Enum64:
    """An enumeration with 64-bit values."""

    KIND: ClassVar[int] = 19
    name: str
    size: int
    signed: bool
    values: tuple[EnumValue, ...]


Type: TypeAlias = (
    Void
    | Int
    | Ptr
    | Array
    | Struct
    | Union
    | Enum
    | Fwd
    | Typedef
    | Volatile
    | Const
    | Restrict
    | Func
    | FuncProto
    | Var
    | DataSec
    | Float
    | DeclTag
    | TypeTag
    | Enum64
)

# The classes by kind number.
KINDS: Final[tuple[type[Type], ...]] = (
    Void,
    Int,
    Ptr,
    Array,
    Struct,
    Union,
    Enum,
    Fwd,
    Typedef,
    Volatile,
    Const,
    Restrict,
    Func,
    FuncProto,
    Var,
    DataSec,
    Float,
    DeclTag,
    TypeTag,
    Enum64,
)

# The kernel's names by kind number, as bpftool and the kernel log print them.
KIND_NAMES: Final = [
    "UNKN",
    "INT",
    "PTR",
    "ARRAY",
    "STRUCT",
    "UNION",
    "ENUM",
    "FWD",
    "TYPEDEF",
    "VOLATILE",
    "CONST",
    "RESTRICT",
    "FUNC",
    "FUNC_PROTO",
    "VAR",
    "DATASEC",
    "FLOAT",
    "DECL_TAG",
    "TYPE_TAG",
    "ENUM64",
]

# Kinds that only add to the type they refer to.
MODIFIERS: Final = (Typedef, Volatile, Const, Restrict, TypeTag)
