"""What the program types share: the context block in memory, and bytes from what a caller gave.

A program type is a class marked ``@prog_type(number)`` with a static method
``place(env, image, options) -> Ctx``.  Whatever is wrong with the context or the packet is an
InputError naming the program and the field, before anything runs; its errno is that of
BPF_PROG_TEST_RUN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from errno import EINVAL
from typing import Any, Final, Protocol

from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Load, Store
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.packet import Packet
from bpfemu.machine.memory import READ_ONLY, VALID, LoadKind, Memory, RegionKind
from bpfemu.proto.layout import ArrayType, IntType, Layout, Layouts, StructType
from bpfemu.proto.types import Struct
from bpfemu.record import dataclass

__all__ = [
    "Ctx",
    "ProgEnv",
    "ProgType",
    "fields_of",
    "layout_of",
    "max_ctx_offset",
    "place_block",
    "refuse",
    "refuse_packet",
    "words",
]

WORD: Final = 8  # bytes
U64: Final = (1 << 64) - 1


class ProgEnv(Protocol):
    """What a program type needs of the kernel: where contexts go, whose tasks they name."""

    @property
    def memory(self) -> Memory:
        """The arena."""

    @property
    def services(self) -> Mapping[str, Any]:
        """Services by name; "tasks" is asked for only where a context names one."""


def _nothing() -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class Ctx:
    """A placed context: ``addr`` goes into r1; ``free`` gives its memory back."""

    addr: int  # u64
    memory: Memory
    regions: tuple[int, ...] = ()  # addresses of what ``free`` frees
    read_ctx: Callable[[], bytes] = _nothing
    read_data: Callable[[], bytes] = _nothing
    packet: Packet | None = None  # what LD_ABS and LD_IND read

    def ctx_out(self) -> bytes:
        """The context after the run, as BPF_PROG_TEST_RUN hands it back."""
        return self.read_ctx()

    def data_out(self) -> bytes:
        """The packet after the run."""
        return self.read_data()

    def free(self) -> None:
        """Give back what was placed."""
        for addr in self.regions:
            self.memory.free(addr)


class ProgType(Protocol):
    """What a class marked ``@prog_type`` offers; ``name`` is bpftool's."""

    name: str

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """Put the context (and packet) of one run into memory."""


def refuse(image: ProgramImage, why: str, errno: int = EINVAL) -> InputError:
    """The error about a context: whose, and what about it."""
    return InputError(f"{image.name}: {why}", errno=errno)


def refuse_packet(image: ProgramImage, options: RunOptions, name: str) -> None:
    """Raise when a packet is given to a program type that has none."""
    if options.data_in is not None:
        raise refuse(image, f"data_in is given, but {name} programs take no packet")


def layout_of(cls: type[Struct]) -> Layout:
    """The layout of a context struct: part of the ABI, so always the declared one."""
    return Layouts(None).of(StructType(cls.c_name, cls))


def max_ctx_offset(image: ProgramImage) -> int:
    """Bytes of context that the program's loads and stores are known to reach."""
    reach = 0
    for insn, kind in zip(image.code, image.loads, strict=False):
        if kind == LoadKind.CTX and isinstance(insn, Load | Store):
            reach = max(reach, insn.offset + insn.size)
    return reach


def place_block(
    env: ProgEnv, data: bytes, *, writable: bool = False, name: str = "context", size: int = 0
) -> int:
    """A region of kind CTX holding ``data``, zero-padded to ``size`` bytes; its address."""
    total = max(len(data), size)
    state = VALID if writable else READ_ONLY
    region = env.memory.allocate(total, RegionKind.CTX, name, state=state)
    env.memory.write(region.addr, data)
    return region.addr


def words(image: ProgramImage, given: Sequence[object], limit: int, what: str) -> bytes:
    """Numbers (or pointers) as 64-bit words; at most ``limit`` of them."""
    if len(given) > limit:
        raise refuse(image, f"{len(given)} {what} are given, there can be {limit}")
    return b"".join(
        number_of(image, f"{what}[{at}]", value, 8).to_bytes(8, "little")
        for at, value in enumerate(given)
    )


def number_of(image: ProgramImage, field: str, value: object, size: int) -> int:
    """A number as ``size`` unsigned bytes hold it; None is NULL, pointers are their address."""
    if value is None:
        return 0
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        raise refuse(image, f"{field} is {value!r}, must be a number") from None
    if not -(1 << 8 * size - 1) <= number < 1 << 8 * size:
        raise refuse(image, f"{field} is {number:#x}, does not fit its {size} bytes")
    return int(number) & (1 << 8 * size) - 1


def fields_of(
    image: ProgramImage,
    layout: Layout,
    given: Mapping[str, object],
    allowed: Sequence[str] | None = None,
) -> bytes:
    """A struct's bytes from its fields by name, the others zero.

    ``allowed`` None allows them all.  Arrays take a sequence of numbers or bytes.
    """
    data = bytearray(layout.size)
    names = layout.fields if allowed is None else allowed
    for name, value in given.items():
        if name not in names:
            what = "cannot be set in" if name in layout.fields else "is no field of"
            raise refuse(
                image, f"{name!r} {what} struct {layout.name}; there are {', '.join(names)}"
            )
        field = layout.fields[name]
        part = _field_bytes(image, name, field.type, value)
        data[field.offset : field.offset + len(part)] = part
    return bytes(data)


def _field_bytes(image: ProgramImage, name: str, ctype: Any, value: object) -> bytes:
    if isinstance(ctype, ArrayType):
        size, count = Layouts(None).size_of(ctype.elem), ctype.count
        if isinstance(value, bytes | bytearray):
            if len(value) > size * count:
                raise refuse(image, f"{name} has {len(value)} bytes, must have {size * count}")
            return bytes(value)
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) > count:
            raise refuse(image, f"{name} is {value!r}, must be up to {count} numbers")
        parts = [number_of(image, f"{name}[{at}]", one, size) for at, one in enumerate(value)]
        return b"".join(part.to_bytes(size, "little") for part in parts)
    size = ctype.size if isinstance(ctype, IntType) else WORD
    return number_of(image, name, value, size).to_bytes(size, "little")
