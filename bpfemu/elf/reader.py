"""bytes → sections, symbols and relocations: what libelf is to libbpf.

The tables are unpacked in one go and bounded by the file's size, so that a hostile file costs no
more than its bytes.  Plain ``struct``: pyelftools would be a third of a cold start; it reads DWARF,
in ``elf/dwarf.py``.
"""

from __future__ import annotations

import struct
from errno import ENOENT
from typing import Final

from bpfemu.errors import ObjectError
from bpfemu.record import dataclass, field

__all__ = [
    "LIBBPF_ENDIAN",
    "LIBBPF_FORMAT",
    "LIBBPF_LIBELF",
    "LIBBPF_RELOC",
    "SHF_EXECINSTR",
    "SHN_ABS",
    "SHT_NOBITS",
    "SHT_PROGBITS",
    "SHT_REL",
    "ElfFile",
    "ElfReloc",
    "ElfSection",
    "ElfSymbol",
    "read_elf",
]

# libbpf's own error numbers (notes, section 1.3).
LIBBPF_LIBELF: Final = 4000
LIBBPF_FORMAT: Final = 4001
LIBBPF_ENDIAN: Final = 4003
LIBBPF_RELOC: Final = 4005

# Section types and flags (System V ABI, chapter 4).
SHT_PROGBITS: Final = 1
SHT_SYMTAB: Final = 2
SHT_NOBITS: Final = 8
SHT_REL: Final = 9
SHF_EXECINSTR: Final = 4
SHN_ABS: Final = 0xFFF1

_EM_BPF: Final = 247
_EHDR_SIZE: Final = 64  # bytes, as all sizes here
_SHDR_SIZE: Final = 64
_EHDR: Final = struct.Struct("<16xHH20xQ10xHHH")  # type, machine, shoff, shentsize, shnum, shstrndx
_SHDR: Final = struct.Struct("<IIQQQQIIQQ")  # name, type, flags, addr, offset, size, link, info, …
_SYMBOLS: Final = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
_RELOCS: Final = struct.Struct("<QQ")  # offset, info: symbol in the high half, type in the low
_LONGEST_NAME: Final = 4096

_BINDINGS: Final = {0: "local", 1: "global", 2: "weak"}
_KINDS: Final = {0: "notype", 1: "object", 2: "func", 3: "section", 4: "file", 5: "common"}
_VISIBILITIES: Final = ("default", "internal", "hidden", "protected")


@dataclass(frozen=True, slots=True)
class ElfSection:
    """A section header and the bytes it names (none for NOBITS); sizes in bytes."""

    index: int
    name: str
    type: int  # SHT_*
    flags: int  # SHF_*
    offset: int  # within the file
    size: int
    link: int
    info: int
    entry_size: int
    data: memoryview = field(repr=False)

    @property
    def executable(self) -> bool:
        """Does it hold code?"""
        return self.type == SHT_PROGBITS and bool(self.flags & SHF_EXECINSTR) and self.size > 0


@dataclass(frozen=True, slots=True)
class ElfSymbol:
    """A symbol; ``section`` is 0 where undefined, and may be a reserved index."""

    name: str
    section: int
    value: int  # bytes within the section
    size: int  # bytes
    kind: str
    binding: str
    visibility: str


@dataclass(frozen=True, slots=True)
class ElfReloc:
    """One REL entry: patch at ``offset`` bytes of the target section."""

    offset: int
    type: int  # R_BPF_*
    symbol: int  # index


@dataclass(frozen=True, slots=True)
class ElfFile:
    """A BPF object file's tables; ``relocs`` by the index of the section they patch."""

    path: str
    data: bytes = field(repr=False)
    sections: tuple[ElfSection, ...]
    symbols: tuple[ElfSymbol, ...]
    relocs: dict[int, tuple[ElfReloc, ...]]

    def section_name(self, index: int) -> str:
        """The name of a section; "" for an index that has none."""
        return self.sections[index].name if 0 < index < len(self.sections) else ""


def read_elf(data: bytes, path: str) -> ElfFile:
    """The tables of a 64-bit little-endian relocatable BPF file; ObjectError names the rule."""
    shoff, count, names = _header(data, path)
    sections = _sections(data, path, shoff, count, names)
    symbols = _symbols(sections, path)
    return ElfFile(path, data, sections, symbols, _relocs(sections, path))


def _header(data: bytes, path: str) -> tuple[int, int, int]:
    """(e_shoff, section count, section-name table's index) after the checks of notes 8.1."""
    if data[:4] != b"\x7fELF":
        message = f"not an ELF file: it begins with {data[:4].hex(' ') or 'nothing'}"
        raise ObjectError(message, path=path, offset=0, errno=LIBBPF_FORMAT)
    if len(data) < _EHDR_SIZE:
        raise ObjectError(
            f"ELF header cut off: {len(data)} bytes, must be {_EHDR_SIZE}",
            path=path,
            errno=LIBBPF_FORMAT,
        )
    _check_ident(data, path)
    kind, machine, shoff, entry, count, names = _EHDR.unpack_from(data)
    if kind != 1 or machine not in (0, _EM_BPF):
        what = f"e_type {kind}, must be 1 (REL)" if kind != 1 else f"e_machine {machine}"
        rule = what if kind != 1 else f"{what}, must be {_EM_BPF} (BPF)"
        raise ObjectError(
            f"not a relocatable BPF object: {rule}",
            path=path,
            offset=0x10 if kind != 1 else 0x12,
            errno=LIBBPF_FORMAT,
        )
    return _section_table(data, path, shoff, entry, count, names)


def _check_ident(data: bytes, path: str) -> None:
    if data[4] != 2:
        raise ObjectError(
            f"ELF class {data[4]}, must be 2 (64 bits)", path=path, offset=4, errno=LIBBPF_FORMAT
        )
    if data[5] != 1:
        what = "big-endian code" if data[5] == 2 else f"byte order {data[5]}"
        raise ObjectError(
            f"{what}: loading non-native endianness is unsupported",
            path=path,
            offset=5,
            errno=LIBBPF_ENDIAN,
        )


def _section_table(
    data: bytes, path: str, shoff: int, entry: int, count: int, names: int
) -> tuple[int, int, int]:
    if not shoff or entry != _SHDR_SIZE or shoff + _SHDR_SIZE > len(data):
        rule = f"no section headers: e_shoff {shoff}, e_shentsize {entry} (must be {_SHDR_SIZE})"
        raise ObjectError(rule, path=path, offset=0x28, errno=LIBBPF_FORMAT)
    first = _SHDR.unpack_from(data, shoff)
    count = count or first[5]  # sh_size: more than 65279 sections are counted there
    names = first[6] if names == 0xFFFF else names  # sh_link
    if count > (len(data) - shoff) // _SHDR_SIZE:
        rule = f"{count} section headers at {shoff} pass the end of the file ({len(data)} bytes)"
        raise ObjectError(rule, path=path, offset=0x3C, errno=LIBBPF_FORMAT)
    if not 0 < names < count:
        rule = f"e_shstrndx {names}, there are {count} sections"
        raise ObjectError(rule, path=path, offset=0x3E, errno=LIBBPF_FORMAT)
    return shoff, count, names


def _sections(data: bytes, path: str, shoff: int, count: int, names: int) -> tuple[ElfSection, ...]:
    rows = list(_SHDR.iter_unpack(data[shoff : shoff + count * _SHDR_SIZE]))
    view = memoryview(data)
    bodies = [_body(view, path, index, row) for index, row in enumerate(rows)]
    strings = bytes(bodies[names])
    found = []
    for index, (name, kind, flags, _, offset, size, link, info, _, entry) in enumerate(rows):
        text = _string(strings, name, path, ".shstrtab")
        body = bodies[index]
        found.append(ElfSection(index, text, kind, flags, offset, size, link, info, entry, body))
    return tuple(found)


def _body(view: memoryview, path: str, index: int, row: tuple[int, ...]) -> memoryview:
    kind, offset, size = row[1], row[4], row[5]
    if kind in (0, SHT_NOBITS):
        return view[:0]
    if offset + size > len(view):
        rule = f"section {index} at {offset}, {size} bytes, passes the end of the file"
        raise ObjectError(f"{rule} ({len(view)} bytes)", path=path, errno=LIBBPF_FORMAT)
    return view[offset : offset + size]


def _string(strings: bytes, at: int, path: str, section: str) -> str:
    end = strings.find(b"\0", at, at + _LONGEST_NAME)
    if at >= len(strings) or end < 0:
        if at == 0:
            return ""
        rule = f"string {at} does not end within the table ({len(strings)} bytes)"
        raise ObjectError(rule, path=path, section=section, offset=at, errno=LIBBPF_FORMAT)
    return strings[at:end].decode("utf-8", "backslashreplace")


def _symbols(sections: tuple[ElfSection, ...], path: str) -> tuple[ElfSymbol, ...]:
    tables = [section for section in sections if section.type == SHT_SYMTAB]
    if not tables:
        rule = "couldn't find symbol table, possibly the object was stripped"
        raise ObjectError(rule, path=path, errno=ENOENT)
    if len(tables) > 1:
        raise ObjectError("multiple SYMTAB sections", path=path, errno=LIBBPF_FORMAT)
    table = tables[0]
    if table.entry_size != _SYMBOLS.size or table.size % _SYMBOLS.size:
        rule = f"symbols of {table.entry_size} bytes in {table.size}, must be {_SYMBOLS.size}"
        raise ObjectError(rule, path=path, section=table.name, errno=LIBBPF_FORMAT)
    if not 0 < table.link < len(sections):
        rule = f"its names are in section {table.link}, there are {len(sections)}"
        raise ObjectError(rule, path=path, section=table.name, errno=LIBBPF_FORMAT)
    strings = bytes(sections[table.link].data)
    place = sections[table.link].name
    return tuple(
        ElfSymbol(
            _string(strings, name, path, place),
            section,
            value,
            size,
            _KINDS.get(info & 15, "other"),
            _BINDINGS.get(info >> 4, "other"),
            _VISIBILITIES[other & 3],
        )
        for name, info, other, section, value, size in _SYMBOLS.iter_unpack(table.data)
    )


def _relocs(sections: tuple[ElfSection, ...], path: str) -> dict[int, tuple[ElfReloc, ...]]:
    found: dict[int, tuple[ElfReloc, ...]] = {}
    for section in sections:
        if section.type != SHT_REL:
            continue
        if section.entry_size != _RELOCS.size or section.size % _RELOCS.size:
            rule = f"relocations of {section.entry_size} bytes, must be {_RELOCS.size}"
            raise ObjectError(rule, path=path, section=section.name, errno=LIBBPF_FORMAT)
        if not 0 < section.info < len(sections):
            rule = f"it patches section {section.info}, there are {len(sections)}"
            raise ObjectError(rule, path=path, section=section.name, errno=LIBBPF_FORMAT)
        if sections[section.info].name.startswith((".debug_", ".BTF", ".eh_frame")):
            continue
        entries = tuple(
            ElfReloc(offset, info & 0xFFFF_FFFF, info >> 32)
            for offset, info in _RELOCS.iter_unpack(section.data)
        )
        found[section.info] = found.get(section.info, ()) + entries
    return found
