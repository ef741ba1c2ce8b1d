"""C's operators on objects: integer promotions, usual conversions, pointer arithmetic.

Results are values.  Division truncates towards zero, as in C; dividing by zero is
ZeroDivisionError, shifting by less than zero ValueError.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from bpfemu.objects.types import Type, TypeKind, number_type
from bpfemu.objects.values import INTEGERS, SCALARS

if TYPE_CHECKING:
    from bpfemu.objects.object import Object
    from bpfemu.objects.program import Program

__all__ = ["Arithmetic", "literal_type", "wrap"]

_INT: Final = 4  # bytes
_LITERALS: Final = (("int", 31), ("long", 63), ("unsigned long", 64))  # name, bits of a value


def literal_type(value: Any) -> Type:
    """C's type of a Python number: int, long, unsigned long or double."""
    if isinstance(value, float):
        return number_type("double")
    number = operator.index(value)
    for name, bits in _LITERALS:
        if -(1 << bits) <= number < 1 << bits and (number >= 0 or name != "unsigned long"):
            return number_type(name)
    raise OverflowError(f"{number:#x} fits no C integer")


def wrap(type: Type, number: Any) -> Any:
    """A number as a type holds it: integers wrap, as conversions in C do."""
    real = type.underlying
    if real.kind is TypeKind.FLOAT:
        return float(number)
    if real.kind is TypeKind.BOOL:
        return bool(number)
    bits = 8 * real.size
    cut = int(number) & (1 << bits) - 1
    return cut - (1 << bits) if real.is_signed and cut >> bits - 1 else cut


def _promoted(type: Type) -> Type:
    """Small integers, bools and enumerations become int."""
    real = type.underlying
    if real.kind is TypeKind.FLOAT:
        return real
    if real.size < _INT or real.kind is not TypeKind.INT:
        wide = real.kind is TypeKind.ENUM and real.size > _INT
        unsigned = real.kind is TypeKind.ENUM and real.size >= _INT and not real.is_signed
        return number_type(("unsigned " if unsigned else "") + ("long" if wide else "int"))
    return real


def _common(left: Type, right: Type) -> Type:
    """The usual arithmetic conversions."""
    left, right = _promoted(left), _promoted(right)
    if TypeKind.FLOAT in (left.kind, right.kind):
        floats = [one for one in (left, right) if one.kind is TypeKind.FLOAT]
        return max(floats, key=lambda one: one.size)
    if left.size != right.size:
        return left if left.size > right.size else right
    return right if left.is_signed and not right.is_signed else left


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, float) or isinstance(right, float):
        raise TypeError("no modulo of floating point numbers in C")
    return left - right * _divide(left, right)


_SHIFTS: Final = (operator.lshift, operator.rshift)
_BITWISE: Final = (operator.and_, operator.or_, operator.xor)


class Arithmetic:
    """The operators; what they work on comes from the class made of it."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def prog_(self) -> Program:
            """The program."""

        @property
        def type_(self) -> Type:
            """The type."""

        def value_(self) -> Any:
            """The value."""

    __hash__ = None  # type: ignore[assignment]

    def _made(self, type: Type, number: Any) -> Object:
        from bpfemu.objects.object import Object

        return Object(self.prog_, type, wrap(type, number))

    def _binary(self, op: Callable[[Any, Any], Any], other: Any, swapped: bool = False) -> Any:
        operand = _operand(other)
        if operand is None:
            return NotImplemented
        pairs = [(self.type_.underlying, self._scalar()), operand]
        (ltype, left), (rtype, right) = pairs[::-1] if swapped else pairs
        if TypeKind.POINTER in (ltype.kind, rtype.kind):
            return self._pointer(op, ltype, left, rtype, right)
        if op in _SHIFTS + _BITWISE and TypeKind.FLOAT in (ltype.kind, rtype.kind):
            raise TypeError("no bits of floating point numbers in C")
        if op in _SHIFTS:
            return self._made(_promoted(ltype), op(left, right))
        type = _common(ltype, rtype)
        return self._made(type, op(wrap(type, left), wrap(type, right)))

    def _scalar(self) -> Any:
        if self.type_.underlying.kind not in SCALARS:
            raise TypeError(f"{self.type_} is no number or pointer")
        return self.value_()

    def _pointer(self, op: Any, ltype: Type, left: int, rtype: Type, right: int) -> Object:
        both = ltype.kind is rtype.kind
        if op is operator.sub and both:
            return self._made(number_type("long"), _divide(left - right, _stride(ltype)))
        if op is operator.sub and ltype.kind is TypeKind.POINTER and rtype.kind in INTEGERS:
            return self._made(ltype, left - right * _stride(ltype))
        if op is operator.add and not both and TypeKind.FLOAT not in (ltype.kind, rtype.kind):
            pointer = ltype if ltype.kind is TypeKind.POINTER else rtype
            base, steps = (left, right) if pointer is ltype else (right, left)
            return self._made(pointer, base + steps * _stride(pointer))
        raise TypeError(f"C has no {op.__name__} of {ltype} and {rtype}")

    def _compare(self, op: Callable[[Any, Any], bool], other: Any) -> Any:
        operand = _operand(other)
        if operand is None:
            return NotImplemented
        mine, theirs = self.type_.underlying, operand[0]
        left, right = self._scalar(), operand[1]
        if TypeKind.POINTER in (mine.kind, theirs.kind):
            return op(int(left) & (1 << 64) - 1, int(right) & (1 << 64) - 1)
        type = _common(mine, theirs)
        return op(wrap(type, left), wrap(type, right))

    def __add__(self, other: Any) -> Any:
        return self._binary(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._binary(operator.add, other, True)

    def __sub__(self, other: Any) -> Any:
        return self._binary(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._binary(operator.sub, other, True)

    def __mul__(self, other: Any) -> Any:
        return self._binary(operator.mul, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._binary(_divide, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(_divide, other, True)

    def __mod__(self, other: Any) -> Any:
        return self._binary(_modulo, other)

    def __rmod__(self, other: Any) -> Any:
        return self._binary(_modulo, other, True)

    def __lshift__(self, other: Any) -> Any:
        return self._binary(operator.lshift, other)

    def __rlshift__(self, other: Any) -> Any:
        return self._binary(operator.lshift, other, True)

    def __rshift__(self, other: Any) -> Any:
        return self._binary(operator.rshift, other)

    def __rrshift__(self, other: Any) -> Any:
        return self._binary(operator.rshift, other, True)

    def __and__(self, other: Any) -> Any:
        return self._binary(operator.and_, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self._binary(operator.or_, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return self._binary(operator.xor, other)

    __rxor__ = __xor__

    def __neg__(self) -> Any:
        return self._unary(operator.neg)

    def __pos__(self) -> Any:
        return self._unary(operator.pos)

    def __invert__(self) -> Any:
        return self._unary(operator.invert)

    def _unary(self, op: Callable[[Any], Any]) -> Object:
        type, number = self.type_.underlying, self._scalar()
        if type.kind is TypeKind.POINTER or (op is operator.invert and isinstance(number, float)):
            raise TypeError(f"C has no {op.__name__} of {self.type_}")
        return self._made(_promoted(type), op(number))

    def __eq__(self, other: object) -> Any:
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compare(operator.ne, other)

    def __lt__(self, other: Any) -> Any:
        return self._compare(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compare(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compare(operator.ge, other)

    def __bool__(self) -> bool:
        return bool(self._scalar())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __index__(self) -> int:
        number = self._scalar()
        if isinstance(number, float):
            raise TypeError(f"{self.type_} is no integer")
        return int(number)

    def __trunc__(self) -> int:
        return int(self._scalar())


def _stride(pointer: Type) -> int:
    """Bytes that a pointer moves by one; of ``void *`` one, as GCC has it."""
    target = pointer.type
    return target.size if target.is_complete else 1


def _operand(other: Any) -> tuple[Type, Any] | None:
    if isinstance(other, Arithmetic):
        return other.type_.underlying, other._scalar()
    if isinstance(other, int | float):
        return literal_type(other), other
    return None
