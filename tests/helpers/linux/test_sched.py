"""States of tasks, and which CPU runs what."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.helpers.linux.pid import find_task
from bpfemu.helpers.linux.sched import (
    cpu_curr,
    get_task_state,
    idle_task,
    task_cpu,
    task_state_to_char,
    task_thread_info,
)
from bpfemu.objects import Program


@pytest.mark.parametrize(
    ("state", "exit_state", "shown"),
    [
        (0, 0, "R (running)"),
        (0x1, 0, "S (sleeping)"),
        (0x2, 0, "D (disk sleep)"),
        (0x102, 0, "D (disk sleep)"),  # TASK_KILLABLE
        (0x4, 0, "T (stopped)"),
        (0x8, 0, "t (tracing stop)"),
        (0, 0x10, "X (dead)"),
        (0, 0x20, "Z (zombie)"),
        (0x40, 0, "P (parked)"),
        (0x402, 0, "I (idle)"),
        (0x400, 0, "R (running)"),
        (0x1000, 0, "D (disk sleep)"),  # TASK_RTLOCK_WAIT
        (0x8000, 0, "D (disk sleep)"),  # TASK_FROZEN
    ],
)
def test_states_are_those_of_proc(prog: Program, state: int, exit_state: int, shown: str) -> None:
    task = find_task(prog, 50)
    task.member_("__state").write_(state)
    task.exit_state.write_(exit_state)

    assert get_task_state(task) == shown
    assert task_state_to_char(task) == shown[0]


def test_states_of_the_world(prog: Program) -> None:
    assert task_state_to_char(find_task(prog, 2)) == "I"
    assert task_state_to_char(find_task(prog, 50)) == "S"


def test_the_cpu_of_a_task(prog: Program) -> None:
    task = find_task(prog, 40)
    task_thread_info(task).cpu.write_(1)

    assert task_cpu(task) == 1
    assert task_thread_info(task).address_of_ is not None
    assert int(task_thread_info(task)) == task.thread_info.address_


def test_who_runs_on_a_cpu(prog: Program) -> None:
    assert cpu_curr(prog, 0).pid == 40
    assert cpu_curr(prog, 1) == idle_task(prog, 1)
    assert idle_task(prog, 0).comm.string_() == b"swapper/0"
    for helper in (cpu_curr, idle_task):
        with pytest.raises(InputError, match="CPU 2; there are 2"):
            helper(prog, 2)
