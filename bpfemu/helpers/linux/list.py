"""Doubly linked lists: ``struct list_head``.

A head, or a node, is given as a ``struct list_head *``; an entry is the struct around a node.
"""

from __future__ import annotations

from collections.abc import Iterator

from bpfemu.objects import NULL, Object, Type, container_of

__all__ = [
    "list_count_nodes",
    "list_empty",
    "list_first_entry",
    "list_first_entry_or_null",
    "list_for_each",
    "list_for_each_entry",
    "list_for_each_entry_reverse",
    "list_for_each_reverse",
    "list_is_singular",
    "list_last_entry",
    "list_next_entry",
    "list_prev_entry",
]


def list_empty(head: Object) -> bool:
    """Whether there is nothing in the list."""
    return bool(head.next == head)


def list_is_singular(head: Object) -> bool:
    """Whether there is exactly one node."""
    return not list_empty(head) and bool(head.next == head.prev)


def list_count_nodes(head: Object) -> int:
    """How many nodes there are."""
    return sum(1 for _ in list_for_each(head))


def list_first_entry(head: Object, type: str | Type, member: str) -> Object:
    """The first entry, whether there is one or not."""
    return container_of(head.next, type, member)


def list_first_entry_or_null(head: Object, type: str | Type, member: str) -> Object:
    """The first entry, a null pointer where there is none."""
    if list_empty(head):
        return NULL(head.prog_, head.prog_.pointer_type(type))
    return list_first_entry(head, type, member)


def list_last_entry(head: Object, type: str | Type, member: str) -> Object:
    """The last entry, whether there is one or not."""
    return container_of(head.prev, type, member)


def list_next_entry(entry: Object, member: str) -> Object:
    """The entry behind another."""
    node = _member(entry, member)
    return container_of(node.next, entry.type_.underlying.type, member)


def list_prev_entry(entry: Object, member: str) -> Object:
    """The entry before another."""
    node = _member(entry, member)
    return container_of(node.prev, entry.type_.underlying.type, member)


def _member(entry: Object, path: str) -> Object:
    for step in path.split("."):
        entry = entry.member_(step)
    return entry


def list_for_each(head: Object) -> Iterator[Object]:
    """The nodes in order."""
    node = head.next.read_()
    while node != head:
        yield node
        node = node.next.read_()


def list_for_each_reverse(head: Object) -> Iterator[Object]:
    """The nodes from the last to the first."""
    node = head.prev.read_()
    while node != head:
        yield node
        node = node.prev.read_()


def list_for_each_entry(type: str | Type, head: Object, member: str) -> Iterator[Object]:
    """The entries in order."""
    return (container_of(node, type, member) for node in list_for_each(head))


def list_for_each_entry_reverse(type: str | Type, head: Object, member: str) -> Iterator[Object]:
    """The entries from the last to the first."""
    return (container_of(node, type, member) for node in list_for_each_reverse(head))
