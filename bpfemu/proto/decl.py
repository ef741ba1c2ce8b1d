"""What a declaration may say besides s32, Ptr and Struct: C's own integers, arrays, bit fields.

::

    class file_example(Struct):
        comm: Array[char, 16]        # char comm[16];
        in_iowait: Bits[uint, 1]     # unsigned int in_iowait: 1;
        name: Ptr[Const[char]]       # const char *name;

A Scalar subclass of one of these is a typedef of it: ``class pid_t(int_)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from bpfemu.proto.types import Scalar, c_name_of

__all__ = [
    "Array",
    "Bits",
    "Const",
    "Enumeration",
    "Note",
    "char",
    "int_",
    "llong",
    "long_",
    "schar",
    "short",
    "uchar",
    "uint",
    "ullong",
    "ulong",
    "ushort",
]


T = TypeVar("T")


class char(Scalar, name="char"):
    """C ``char``: signed on x86-64."""

    bits = 8
    signed = True


class schar(Scalar, name="signed char"):
    """C ``signed char``."""

    bits = 8
    signed = True


class uchar(Scalar, name="unsigned char"):
    """C ``unsigned char``."""

    bits = 8


class short(Scalar, name="short int"):
    """C ``short``."""

    bits = 16
    signed = True


class ushort(Scalar, name="short unsigned int"):
    """C ``unsigned short``."""

    bits = 16


class int_(Scalar, name="int"):
    """C ``int``."""

    bits = 32
    signed = True


class uint(Scalar, name="unsigned int"):
    """C ``unsigned int``."""

    bits = 32


class long_(Scalar, name="long int"):
    """C ``long``: 64 bits."""

    bits = 64
    signed = True


class ulong(Scalar, name="long unsigned int"):
    """C ``unsigned long``: 64 bits."""

    bits = 64


class llong(Scalar, name="long long int"):
    """C ``long long``."""

    bits = 64
    signed = True


class ullong(Scalar, name="long long unsigned int"):
    """C ``unsigned long long``."""

    bits = 64


class Note:
    """A subscripted annotation as it was written: what is subscripted, and by what."""

    __slots__ = ("args", "what")

    def __init__(self, what: type[Any], args: tuple[Any, ...]) -> None:
        self.what = what
        self.args = args

    def __call__(self) -> None:
        """Never called: being callable makes it acceptable inside ``Ptr[...]``."""


class _Subscripted:
    def __class_getitem__(cls, args: Any) -> Note:
        return Note(cls, args if isinstance(args, tuple) else (args,))


class Array(_Subscripted):
    """``Array[type, count]``."""


class Bits(_Subscripted):
    """``Bits[integer type, width]``: a bit field of ``width`` bits."""


if TYPE_CHECKING:

    class Const(Generic[T]):
        """``Const[type]``: the same type, read only in the program's eyes."""

else:

    class Const(_Subscripted):
        """``Const[type]``: the same type, read only in the program's eyes."""


class Enumeration:
    """Base of declared enums: class attributes are the enumerators, in order.

    ``name=""`` leaves the enum without a tag; ``size`` (bytes) is 8 for an ENUM64.
    """

    c_name: ClassVar[str] = ""
    c_size: ClassVar[int] = 4

    def __init_subclass__(cls, *, name: str | None = None, size: int = 4) -> None:
        cls.c_name = cls.__name__ if name is None else name
        cls.c_size = size

    @classmethod
    def enumerators(cls) -> dict[str, int]:
        """Names and values, in order."""
        own = vars(cls).items()
        return {
            c_name_of(cls, name): value
            for name, value in own
            if isinstance(value, int)
            and name != "c_size"
            and not (name.startswith("__") and name.endswith("__"))  # Python's own, from 3.13 on
        }
