"""Dispatch queues of a sched_ext scheduler in memory.

::

    scx_dispatch_q.list ◀──▶ task_struct.scx.dsq_list.node ◀──▶ a walk's cursor ◀──▶ …

A stand-in for the scheduler: queues hold tasks in order, nothing is ever run from them.
Source: kernel/sched/ext.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.kernel.place_list import Lists
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.place_task import TaskTable
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.resources import DsqSpec

__all__ = ["DispatchQueues"]

SCX_SLICE_DFL: Final = 20_000_000  # nanoseconds
ITER_CURSOR: Final = 1  # SCX_DSQ_LNODE_ITER_CURSOR
_NODE: Final = "scx.dsq_list.node"


class DispatchQueues:
    """Service ``scx``: the user queues of the scheduler that is loaded."""

    def __init__(
        self, placer: StructPlacer, tasks: TaskTable, queues: Sequence[DsqSpec] | None
    ) -> None:
        self._placer = placer
        self._tasks = tasks
        self._lists = Lists(placer)
        self._queues: dict[int, Ptr[Any]] = {}
        self.is_loaded = queues is not None
        if queues is None:
            return
        placer.need("task_struct", _NODE)
        for task in tasks.all():
            self._lists.init(task.address_of_(_NODE))
        for spec in queues:
            self.create(spec.id)
            for pid in spec.pids:
                self.dispatch(pid, spec.id)

    # ---- the service ------------------------------------------------------------------------

    def find(self, id: int) -> Ptr[Any]:
        """find_user_dsq(): NULL when there is none."""
        return self._queues.get(id, NULL)

    def next_task(self, dsq: Ptr[Any], cursor: Ptr[Any], reverse: bool) -> Ptr[Any]:
        """nldsq_next_task(): behind a cursor or a task's place (NULL: from the start); or NULL."""
        head = int(dsq.address_of_("list"))
        link = int(cursor) or head
        while (link := self._beside(link, reverse)) != head:
            if not int(self._lists.owner(link, "scx_dsq_list_node", "node").flags) & ITER_CURSOR:
                return self._lists.owner(link, "task_struct", _NODE)
        return NULL

    def place_of(self, task: Ptr[Any]) -> Ptr[Any]:
        """Where a task stands in its queue."""
        return task.address_of_(_NODE)

    def init_cursor(self, node: Ptr[Any]) -> None:
        """INIT_LIST_HEAD(): in no queue."""
        self._lists.init(node)

    def is_linked(self, node: Ptr[Any]) -> bool:
        """Is it in a queue?"""
        return not self._lists.is_empty(node)

    def move_cursor(self, node: Ptr[Any], task: Ptr[Any], reverse: bool) -> None:
        """To the far side of a task."""
        self._lists.delete(node)
        if reverse:
            self._lists.add_tail(node, self.place_of(task))
        else:
            self._lists.add(node, self.place_of(task))

    def unlink_cursor(self, node: Ptr[Any]) -> None:
        """list_del_init()."""
        self._lists.delete_init(node)

    def _beside(self, link: int, reverse: bool) -> int:
        return self._lists.prev(link) if reverse else self._lists.next(link)

    # ---- what the scheduler does ------------------------------------------------------------

    def at(self, id: int) -> Ptr[Any]:
        """The queue with that id; InputError lists those there are."""
        found = self._queues.get(id)
        if found is None:
            known = ", ".join(str(known) for known in self._queues) or "none"
            raise InputError(f"there is no dispatch queue {id}; there are {known}", errno=2)
        return found

    def create(self, id: int) -> Ptr[Any]:
        """scx_bpf_create_dsq(): an empty queue."""
        if id in self._queues:
            raise InputError(f"there is a dispatch queue {id} already", errno=17)
        dsq = self._placer.new("scx_dispatch_q", f"scx_dispatch_q {id}", {"id": id})
        self._lists.init(dsq.address_of_("list"))
        self._queues[id] = dsq
        return dsq

    def dispatch(self, pid: int, id: int) -> None:
        """scx_bpf_dsq_insert(): the task is the last of the queue."""
        task, dsq = self._tasks.at(pid), self.at(id)
        if self.is_queued(task):
            raise InputError(f"task {pid} is in a dispatch queue already", errno=16)
        sequence = int(dsq.seq) + 1 & 0xFFFF_FFFF
        self._placer.fill(dsq, {"seq": sequence, "nr": int(dsq.nr) + 1})
        values = {"scx.dsq": dsq, "scx.dsq_seq": sequence, "scx.slice": SCX_SLICE_DFL}
        self._placer.fill(task, values)
        self._lists.add_tail(self.place_of(task), dsq.address_of_("list"))

    def is_queued(self, task: Ptr[Any]) -> bool:
        """Is a task in any queue?"""
        return self.is_loaded and bool(task.address_of_("scx").dsq)

    def remove(self, pid: int) -> None:
        """dispatch_dequeue(): the task leaves its queue, to be run or since it exits."""
        task = self._tasks.at(pid)
        dsq = task.address_of_("scx").dsq
        if not dsq:
            raise InputError(f"task {pid} is in no dispatch queue", errno=2)
        self._placer.fill(dsq, {"nr": int(dsq.nr) - 1})
        self._placer.fill(task, {"scx.dsq": 0})
        self._lists.delete_init(self.place_of(task))
