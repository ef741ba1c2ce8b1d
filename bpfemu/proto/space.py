"""Emulated memory seen through C types: what makes a :class:`Ptr` work."""

from __future__ import annotations

from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.machine.memory import Memory
from bpfemu.proto.layout import (
    ArrayType,
    CType,
    Field,
    IntType,
    Layout,
    Layouts,
    PtrType,
    StructType,
    VoidType,
    ctype_of,
)
from bpfemu.proto.members import pointer_class, upgrade
from bpfemu.proto.types import Ptr

__all__ = ["Space"]

HOT: Final = 32  # accesses to members after which a type gets a class of its own
_CTYPES: Final = frozenset({IntType, PtrType, ArrayType, StructType, VoidType})


class Space:
    """A memory and the layouts of the structs in it."""

    def __init__(self, memory: Memory, layouts: Layouts) -> None:
        self.memory = memory
        self.layouts = layouts
        self._targets: dict[Any, CType] = {}  # one object a type: what follows goes by identity
        self._layouts: dict[int, tuple[CType, Layout]] = {}  # the type is kept: so is its id
        self._members: dict[tuple[int, str], tuple[CType | None, Field]] = {}
        self._heat: dict[int, int] = {}  # accesses to members of a type
        self._classes: dict[int, Any] = {}  # of types that are hot

    def pointer(self, addr: int, target: Any) -> Ptr[Any]:
        """A pointer to ``target``: a CType, an annotation, or a struct's name."""
        if target.__class__ not in _CTYPES:
            target = self._targets.get(target) or self._target(target)
        cls = self._classes.get(id(target))
        return Ptr(addr, target, self) if cls is None else cls(addr)

    def _target(self, target: Any) -> CType:
        found = StructType(target) if isinstance(target, str) else ctype_of(target)
        self._targets[target] = found
        return found

    def class_of(self, ctype: CType) -> Any:
        """The class of pointers to a type that is hot; takes an address.

        The class keeps the type alive, so that its id stays its own.
        """
        found = self._classes.get(id(ctype))
        if found is None:
            found = self._classes[id(ctype)] = pointer_class(self, ctype)
        return found

    def layout(self, pointer: Ptr[Any]) -> Layout:
        """The layout of the struct that a pointer points to."""
        ctype = pointer._type
        found = self._layouts.get(id(ctype))
        if found is None:
            if not isinstance(ctype, StructType):
                raise InputError(f"{pointer!r} does not point to a struct")
            found = self._layouts[id(ctype)] = ctype, self.layouts.of(ctype)
        return found[1]

    def read_member(self, pointer: Ptr[Any], name: str) -> Any:
        """``pointer->name``."""
        field = self._warm(pointer, name)
        return self.read(pointer._addr + field.offset, field.type)

    def write_member(self, pointer: Ptr[Any], name: str, value: Any) -> None:
        """``pointer->name = value``."""
        field = self._warm(pointer, name)
        self.write(pointer._addr + field.offset, field.type, value)

    def _warm(self, pointer: Ptr[Any], name: str) -> Field:
        """The member, by a plain Ptr: when its type has become hot, it gets that type's class."""
        field, ctype = self.member(pointer, name), pointer._type
        heat = self._heat[id(ctype)] = self._heat.get(id(ctype), 0) + 1
        if heat > HOT and ctype is not None:
            upgrade(pointer, self.class_of(ctype))
        return field

    def member(self, pointer: Ptr[Any], name: str) -> Field:
        """The member of what a pointer points to; types are told apart by identity, for speed."""
        ctype = pointer._type
        found = self._members.get((id(ctype), name))
        if found is None:
            found = ctype, self.layout(pointer).field(name)
            self._members[id(ctype), name] = found
        return found[1]

    def address_of(self, pointer: Ptr[Any], name: str) -> Ptr[Any]:
        """``&pointer->name``."""
        field = self.inner(pointer, name)
        return Ptr(pointer._addr + field.offset, field.type, self)

    def inner(self, pointer: Ptr[Any], path: str) -> Field:
        """A member, or by dots a member of an embedded struct."""
        if "." not in path:
            return self.member(pointer, path)
        offset, ctype = 0, pointer._type
        for part in path.split("."):
            if not isinstance(ctype, StructType):
                raise InputError(f"{ctype} has no member {part!r}")
            field = self.layouts.of(ctype).field(part)
            offset, ctype = offset + field.offset, field.type
        assert ctype is not None
        return Field(offset, ctype)

    def read_item(self, pointer: Ptr[Any], index: int) -> Any:
        """``pointer[index]``."""
        elem = self._elem(pointer)
        return self.read(pointer._addr + index * self.layouts.size_of(elem), elem)

    def write_item(self, pointer: Ptr[Any], index: int, value: Any) -> None:
        """``pointer[index] = value``."""
        elem = self._elem(pointer)
        self.write(pointer._addr + index * self.layouts.size_of(elem), elem, value)

    def _elem(self, pointer: Ptr[Any]) -> CType:
        ctype = pointer._type
        if isinstance(ctype, ArrayType):
            return ctype.elem
        if ctype is None or isinstance(ctype, VoidType):
            raise InputError(f"{pointer!r} points to void")
        return ctype

    def read(self, addr: int, ctype: CType) -> Any:
        """The value of type ``ctype`` at ``addr``; structs and arrays stay references."""
        match ctype:
            case IntType():
                if ctype.bits:
                    return self._read_bits(addr, ctype)
                return self.memory.read_int(addr, ctype.size, ctype.signed)
            case PtrType():
                return Ptr(self.memory.read_int(addr, 8), ctype.target, self)
        return Ptr(addr, ctype, self)

    def _read_bits(self, addr: int, ctype: IntType) -> int:
        value = self.memory.read_int(addr, ctype.size) >> ctype.shift
        value &= (1 << ctype.bits) - 1
        return value - (1 << ctype.bits) if ctype.signed and value >> (ctype.bits - 1) else value

    def write(self, addr: int, ctype: CType, value: Any) -> None:
        """Store ``value``; bytes go into arrays, zero-padded."""
        match ctype:
            case IntType() if ctype.bits:
                mask = ((1 << ctype.bits) - 1) << ctype.shift
                old = self.memory.read_int(addr, ctype.size) & ~mask
                new = old | (int(value) << ctype.shift & mask)
                self.memory.write_int(addr, ctype.size, new)
            case IntType():
                self.memory.write_int(addr, ctype.size, int(value))
            case PtrType():
                self.memory.write_int(addr, 8, int(value))
            case ArrayType() if isinstance(value, bytes):
                size = self.layouts.size_of(ctype)
                if not len(value) <= size <= self.memory.size:
                    raise InputError(f"{len(value)} bytes do not fit {ctype} ({size} bytes)")
                self.memory.write(addr, value.ljust(size, b"\0"))
            case _:
                raise InputError(f"cannot assign {value!r} to {ctype}")

    def read_string(self, addr: int, size: int) -> bytes:
        """Bytes up to the first NUL, at most ``size``."""
        out = bytearray()
        for at in range(addr, addr + size):
            byte = self.memory.read(at, 1)
            if byte == b"\0":
                break
            out += byte
        return bytes(out)
