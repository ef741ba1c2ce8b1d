"""name → types, without a table of all names.

A real vmlinux BTF has 126,000 types.  A dictionary of their names would cost more than everything
a short run does with it, so a name is searched where it stands: first its bytes in the string
section, then its offset in the type section.  Callers that ask often get one extra array, the
name offsets of all types side by side, which makes that second search short.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from bpfemu.btf.parse import Geometry, TypeWalk, Words

__all__ = ["NameLookup"]

_DIRECT_SEARCHES: Final = 4  # searches of the records themselves before the column is worth it
_FALSE_HITS: Final = 64  # words that look like the name offset but are none


class NameLookup:
    """Finds names in one blob's own strings and types."""

    __slots__ = (
        "_column",
        "_data",
        "_direct_left",
        "_inner",
        "_place",
        "_start_str_off",
        "_walk",
        "_words",
    )

    def __init__(
        self,
        data: bytes | mmap,
        place: Geometry,
        words: Words,
        walk: TypeWalk,
        start_str_off: int,
    ) -> None:
        self._data = data
        self._place = place
        self._words = words
        self._walk = walk
        self._direct_left = _DIRECT_SEARCHES
        self._column: bytes | None = None
        self._inner: bool | None = None
        self._start_str_off = start_str_off

    def adopt(self, column: bytes) -> None:
        """Take over the name offsets of all types, one native word each, from an earlier parse."""
        self._column = column

    def string_starts(self, text: bytes) -> Iterator[int]:
        """Yield the offsets, from this blob's first string, of strings that equal ``text``."""
        return (at for at in self._ends(text) if not at or not self._string_byte(at - 1))

    def strings_beginning(self, text: bytes) -> Iterator[int]:
        """Yield the offsets of strings that begin with ``text``."""
        return (at for at in self._hits(text) if not at or not self._string_byte(at - 1))

    def string_tails(self, text: bytes) -> list[int]:
        """Return the offsets where ``text`` is the tail of a longer string and named from there.

        Compilers do not share tails; hand-made BTF may.
        """
        tails = [at for at in self._ends(text) if at and self._string_byte(at - 1)]
        return tails if tails and self._names_tails() else []

    def numbers(self, name_off: int) -> Iterator[int]:
        """Yield the own types whose name offset is ``name_off``, in order, counted from 0."""
        start = 0
        if self._column is None and self._direct_left:
            self._direct_left -= 1
            where = self._place.types_at
            end = where + self._place.types_size
            pattern = name_off.to_bytes(4, self._place.byteorder)
            for _ in range(_FALSE_HITS):
                where = self._data.find(pattern, where, end)
                if where < 0:
                    return
                word, odd = divmod(where - self._place.types_at, 4)
                number = None if odd else self._walk.number_at(word)
                if number is not None:
                    yield number
                    start = number + 1
                where += 1
        yield from self._column_hits(name_off, start)

    def numbers_among(self, name_offs: set[int]) -> Iterator[int]:
        """Yield the own types with any of these name offsets, in one pass over all names."""
        names = memoryview(self.name_column()).cast("I")
        return (number for number, name_off in enumerate(names) if name_off in name_offs)

    def _column_hits(self, name_off: int, start: int) -> Iterator[int]:
        column = self.name_column()
        pattern = name_off.to_bytes(4, sys.byteorder)
        where = 4 * start
        while (where := column.find(pattern, where)) >= 0:
            if where % 4 == 0:
                yield where // 4
            where += 1

    def name_column(self) -> bytes:
        """Return the name offsets of all types, one native word each."""
        if self._column is None:
            self._walk.finish()
            words = self._words
            self._column = array("I", [words[at] for at in self._walk.starts]).tobytes()
        return self._column

    def _names_tails(self) -> bool:
        if self._inner is None:
            start_str_off = self._start_str_off
            end = start_str_off + self._place.strings_size
            used = set(memoryview(self.name_column()).cast("I"))
            self._inner = any(
                self._string_byte(off - start_str_off - 1)
                for off in used
                if start_str_off < off < end
            )
        return self._inner

    def _ends(self, text: bytes) -> Iterator[int]:
        return self._hits(text + b"\0")

    def _hits(self, text: bytes) -> Iterator[int]:
        first, end = self._place.strings_at, self._place.strings_at + self._place.strings_size
        where = first
        while (where := self._data.find(text, where, end)) >= 0:
            yield where - first
            where += 1

    def _string_byte(self, at: int) -> int:
        return self._data[self._place.strings_at + at]
