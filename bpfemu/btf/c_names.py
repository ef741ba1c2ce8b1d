"""Names in a C header: every tag and every ordinary identifier stands for one thing only.

A kernel's BTF has several ``struct foo`` that differ; the second is called ``foo___2``, which
CO-RE takes for a flavour of the first.
"""

from __future__ import annotations

from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.spelling import tag_word
from bpfemu.btf.types import Btf

__all__ = ["CNames", "c_identifier", "is_c_number", "number_typedef"]

_NUMBER_WORDS: Final = frozenset(
    [
        "char",
        "short",
        "int",
        "long",
        "signed",
        "unsigned",
        "_Bool",
        "__int128",
        "float",
        "double",
        "_Float16",
        "__bf16",
    ]
)
_UNSIGNED: Final = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long"}
_SIGNED: Final = {1: "signed char", 2: "short", 4: "int", 8: "long"}
_FLOATS: Final = {2: "_Float16", 4: "float", 8: "double", 12: "long double", 16: "long double"}
_KEYWORDS: Final = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
    ]
)


def is_c_number(name: str) -> bool:
    """Whether an INT's or FLOAT's name is made of C's own words."""
    return bool(name) and all(word in _NUMBER_WORDS for word in name.split())


def number_typedef(found: k.Int | k.Float, name: str) -> str:
    """Return a typedef for a number whose name is none of C's own."""
    if isinstance(found, k.Float):
        known = _FLOATS.get(found.size, "double")
    elif found.encoding & k.IntEncoding.BOOL:
        known = "_Bool"
    else:
        wide = "__int128" if found.signed else "unsigned __int128"
        known = (_SIGNED if found.signed else _UNSIGNED).get(found.size, wide)
    return f"typedef {known} {name};\n"


def c_identifier(name: str) -> str:
    """Return the name with every character that C does not allow replaced by ``_``."""
    made = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return f"_{made}" if made[:1].isdigit() or made in _KEYWORDS else made


class CNames:
    """Gives each type its name in the header, always the same one."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._given: dict[int, str] = {}
        self._tags: dict[str, str] = {}  # tag → its keyword, by the first who took it
        self._defined: set[str] = set()  # tags that have a body
        self._ordinary: set[str] = set()
        self._said: set[str] = set()

    def first_use(self, text: str) -> bool:
        """Whether this declaration is said for the first time."""
        new = text not in self._said
        self._said.add(text)
        return new

    def name(self, id: int, found: k.Type) -> str:
        """Return the name of any type that has one."""
        if isinstance(found, k.Int | k.Float) and is_c_number(found.name):
            return found.name
        if isinstance(found, k.Int | k.Float | k.Typedef):
            return self.ordinary(id, found.name)
        return self.tag(id, found)

    def tag(self, id: int, found: k.Type) -> str:
        """Return the tag of a struct, union, enum or forward declaration."""
        if id not in self._given:
            word, wanted = tag_word(found), c_identifier(getattr(found, "name", ""))
            tag, number = wanted, 1
            while not self._free(tag, word, defining := not isinstance(found, k.Fwd)):
                number += 1
                tag = f"{wanted}___{number}"
            self._tags[tag] = word
            if defining:
                self._defined.add(tag)
            self._given[id] = tag
        return self._given[id]

    def _free(self, tag: str, word: str, defining: bool) -> bool:
        return self._tags.get(tag, word) == word and not (defining and tag in self._defined)

    def ordinary(self, id: int, name: str) -> str:
        """Return the name of a typedef."""
        if id not in self._given:
            self._given[id] = self.fresh(name)
        return self._given[id]

    def fresh(self, name: str) -> str:
        """Return an ordinary identifier (of a typedef or enumerator) that nobody has yet."""
        wanted = made = c_identifier(name)
        number = 1
        while made in self._ordinary:
            number += 1
            made = f"{wanted}___{number}"
        self._ordinary.add(made)
        return made
