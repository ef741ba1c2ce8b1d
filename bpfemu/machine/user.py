"""User memory: an address space of its own, page by page, reachable only through the kernel.

::

    mapped ranges   [start, end) with permissions        pages   number → 4096 bytes, once touched

A program never reaches it with loads and stores: ``bpf_probe_read_user`` and its kin do, for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from bpfemu.errors import InputError

__all__ = ["EXEC", "READ", "WRITE", "UserMemory"]

READ: Final = 1
WRITE: Final = 2
EXEC: Final = 4

PAGE: Final = 4096  # bytes


class UserMemory:
    """Mapped ranges with permissions; bytes that nobody wrote are zero.

    As on x86-64, what may be written or executed may be read; a range without any permission
    cannot be accessed at all.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ranges: list[tuple[int, int, int]] = []  # start, end, permissions
        self._pages: dict[int, bytearray] = {}

    def map(self, start: int, end: int, perms: int, content: bytes = b"") -> None:
        """Map ``[start, end)``, page aligned, with ``content`` at its start."""
        if start % PAGE or end % PAGE or not 0 <= start < end:
            raise InputError(f"user range {start:#x}-{end:#x} is not made of whole pages")
        at = bisect_right(self._starts, start)
        below = at > 0 and self._ranges[at - 1][1] > start
        above = at < len(self._ranges) and self._ranges[at][0] < end
        if below or above:
            raise InputError(f"user range {start:#x}-{end:#x} overlaps another one")
        self._starts.insert(at, start)
        self._ranges.insert(at, (start, end, perms))
        self.poke(start, content)

    def unmap(self, start: int, end: int) -> None:
        """Take ``[start, end)`` out, whatever is mapped there."""
        kept: list[tuple[int, int, int]] = []
        for low, high, perms in self._ranges:
            if high <= start or low >= end:
                kept.append((low, high, perms))
                continue
            if low < start:
                kept.append((low, start, perms))
            if high > end:
                kept.append((end, high, perms))
        self._ranges = kept
        self._starts = [low for low, _, _ in kept]
        for page in [number for number in self._pages if start <= number * PAGE < end]:
            del self._pages[page]

    def ranges(self) -> Iterator[tuple[int, int, int]]:
        """(start, end, permissions), by address."""
        yield from self._ranges

    def read(self, addr: int, size: int) -> bytes | None:
        """Bytes, None when any of them is not mapped or not readable."""
        if not self._allowed(addr, size, READ | WRITE | EXEC):
            return None
        return self.peek(addr, size)

    def write(self, addr: int, data: bytes) -> bool:
        """False, and nothing is written, when any byte is not mapped or not writable."""
        if not self._allowed(addr, len(data), WRITE):
            return False
        self.poke(addr, data)
        return True

    def peek(self, addr: int, size: int) -> bytes:
        """Bytes whatever the permissions; zero where nobody wrote."""
        out = bytearray()
        for number, low, high in _pages(addr, size):
            page = self._pages.get(number)
            out += page[low:high] if page is not None else bytes(high - low)
        return bytes(out)

    def poke(self, addr: int, data: bytes) -> None:
        """Write whatever the permissions."""
        at = 0
        for number, low, high in _pages(addr, len(data)):
            page = self._pages.setdefault(number, bytearray(PAGE))
            page[low:high] = data[at : at + high - low]
            at += high - low

    def _allowed(self, addr: int, size: int, any_of: int) -> bool:
        """Is each byte mapped with one of these permissions?  No bytes are always allowed."""
        end = addr + size
        while addr < end:
            at = bisect_right(self._starts, addr) - 1
            if at < 0:
                return False
            _, high, perms = self._ranges[at]
            if high <= addr or not perms & any_of:
                return False
            addr = high
        return True


def _pages(addr: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(page number, first byte, byte behind the last) for each page that the bytes touch."""
    end = addr + size
    while addr < end:
        number, low = divmod(addr, PAGE)
        high = min(PAGE, low + end - addr)
        yield number, low, high
        addr += high - low
