"""C's own numbers, and the one name that each of them has."""

from __future__ import annotations

from typing import Final

from bpfemu.btf import kinds as k

__all__ = ["C_NUMBERS", "number_name"]

_SIGNED: Final = k.IntEncoding.SIGNED
C_NUMBERS: Final[dict[str, k.Int | k.Float]] = {
    "char": k.Int("char", 1, _SIGNED, 8),
    "signed char": k.Int("signed char", 1, _SIGNED, 8),
    "unsigned char": k.Int("unsigned char", 1, 0, 8),
    "short": k.Int("short", 2, _SIGNED, 16),
    "unsigned short": k.Int("unsigned short", 2, 0, 16),
    "int": k.Int("int", 4, _SIGNED, 32),
    "unsigned int": k.Int("unsigned int", 4, 0, 32),
    "long": k.Int("long", 8, _SIGNED, 64),
    "unsigned long": k.Int("unsigned long", 8, 0, 64),
    "long long": k.Int("long long", 8, _SIGNED, 64),
    "unsigned long long": k.Int("unsigned long long", 8, 0, 64),
    "_Bool": k.Int("_Bool", 1, k.IntEncoding.BOOL, 8),
    "float": k.Float("float", 4),
    "double": k.Float("double", 8),
}
"""C's own numbers on a 64-bit kernel."""


def number_name(words: list[str]) -> str | None:
    """``long unsigned int`` → ``unsigned long``; None where it is none of C's own numbers."""
    rest = sorted(words)
    if rest in (["float"], ["double"], ["_Bool"]):
        return words[0]
    sign = "unsigned" if "unsigned" in rest else "signed" if "signed" in rest else ""
    sizes = [word for word in rest if word not in ("signed", "unsigned", "int")]
    if any(word not in ("char", "short", "long") for word in sizes):
        return None
    size = " ".join(sizes) or "int"
    name = f"{sign} {size}" if sign == "unsigned" or (sign and size == "char") else size
    return name if name in C_NUMBERS else None
