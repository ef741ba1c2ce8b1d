"""css_task_iter: a walk over the tasks of a css that may be left and taken up again.

The state is a struct in memory, of which the css_set that the walk stands in knows, so that a task
which leaves it pushes the walk forward.  Source: kernel/cgroup/cgroup.c.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final, Protocol

from bpfemu.kernel.place_list import Guard, Lists
from bpfemu.proto.types import NULL, Ptr

__all__ = ["CSS_TASK_ITER_SKIPPED", "CssSets", "CssTaskWalks", "TaskReferences"]

CSS_TASK_ITER_PROCS: Final = 1
CSS_TASK_ITER_THREADED: Final = 2
CSS_TASK_ITER_SKIPPED: Final = 1 << 16
_HEADS: Final = ("tasks", "mg_tasks", "dying_tasks")


class CssSets(Protocol):
    """What a walk asks of the css_sets."""

    css_set_lock: int  # its address

    def get_set(self, cset: Ptr[Any]) -> None:
        """get_css_set()."""

    def put_set(self, cset: Ptr[Any]) -> None:
        """put_css_set()."""

    def is_populated(self, cset: Ptr[Any]) -> bool:
        """css_set_populated()."""


class TaskReferences(Protocol):
    """What it asks of the tasks."""

    def get(self, task: Ptr[Any]) -> None:
        """get_task_struct()."""

    def put(self, task: Ptr[Any]) -> None:
        """put_task_struct()."""


class CssTaskWalks:
    """The functions of the walk; ``it`` is a pointer to a css_task_iter."""

    def __init__(
        self, sets: CssSets, tasks: TaskReferences, lists: Lists, guard: Guard | None
    ) -> None:
        self._sets = sets
        self._tasks = tasks
        self._lists = lists
        self._guard = guard

    def start(self, css: Ptr[Any], flags: int, it: Ptr[Any]) -> None:
        """css_task_iter_start(): stand at the first task."""
        self._lock()
        for name in ("tcset_pos", "tcset_head", "task_pos", "cur_tasks_head"):
            setattr(it, name, NULL)
        for name in ("cur_cset", "cur_dcset", "cur_task"):
            setattr(it, name, NULL)
        it.address_of_("iters_node").write_(bytes(16))
        it.ss, it.flags = css.ss, flags
        cgroup = css.cgroup
        head = int(cgroup.address_of_("cset_links"))
        if it.ss:
            head = int(cgroup.address_of_("e_csets")) + 16 * int(it.ss.id)
        it.cset_pos = it.cset_head = head
        self._advance(it)
        self._unlock()

    def next(self, it: Ptr[Any]) -> Ptr[Any]:
        """css_task_iter_next(): drop the task that was handed out, hold and hand out the next."""
        if it.cur_task:
            self._tasks.put(it.cur_task)
            it.cur_task = NULL
        self._lock()
        if int(it.flags) & CSS_TASK_ITER_SKIPPED:
            self._advance(it)
        if it.task_pos:
            it.cur_task = self._task(it)
            self._tasks.get(it.cur_task)
            self._advance(it)
        self._unlock()
        found: Ptr[Any] = it.cur_task
        return found

    def end(self, it: Ptr[Any]) -> None:
        """css_task_iter_end(): let go of everything."""
        if it.cur_cset:
            self._lock()
            self._lists.delete(it.address_of_("iters_node"))
            self._sets.put_set(it.cur_cset)
            self._unlock()
        if it.cur_dcset:
            self._sets.put_set(it.cur_dcset)
        if it.cur_task:
            self._tasks.put(it.cur_task)

    def _lock(self) -> None:
        if self._guard is not None:
            self._guard.spin_lock(self._sets.css_set_lock)

    def _unlock(self) -> None:
        if self._guard is not None:
            self._guard.spin_unlock(self._sets.css_set_lock)

    def _task(self, it: Ptr[Any]) -> Ptr[Any]:
        return self._lists.owner(it.task_pos, "task_struct", "cg_list")

    def _advance(self, it: Ptr[Any]) -> None:
        """css_task_iter_advance(): to the next task that is to be seen."""
        while True:
            self._step(it)
            if not it.task_pos or self._is_seen(it):
                return

    def _is_seen(self, it: Ptr[Any]) -> bool:
        """Dying tasks are hidden, leaders of threads that live are not."""
        dying = it.cur_tasks_head == it.cur_cset.address_of_("dying_tasks")
        if not int(it.flags) & CSS_TASK_ITER_PROCS:
            return not dying
        task = self._task(it)
        if task.group_leader != task:
            return False
        return not dying or int(task.signal.address_of_("live").counter) > 0

    def _step(self, it: Ptr[Any]) -> None:
        """One task on; from list to list and from css_set to css_set."""
        if not it.task_pos:
            self._advance_set(it)
            return
        if int(it.flags) & CSS_TASK_ITER_SKIPPED:
            it.flags = int(it.flags) & ~CSS_TASK_ITER_SKIPPED
        else:
            it.task_pos = self._lists.next(it.task_pos)
        heads = [it.cur_cset.address_of_(name) for name in _HEADS]
        for head, following in pairwise(heads):
            if it.task_pos == head:
                it.cur_tasks_head = following
                it.task_pos = self._lists.next(following)
        if it.task_pos == heads[-1]:
            self._advance_set(it)

    def _advance_set(self, it: Ptr[Any]) -> None:
        """css_task_iter_advance_css_set(): to the first task of the next css_set that has any."""
        while cset := self._next_set(it):
            for name in _HEADS:
                head = cset.address_of_(name)
                if not self._lists.is_empty(head):
                    it.cur_tasks_head = head
                    it.task_pos = self._lists.next(head)
                    self._stand_in(it, cset)
                    return
        it.task_pos = NULL

    def _stand_in(self, it: Ptr[Any], cset: Ptr[Any]) -> None:
        """Hold the css_set, which knows of the walk from now on."""
        node = it.address_of_("iters_node")
        if it.cur_cset:
            self._lists.delete(node)
            self._sets.put_set(it.cur_cset)
        self._sets.get_set(cset)
        it.cur_cset = cset
        self._lists.add(node, cset.address_of_("task_iters"))

    def _next_set(self, it: Ptr[Any]) -> Ptr[Any]:
        """css_task_iter_next_css_set(): threaded ones of the domain first; NULL at the end."""
        if it.tcset_pos:
            link = self._lists.next(it.tcset_pos)
            if it.tcset_head != link:
                it.tcset_pos = link
                return self._lists.owner(link, "css_set", "threaded_csets_node")
            it.tcset_pos = NULL
        link = self._lists.next(it.cset_pos)
        if it.cset_head == link:
            it.cset_pos = NULL
            return NULL
        it.cset_pos = link
        cset = self._set_at(it, link)
        if int(it.flags) & CSS_TASK_ITER_THREADED:
            if it.cur_dcset:
                self._sets.put_set(it.cur_dcset)
            it.cur_dcset = cset
            self._sets.get_set(cset)
            it.tcset_head = it.tcset_pos = cset.address_of_("threaded_csets")
        return cset

    def _set_at(self, it: Ptr[Any], link: int) -> Ptr[Any]:
        if not it.ss:
            cset: Ptr[Any] = self._lists.owner(link, "cgrp_cset_link", "cset_link").cset
            return cset
        index = int(it.ss.id)
        return self._lists.owner(link - 16 * index, "css_set", "e_cset_node")
