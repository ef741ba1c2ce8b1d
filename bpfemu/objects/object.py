"""An object: a typed value, or a reference to one in memory.

A reference has an address and reads memory each time; a value holds bytes and never changes; an
absent object has neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bpfemu.errors import InputError, ObjectAbsentError
from bpfemu.objects import arith
from bpfemu.objects.types import Type, TypeKind, TypeMember
from bpfemu.objects.values import SCALARS, from_bytes, insert, member_bytes, to_bytes, widen

if TYPE_CHECKING:
    from bpfemu.objects.program import Program

__all__ = ["Object"]

U64 = (1 << 64) - 1
_COMPOSITES = (TypeKind.STRUCT, TypeKind.UNION)


class Object(arith.Arithmetic):
    """``Object(prog, "int", 5)`` is a value, ``Object(prog, "struct x", address=…)`` a reference.

    ``type`` is a name or a Type; without one a Python number gets C's type for it.
    """

    __slots__ = ("_address", "_bit_offset", "_bits", "_data", "_prog", "_type")

    def __init__(
        self,
        prog: Program,
        type: str | Type | None = None,
        value: Any = None,
        *,
        address: int | None = None,
        bit_offset: int = 0,
        bit_field_size: int | None = None,
    ) -> None:
        if type is None:
            if value is None:
                raise InputError("an object without a type needs a value")
            type = arith.literal_type(value)
        if value is not None and address is not None:
            raise InputError("an object has a value or an address, not both")
        self._prog = prog
        self._type = prog.type(type)
        self._address = None if address is None else int(address) + bit_offset // 8 & U64
        self._bit_offset = bit_offset % 8
        self._bits = bit_field_size
        self._data = None if value is None else to_bytes(self._type, _plain(value))

    @classmethod
    def from_bytes_(
        cls, prog: Program, type: str | Type, data: bytes, *, bit_field_size: int | None = None
    ) -> Object:
        """A value from a type's own bytes."""
        made = cls(prog, type, bit_field_size=bit_field_size)
        size = made._type.size if made._type.is_complete else 0
        if len(data) < size:
            raise InputError(f"{made._type} has {size} bytes, {len(data)} are given")
        made._data = bytes(data[:size])
        return made

    # ---- what it is -----------------------------------------------------------------------------

    @property
    def prog_(self) -> Program:
        """The program it belongs to."""
        return self._prog

    @property
    def type_(self) -> Type:
        """Its type."""
        return self._type

    @property
    def address_(self) -> int | None:
        """Where a reference points; None for values."""
        return self._address

    @property
    def bit_offset_(self) -> int | None:
        """Of a reference: bits from the address; None for values."""
        return None if self._address is None else self._bit_offset

    @property
    def bit_field_size_(self) -> int | None:
        """Bits of a bit field; None for what is none."""
        return self._bits

    @property
    def absent_(self) -> bool:
        """Whether it has neither a value nor an address."""
        return self._address is None and self._data is None

    # ---- its value ------------------------------------------------------------------------------

    def to_bytes_(self) -> bytes:
        """Its bytes; a bit field's are those of its type."""
        if self._data is not None:
            return self._data
        if self._address is None:
            raise ObjectAbsentError(f"an absent {self._type} has no value")
        if self._bits is None:
            size = self._type.size if self._type.is_complete else 0
            return self._prog.read(self._address, size)
        data = self._prog.read(self._address, (self._bit_offset + self._bits + 7) // 8)
        return widen(self._type, data, self._bit_offset, self._bits)

    def value_(self) -> Any:
        """A Python value: int, bool, float, list, or dict."""
        return from_bytes(self._type, self.to_bytes_())

    def read_(self) -> Object:
        """The value that a reference has now; a value is its own."""
        if self._data is not None:
            return self
        return Object.from_bytes_(
            self._prog, self._type, self.to_bytes_(), bit_field_size=self._bits
        )

    def string_(self, max_size: int | None = None) -> bytes:
        """The bytes of an array or behind a pointer, up to the first NUL."""
        real = self._type.underlying
        if real.kind is TypeKind.POINTER:
            return self._prog.read_c_string(self.value_(), max_size)
        if real.kind is not TypeKind.ARRAY:
            raise TypeError(f"{self._type} is no array or pointer")
        if real.length is None and self._address is not None:
            return self._prog.read_c_string(self._address, max_size)
        return self.to_bytes_()[:max_size].partition(b"\0")[0]

    def write_(self, value: Any) -> None:
        """Put a value where the reference points; a dict sets only the members it names."""
        if self._address is None:
            raise TypeError("cannot write to a value; only references have an address")
        value = _plain(value)
        if isinstance(value, dict):
            for name, one in value.items():
                self.member_(name).write_(one)
        elif self._bits is None:
            self._prog.write(self._address, to_bytes(self._type, value))
        else:
            self._write_bits(value, self._bits)

    def _write_bits(self, value: Any, bits: int) -> None:
        assert self._address is not None
        size = (self._bit_offset + bits + 7) // 8
        old = int.from_bytes(self._prog.read(self._address, size), "little")
        member = TypeMember("value", self._type, self._bit_offset, bits)
        new = insert(old, member, value, "value")
        self._prog.write(self._address, new.to_bytes(size, "little"))

    # ---- what is in it or behind it -------------------------------------------------------------

    def address_of_(self) -> Object:
        """A pointer to what a reference refers to."""
        if self._address is None:
            raise ValueError("cannot take the address of a value")
        if self._bits is not None:
            raise ValueError("cannot take the address of a bit field")
        return Object(self._prog, self._type.pointer_to(), self._address)

    def member_(self, name: str) -> Object:
        """A member of a struct, or of the struct behind a pointer; LookupError without one."""
        real = self._type.underlying
        behind = real.kind is TypeKind.POINTER
        struct = real.type.underlying if behind else real
        if struct.kind not in _COMPOSITES:
            raise TypeError(f"{self._type} is not a struct, a union, or a pointer to one")
        member = self._prog.members_of(struct).get(name)
        if member is None:
            raise LookupError(f"{struct} has no member {name!r}")
        base = self.value_() if behind else self._address
        if base is None:
            return self._part(member)
        return Object(
            self._prog,
            member.type,
            address=base,
            bit_offset=8 * (member.bit_offset // 8) + member.bit_offset % 8,
            bit_field_size=member.bit_field_size,
        )

    def _part(self, member: TypeMember) -> Object:
        data = member_bytes(member, self.to_bytes_())
        return Object.from_bytes_(
            self._prog, member.type, data, bit_field_size=member.bit_field_size
        )

    def subscript_(self, index: int) -> Object:
        """An element of an array, or what stands behind a pointer so many elements on."""
        number = index.__index__()
        real = self._type.underlying
        if real.kind is TypeKind.POINTER:
            return self._at(real.type, self.value_(), number)
        if real.kind is not TypeKind.ARRAY:
            raise TypeError(f"{self._type} is no array or pointer")
        if self._address is not None:
            return self._at(real.type, self._address, number)
        size = real.type.size
        if not 0 <= number < (real.length or 0):
            raise IndexError(f"element {number} of a {self._type}")
        data = self.to_bytes_()[number * size : number * size + size]
        return Object.from_bytes_(self._prog, real.type, data)

    def _at(self, elem: Type, base: int, number: int) -> Object:
        if not elem.is_complete:
            raise TypeError(f"{elem} has no size, so it cannot be counted")
        return Object(self._prog, elem, address=base + number * elem.size & U64)

    def __getattr__(self, name: str) -> Object:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            return self.member_(name)
        except (LookupError, TypeError) as error:
            raise AttributeError(str(error)) from None

    def __getitem__(self, index: int) -> Object:
        return self.subscript_(index)

    def __len__(self) -> int:
        real = self._type.underlying
        if real.kind is not TypeKind.ARRAY or real.length is None:
            raise TypeError(f"{self._type} has no length")
        return real.length

    def __iter__(self) -> Iterator[Object]:
        return (self.subscript_(at) for at in range(len(self)))

    def __dir__(self) -> list[str]:
        real = self._type.underlying
        struct = real.type.underlying if real.kind is TypeKind.POINTER else real
        composite = struct.kind in _COMPOSITES and struct.is_complete
        members = self._prog.members_of(struct) if composite else {}
        return sorted([*object.__dir__(self), *members])

    # ---- as text --------------------------------------------------------------------------------

    def format_(self, **options: Any) -> str:
        """C text; see :class:`bpfemu.objects.format.Options` for the keywords."""
        from bpfemu.objects.format import Options, format_object

        return format_object(self, Options(**options))

    def __str__(self) -> str:
        return self.format_()

    def __repr__(self) -> str:
        parts = ["prog", repr(self._type.type_name())]
        if self._address is not None:
            parts.append(f"address={self._address:#x}")
            if self._bit_offset:
                parts.append(f"bit_offset={self._bit_offset}")
        elif self._data is not None:
            value = self.value_()
            pointer = self._type.underlying.kind is TypeKind.POINTER
            parts.append(f"value={value:#x}" if pointer else f"value={value!r}")
        if self._bits is not None:
            parts.append(f"bit_field_size={self._bits}")
        return f"Object({', '.join(parts)})"

    def is_scalar_(self) -> bool:
        """Whether it is a number, an enumerator or a pointer."""
        return self._type.underlying.kind in SCALARS


def _plain(value: Any) -> Any:
    """Objects among the values become their Python values."""
    if isinstance(value, Object):
        return value.value_()
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
