"""Tasks and process ids.

A ``prog_or_ns`` is a Program, which stands for the initial pid namespace, or a
``struct pid_namespace *``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bpfemu.helpers.linux.list import list_for_each_entry
from bpfemu.objects import NULL, Object, Program

__all__ = [
    "find_pid",
    "find_task",
    "for_each_pid",
    "for_each_task",
    "for_each_task_in_group",
    "pid_task",
]

TASK: Final = "struct task_struct"
_PID, _TGID = 0, 1  # enum pid_type


def for_each_task(prog_or_ns: Program | Object, *, idle: bool = False) -> Iterator[Object]:
    """Every thread of every process, each as ``struct task_struct *``.

    The rings are walked in memory; ``idle`` adds the idle task, which is in none.
    """
    if isinstance(prog_or_ns, Object):
        for task in for_each_task(prog_or_ns.prog_):
            if _number(task.thread_pid, prog_or_ns) is not None:
                yield task
        return
    init = prog_or_ns["init_task"].address_of_()
    if idle:
        yield init
    for leader in list_for_each_entry(TASK, init.tasks.address_of_(), "tasks"):
        yield leader
        yield from for_each_task_in_group(leader)


def for_each_task_in_group(task: Object, include_self: bool = False) -> Iterator[Object]:
    """The threads of a task's group; without the task itself unless asked for."""
    if include_self:
        yield task
    for other in list_for_each_entry(TASK, task.signal.thread_head.address_of_(), "thread_node"):
        if other != task:
            yield other


def for_each_pid(prog_or_ns: Program | Object) -> Iterator[Object]:
    """Every ``struct pid *`` that a task has."""
    for task in for_each_task(prog_or_ns):
        yield task.thread_pid.read_()


def find_task(prog_or_ns: Program | Object, pid: int) -> Object:
    """The task with that pid, a null pointer where there is none."""
    prog = prog_or_ns if isinstance(prog_or_ns, Program) else prog_or_ns.prog_
    number = pid.__index__()
    if isinstance(prog_or_ns, Program):
        found = prog.kernel.services["tasks"].by_pid(number)
        return Object(prog, f"{TASK} *", int(found))
    for task in for_each_task(prog_or_ns):
        if _number(task.thread_pid, prog_or_ns) == number:
            return task
    return NULL(prog, f"{TASK} *")


def find_pid(prog_or_ns: Program | Object, pid: int) -> Object:
    """The ``struct pid *`` of that number, a null pointer where there is none."""
    task = find_task(prog_or_ns, pid)
    return task.thread_pid.read_() if task else NULL(task.prog_, "struct pid *")


def pid_task(pid: Object, pid_type: int) -> Object:
    """The task of a ``struct pid *``: PIDTYPE_PID any, PIDTYPE_TGID only a group's leader.

    Process groups and sessions are not part of an emulated world: LookupError.
    """
    kind = pid_type.__index__()
    if kind not in (_PID, _TGID):
        raise LookupError(f"pid type {kind}: emulated tasks have no process group or session")
    for task in for_each_task(pid.prog_):
        if task.thread_pid == pid and (kind == _PID or task.group_leader == task):
            return task
    return NULL(pid.prog_, f"{TASK} *")


def _number(pid: Object, ns: Object) -> int | None:
    """The number of a ``struct pid *`` in a namespace; None where it has none."""
    level = int(ns.level)
    if not pid or int(pid.level) < level:
        return None
    upid = pid.numbers[level]
    return int(upid.nr) if upid.ns == ns else None
