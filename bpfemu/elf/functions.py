"""Code sections → functions with their relocations and records (notes, sections 8.4 and 8.9)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from errno import E2BIG, EINVAL, ENOTSUP
from typing import Final, Generic, Protocol, TypeVar

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.elf.btf_ext import BtfExt
from bpfemu.elf.reader import LIBBPF_FORMAT, ElfFile, ElfReloc, ElfSection, ElfSymbol
from bpfemu.errors import DecodeError, ObjectError
from bpfemu.isa.encoding import SLOT_SIZE, decode
from bpfemu.isa.insn import Insn
from bpfemu.object import CoreRelo, FuncDef, LineInfo, Reloc, Symbol

__all__ = ["MAX_SLOTS", "read_functions", "symbol_of"]

MAX_SLOTS: Final = 1_000_000
"""Slots in all functions of an object: what the kernel allows one program."""


class _Record(Protocol):
    """Anything with a byte offset within its section."""

    @property
    def offset(self) -> int: ...


_R = TypeVar("_R", bound=_Record)


class _ByOffset(Generic[_R]):
    """Records sorted by offset, so that those of one function are a slice."""

    def __init__(self, records: Iterable[_R]) -> None:
        self.records = sorted(records, key=lambda record: record.offset)
        self._offsets = [record.offset for record in self.records]

    def within(self, start: int, end: int) -> list[_R]:
        """The records from byte ``start`` to byte ``end`` (exclusive)."""
        return self.records[bisect_left(self._offsets, start) : bisect_left(self._offsets, end)]


def read_functions(
    elf: ElfFile, sections: list[ElfSection], btf: Btf | None, ext: BtfExt
) -> tuple[FuncDef, ...]:
    """Every function, sorted by section and offset."""
    by_section: dict[int, list[ElfSymbol]] = {section.index: [] for section in sections}
    for symbol in elf.symbols:
        if symbol.kind == "func" and symbol.section in by_section:
            by_section[symbol.section].append(symbol)
    total = sum(s.size for symbols in by_section.values() for s in symbols) // SLOT_SIZE
    if total > MAX_SLOTS:
        rule = f"functions of {total} slots, must be at most {MAX_SLOTS}"
        raise ObjectError(rule, path=elf.path, errno=E2BIG)
    found: list[FuncDef] = []
    for section in sections:
        symbols = sorted(by_section[section.index], key=lambda symbol: symbol.value)
        found += _section_functions(elf, section, symbols, btf, ext)
    return tuple(found)


def _section_functions(
    elf: ElfFile, section: ElfSection, symbols: list[ElfSymbol], btf: Btf | None, ext: BtfExt
) -> list[FuncDef]:
    relocs = _ByOffset(elf.relocs.get(section.index, ()))
    for reloc in relocs.records:
        _check_reloc(elf, section, reloc)
    lines = _ByOffset(ext.lines.get(section.name, ()))
    core = _ByOffset(ext.core_relos.get(section.name, ()))
    funcs = ext.funcs.get(section.name, {})
    found = []
    for symbol in symbols:
        _check_function(elf, section, symbol)
        start, end = symbol.value, symbol.value + symbol.size
        code = bytes(section.data[start:end])
        btf_id = _func_id(btf, funcs.get(start, 0))
        found.append(
            FuncDef(
                name=symbol.name,
                section=section.name,
                offset=start // SLOT_SIZE,
                code=_decode(elf, section, symbol, code),
                binding=symbol.binding,
                visibility=symbol.visibility,
                relocs=tuple(_reloc(elf, r, code, start) for r in relocs.within(start, end)),
                core_relos=tuple(
                    CoreRelo((r.offset - start) // SLOT_SIZE, r.type_id, r.access, r.kind)
                    for r in core.within(start, end)
                ),
                lines=tuple(
                    LineInfo((r.offset - start) // SLOT_SIZE, r.file, r.line, r.column, r.text)
                    for r in lines.within(start, end)
                ),
                btf_id=btf_id,
                tags=_tags(btf, btf_id),
            )
        )
    return found


def _check_function(elf: ElfFile, section: ElfSection, symbol: ElfSymbol) -> None:
    def refuse(rule: str, errno: int) -> ObjectError:
        text = f"function {symbol.name!r}: {rule}"
        return ObjectError(
            text, path=elf.path, section=section.name, offset=symbol.value, errno=errno
        )

    if symbol.size == 0 or symbol.size % SLOT_SIZE or symbol.value % SLOT_SIZE:
        raise refuse(f"corrupted program, offset {symbol.value}, size {symbol.size}", EINVAL)
    if symbol.value + symbol.size > section.size:
        raise refuse(f"its {symbol.size} bytes pass the section's {section.size}", LIBBPF_FORMAT)
    if section.name != ".text" and symbol.binding == "local":
        raise refuse("it is static and not supported", ENOTSUP)


def _decode(elf: ElfFile, section: ElfSection, symbol: ElfSymbol, code: bytes) -> tuple[Insn, ...]:
    try:
        return decode(code, raw=True)
    except DecodeError as error:
        offset = symbol.value + error.slot * SLOT_SIZE
        raise ObjectError(
            f"function {symbol.name!r}: {error}",
            path=elf.path,
            section=section.name,
            offset=offset,
            errno=error.errno,
        ) from error


def _check_reloc(elf: ElfFile, section: ElfSection, reloc: ElfReloc) -> None:
    rule = ""
    if reloc.offset % SLOT_SIZE or reloc.offset >= section.size:
        rule = f"relocation at {reloc.offset} of a section of {section.size} bytes"
    elif reloc.symbol >= len(elf.symbols):
        rule = f"relocation against symbol {reloc.symbol}, there are {len(elf.symbols)}"
    elif elf.symbols[reloc.symbol].section >= len(elf.sections):
        symbol = elf.symbols[reloc.symbol]
        rule = f"corrupted symbol {symbol.name!r} pointing to invalid section {symbol.section}"
    if rule:
        raise ObjectError(
            rule, path=elf.path, section=section.name, offset=reloc.offset, errno=LIBBPF_FORMAT
        )


def symbol_of(elf: ElfFile, index: int) -> Symbol:
    """A symbol as relocation needs it; its section by name."""
    found = elf.symbols[index]
    return Symbol(
        found.name,
        elf.section_name(found.section),
        found.value,
        found.size,
        found.kind,
        found.binding,
        found.visibility,
    )


def _reloc(elf: ElfFile, reloc: ElfReloc, code: bytes, start: int) -> Reloc:
    at = reloc.offset - start
    addend = int.from_bytes(code[at + 4 : at + 8], "little", signed=True)
    return Reloc(at // SLOT_SIZE, reloc.type, symbol_of(elf, reloc.symbol), addend)


def _func_id(btf: Btf | None, id: int) -> int:
    return id if btf and btf.has_id(id) and isinstance(btf.type(id), k.Func) else 0


def _tags(btf: Btf | None, id: int) -> tuple[str, ...]:
    if not btf or not id:
        return ()
    return tuple(text for text, component in btf.decl_tags(id) if component == -1)
