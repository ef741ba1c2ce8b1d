"""Type names as people write them → types: ``struct file *``, ``unsigned long``, ``u8[4]``.

Qualifiers and the kernel's annotations (``__rcu`` and the like) are read over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.objects.numbers import C_NUMBERS, number_name
from bpfemu.objects.types import POINTER, Type, number_type

__all__ = ["parse_type_name"]

_QUALIFIERS: Final = {"const", "volatile", "restrict", "__restrict", "static", "register"}
_TAGS: Final[dict[str, tuple[type[k.Type], ...]]] = {
    "struct": (k.Struct,),
    "union": (k.Union,),
    "enum": (k.Enum, k.Enum64),
}


def parse_type_name(text: str, btfs: Sequence[Btf]) -> Type:
    """The type of that name, in the first BTF that has it; LookupError where none does."""
    words = _words(text)
    base: list[str] = []
    while words and (words[0].isidentifier()):
        word = words.pop(0)
        if word not in _QUALIFIERS and not _is_annotation(word, base):
            base.append(word)
    found = _base(text, base, btfs)
    return Type(found.btf, found.id, _layers(text, words), found.own)


def _words(text: str) -> list[str]:
    spaced = text
    for char in "*[]()":
        spaced = spaced.replace(char, f" {char} ")
    return spaced.split()


def _is_annotation(word: str, base: list[str]) -> bool:
    """``__rcu`` behind a type; ``__u32`` is a type."""
    return word.startswith("__") and bool(base) and base[-1] not in _TAGS


def _base(text: str, base: list[str], btfs: Sequence[Btf]) -> Type:
    if not base:
        raise LookupError(f"{text!r} is no type name")
    if base == ["void"]:
        return Type(btfs[0] if btfs else None, 0)
    kinds: tuple[type[k.Type], ...] = (k.Typedef, k.Int, k.Float)
    names = [" ".join(base)]
    if base[0] in _TAGS and len(base) == 2:
        kinds, names = _TAGS[base[0]], base[1:]
    elif (number := number_name(base)) is not None:
        names = [number, *_SPELLINGS.get(number, ())]
    for btf in btfs:
        for name in names:
            id = btf.find(name, *kinds)
            if id is not None:
                return Type(btf, id)
    if names[0] in C_NUMBERS:
        return number_type(names[0])
    raise LookupError(f"no type {' '.join(base)!r} in the kernel's BTF")


_SPELLINGS: Final = {
    "unsigned long": ("long unsigned int",),
    "unsigned long long": ("long long unsigned int",),
    "unsigned short": ("short unsigned int",),
    "long": ("long int",),
    "long long": ("long long int",),
    "short": ("short int",),
    "_Bool": ("bool",),
}
"""How GCC writes into BTF what clang writes as C does."""


def _layers(text: str, words: list[str]) -> tuple[int, ...]:
    """``* [ 4 ]`` → pointers, then arrays from the last bracket to the first."""
    pointers: list[int] = []
    arrays: list[int] = []
    while words:
        word = words.pop(0)
        if word == "*" and not arrays:
            pointers.append(POINTER)
        elif word == "[" and words:
            count = words.pop(0) if words[0] != "]" else "0"
            if not count.isdecimal() or not words or words.pop(0) != "]":
                raise LookupError(f"{text!r} is no type name")
            arrays.append(int(count))
        elif word not in _QUALIFIERS and not (word.startswith("__") and word.isidentifier()):
            raise LookupError(f"{text!r} is no type name; give the base, '*' and '[n]'")
    return (*pointers, *reversed(arrays))
