"""list_head in memory (include/linux/list.h): circular lists that programs can walk, too.

And what those who change them ask of the kernel's spin locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import Ptr

__all__ = ["Guard", "Lists"]

POISON1: Final = 0xDEAD_0000_0000_0100  # list_del leaves it in next
POISON2: Final = 0xDEAD_0000_0000_0122  # and this in prev
_PREV: Final = 8  # bytes: offset of prev


class Guard(Protocol):
    """The spin locks of the kernel."""

    def spin_lock(self, lock: Any) -> None:
        """Take one."""

    def spin_unlock(self, lock: Any) -> None:
        """Release it."""


class Lists:
    """Operations on lists, by the addresses of their heads and links."""

    def __init__(self, placer: StructPlacer) -> None:
        self._placer = placer
        self._memory = placer.space.memory

    def init(self, head: Any) -> None:
        """INIT_LIST_HEAD(): an empty list, or a link that is in none."""
        self._link(int(head), int(head))

    def next(self, link: Any) -> int:
        """What follows."""
        return self._memory.read_int(int(link), 8)

    def prev(self, link: Any) -> int:
        """What stands before."""
        return self._memory.read_int(int(link) + _PREV, 8)

    def is_empty(self, head: Any) -> bool:
        """list_empty()."""
        return self.next(head) == int(head)

    def add(self, link: Any, head: Any) -> None:
        """list_add(): first in the list, or behind a link."""
        following = self.next(head)
        self._link(int(link), following)
        self._link(int(head), int(link))

    def add_tail(self, link: Any, head: Any) -> None:
        """list_add_tail(): last in the list, or before a link."""
        self.add(link, self.prev(head))

    def delete(self, link: Any) -> None:
        """list_del()."""
        self._link(self.prev(link), self.next(link))
        self._memory.write_int(int(link), 8, POISON1)
        self._memory.write_int(int(link) + _PREV, 8, POISON2)

    def delete_rcu(self, link: Any) -> None:
        """list_del_rcu(): ``next`` keeps leading onward."""
        self._link(self.prev(link), self.next(link))
        self._memory.write_int(int(link) + _PREV, 8, POISON2)

    def delete_init(self, link: Any) -> None:
        """list_del_init()."""
        self._link(self.prev(link), self.next(link))
        self.init(link)

    def walk(self, head: Any) -> Iterator[int]:
        """The links of a list; the one that was handed out may be deleted."""
        link = self.next(head)
        while link != int(head):
            following = self.next(link)
            yield link
            link = following

    def owner(self, link: Any, struct: str, member: str) -> Ptr[Any]:
        """container_of(): the struct that a link is a member of."""
        addr = int(link) - self._placer.need(struct, member)[0]
        return self._placer.space.pointer(addr, struct)

    def _link(self, before: int, after: int) -> None:
        self._memory.write_int(before, 8, after)
        self._memory.write_int(after + _PREV, 8, before)
