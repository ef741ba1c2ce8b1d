"""Objects as C text, as drgn writes it.

::

    (int)5        (char [16])"bash"        (int [3]){ 1, 2 }        (enum pid_type)PIDTYPE_TGID

    *(struct list_head *)0xffff888000001000 = {
            .next = (struct list_head *)0xffff888000002000,
            .prev = (struct list_head *)0xffff888000003000,
    }
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bpfemu.errors import FaultError
from bpfemu.objects.types import Type, TypeKind
from bpfemu.objects.values import from_bytes, is_char, is_char_array, member_bytes
from bpfemu.record import dataclass, replace

if TYPE_CHECKING:
    from bpfemu.objects.object import Object
    from bpfemu.objects.program import Program

__all__ = ["Options", "format_object"]

_ESCAPES: Final = {
    0: "\\0",
    7: "\\a",
    8: "\\b",
    9: "\\t",
    10: "\\n",
    11: "\\v",
    12: "\\f",
    13: "\\r",
    92: "\\\\",
}
_LONGEST: Final = 256  # bytes of a string behind a pointer
_BASES: Final = {8: "0{:o}", 10: "{}", 16: "0x{:x}"}


@dataclass(frozen=True, slots=True)
class Options:
    """What is shown: drgn's keywords and its defaults."""

    dereference: bool = True  # what a pointer points to
    string: bool = True  # arrays of char, and what char pointers point to, as text
    char: bool = False  # other numbers of one byte as characters
    type_name: bool = True
    member_type_names: bool = True
    element_type_names: bool = False
    members_same_line: bool = False
    elements_same_line: bool = True
    member_names: bool = True
    element_indices: bool = False
    implicit_members: bool = True  # members that are zero
    implicit_elements: bool = False  # elements that are zero
    integer_base: int = 10

    def __post_init__(self) -> None:
        if self.integer_base not in _BASES:
            raise ValueError(f"integer_base is {self.integer_base}, must be 8, 10 or 16")


def format_object(obj: Object, options: Options) -> str:
    """The text of an object; FaultError where a reference leads nowhere."""
    if obj.absent_:
        return "<absent>"
    writer = _Writer(obj.prog_)
    type, data = obj.type_, obj.to_bytes_()
    pointer = type.underlying.kind is TypeKind.POINTER
    if pointer and options.dereference and not (options.string and is_char(type.underlying.type)):
        shown = writer.behind(type, int.from_bytes(data, "little"), options)
        if shown is not None:
            return shown
    return writer.typed(type, data, options, options.type_name)


class _Writer:
    def __init__(self, prog: Program) -> None:
        self._prog = prog

    def behind(self, type: Type, address: int, options: Options) -> str | None:
        """``*(struct x *)0x… = …``; None where there is nothing to be shown."""
        target = type.underlying.type
        if not target.is_complete:
            return None
        try:
            data = self._prog.read(address, target.size)
        except FaultError:
            return None
        head = f"*({type}){address:#x}" if options.type_name else f"*{address:#x}"
        return f"{head} = {self.value(target, data, replace(options, dereference=False))}"

    def typed(self, type: Type, data: bytes, options: Options, with_type: bool) -> str:
        """A value with its type before it."""
        text = self.value(type, data, options)
        return f"({type}){text}" if with_type else text

    def value(self, type: Type, data: bytes, options: Options) -> str:
        """A value without its type."""
        real = type.underlying
        if options.string and is_char_array(real):
            return _quoted(data.partition(b"\0")[0])
        match real.kind:
            case TypeKind.STRUCT | TypeKind.UNION:
                return self._struct(real, data, options)
            case TypeKind.ARRAY:
                return self._array(real, data, options)
            case TypeKind.POINTER:
                return self._pointer(real, int.from_bytes(data, "little"), options)
            case TypeKind.FLOAT:
                return f"{from_bytes(real, data):g}"
            case TypeKind.ENUM:
                number = from_bytes(real, data)
                names = (one.name for one in real.enumerators if one.value == number)
                return next(names, str(number))
        if options.char and is_char(real):
            return f"'{_escaped(data, 39)}'"
        number = int(from_bytes(real, data))
        sign = "-" if number < 0 else ""
        return sign + _BASES[options.integer_base].format(abs(number))

    def _pointer(self, real: Type, address: int, options: Options) -> str:
        text = f"{address:#x}"
        if options.string and is_char(real.type) and address:
            try:
                return f"{text} = {_quoted(self._prog.read_c_string(address, _LONGEST))}"
            except FaultError:
                return text
        return text

    def _struct(self, real: Type, data: bytes, options: Options) -> str:
        if not real.is_complete:
            return "{}"
        parts = []
        for member in real.flat_members:
            own = member_bytes(member, data)
            if options.implicit_members or any(own):
                text = self.typed(member.type, own, options, options.member_type_names)
                parts.append(f".{member.name} = {text}" if options.member_names else text)
        return _braces(parts, options.members_same_line)

    def _array(self, real: Type, data: bytes, options: Options) -> str:
        elem, size = real.type, real.type.size
        chunks = [data[at * size : at * size + size] for at in range(real.length or 0)]
        if not options.implicit_elements:
            while chunks and not any(chunks[-1]):
                chunks.pop()
        parts = []
        for index, chunk in enumerate(chunks):
            if options.element_indices and not options.implicit_elements and not any(chunk):
                continue
            text = self.typed(elem, chunk, options, options.element_type_names)
            parts.append(f"[{index}] = {text}" if options.element_indices else text)
        return _braces(parts, options.elements_same_line)


def _braces(parts: list[str], same_line: bool) -> str:
    if not parts:
        return "{}"
    if same_line and not any("\n" in part for part in parts):
        return "{ " + ", ".join(parts) + " }"
    lines = [line for part in parts for line in f"{part},".splitlines()]
    return "{\n" + "".join(f"\t{line}\n" for line in lines) + "}"


def _quoted(data: bytes) -> str:
    return f'"{_escaped(data)}"'


def _escaped(data: bytes, quote: int = 34) -> str:
    return "".join(_escape(byte, quote) for byte in data)


def _escape(byte: int, quote: int) -> str:
    if byte == quote:
        return f"\\{chr(byte)}"
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"
