"""A mapping of /sys/kernel/btf/vmlinux: read-only pages that belong to the kernel.

It is a raw mapping of page frames, so that much of what a process may do with its own memory is
refused.  Every errno here was seen on a 6.18.44 kernel.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from bpfemu.record import dataclass, replace

__all__ = ["PROT_EXEC", "PROT_NONE", "PROT_READ", "PROT_WRITE", "Mapping"]

PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4
_PROT_KNOWN: Final = 0xF  # with PROT_SEM, which means nothing

_MREMAP_MAYMOVE: Final = 1

# Advice that such a mapping takes, with the smaps flags it clears and the one it sets.
_ADVICE: Final[dict[int, tuple[str, str]]] = {
    0: ("sr rr", ""),  # MADV_NORMAL
    1: ("sr", "rr"),  # MADV_RANDOM
    2: ("rr", "sr"),  # MADV_SEQUENTIAL
    3: ("", ""),  # MADV_WILLNEED
    10: ("", "dc"),  # MADV_DONTFORK
    12: ("", ""),  # MADV_MERGEABLE
    13: ("", ""),  # MADV_UNMERGEABLE
    14: ("nh", "hg"),  # MADV_HUGEPAGE
    15: ("hg", "nh"),  # MADV_NOHUGEPAGE
    16: ("", ""),  # MADV_DONTDUMP: it is so already
    19: ("", ""),  # MADV_KEEPONFORK
}
_MADV_REMOVE: Final = 9  # wants a file that is open for writing
_SMAPS_ORDER: Final = ("rd", "mr", "pf", "io", "sr", "rr", "dc", "de", "dd", "hg", "nh")
_ALWAYS: Final = frozenset({"mr", "pf", "io", "de", "dd"})


@dataclass(frozen=True, slots=True)
class _Page:
    prot: int
    marks: frozenset[str] = frozenset()


class Mapping:
    """Pages of the kernel's memory in a process: no copy, and nobody can write to them."""

    def __init__(self, memory: memoryview, prot: int, page_size: int) -> None:
        self._memory = memory
        self._page_size = page_size
        page = _Page(prot & PROT_READ)
        self._pages: list[_Page | None] = [page] * (len(memory) // page_size)

    @property
    def length(self) -> int:
        """Bytes, in whole pages."""
        return len(self._pages) * self._page_size

    @property
    def address(self) -> int:
        """Where the mapping lies in this very process: a multiple of the page size."""
        import ctypes

        owner = self._memory.obj
        start = ctypes.addressof(ctypes.c_char.from_buffer(owner))
        return start

    @property
    def view(self) -> memoryview:
        """The whole mapping as a read-only buffer; EFAULT where a process would get SIGSEGV."""
        return self.read(0, self.length)

    def read(self, offset: int, size: int) -> memoryview:
        """A part of the mapping; EFAULT when a page of it is not there or PROT_NONE."""
        if size:
            first, last = offset // self._page_size, (offset + size - 1) // self._page_size
            if offset < 0 or not all(page and page.prot for page in self._range(first, last)):
                raise _error(errno.EFAULT)
        return self._memory[offset : offset + size]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int | slice) -> int | memoryview:
        """Bytes of the mapping, as those of a buffer."""
        part: int | memoryview = self.view[index]
        return part

    def __buffer__(self, flags: int) -> memoryview:
        """The mapping as a buffer (Python 3.12 and newer)."""
        return self.view

    def mprotect(self, prot: int, offset: int = 0, length: int | None = None) -> None:
        """Change the access to pages: only to PROT_READ or PROT_NONE."""
        first, last = self._pages_at(offset, length)
        if prot & ~_PROT_KNOWN:
            raise _error(errno.EINVAL)
        for number in range(first, last + 1):
            page = self._page(number)
            if page is None:
                raise _error(errno.ENOMEM)
            if prot & (PROT_WRITE | PROT_EXEC):
                raise _error(errno.EACCES)
            self._pages[number] = replace(page, prot=prot & PROT_READ)

    def madvise(self, advice: int, offset: int = 0, length: int | None = None) -> None:
        """Take advice about pages."""
        known = _ADVICE.get(advice)
        if known is None and advice != _MADV_REMOVE:
            raise _error(errno.EINVAL)
        first, last = self._pages_at(offset, length)
        for number in range(first, last + 1):
            page = self._page(number)
            if page is None:
                raise _error(errno.ENOMEM)
            if known is None:
                raise _error(errno.EACCES)
            marks = page.marks.difference(known[0].split()).union(known[1].split())
            self._pages[number] = replace(page, marks=marks)

    def mremap(self, length: int, flags: int = _MREMAP_MAYMOVE) -> None:
        """Make the mapping shorter; growing is refused with EFAULT, wherever it might move."""
        if flags & ~_MREMAP_MAYMOVE or length <= 0:
            raise _error(errno.EINVAL)
        pages = -(-length // self._page_size)
        if pages > len(self._pages) or None in self._pages:
            raise _error(errno.EFAULT)
        del self._pages[pages:]

    def munmap(self, offset: int = 0, length: int | None = None) -> None:
        """Take pages out of the process; pages that are not there are nobody's error."""
        if length == 0:
            raise _error(errno.EINVAL)
        first, last = self._pages_at(offset, length)
        for number in range(first, min(last + 1, len(self._pages))):
            self._pages[number] = None

    def smaps_flags(self, offset: int = 0) -> str:
        """The VmFlags line that /proc/self/smaps shows for the page at an offset."""
        page = self._page(offset // self._page_size)
        if page is None:
            raise _error(errno.ENOMEM)
        found = _ALWAYS | page.marks | ({"rd"} if page.prot else set())
        return " ".join(flag for flag in _SMAPS_ORDER if flag in found)

    def _page(self, number: int) -> _Page | None:
        return self._pages[number] if number < len(self._pages) else None

    def _range(self, first: int, last: int) -> list[_Page | None]:
        if last >= len(self._pages):
            return [None]
        return self._pages[first : last + 1]

    def _pages_at(self, offset: int, length: int | None) -> tuple[int, int]:
        """First and last page of a byte range; the last is before the first when it is empty."""
        if offset < 0 or offset % self._page_size:
            raise _error(errno.EINVAL)
        size = self.length - offset if length is None else length
        first = offset // self._page_size
        return first, first + -(-size // self._page_size) - 1


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
