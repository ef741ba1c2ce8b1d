"""Relocatable BPF objects, section by section: the smallest file that shows a case.

``ElfBuilder().code("raw_tp", "r0 = 0; exit", name="main").build()`` is a whole object.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from tests.builders.asm import prog_bytes

__all__ = ["ElfBuilder", "btf_ext"]

PROGBITS, SYMTAB, STRTAB, RELA, NOBITS, REL = 1, 2, 3, 4, 8, 9
ALLOC, EXEC = 2, 4
KINDS = {"notype": 0, "object": 1, "func": 2, "section": 3}
BINDINGS = {"local": 0, "global": 1, "weak": 2}
VISIBILITIES = {"default": 0, "internal": 1, "hidden": 2}


@dataclass
class Row:
    """A section header and its bytes."""

    name: str
    data: bytes = b""
    type: int = PROGBITS
    flags: int = 0
    link: int = 0
    info: int = 0
    entry: int = 0
    size: int | None = None  # of a NOBITS section, or to lie about


@dataclass
class ElfBuilder:
    """Sections and symbols in the order of adding; header fields can be overridden."""

    machine: int = 247
    type: int = 1
    elf_class: int = 2
    order: int = 1
    entry_size: int = 64
    shstrndx: int | None = None
    rows: list[Row] = field(default_factory=lambda: [Row("", type=0)])
    symbols: list[bytes] = field(default_factory=lambda: [bytes(24)])
    names: bytearray = field(default_factory=lambda: bytearray(1))
    relocs: dict[str, bytearray] = field(default_factory=dict)

    def section(self, name: str, data: bytes = b"", **row: int) -> ElfBuilder:
        """Add a section; keywords are the fields of Row."""
        self.rows.append(Row(name, data, **row))
        return self

    def index(self, name: str) -> int:
        """The index of a section by name; 0 for none."""
        return next((n for n, row in enumerate(self.rows) if row.name == name and n), 0)

    def symbol(
        self,
        name: str,
        section: str | int = "",
        value: int = 0,
        size: int = 0,
        kind: str = "object",
        binding: str = "global",
        visibility: str = "default",
    ) -> ElfBuilder:
        """Add a symbol; ``section`` "" is undefined, a number is a raw index."""
        index = section if isinstance(section, int) else self.index(section)
        name_off = self._name(name)
        info = BINDINGS[binding] << 4 | KINDS[kind]
        self.symbols.append(
            struct.pack("<IBBHQQ", name_off, info, VISIBILITIES[visibility], index, value, size)
        )
        return self

    def _name(self, name: str) -> int:
        if not name:
            return 0
        at = len(self.names)
        self.names += name.encode() + b"\0"
        return at

    def code(
        self, section: str, text: str | bytes, *, name: str = "", binding: str = "global"
    ) -> ElfBuilder:
        """Add a code section with one function over all of it (none without a name)."""
        data = text if isinstance(text, bytes) else prog_bytes(text)
        self.section(section, data, flags=ALLOC | EXEC)
        if name:
            self.symbol(name, section, 0, len(data), "func", binding)
        return self

    def reloc(self, section: str, offset: int, symbol: int, type: int = 1) -> ElfBuilder:
        """Patch byte ``offset`` of a section with a symbol (by index: the first added is 1)."""
        entry = struct.pack("<QQ", offset, symbol << 32 | type)
        self.relocs.setdefault(section, bytearray()).extend(entry)
        return self

    def license(self, text: str = "GPL") -> ElfBuilder:
        """Add a licence."""
        return self.section("license", text.encode() + b"\0")

    def build(self, *, symtab: bool = True) -> bytes:
        """The file's bytes."""
        rows = [Row(**vars(row)) for row in self.rows]
        for name, data in self.relocs.items():
            rows.append(Row(f".rel{name}", bytes(data), REL, info=self.index(name), entry=16))
        if symtab:
            rows.append(Row(".strtab", bytes(self.names), STRTAB))
            names = len(rows) - 1
            rows.append(Row(".symtab", b"".join(self.symbols), SYMTAB, link=names, entry=24))
            for row in rows:
                if row.type == REL and not row.link:
                    row.link = len(rows) - 1
        rows.append(Row(".shstrtab", type=STRTAB))
        strings = bytearray()
        titles = []
        for row in rows:
            titles.append(len(strings))
            strings += row.name.encode() + b"\0"
        rows[-1].data = bytes(strings)
        return self._file(rows, titles)

    def _file(self, rows: list[Row], titles: list[int]) -> bytes:
        body = bytearray()
        headers = b""
        for row, title in zip(rows, titles, strict=True):
            body += bytes(-len(body) % 8)
            size = len(row.data) if row.size is None else row.size
            headers += struct.pack(
                "<IIQQQQIIQQ",
                title,
                row.type,
                row.flags,
                0,
                64 + len(body),
                size,
                row.link,
                row.info,
                8,
                row.entry,
            )
            body += row.data
        body += bytes(-len(body) % 8)
        ident = b"\x7fELF" + bytes([self.elf_class, self.order, 1]) + bytes(9)
        names = len(rows) - 1 if self.shstrndx is None else self.shstrndx
        fields = (self.type, self.machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0)
        header = struct.pack("<HHIQQQIHHHHHH", *fields, self.entry_size, len(rows), names)
        return ident + header + bytes(body) + headers


def btf_ext(
    funcs: bytes = b"", lines: bytes = b"", relos: bytes | None = None, *, magic: int = 0xEB9F
) -> bytes:
    """A .BTF.ext section from its sub-sections (record size and blocks); None: the old header."""
    tables = [funcs, lines] + ([relos] if relos is not None else [])
    words, at = [], 0
    for table in tables:
        words += [at, len(table)]
        at += len(table)
    header = struct.pack("<HBBI", magic, 1, 0, 8 + 4 * len(words))
    return header + struct.pack(f"<{len(words)}I", *words) + b"".join(tables)
