"""Tasks and pids."""

from __future__ import annotations

import pytest

from bpfemu.helpers.linux.pid import (
    find_pid,
    find_task,
    for_each_pid,
    for_each_task,
    for_each_task_in_group,
    pid_task,
)
from bpfemu.objects import Object, Program
from bpfemu.skeleton import Skeleton


def pids(tasks: object) -> list[int]:
    return [int(task.pid) for task in tasks]  # type: ignore[attr-defined]


def inner_ns(prog: Program) -> Object:
    """The namespace of pid 50, which has number 7 there."""
    return find_task(prog, 50).thread_pid.numbers[1].ns.read_()


def test_every_thread_of_every_process(prog: Program) -> None:
    assert pids(for_each_task(prog)) == [1, 2, 40, 41, 42, 50]
    assert pids(for_each_task(prog, idle=True)) == [0, 1, 2, 40, 41, 42, 50]
    assert {str(task.type_) for task in for_each_task(prog)} == {"struct task_struct *"}


def test_a_namespace_has_only_its_own_tasks(prog: Program) -> None:
    assert pids(for_each_task(inner_ns(prog))) == [50]
    assert pids(for_each_task(find_task(prog, 1).thread_pid.numbers[0].ns)) == [
        1, 2, 40, 41, 42, 50,
    ]  # fmt: skip


def test_the_threads_of_a_group(prog: Program) -> None:
    thread = find_task(prog, 41)

    assert pids(for_each_task_in_group(thread)) == [40, 42]
    assert pids(for_each_task_in_group(thread, include_self=True)) == [41, 40, 42]
    assert pids(for_each_task_in_group(find_task(prog, 1))) == []


def test_a_task_by_its_pid(prog: Program) -> None:
    task = find_task(prog, 42)

    assert task.comm.string_() == b"app" and task.tgid == 40
    assert find_task(prog, Object(prog, "int", 42)) == task
    for number in (0, 99, -1):
        missing = find_task(prog, number)
        assert not missing and str(missing.type_) == "struct task_struct *"


def test_a_task_by_its_pid_in_a_namespace(prog: Program) -> None:
    ns = inner_ns(prog)

    assert find_task(ns, 7).comm.string_() == b"inside"
    assert not find_task(ns, 50)


def test_struct_pids(prog: Program) -> None:
    pid = find_pid(prog, 50)

    assert [int(pid.numbers[at].nr) for at in (0, 1)] == [50, 7]
    assert find_pid(inner_ns(prog), 7) == pid
    assert not find_pid(prog, 99)
    assert [int(one.numbers[0].nr) for one in for_each_pid(prog)] == [1, 2, 40, 41, 42, 50]


def test_the_task_of_a_struct_pid(prog: Program) -> None:
    thread = find_pid(prog, 41)

    assert pid_task(thread, prog["PIDTYPE_PID"]).pid == 41
    assert not pid_task(thread, prog["PIDTYPE_TGID"])
    assert pid_task(find_pid(prog, 40), 1).pid == 40
    with pytest.raises(LookupError, match="pid type 3: emulated tasks have no process group"):
        pid_task(thread, 3)


def test_a_task_that_has_exited_is_gone(skel: Skeleton) -> None:
    prog = skel.prog
    skel.kernel.services["world"].exit(41)

    assert pids(for_each_task(prog)) == [1, 2, 40, 42, 50]
    assert not find_task(prog, 41)
