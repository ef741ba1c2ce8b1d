"""Format strings as bpf_bprintf_prepare accepts them and bstr_printf prints them.

::

    "n=%-8llx %s"  ──parse_format──▶  b"n=", Spec("x", 8, {"-"}, 8), b" ", Spec("s"), b""

Source: kernel/bpf/helpers.c bpf_bprintf_prepare, lib/vsprintf.c bstr_printf.
"""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from bpfemu.record import dataclass

__all__ = ["FIELD_WIDTH_MAX", "Spec", "parse_format"]

FIELD_WIDTH_MAX: Final = (1 << 23) - 1  # larger widths are clamped
DIGITS: Final = frozenset(b"0123456789")
SPACES: Final = frozenset(b" \t\n\v\f\r")
NUL: Final = 0

# lib/ctype.c knows Latin-1: 0xa0 is a space, 0xa1 to 0xbf and the two signs are punctuation.
ENDS: Final = frozenset({NUL, 0xD7, 0xF7, *SPACES, *range(0xA0, 0xC0)}) | frozenset(
    byte for byte in range(0x21, 0x7F) if not chr(byte).isalnum()
)
ALNUM: Final = frozenset(
    byte for byte in range(0x30, 0x100) if chr(byte).isalnum() and byte not in ENDS
)


@dataclass(frozen=True, slots=True)
class Spec:
    """One conversion.

    ``kind``: "d", "u", "x", "X" of ``size`` bytes; "c"; "s"; for pointers "p" and what follows:
    "p", "px", "pK", "ps", "pS", "pB", "pi4", "pI4", "pi6", "pI6", "pks", "pus".
    """

    kind: str
    size: int = 8  # bytes of the argument
    flags: frozenset[int] = frozenset()  # of b"0+- "
    width: int = -1  # -1: none given


def parse_format(fmt: bytes, *, utf8: bool) -> list[bytes | Spec | int]:
    """Literal text and conversions, in order; ``utf8``: bytes from 0x80 on may be text.

    Where the kernel accepts no more, the list ends with -EINVAL: conversions before it have been
    worked on by then.
    """
    out: list[bytes | Spec | int] = []
    text = bytearray()
    at = 0
    if not utf8 and not fmt.isascii():
        fmt = fmt[: next(i for i, byte in enumerate(fmt) if byte > 0x7F)] + b"\x7f"
    fmt += b"\0\0\0"  # looking ahead never leaves the string
    while (byte := fmt[at]) != NUL:
        if (byte < 0x20 and byte not in SPACES) or byte == 0x7F:
            return [*out, -EINVAL]
        at += 1
        if byte != 0x25:
            text.append(byte)
        elif fmt[at] == 0x25:
            text.append(0x25)
            at += 1
        else:
            found = _conversion(fmt, at)
            if found is None:
                return [*out, -EINVAL]
            spec, at = found
            out += [bytes(text), spec]
            text.clear()
    out.append(bytes(text))
    return out


def _conversion(fmt: bytes, at: int) -> tuple[Spec, int] | None:
    """(a conversion, the index behind it); ``at`` is behind the percent sign."""
    start = at
    while fmt[at] in b"0+- ":
        at += 1
    flags = frozenset(fmt[start:at])
    start = at
    while fmt[at] in DIGITS:
        at += 1
    width = -1
    if at > start:
        width = int(fmt[start:at]) if at - start < 8 else FIELD_WIDTH_MAX
        width = min(width, FIELD_WIDTH_MAX)
    if fmt[at] == 0x70:  # p
        return _pointer(fmt, at + 1, flags, width)
    if fmt[at] == 0x73:  # s
        return (Spec("s", 8, flags, width), at + 1) if fmt[at + 1] in ENDS else None
    if fmt[at] == 0x63:  # c
        return Spec("c", 1, flags, width), at + 1
    size = 4
    for _ in range(2):
        if fmt[at] == 0x6C:  # l
            size, at = 8, at + 1
    if fmt[at] not in b"diuxX":
        return None
    kind = chr(fmt[at])
    return Spec("d" if kind == "i" else kind, size, flags, width), at + 1


def _pointer(fmt: bytes, at: int, flags: frozenset[int], width: int) -> tuple[Spec, int] | None:
    """``at`` is behind the p.  What is alphanumeric behind a pointer is swallowed in print."""
    if fmt[at] in ENDS:
        return Spec("p", 8, flags, width), at
    two, three = fmt[at : at + 1].decode("ascii", "replace"), fmt[at : at + 2]
    if three in (b"ks", b"us"):
        if fmt[at + 2] not in ENDS:
            return None
        return Spec(f"p{three.decode()}", 8, flags, width), at + 2
    if two in "KxsSB":
        return Spec(f"p{two}", 8, flags, width), _behind(fmt, at + 1)
    if three in (b"i4", b"I4", b"i6", b"I6"):
        return Spec(f"p{three.decode()}", 8, flags, width), _behind(fmt, at + 2)
    return None


def _behind(fmt: bytes, at: int) -> int:
    while fmt[at] in ALNUM:
        at += 1
    return at
