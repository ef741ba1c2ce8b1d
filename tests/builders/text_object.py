"""The smallest relocatable BPF object: one function in .text and at most one relocation."""

from __future__ import annotations

import struct

__all__ = ["text_object"]

_NAMES = b"\0.text\0.strtab\0.symtab\0.rel.text\0"
_HEADER_SIZE = 64  # bytes, Elf64_Ehdr
_SYMBOL_SIZE = 24  # bytes, Elf64_Sym


def text_object(code: bytes, name: str = "main", *, relocated: bool = False) -> bytes:
    """An ELF file whose .text holds ``code``, all of it the global function ``name``.

    ``relocated``: its first instruction, a 64-bit immediate load, is relocated against itself.
    """
    strings = _NAMES + name.encode() + b"\0"
    symbols = bytes(_SYMBOL_SIZE) + struct.pack("<IBBHQQ", len(_NAMES), 0x12, 0, 1, 0, len(code))
    relocs = struct.pack("<QQ", 0, 1 << 32 | 1) if relocated else b""  # R_BPF_64_64, symbol 1
    strings += bytes(-len(strings) % 8)
    text_at, strings_at = _HEADER_SIZE, _HEADER_SIZE + len(code)
    symbols_at = strings_at + len(strings)
    relocs_at = symbols_at + len(symbols)
    rows = [
        # name, type, flags, offset, size, link, info, entry size
        (0, 0, 0, 0, 0, 0, 0, 0),
        (_NAMES.index(b".text"), 1, 6, text_at, len(code), 0, 0, 0),  # PROGBITS, alloc + exec
        (_NAMES.index(b".strtab"), 3, 0, strings_at, len(strings), 0, 0, 0),
        (_NAMES.index(b".symtab"), 2, 0, symbols_at, len(symbols), 2, 1, _SYMBOL_SIZE),
        (_NAMES.index(b".rel.text"), 9, 0, relocs_at, len(relocs), 3, 1, 16),
    ]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", title, kind, flags, 0, at, size, link, info, 8, entry)
        for title, kind, flags, at, size, link, info, entry in rows
    )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, little-endian
    table_at = relocs_at + len(relocs)
    head = struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, table_at, 0, 64, 0, 0, 64, len(rows), 2)
    return ident + head + code + strings + symbols + relocs + table
