""".BTF → Btf, with the DATASECs completed as libbpf does (notes, section 8.7).

clang leaves a DATASEC's size and its variables' offsets at zero; the section header and the symbol
table know them.  Only those words of the blob are rewritten.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from errno import E2BIG, EINVAL, ENOENT
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.elf.reader import ElfFile, ElfSection, ElfSymbol
from bpfemu.errors import InputError, ObjectError

__all__ = ["MAX_DATA_SIZE", "complete_datasecs", "parse_btf"]

MAX_DATA_SIZE: Final = 64 << 20
"""Bytes of all global data of an object, .bss included: a quarter of the default arena."""

_RECORD_WORDS: Final = 3  # name, info, size; then three words per entry


def parse_btf(elf: ElfFile, section: ElfSection) -> Btf:
    """The object's types; ObjectError with path and section where the blob is malformed."""
    try:
        return Btf.parse(bytes(section.data), name=elf.path)
    except InputError as error:
        raise ObjectError(
            str(error), path=elf.path, section=section.name, errno=error.errno
        ) from error


class _Patch:
    """The words of a blob's type section, writable."""

    def __init__(self, btf: Btf) -> None:
        self._raw = bytearray(btf.raw)
        order = "<" if btf.byteorder == "little" else ">"
        header_size, types_off = struct.unpack_from(order + "II", self._raw, 4)
        self._types_at = header_size + types_off
        self._word = struct.Struct(order + "I")
        self._starts: array[int] = btf.starts

    def set(self, type_id: int, word: int, value: int) -> None:
        """Overwrite one word of a type's record, counted from the record's start."""
        at = self._types_at + 4 * (self._starts[type_id - 1] + word)
        self._word.pack_into(self._raw, at, value & 0xFFFF_FFFF)

    def entries(self, type_id: int, size: int, entries: Iterable[k.SecVar]) -> None:
        """Rewrite a DATASEC: its size and its entries, as many as there were."""
        self.set(type_id, 2, size)
        for number, entry in enumerate(entries):
            first = _RECORD_WORDS + 3 * number
            self.set(type_id, first, entry.type)
            self.set(type_id, first + 1, entry.offset)
            self.set(type_id, first + 2, entry.size)

    def linkage(self, var_id: int, linkage: int) -> None:
        """Change a VAR's linkage."""
        self.set(var_id, _RECORD_WORDS, linkage)

    def done(self, name: str) -> Btf:
        """The types, read again."""
        return Btf.parse(bytes(self._raw), name=name, starts=self._starts)


def complete_datasecs(elf: ElfFile, btf: Btf) -> Btf:
    """The same types with every DATASEC sized, its entries placed and sorted by offset."""
    ids = btf.ids_of(k.DataSec)
    if not ids:
        return btf
    patch = _Patch(btf)
    symbols = {(s.section, s.name): s for s in elf.symbols if s.kind == "object"}
    sections = {section.name: section for section in elf.sections}
    for id in ids:
        found = btf.type(id)
        assert isinstance(found, k.DataSec)
        if found.name == ".kconfig":
            _place_kconfig(elf, btf, patch, id, found)
        elif found.name != ".ksyms":
            _place_vars(elf, btf, patch, id, found, sections.get(found.name), symbols)
    return patch.done(btf.name)


def _place_vars(
    elf: ElfFile,
    btf: Btf,
    patch: _Patch,
    id: int,
    found: k.DataSec,
    section: ElfSection | None,
    symbols: dict[tuple[int, str], ElfSymbol],
) -> None:
    if section is None:
        rule = "BTF describes this section, which the file does not have"
        raise ObjectError(rule, path=elf.path, section=found.name, errno=ENOENT)
    placed = []
    for entry in found.entries:
        var = btf.type(entry.type)
        if not isinstance(var, k.Var):
            rule = f"its DATASEC lists type {entry.type}, a {k.KIND_NAMES[var.KIND]}, not a VAR"
            raise ObjectError(rule, path=elf.path, section=found.name, errno=EINVAL)
        symbol = symbols.get((section.index, var.name))
        if symbol is None and var.linkage == k.Linkage.GLOBAL:
            rule = f"no symbol for the variable {var.name!r} that BTF lists"
            raise ObjectError(rule, path=elf.path, section=found.name, errno=ENOENT)
        if symbol is not None and symbol.visibility in ("hidden", "internal"):
            patch.linkage(entry.type, k.Linkage.STATIC)
        offset = symbol.value if symbol is not None and found.size == 0 else entry.offset
        placed.append(k.SecVar(entry.type, offset, entry.size))
    patch.entries(id, found.size or section.size, sorted(placed, key=lambda entry: entry.offset))


def _place_kconfig(elf: ElfFile, btf: Btf, patch: _Patch, id: int, found: k.DataSec) -> None:
    """Lay out the kconfig externs: strictest alignment first, then smallest, then by name."""

    def refuse(rule: str, errno: int) -> ObjectError:
        return ObjectError(rule, path=elf.path, section=found.name, errno=errno)

    rows = []
    for entry in found.entries:
        var = btf.type(entry.type)
        if not isinstance(var, k.Var):
            rule = f"its DATASEC lists type {entry.type}, a {k.KIND_NAMES[var.KIND]}, not a VAR"
            raise refuse(rule, EINVAL)
        rows.append((-_alignment(btf, var), btf.size_of(var.type), var.name, entry.type))
    offset, placed = 0, []
    for negative, size, _, type_id in sorted(rows):
        align = -negative
        offset = (offset + align - 1) // align * align
        placed.append(k.SecVar(type_id, offset, size))
        patch.linkage(type_id, k.Linkage.GLOBAL)
        offset += size
        if offset > MAX_DATA_SIZE:
            raise refuse(f"{offset} bytes of settings, must be at most {MAX_DATA_SIZE}", E2BIG)
    patch.entries(id, offset, placed)


def _alignment(btf: Btf, var: k.Var) -> int:
    """Of a setting, in bytes: a number's own, 1 for text (other types are refused later)."""
    found = btf.type(btf.resolve(var.type))
    return btf.align_of(var.type) if isinstance(found, k.Int | k.Enum | k.Enum64) else 1
