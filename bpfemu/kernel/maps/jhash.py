"""Bob Jenkins' lookup3 hash, as hash maps use it to choose a bucket.

Source: lookup3.c (public domain) in the form of include/linux/jhash.h; a whole number of 32-bit
words hashes the same through jhash and jhash2 on a little-endian machine.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["jhash"]

U32: Final = (1 << 32) - 1
INITVAL: Final = 0xDEAD_BEEF  # JHASH_INITVAL
_MIX: Final = (4, 6, 8, 16, 19, 4)  # rotations between blocks of 12 bytes
_FINAL: Final = (14, 11, 25, 16, 4, 14, 24)  # rotations at the end
_words = struct.Struct("<III").unpack_from


def _rol(value: int, shift: int) -> int:
    return (value << shift | value >> (32 - shift)) & U32


def jhash(key: bytes, seed: int) -> int:
    """The 32-bit hash of ``key``."""
    a: int
    b: int
    c: int
    a = b = c = (INITVAL + len(key) + seed) & U32
    if not key:
        return c
    padded = key + bytes(-len(key) % 12)
    last = len(padded) - 12
    for at in range(0, last, 12):
        x, y, z = _words(padded, at)
        a, b, c = (a + x) & U32, (b + y) & U32, (c + z) & U32
        for shift in _MIX:
            a = (a - c) & U32 ^ _rol(c, shift)
            c = (c + b) & U32
            a, b, c = b, c, a
    x, y, z = _words(padded, last)
    a, b, c = (a + x) & U32, (b + y) & U32, (c + z) & U32
    for shift in _FINAL:
        c = ((c ^ b) - _rol(b, shift)) & U32
        a, b, c = b, c, a
    # Seven rounds turn the three words by one place: the last one worked on is b's successor.
    return b
