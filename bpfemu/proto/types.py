"""C types as Python annotations: integers that wrap, pointers into emulated memory, structs.

A declaration reads like the kernel's: ``def bpf_iter_num_next(it: Ptr[bpf_iter_num]) ->
Ptr[s32]``.  Attributes that belong to a :class:`Ptr` itself end in ``_`` (as in drgn), so that
they never hide a member.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from bpfemu.machine.memory import READ_ONLY, U64

if TYPE_CHECKING:
    from bpfemu.proto.layout import CType
    from bpfemu.proto.space import Space

__all__ = [
    "NULL",
    "Callback",
    "MapPtr",
    "Ptr",
    "Scalar",
    "Struct",
    "bool_",
    "c_name_of",
    "s8",
    "s16",
    "s32",
    "s64",
    "u8",
    "u16",
    "u32",
    "u64",
    "void",
]

T = TypeVar("T")


class Scalar(int):
    """A C integer; making one wraps the value to its width.

    ``name`` is the C spelling where it differs from the class's; a subclass of a subclass is a
    typedef.
    """

    c_name: ClassVar[str] = ""
    bits: ClassVar[int] = 64
    signed: ClassVar[bool] = False

    def __init_subclass__(cls, *, name: str = "") -> None:
        cls.c_name = name or cls.__name__
        own = vars(cls)
        if "__new__" not in own and ("bits" in own or "signed" in own):
            cls.__new__ = _wrapping(cls.bits, cls.signed)  # type: ignore[assignment]

    def __new__(cls, value: int = 0) -> Scalar:
        return int.__new__(cls, value & U64)


def _wrapping(bits: int, signed: bool) -> Callable[[type[Scalar], int], Scalar]:
    """What makes integers of so many bits."""
    mask, sign, new = (1 << bits) - 1, 1 << bits - 1 if signed else 0, int.__new__

    def make(cls: type[Scalar], value: int = 0) -> Scalar:
        return new(cls, (value & mask ^ sign) - sign)

    return make


class s8(Scalar):
    """Signed, 8 bits."""

    bits = 8
    signed = True


class s16(Scalar):
    """Signed, 16 bits."""

    bits = 16
    signed = True


class s32(Scalar):
    """Signed, 32 bits: C ``int``."""

    bits = 32
    signed = True


class s64(Scalar):
    """Signed, 64 bits: C ``long``."""

    bits = 64
    signed = True


class u8(Scalar):
    """Unsigned, 8 bits."""

    bits = 8


class u16(Scalar):
    """Unsigned, 16 bits."""

    bits = 16


class u32(Scalar):
    """Unsigned, 32 bits: C ``unsigned int``."""

    bits = 32


class u64(Scalar):
    """Unsigned, 64 bits: C ``unsigned long``."""

    bits = 64


class bool_(Scalar, name="bool"):
    """C ``bool``: one byte, 0 or 1."""

    bits = 8

    def __new__(cls, value: int = 0) -> bool_:
        return int.__new__(cls, 1 if value else 0)


class void:
    """C ``void``, for ``Ptr[void]``."""


class Struct:
    """Base of declared structs: annotations are the members, in order, with C layout.

    Class keywords: ``opaque=True`` gives the BTF form that iterators have in the kernel,
    ``__u64 __opaque[size / 8]``; ``private=True`` keeps a struct out of the kernel's BTF;
    ``size``/``align`` (bytes) override what the members give; ``union=True`` lays all members at
    offset 0; ``name`` is the C name where it differs from the class's.  With ``tag`` the name is
    a typedef of ``struct tag`` (of an untagged struct where it is empty); ``anonymous=True`` is a
    struct without any name, written where it is used.  A subclass of a subclass is a typedef.
    """

    c_name: ClassVar[str] = ""
    c_opaque: ClassVar[bool] = False
    c_private: ClassVar[bool] = False
    c_size: ClassVar[int] = 0
    c_align: ClassVar[int] = 0
    c_union: ClassVar[bool] = False
    c_tag: ClassVar[str | None] = None
    c_anonymous: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        opaque: bool = False,
        private: bool = False,
        size: int = 0,
        align: int = 0,
        union: bool = False,
        name: str = "",
        tag: str | None = None,
        anonymous: bool = False,
    ) -> None:
        cls.c_name = name or cls.__name__
        cls.c_opaque = opaque
        cls.c_private = private
        cls.c_size = size
        cls.c_align = align
        cls.c_union = union
        cls.c_tag = tag
        cls.c_anonymous = anonymous

    @classmethod
    def c_alias(cls) -> type[Struct] | None:
        """The struct that this one is a typedef of, or None."""
        base = cls.__bases__[0]
        return None if base is Struct or not issubclass(base, Struct) else base

    @classmethod
    def c_members(cls) -> dict[str, Any]:
        """The annotations by C name.

        Python writes ``__state`` as ``_task_struct__state``; a keyword is declared with a ``_``
        behind it (``from_``).
        """
        own = vars(cls).get("__annotations__", {})
        return {c_name_of(cls, name): note for name, note in own.items()}


def c_name_of(cls: type[Any], name: str) -> str:
    """The C name of what is called ``name`` in the body of a declaration class."""
    private = f"_{cls.__name__.lstrip('_')}__"
    if name.startswith(private):
        return "__" + name.removeprefix(private)
    return name[:-1] if name.endswith("_") and iskeyword(name[:-1]) else name


class Ptr(Generic[T]):
    """A pointer into emulated memory.

    ``p.member`` reads (integers as int, pointers as Ptr, embedded structs and arrays as Ptr to
    them), ``p.member = v`` writes, ``p[i]`` indexes, ``int(p)`` is the address, ``bool(p)`` is
    "not NULL".  A bad address raises Trap: the program's fault.
    """

    __slots__ = ("_addr", "_space", "_type")

    _addr: int
    _type: CType | None
    _space: Space | None

    def __init__(self, addr: int, type_: CType | None = None, space: Space | None = None) -> None:
        _set_addr(self, addr & U64)
        _set_type(self, type_)
        _set_space(self, space)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._need().read_member(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._need().write_member(self, name, value)

    def __getitem__(self, index: int) -> Any:
        return self._need().read_item(self, index)

    def __setitem__(self, index: int, value: Any) -> None:
        self._need().write_item(self, index, value)

    def __int__(self) -> int:
        return self._addr

    __index__ = __int__

    def __bool__(self) -> bool:
        return self._addr != 0

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Ptr):
            return self._addr == other._addr
        return self._addr == other if isinstance(other, int) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._addr)

    def __repr__(self) -> str:
        return f"({self._type or 'void'} *){self._addr:#x}"

    def _need(self) -> Space:
        if self._space is None:
            raise TypeError(f"{self!r} belongs to no memory")
        return self._space

    def address_of_(self, name: str) -> Ptr[Any]:
        """``&p->name``; dots step into embedded structs."""
        return self._need().address_of(self, name)

    def cast_(self, target: Any) -> Ptr[Any]:
        """The same address as a pointer to another type (annotation or struct name)."""
        return self._need().pointer(self._addr, target)

    def read_(self, size: int) -> bytes:
        """``size`` bytes at the address, as the kernel reads them."""
        return self._need().memory.read(self._addr, size)

    def write_(self, data: bytes) -> None:
        """Write bytes at the address, as the kernel does."""
        self._need().memory.write(self._addr, data)

    def readable_(self, size: int) -> None:
        """Let the program read ``size`` bytes at the address."""
        self._need().memory.set_state(self._addr, size, READ_ONLY)

    def string_(self, size: int = 4096) -> bytes:
        """Bytes up to the first NUL, at most ``size``."""
        return self._need().read_string(self._addr, size)


# What ``self._addr = …`` would do, were it not a member of the struct that is meant.
_set_addr, _set_type, _set_space = (
    vars(Ptr)[name].__set__ for name in ("_addr", "_type", "_space")
)

NULL: Ptr[Any] = Ptr(0)
"""The null pointer."""


class Callback(Protocol):
    """A function of the program that the kernel calls back.

    Bodies use it as ``r0 = yield from callback_fn(a, b)``; the result is r0, u64.
    """

    slot: int

    def __call__(self, *args: int) -> Generator[tuple[int, tuple[int, ...]], int, int]:
        """Run the callback with up to five arguments in r1…"""


class MapPtr(Protocol):
    """A map argument: the gate turns the pointer into the map object behind it.

    Buffers are as long as the map says (key_size, value_size); results are negative errno or 0.
    """

    @property
    def addr(self) -> int:
        """What a map pointer in the program holds."""

    @property
    def key_size(self) -> int:
        """Bytes."""

    @property
    def value_size(self) -> int:
        """Bytes."""

    @property
    def max_entries(self) -> int:
        """Elements."""

    def lookup(self, key: bytes) -> int:
        """The address of the value on this CPU, 0 when there is none."""

    def update(self, key: bytes, value: bytes, flags: int) -> int:
        """Insert or replace; 0 or a negative errno."""

    def delete(self, key: bytes) -> int:
        """Remove; 0 or a negative errno."""
