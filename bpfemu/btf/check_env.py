"""What the passes of ``check`` share: raw records, names, and the log as the kernel writes it.

The kernel checks BTF before it believes any of it, so these passes look at raw words and not at
decoded types.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import Words
from bpfemu.btf.types import Btf
from bpfemu.record import dataclass

__all__ = ["ENOTSUPP", "BtfRefusal", "CheckEnv", "Record", "Refused"]

ENOTSUPP: Final = 524  # kernel-internal; it reaches user space from BPF_BTF_LOAD all the same
MAX_NAME: Final = 512  # bytes of an identifier (KSYM_NAME_LEN)
MAX_TYPE: Final = 0xFFFFF  # highest type id that a reference may have
U32: Final = 0xFFFFFFFF

_ENCODINGS: Final = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
# The kernel's <linux/ctype.h> counts the letters of Latin-1 as letters.
_LETTERS: Final = frozenset(
    [*range(0x41, 0x5B), *range(0x61, 0x7B), *(set(range(0xC0, 0x100)) - {0xD7, 0xF7})]
)
_FIRST: Final = _LETTERS | frozenset(b"_.")
_REST: Final = _FIRST | frozenset(b"0123456789")
_PRINTABLE: Final = frozenset([*range(0x20, 0x7F), *range(0xA0, 0x100)])


@dataclass(frozen=True, slots=True)
class BtfRefusal:
    """Why a kernel refuses a blob."""

    errno: int  # positive; 524 is the kernel's ENOTSUPP
    message: str  # the kernel's words where it has any, else ours
    type_id: int | None  # the type it was looking at, if any
    log: tuple[str, ...]  # the verifier log at level 1, line by line


class Refused(Exception):
    """Carries a refusal from the pass that found it to ``check``."""

    def __init__(self, refusal: BtfRefusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Record:
    """The twelve bytes of a type as they stand; ``at`` is their word index in ``words``."""

    id: int
    words: Words
    at: int
    name_off: int
    info: int
    third: int  # size or type

    @property
    def kind(self) -> int:
        """The kind number."""
        return self.info >> 24 & 31

    @property
    def vlen(self) -> int:
        """How many members, values, parameters or variables follow."""
        return self.info & 0xFFFF

    @property
    def flag(self) -> bool:
        """The kind_flag."""
        return bool(self.info >> 31)

    def tail(self, index: int) -> int:
        """Return a word of the trailer."""
        return self.words[self.at + 3 + index]

    def rows(self, width: int) -> Iterator[tuple[int, ...]]:
        """Yield the trailer in rows of ``width`` words, one per vlen."""
        first = self.at + 3
        for at in range(first, first + width * self.vlen, width):
            yield tuple(self.words[at : at + width])


def record_at(words: Words, at: int, id: int) -> Record:
    """Read the record at a word index."""
    return Record(id, words, at, words[at], words[at + 1], words[at + 2])


class CheckEnv:
    """One check under way."""

    def __init__(self, base: Btf | None, kernel: bool) -> None:
        self.base = base
        self.kernel = kernel
        self.words: Words = ()
        self.strings = b""
        self.start_id = base.type_count if base else 1
        self.start_str_off = base.strings_size if base else 0
        self.own: list[Record] = []
        self.current: int | None = None  # the type that log lines are about
        self.resolving = False
        self._log: list[str] = []

    def record(self, id: int) -> Record | None:
        """Return a type of ours or of the base; None for ids that do not exist."""
        if id >= self.start_id:
            number = id - self.start_id
            return self.own[number] if number < len(self.own) else None
        if self.base is None or id == 0:
            return VOID if id == 0 else None
        return record_at(*self.base.record_words(id), id)

    # --- names ------------------------------------------------------------------------------

    def has_name(self, offset: int) -> bool:
        """Whether a string offset lies in a string section."""
        return offset < self.start_str_off + len(self.strings)

    def raw_name(self, offset: int) -> bytes:
        """Return the bytes of a name whose offset is valid."""
        if offset < self.start_str_off and self.base:
            return self.base.string(offset).encode("utf-8", "surrogateescape")
        at = offset - self.start_str_off
        return self.strings[at : self.strings.index(0, at)]

    def name(self, offset: int) -> str:
        """Return a name as the kernel's log shows it."""
        if not offset:
            return "(anon)"
        if not self.has_name(offset):
            return "(invalid-name-offset)"
        return self.raw_name(offset).decode("utf-8", "surrogateescape")

    def is_identifier(self, offset: int) -> bool:
        """Whether a name is what C calls one (and dots, which compilers add)."""
        name = self.raw_name(offset)
        return 1 <= len(name) <= MAX_NAME and name[0] in _FIRST and _REST.issuperset(name)

    def is_section_name(self, offset: int) -> bool:
        """Whether a name is printable."""
        name = self.raw_name(offset)
        return 1 <= len(name) <= MAX_NAME and _PRINTABLE.issuperset(name)

    # --- the log ----------------------------------------------------------------------------

    def log(self, text: str) -> None:
        """Write to the log; a kernel parsing its own BTF says nothing of what is right."""
        if not self.kernel:
            self._log.append(text)

    def refuse(self, message: str, number: int = errno.EINVAL, shown: str | None = None) -> Refused:
        """Return the refusal to raise; ``shown`` is the log line, if it says more."""
        self._log.append(message if shown is None else shown)
        lines = tuple("".join(self._log).splitlines())
        return Refused(BtfRefusal(number, message, self.current, lines))

    def refuse_silently(self, message: str, number: int) -> Refused:
        """Refuse where the kernel has no words and only an errno; the message is ours."""
        return Refused(
            BtfRefusal(number, message, self.current, tuple("".join(self._log).splitlines()))
        )

    def head(self, found: Record) -> str:
        """Return the beginning of a type's log line."""
        return f"[{self.current}] {k.KIND_NAMES[found.kind]} {self.name(found.name_off)}"

    def log_type(self, found: Record) -> None:
        """Log a type that passed its first check."""
        self.log(f"{self.head(found)} {self.details(found)}\n")

    def refuse_type(
        self, found: Record, message: str, number: int = errno.EINVAL, *, details: bool = True
    ) -> Refused:
        """Refuse because of a type."""
        middle = f" {self.details(found)}" if details else ""
        return self.refuse(message, number, f"{self.head(found)}{middle} {message}\n")

    def refuse_part(
        self, found: Record, part: tuple[int, ...], message: str, number: int = errno.EINVAL
    ) -> Refused:
        """Refuse because of a member or a section's variable."""
        owner = f"{self.head(found)} {self.details(found)}\n" if self.resolving else ""
        return self.refuse(message, number, f"{owner}{self.part(found, part)} {message}\n")

    def part(self, found: Record, part: tuple[int, ...]) -> str:
        """Return the log line of a member or a section's variable, without its end."""
        if found.kind == k.DataSec.KIND:
            return "\t type_id={} offset={} size={}".format(*part)
        name_off, type_id, where = part
        place = f"bits_offset={where}"
        if found.flag:
            place = f"bitfield_size={where >> 24} bits_offset={where & 0xFFFFFF}"
        return f"\t{self.name(name_off)} type_id={type_id} {place}"

    def details(self, found: Record) -> str:
        """Return what the kernel logs about a type beyond its name."""
        match k.KIND_NAMES[found.kind]:
            case "INT":
                data = found.tail(0)
                where = f"bits_offset={data >> 16 & 0xFF} nr_bits={data & 0xFF}"
                encoding = _ENCODINGS.get(data >> 24 & 15, "UNKN")
                return f"size={found.third} {where} encoding={encoding}"
            case "ARRAY":
                elem, index, nelems = (found.tail(i) for i in range(3))
                return f"type_id={elem} index_type_id={index} nr_elems={nelems}"
            case "STRUCT" | "UNION" | "ENUM" | "ENUM64" | "DATASEC":
                return f"size={found.third} vlen={found.vlen}"
            case "FWD":
                return "union" if found.flag else "struct"
            case "FUNC_PROTO":
                return f"return={found.third} args=({self._arguments(found)})"
            case "VAR":
                return f"type_id={found.third} linkage={found.tail(0)}"
            case "FLOAT":
                return f"size={found.third}"
            case "DECL_TAG":
                component = found.tail(0)
                return f"type={found.third} component_idx={component - (component >> 31 << 32)}"
            case _:
                return f"type_id={found.third}"

    def _arguments(self, found: Record) -> str:
        rows = list(found.rows(2))
        if not rows:
            return "void"
        texts = [f"{type} {self.name(name)}" for name, type in rows]
        if not rows[-1][1]:
            texts[-1] = "vararg"
        return ", ".join(texts)


VOID: Final = Record(0, (), 0, 0, 0, 0)
