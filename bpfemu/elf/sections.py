"""What each section of an object is, as one table (notes, section 8.3)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from errno import ENOTSUP
from typing import Final

from bpfemu.elf.reader import (
    LIBBPF_FORMAT,
    SHF_EXECINSTR,
    SHT_NOBITS,
    SHT_PROGBITS,
    SHT_REL,
    ElfFile,
    ElfSection,
)
from bpfemu.errors import ObjectError
from bpfemu.record import dataclass

__all__ = ["SectionKind", "classify", "read_license", "read_version", "refuse_legacy"]

_LICENSE_SIZE: Final = 63  # bytes that are kept


class SectionKind(enum.Enum):
    """What a section holds."""

    LICENSE = "licence"
    VERSION = "kernel version"
    LEGACY_MAPS = "legacy maps"
    MAPS = "maps"
    BTF = "BTF"
    BTF_EXT = "BTF.ext"
    CODE = "code"
    DATA = "data"
    RODATA = "read-only data"
    BSS = "zeros"
    STRUCT_OPS = "struct_ops"
    ARENA = "arena data"
    JUMP_TABLES = "jump tables"
    IGNORED = "ignored"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class _Row:
    """Matches sections of one of ``names`` (a trailing ``*`` is any tail) that pass ``test``."""

    kind: SectionKind
    names: tuple[str, ...]
    test: Callable[[ElfSection], bool] = lambda section: True


def _is_code(section: ElfSection) -> bool:
    return section.type == SHT_PROGBITS and bool(section.flags & SHF_EXECINSTR)


def _is_progbits(section: ElfSection) -> bool:
    return section.type == SHT_PROGBITS


_IGNORED_TYPES: Final = frozenset({0, 2, 3, 0x6FFF4C03})  # NULL, SYMTAB, STRTAB, LLVM_ADDRSIG

TABLE: Final = (
    _Row(SectionKind.IGNORED, ("*",), lambda section: section.type in _IGNORED_TYPES),
    _Row(SectionKind.IGNORED, (".debug_*", ".rel.debug_*", ".rel.BTF*", ".rel.eh_frame")),
    _Row(SectionKind.LICENSE, ("license",)),
    _Row(SectionKind.VERSION, ("version",)),
    _Row(SectionKind.LEGACY_MAPS, ("maps",)),
    _Row(SectionKind.MAPS, (".maps",)),
    _Row(SectionKind.BTF, (".BTF",)),
    _Row(SectionKind.BTF_EXT, (".BTF.ext",)),
    _Row(SectionKind.IGNORED, (".text",), lambda section: section.size == 0),
    _Row(SectionKind.CODE, ("*",), lambda section: _is_code(section) and section.size > 0),
    _Row(SectionKind.DATA, (".data", ".data.*"), _is_progbits),
    _Row(SectionKind.RODATA, (".rodata", ".rodata.*"), _is_progbits),
    _Row(
        SectionKind.STRUCT_OPS,
        (".struct_ops", ".struct_ops.link", "?.struct_ops", "?.struct_ops.link"),
        _is_progbits,
    ),
    _Row(SectionKind.ARENA, (".addr_space.1",), _is_progbits),
    _Row(SectionKind.JUMP_TABLES, (".jumptables",), _is_progbits),
    _Row(SectionKind.BSS, (".bss", ".bss.*"), lambda section: section.type == SHT_NOBITS),
    _Row(SectionKind.IGNORED, ("*",), lambda section: section.type == SHT_REL),
)
"""First match wins."""


def classify(section: ElfSection) -> SectionKind:
    """What the section is; UNKNOWN ones are skipped with a note."""
    for row in TABLE:
        if any(_matches(name, section.name) for name in row.names) and row.test(section):
            return row.kind
    return SectionKind.UNKNOWN


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def refuse_legacy(elf: ElfFile, section: ElfSection) -> None:
    """A ``maps`` section is not read since libbpf 1.0."""
    rule = "legacy map definitions in 'maps' section are not supported"
    raise ObjectError(rule, path=elf.path, section=section.name, errno=ENOTSUP)


def read_license(elf: ElfFile, section: ElfSection) -> str:
    """The licence's text: up to 63 bytes before the first NUL."""
    if section.type == SHT_NOBITS:
        rule = "the licence has no data"
        raise ObjectError(rule, path=elf.path, section=section.name, errno=LIBBPF_FORMAT)
    text = bytes(section.data[:_LICENSE_SIZE]).split(b"\0")[0]
    return text.decode("utf-8", "backslashreplace")


def read_version(elf: ElfFile, section: ElfSection) -> int:
    """The ``version`` section: LINUX_VERSION_CODE in exactly four bytes."""
    if section.size != 4 or section.type == SHT_NOBITS:
        rule = f"kernel version of {section.size} bytes, must be 4"
        raise ObjectError(rule, path=elf.path, section=section.name, errno=LIBBPF_FORMAT)
    return int.from_bytes(section.data, "little")
