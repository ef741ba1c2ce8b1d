"""C types as values, and how an annotation becomes one."""

from __future__ import annotations

from typing import Any, Final, ForwardRef, TypeAlias, get_args, get_origin

from bpfemu.errors import DeclarationError
from bpfemu.proto.decl import Array, Bits, Const, Enumeration, Note
from bpfemu.proto.types import Ptr, Scalar, Struct, void
from bpfemu.record import dataclass, field, replace

__all__ = [
    "ArrayType",
    "CType",
    "IntType",
    "PtrType",
    "StructType",
    "VoidType",
    "ctype_of",
]


@dataclass(frozen=True, slots=True)
class IntType:
    """An integer, bool, char or enum of ``size`` bytes; ``bits`` > 0 marks a bit field.

    ``decl`` is the Scalar or Enumeration class it was declared with, if it was.
    """

    size: int
    signed: bool = False
    name: str = ""
    bits: int = 0
    shift: int = 0  # first bit within the ``size`` bytes
    decl: type[Any] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name or f"{'s' if self.signed else 'u'}{8 * self.size}"


@dataclass(frozen=True, slots=True)
class PtrType:
    """A pointer to ``target``; ``const`` is for C text only."""

    target: CType
    const: bool = field(default=False, compare=False, repr=False)

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


def ctype_of(annotation: Any, scope: dict[str, Any] | None = None) -> CType:
    """The C type of an annotation: Scalar, Struct or Enumeration subclass, Ptr[…], Array[…, n].

    A name that ``scope`` does not know is a struct's: it is looked up when it is needed.
    """
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return _of_text(annotation, scope)
    if isinstance(annotation, Note):
        return _of_note(annotation, scope)
    if isinstance(annotation, tuple) and len(annotation) == 2:
        return ArrayType(ctype_of(annotation[0], scope), annotation[1])
    if get_origin(annotation) is Ptr:
        target = get_args(annotation)[0]
        const = isinstance(target, Note) and target.what is Const
        return PtrType(ctype_of(target, scope), const)
    if annotation is void or annotation is None or annotation is Any:
        return VoidType()
    if isinstance(annotation, type):
        return _of_class(annotation)
    raise DeclarationError(str(annotation), "is not a C type that bpfemu knows")


def _of_class(cls: type[Any]) -> CType:
    if issubclass(cls, Scalar):
        return IntType(cls.bits // 8, cls.signed, cls.c_name, decl=cls)
    if issubclass(cls, Enumeration):
        negative = any(value < 0 for value in cls.enumerators().values())
        return IntType(cls.c_size, negative, cls.c_name, decl=cls)
    if issubclass(cls, Struct):
        return StructType(cls.c_name, cls)
    raise DeclarationError(cls.__name__, "is not a C type that bpfemu knows")


def _of_note(note: Note, scope: dict[str, Any] | None) -> CType:
    inner = ctype_of(note.args[0], scope)
    if note.what is Array:
        return ArrayType(inner, note.args[1])
    if note.what is Bits:
        if not isinstance(inner, IntType) or not 0 < note.args[1] <= 8 * inner.size:
            raise DeclarationError(f"Bits[{inner}, {note.args[1]}]", "does not fit its type")
        return replace(inner, bits=note.args[1])
    return inner


# Subscripting a generic class imports typing from C, through the builtins of the frame it is in.
_NO_BUILTINS: Final = {"__import__": __import__}


class _Names(dict[str, Any]):
    """The names of a module; those it does not know are structs declared elsewhere."""

    def __missing__(self, name: str) -> Any:
        return ForwardRef(name)


def _of_text(text: str, scope: dict[str, Any] | None) -> CType:
    """The type that annotation text stands for (texts of our own modules only)."""
    if text.isidentifier():
        found = (scope or {}).get(text, text)
        return StructType(text) if isinstance(found, str) else ctype_of(found, scope)
    try:
        value = eval(text, {"__builtins__": _NO_BUILTINS}, _Names(scope or {}))
    except (SyntaxError, TypeError, AttributeError) as error:
        raise DeclarationError(text, f"is not a C type: {error}") from None
    return ctype_of(value, scope)
