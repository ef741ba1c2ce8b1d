"""Where marked definitions are, read from sources without importing them.

A program uses a handful of the kernel's functions; importing the files of all the others was a
fifth of a cold start.  ``scan`` finds the decorators in the text; :class:`LazyTable` imports the
file behind a key when the key is first asked for.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar
from zlib import crc32

from bpfemu.record import dataclass, field

__all__ = ["LazyTable", "Places", "scan"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class Places:
    """Modules by what they define; ``total`` is a 32-bit sum of their C declarations."""

    kfuncs: dict[str, list[str]] = field(default_factory=dict)
    helpers: dict[int, list[str]] = field(default_factory=dict)
    map_types: dict[int, list[str]] = field(default_factory=dict)
    prog_types: dict[int, list[str]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    total: int = 0


def scan(*packages: str) -> Places | None:
    """Read the sources of the packages; None when a package has none that can be read."""
    places = Places()
    for package in packages:
        for folder in importlib.import_module(package).__path__:
            try:
                names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
            except OSError:
                return None
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read()
                if name != "__init__.py":
                    places.modules.append(f"{package}.{name[:-3]}")
                    _read(places, places.modules[-1], text.decode().replace("\r\n", "\n"))
    return places


def _read(places: Places, module: str, text: str) -> None:
    for at in _find(text, "\n@kfunc("):
        start = text.index("\ndef ", at) + 5
        places.kfuncs.setdefault(text[start : text.index("(", start)], []).append(module)
        end = text.index(":\n", text.index("->", start))
        places.total = crc32(text[at:end].encode(), places.total)
    for at in _find(text, "\nclass "):
        if "(Struct" in text[at : text.index(":\n", at)]:
            places.total = crc32(text[at : text.find("\n\n\n", at)].encode(), places.total)
    for word, table in (
        ("\n@helper(", places.helpers),
        ("\n@map_type(", places.map_types),
        ("\n@prog_type(", places.prog_types),
    ):
        for at in _find(text, word):
            end = at
            while text[end].isdigit():
                end += 1
            table.setdefault(int(text[at:end]), []).append(module)


def _find(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at + len(word)
        at = text.find(word, at + 1)


class LazyTable(dict[K, V], Generic[K, V]):
    """A table that knows its keys and loads what is behind one when it is asked for.

    ``load`` imports a module and enters what it defines; walking the table loads everything.
    """

    def __init__(self, places: dict[K, list[str]], load: Callable[[str], None]) -> None:
        super().__init__()
        self._places = places
        self._load = load

    def _fetch(self, key: Any) -> None:
        for module in self._places.get(key, ()):
            self._load(module)

    def _fetch_all(self) -> None:
        for key in self._places:
            self._fetch(key)

    def entered(self, key: K) -> V | None:
        """What is there already."""
        return super().get(key)

    def __getitem__(self, key: K) -> V:
        self._fetch(key)
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, loaded now if need be, or ``default``."""
        self._fetch(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._places or super().__contains__(key)

    def __len__(self) -> int:
        self._fetch_all()
        return super().__len__()

    def __iter__(self) -> Iterator[K]:
        self._fetch_all()
        return super().__iter__()

    def keys(self) -> Any:
        """Every key."""
        self._fetch_all()
        return super().keys()

    def values(self) -> Any:
        """Every value."""
        self._fetch_all()
        return super().values()

    def items(self) -> Any:
        """Every key and value."""
        self._fetch_all()
        return super().items()
