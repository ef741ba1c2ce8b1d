"""The BTF of an object file as the loader hands it to the kernel.

clang leaves sections of variables without sizes and offsets, and lists extern functions where the
kernel allows variables only.  ``read_object`` completes the former; here ``.ksyms`` becomes a
section of 4-byte variables, one per extern, as libbpf rewrites it (BTF notes, section 8.8).
"""

from __future__ import annotations

import struct
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k

__all__ = ["as_loaded"]

_SECTION: Final = ".ksyms"
_DUMMY: Final = b"dummy_ksym\0"
_INT: Final = b"int\0"
_SIZE: Final = 4  # bytes of each variable
_VLEN: Final = 0xFFFF


class _Blob:
    """A blob's words, writable, with types and strings added behind its own."""

    def __init__(self, btf: Btf) -> None:
        raw = btf.raw
        self._order = "<" if btf.byteorder == "little" else ">"
        self._header = list(struct.unpack_from(f"{self._order}HBBIIIII", raw))
        size, types_off, types_len, strings_off, strings_len = self._header[3:]
        at = size + types_off
        count = types_len // 4
        self._words: list[int] = list(struct.unpack_from(f"{self._order}{count}I", raw, at))
        at = size + strings_off
        self._strings = raw[at : at + strings_len]
        self._starts = btf.starts
        self._next = btf.type_count

    def word(self, id: int, index: int) -> int:
        """A word of a type's record."""
        return self._words[self._starts[id - 1] + index]

    def set(self, id: int, index: int, value: int) -> None:
        """Overwrite a word of a type's record."""
        self._words[self._starts[id - 1] + index] = value

    def string(self, text: bytes) -> int:
        """Add a string; its offset."""
        self._strings += text
        return len(self._strings) - len(text)

    def add(self, *words: int) -> int:
        """Add a type; its id."""
        self._words += words
        self._next += 1
        return self._next - 1

    def done(self) -> bytes:
        """The whole blob, types first."""
        types = struct.pack(f"{self._order}{len(self._words)}I", *self._words)
        sizes = [24, 0, len(types), len(types), len(self._strings)]
        header = struct.pack(f"{self._order}HBBIIIII", *self._header[:3], *sizes)
        return header + types + self._strings


def as_loaded(btf: Btf) -> bytes:
    """The blob with ``.ksyms`` rewritten; the same bytes where there is none."""
    section = btf.find(_SECTION, k.DataSec)
    found = btf.type(section) if section is not None else None
    if section is None or not isinstance(found, k.DataSec):
        return btf.raw
    blob = _Blob(btf)
    number = _int_of(btf, blob)
    dummy, name = 0, 0
    if any(isinstance(btf.type(entry.type), k.Func) for entry in found.entries):
        name = blob.string(_DUMMY)
        dummy = blob.add(name, k.Var.KIND << 24, number, k.Linkage.GLOBAL)
    for index, entry in enumerate(found.entries):
        extern = btf.type(entry.type)
        if isinstance(extern, k.Func):
            _define(btf, blob, entry.type, extern, name)
            blob.set(section, 3 + 3 * index, dummy)
        else:
            blob.set(entry.type, 2, number)
            blob.set(entry.type, 3, k.Linkage.GLOBAL)
        blob.set(section, 4 + 3 * index, _SIZE * index)
        blob.set(section, 5 + 3 * index, _SIZE)
    blob.set(section, 2, _SIZE * len(found.entries))
    return blob.done()


def _int_of(btf: Btf, blob: _Blob) -> int:
    """A 32-bit integer type: the first there is, else a new one."""
    for id in btf.ids_of(k.Int):
        found = btf.type(id)
        if isinstance(found, k.Int) and found.bits == 8 * _SIZE:
            return id
    signed = k.IntEncoding.SIGNED << 24
    return blob.add(blob.string(_INT), k.Int.KIND << 24, _SIZE, signed | 8 * _SIZE)


def _define(btf: Btf, blob: _Blob, id: int, func: k.Func, name: int) -> None:
    """An extern function becomes a global one, and its parameters get a name."""
    blob.set(id, 1, blob.word(id, 1) & ~_VLEN | k.Linkage.GLOBAL)
    proto = btf.type(func.type)
    for index, param in enumerate(proto.params if isinstance(proto, k.FuncProto) else ()):
        if param.type and not param.name:
            blob.set(func.type, 3 + 2 * index, name)
