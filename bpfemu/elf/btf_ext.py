""".BTF.ext → function, line and CO-RE records, by section (notes, section 2.6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from errno import EINVAL, ENOTSUP
from typing import Final

from bpfemu.btf import Btf
from bpfemu.elf.reader import ElfFile, ElfSection
from bpfemu.errors import ObjectError
from bpfemu.record import dataclass, field

__all__ = ["BtfExt", "CoreRecord", "LineRecord", "parse_btf_ext"]

_MAGIC: Final = 0xEB9F
_HEADER: Final = struct.Struct("<HBBI")  # magic, version, flags, header size
_BLOCK: Final = struct.Struct("<II")  # section name, records
_MINIMUM: Final = {"func_info": 8, "line_info": 16, "core_relo": 16}  # bytes per record
_MOST_TEXT: Final = 64 << 20  # characters of source lines and access strings


@dataclass(frozen=True, slots=True)
class LineRecord:
    """A source line; ``offset`` is in bytes within its section."""

    offset: int
    file: str
    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class CoreRecord:
    """A CO-RE record; ``offset`` is in bytes within its section."""

    offset: int
    type_id: int
    access: str
    kind: int


@dataclass(frozen=True, slots=True)
class BtfExt:
    """The three tables, each by section name."""

    funcs: dict[str, dict[int, int]] = field(default_factory=dict)  # byte offset → FUNC id
    lines: dict[str, list[LineRecord]] = field(default_factory=dict)
    core_relos: dict[str, list[CoreRecord]] = field(default_factory=dict)


class _Reader:
    """The bytes of a ``.BTF.ext`` section, and the strings of its ``.BTF``."""

    def __init__(self, elf: ElfFile, section: ElfSection, btf: Btf) -> None:
        self.data = bytes(section.data)
        self._where = (elf.path, section.name)
        self._btf = btf
        self._texts: dict[int, str] = {}
        self._text_size = 0

    def bad(self, rule: str, offset: int, errno: int = EINVAL) -> ObjectError:
        path, section = self._where
        return ObjectError(rule, path=path, section=section, offset=offset, errno=errno)

    def text(self, offset: int) -> str:
        found = self._texts.get(offset)
        if found is None:
            found = self._texts[offset] = self._btf.string(offset)
            self._text_size += len(found)
            if self._text_size > _MOST_TEXT:
                raise self.bad(f"its records name more than {_MOST_TEXT} bytes of text", 0)
        return found

    def header(self) -> tuple[int, dict[str, tuple[int, int]]]:
        """(header size, table → (offset behind the header, size)), all in bytes."""
        if len(self.data) < _HEADER.size:
            raise self.bad(f"header of {len(self.data)} bytes, must be 24 or more", 0)
        magic, version, flags, size = _HEADER.unpack_from(self.data)
        if magic != _MAGIC:
            raise self.bad(f"magic is {magic:#x}, must be {_MAGIC:#x}", 0)
        if version != 1 or flags:
            rule = f"version {version}, flags {flags}, must be 1 and 0"
            raise self.bad(rule, 2, ENOTSUP)
        if size < 24 or size >= len(self.data):
            raise self.bad(f"header size {size}, the section has {len(self.data)} bytes", 4)
        names = list(_MINIMUM)[: 3 if size >= 32 else 2]
        words = struct.unpack_from(f"<{2 * len(names)}I", self.data, 8)
        tables = zip(words[::2], words[1::2], strict=True)
        return size, dict(zip(names, tables, strict=True))

    def records(self, table: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Each record of one table as (section name, its first words)."""
        header_size, tables = self.header()
        offset, size = tables.get(table, (0, 0))
        if not size:
            return
        at, end = header_size + offset, header_size + offset + size
        if offset % 4 or end > len(self.data) or size < 4:
            rule = f"{table} at {offset}, {size} bytes, of {len(self.data) - header_size}"
            raise self.bad(rule, 8)
        record = struct.unpack_from("<I", self.data, at)[0]
        minimum = _MINIMUM[table]
        if record < minimum or record % 4:
            rule = f"{table} records of {record} bytes, must be {minimum} or a larger multiple of 4"
            raise self.bad(rule, at)
        if size == 4:
            raise self.bad(f"{table} has no records", at)
        yield from self._blocks(table, at + 4, end, record)

    def _blocks(
        self, table: str, at: int, end: int, record: int
    ) -> Iterator[tuple[str, tuple[int, ...]]]:
        layout = struct.Struct(f"<{_MINIMUM[table] // 4}I")
        while at < end:
            if at + _BLOCK.size > end:
                raise self.bad(f"{table} ends within a block's header", at)
            name_off, count = _BLOCK.unpack_from(self.data, at)
            at += _BLOCK.size
            if not count or count * record > end - at:
                rule = f"{table} block of {count} records of {record} bytes in {end - at} bytes"
                raise self.bad(rule, at)
            name = self.text(name_off)
            for number in range(count):
                yield name, layout.unpack_from(self.data, at + number * record)
            at += count * record


def parse_btf_ext(elf: ElfFile, section: ElfSection, btf: Btf) -> BtfExt:
    """All three tables; ObjectError names the byte and the rule that is broken."""
    reader = _Reader(elf, section, btf)
    ext = BtfExt()
    for name, (offset, type_id) in reader.records("func_info"):
        ext.funcs.setdefault(name, {})[offset] = type_id
    for name, (offset, file, text, where) in reader.records("line_info"):
        line = LineRecord(offset, reader.text(file), where >> 10, where & 1023, reader.text(text))
        ext.lines.setdefault(name, []).append(line)
    for name, (offset, type_id, access, kind) in reader.records("core_relo"):
        record = CoreRecord(offset, type_id, reader.text(access), kind)
        ext.core_relos.setdefault(name, []).append(record)
    return ext
