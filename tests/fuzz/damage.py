"""Damage to objects that knows what an ELF file is made of.

Random flips mostly end in the reader; these keep the file in shape and break one thing inside:
a section header, a symbol, a relocation, an instruction, a word of BTF.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["damaged"]

HEADER = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
NAME, TYPE, FLAGS, ADDR, OFFSET, SIZE, LINK, INFO, ALIGN, ENTRY = range(10)
SYMTAB, REL = 2, 9
EXEC = 4

EDGES = (0, 1, 2, 3, 4, 7, 8, 9, 10, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000)
WORDS = st.sampled_from(EDGES) | st.integers(0, 0xFFFF_FFFF)


@dataclass
class File:
    """An object's bytes and its section headers, as they were before any damage."""

    data: bytearray
    table: int  # bytes from the file's start to the section headers
    headers: list[tuple[int, ...]]
    names: list[str]

    def part(self, index: int) -> range:
        """The bytes of a section, as far as the file has them."""
        row = self.headers[index]
        return range(min(row[OFFSET], len(self.data)), min(row[OFFSET] + row[SIZE], len(self.data)))

    def of_type(self, *types: int) -> list[int]:
        """Sections of these types that hold anything."""
        return [n for n, row in enumerate(self.headers) if row[TYPE] in types and self.part(n)]

    def code(self) -> list[int]:
        """Sections with instructions."""
        return [n for n in self.of_type(1) if self.headers[n][FLAGS] & EXEC]

    def named(self, *names: str) -> list[int]:
        """Sections by name."""
        return [n for n, name in enumerate(self.names) if name in names and self.part(n)]

    def put(self, at: int, data: bytes) -> None:
        """Overwrite, never beyond the end."""
        end = min(at + len(data), len(self.data))
        self.data[at:end] = data[: max(end - at, 0)]


def parse(original: bytes) -> File:
    """The sections of a sound object."""
    (table,) = struct.unpack_from("<Q", original, 40)
    count, strings = struct.unpack_from("<HH", original, 60)
    headers = [HEADER.unpack_from(original, table + 64 * n) for n in range(count)]
    base = headers[strings][OFFSET]
    names = []
    for row in headers:
        start = base + row[NAME]
        names.append(original[start : original.index(b"\0", start)].decode())
    return File(bytearray(original), table, headers, names)


def _record(draw: st.DrawFn, file: File, sections: list[int], size: int) -> int:
    """Where one record of ``size`` bytes of one of the sections starts; -1 when there is none."""
    sections = [n for n in sections if len(file.part(n)) >= size]
    if not sections:
        return -1
    part = file.part(draw(st.sampled_from(sections)))
    return part.start + size * draw(st.integers(0, len(part) // size - 1))


def flip(draw: st.DrawFn, file: File) -> None:
    """One bit anywhere."""
    if file.data:
        file.data[draw(st.integers(0, len(file.data) - 1))] ^= 1 << draw(st.integers(0, 7))


def cut(draw: st.DrawFn, file: File) -> None:
    """The file ends early."""
    del file.data[draw(st.integers(0, len(file.data))) :]


def header(draw: st.DrawFn, file: File) -> None:
    """One field of one section header says something else."""
    index = draw(st.integers(0, len(file.headers) - 1))
    row = list(file.headers[index])
    field = draw(st.sampled_from((TYPE, FLAGS, OFFSET, SIZE, LINK, INFO, ENTRY, NAME)))
    other = draw(st.sampled_from(file.headers))[field]
    row[field] = draw(st.sampled_from((other, row[field] + 1, row[field] * 2)) | WORDS)
    row[field] &= 0xFFFF_FFFF
    file.put(file.table + 64 * index, HEADER.pack(*row))


def swap(draw: st.DrawFn, file: File) -> None:
    """Two relocations change places, or one gets another's target or kind."""
    one = _record(draw, file, file.of_type(REL), 16)
    two = _record(draw, file, file.of_type(REL), 16)
    if one < 0:
        return
    first, second = bytes(file.data[one : one + 16]), bytes(file.data[two : two + 16])
    what = draw(st.sampled_from(("both", "where", "symbol", "kind")))
    if what == "both":
        file.put(one, second)
        file.put(two, first)
    elif what == "where":
        file.put(one, second[:8])
    elif what == "symbol":
        file.put(one + 12, second[12:])
    else:
        file.put(one + 8, struct.pack("<I", draw(st.sampled_from((0, 1, 2, 3, 4, 10, 11, 255)))))


def symbol(draw: st.DrawFn, file: File) -> None:
    """One field of a symbol: value, size, section, kind and binding."""
    at = _record(draw, file, file.of_type(SYMTAB), 24)
    if at < 0:
        return
    field, size = draw(st.sampled_from(((0, 4), (4, 1), (5, 1), (6, 2), (8, 8), (16, 8))))
    value = draw(WORDS) & ((1 << 8 * size) - 1)
    file.put(at + field, value.to_bytes(size, "little"))


def insn(draw: st.DrawFn, file: File) -> None:
    """One field of an instruction: opcode, registers, offset, immediate."""
    at = _record(draw, file, file.code(), 8)
    if at < 0:
        return
    field, size = draw(st.sampled_from(((0, 1), (1, 1), (2, 2), (4, 4))))
    file.put(at + field, (draw(WORDS) & ((1 << 8 * size) - 1)).to_bytes(size, "little"))


def copy(draw: st.DrawFn, file: File) -> None:
    """One instruction stands where another was."""
    one = _record(draw, file, file.code(), 8)
    two = _record(draw, file, file.code(), 8)
    if one >= 0:
        file.put(one, bytes(file.data[two : two + 8]))


def btf(draw: st.DrawFn, file: File) -> None:
    """One word of type, line or relocation information."""
    at = _record(draw, file, file.named(".BTF", ".BTF.ext"), 4)
    if at < 0:
        return
    old = int.from_bytes(file.data[at : at + 4], "little")
    new = draw(st.sampled_from((old + 1, old - 1, old ^ 1 << 31, old << 1, old | 0xFFFF)) | WORDS)
    file.put(at, (new & 0xFFFF_FFFF).to_bytes(4, "little"))


def values(draw: st.DrawFn, file: File) -> None:
    """One word of initial data: map definitions, globals, the licence."""
    at = _record(draw, file, file.named(".maps", ".rodata", ".data", "license"), 4)
    if at >= 0:
        file.put(at, draw(WORDS).to_bytes(4, "little"))


WAYS: tuple[Callable[[st.DrawFn, File], None], ...] = (
    *(header, swap, symbol, btf, btf, insn, insn, insn, copy, values, flip),
    cut,
)


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals with one to four things in it broken."""
    file = parse(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(WAYS))(draw, file)
    return bytes(file.data)
