"""Members of types that are looked at often: what makes ``p.member`` one call.

::

    Ptr                     asks its Space at each access what the type says of the name
    └── one class a type    has a property for each member that was read, a function for each that
                            was written; type, offset, and the views of the memory are bound to them

A :class:`Ptr` becomes one of its type's class by itself, once :class:`Space` has made that class;
nothing else about it changes.  Aligned integers go straight through the views where the shadow
says at one glance that the kernel may do so; everything else takes the Memory's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from bpfemu.machine.memory import ITER, KERNEL, READ_ONLY, U64, UNINIT, VALID, Memory
from bpfemu.proto.ctype import CType, IntType, PtrType
from bpfemu.proto.types import Ptr

if TYPE_CHECKING:
    from bpfemu.proto.layout import Field
    from bpfemu.proto.space import Space

__all__ = ["pointer_class", "upgrade"]

_VIEWS: Final[dict[tuple[int, bool], Any]] = {  # by size in bytes and sign
    (1, True): "b",
    (2, True): "h",
    (4, True): "i",
    (8, True): "q",
    (1, False): "B",
    (2, False): "H",
    (4, False): "I",
    (8, False): "Q",
}

# The kernel reads whatever is mapped; what it writes must not be UNINIT, which a write changes.
_WRITABLE: Final = {
    size: frozenset(
        int.from_bytes(bytes([state]) * size, "little")
        for state in (VALID, READ_ONLY, KERNEL, ITER)
    )
    for size in (1, 2, 4, 8)
}
_READABLE: Final = {
    size: states | {int.from_bytes(bytes([UNINIT]) * size, "little")}
    for size, states in _WRITABLE.items()
}

_NOWHERE: Final = (-1, None)
_set_addr: Final = vars(Ptr)["_addr"].__set__


def pointer_class(space: Space, ctype: CType) -> Callable[[int], Ptr[Any]]:
    """The class of pointers to ``ctype`` in one space; takes an address."""
    members = {
        "__slots__": (),
        "__init__": _init,
        "__setattr__": _set_member,
        "__getattr__": _first_read,
        "address_of_": _address_of,
        "_type": ctype,
        "_space": space,
        "writers_": {},
        "places_": {},  # name → (address of the struct, pointer to the member) of the last time
    }
    return type("Ptr", (Ptr,), members)


def upgrade(pointer: Ptr[Any], cls: Any) -> None:
    """Make an existing pointer one of its type's class."""
    object.__setattr__(pointer, "__class__", cls)


def _init(self: Any, addr: int) -> None:
    _set_addr(self, addr & U64)


def _set_member(self: Any, name: str, value: Any) -> None:
    write = self.writers_.get(name) or _first_write(self, name)
    write(self._addr, value)


def _address_of(self: Any, name: str) -> Ptr[Any]:
    """``&p->name``; dots step into embedded structs."""
    addr, pointer = self.places_.get(name, _NOWHERE)
    return pointer if addr == self._addr else _new_place(self, name)


def _first_read(self: Any, name: str) -> Any:
    """A member that was not read before gets its property."""
    if name.startswith("__"):
        raise AttributeError(name)
    read = _reader(self._space, self._space.member(self, name))
    setattr(type(self), name, property(read))
    return read(self)


def _first_write(self: Any, name: str) -> Callable[[int, Any], None]:
    made = self.writers_[name] = _writer(self._space, self._space.member(self, name))
    return made


def _new_place(self: Any, name: str) -> Ptr[Any]:
    """``&p->name`` for another struct than last time."""
    field = self._space.inner(self, name)
    pointer: Ptr[Any] = self._space.class_of(field.type)(self._addr + field.offset)
    self.places_[name] = self._addr, pointer
    return pointer


# ---- readers and writers ----------------------------------------------------------------


def _is_word(ctype: CType) -> TypeGuard[IntType]:
    """An integer that a view has words for: neither a bit field nor one of 16 bytes."""
    return isinstance(ctype, IntType) and not ctype.bits and ctype.size in _READABLE


def _reader(space: Space, member: Field) -> Callable[[Any], Any]:
    """Pointer → the member's value."""
    offset, ctype = member.offset, member.type
    if _is_word(ctype):
        return _int_reader(space.memory, offset, ctype.size, ctype.signed)
    if isinstance(ctype, IntType):
        return lambda pointer: space.read(pointer._addr + offset, ctype)
    if isinstance(ctype, PtrType):
        return _ptr_reader(
            space.class_of(ctype.target), _int_reader(space.memory, offset, 8, False)
        )
    cls = space.class_of(ctype)
    return lambda pointer: cls(pointer._addr + offset)


def _outside(memory: Memory, size: int) -> int:
    """The bits that no offset has of an aligned integer that the shadow has a state for."""
    return -memory.reach | size - 1


def _int_reader(memory: Memory, offset: int, size: int, signed: bool) -> Callable[[Any], int]:
    values, states = memory.b.cast(_VIEWS[size, signed]), memory.shb.cast(_VIEWS[size, False])
    whole, outside, delta = _READABLE[size], _outside(memory, size), offset - memory.base
    shift, slowly = size.bit_length() - 1, memory.read_int

    def read(pointer: Any) -> int:
        low = pointer._addr + delta
        if low & outside or states[at := low >> shift] not in whole:
            return slowly(pointer._addr + offset, size, signed)
        found: int = values[at]
        return found

    return read


def _ptr_reader(cls: Any, read: Callable[[Any], int]) -> Callable[[Any], Ptr[Any]]:
    """Pointers do not change, so the one that was read last may be handed out again."""
    last = 0
    found: Ptr[Any] = cls(0)

    def follow(pointer: Any) -> Ptr[Any]:
        nonlocal last, found
        addr = read(pointer)
        if addr != last:
            last, found = addr, cls(addr)
        return found

    return follow


def _writer(space: Space, member: Field) -> Callable[[int, Any], None]:
    """Address of the struct, new value → None."""
    offset, ctype = member.offset, member.type
    if _is_word(ctype):
        return _int_writer(space.memory, offset, ctype.size)
    if isinstance(ctype, PtrType):
        return _int_writer(space.memory, offset, 8)
    return lambda addr, value: space.write(addr + offset, ctype, value)


def _int_writer(memory: Memory, offset: int, size: int) -> Callable[[int, Any], None]:
    values, states = memory.b.cast(_VIEWS[size, False]), memory.shb.cast(_VIEWS[size, False])
    whole, outside, delta = _WRITABLE[size], _outside(memory, size), offset - memory.base
    shift, mask, slowly = size.bit_length() - 1, (1 << 8 * size) - 1, memory.write_int

    def write(addr: int, value: Any) -> None:
        low = addr + delta
        try:
            value &= mask
        except TypeError:
            value = int(value) & mask  # a pointer
        if low & outside or states[at := low >> shift] not in whole:
            slowly(addr + offset, size, value)
        else:
            values[at] = value

    return write
