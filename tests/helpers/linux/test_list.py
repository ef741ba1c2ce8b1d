"""Doubly linked lists, on a ring of three and an empty one."""

from __future__ import annotations

import pytest

from bpfemu.helpers.linux import list as helpers
from bpfemu.objects import Object, Program, offsetof

ENTRY = "struct task_struct"


def ring(prog: Program, count: int) -> tuple[Object, list[Object]]:
    """A head with so many tasks behind it, linked by ``tasks``."""
    head = prog.new("struct list_head").address_of_()
    tasks = [prog.new(ENTRY, pid=10 + at) for at in range(count)]
    nodes = [head, *(task.tasks.address_of_() for task in tasks)]
    for at, node in enumerate(nodes):
        node.next.write_(nodes[(at + 1) % len(nodes)])
        node.prev.write_(nodes[at - 1])
    return head, [task.address_of_() for task in tasks]


def pids(entries: object) -> list[int]:
    return [int(entry.pid) for entry in entries]  # type: ignore[attr-defined]


def test_entries_in_both_directions(prog: Program) -> None:
    head, tasks = ring(prog, 3)

    assert pids(helpers.list_for_each_entry(ENTRY, head, "tasks")) == [10, 11, 12]
    assert pids(helpers.list_for_each_entry_reverse(ENTRY, head, "tasks")) == [12, 11, 10]
    where = offsetof(prog.type(ENTRY), "tasks")
    assert [int(node) for node in helpers.list_for_each(head)] == [int(t) + where for t in tasks]
    assert len(list(helpers.list_for_each_reverse(head))) == helpers.list_count_nodes(head) == 3


def test_neighbours(prog: Program) -> None:
    head, tasks = ring(prog, 3)

    assert helpers.list_first_entry(head, ENTRY, "tasks") == tasks[0]
    assert helpers.list_last_entry(head, ENTRY, "tasks") == tasks[2]
    assert helpers.list_next_entry(tasks[0], "tasks") == tasks[1]
    assert helpers.list_prev_entry(tasks[1], "tasks") == tasks[0]
    assert helpers.list_first_entry_or_null(head, ENTRY, "tasks") == tasks[0]


@pytest.mark.parametrize(
    ("count", "empty", "singular"), [(0, True, False), (1, False, True), (2, False, False)]
)
def test_how_many_there_are(prog: Program, count: int, empty: bool, singular: bool) -> None:
    head, _ = ring(prog, count)

    assert helpers.list_empty(head) is empty
    assert helpers.list_is_singular(head) is singular
    assert helpers.list_count_nodes(head) == count
    assert bool(helpers.list_first_entry_or_null(head, ENTRY, "tasks")) is not empty
