"""The scheduler's view of tasks."""

from __future__ import annotations

from typing import Final

from bpfemu.errors import InputError
from bpfemu.objects import Object, Program

__all__ = [
    "cpu_curr",
    "get_task_state",
    "idle_task",
    "task_cpu",
    "task_state_to_char",
    "task_thread_info",
]

_STATES: Final = (
    "R (running)",
    "S (sleeping)",
    "D (disk sleep)",
    "T (stopped)",
    "t (tracing stop)",
    "X (dead)",
    "Z (zombie)",
    "P (parked)",
    "I (idle)",
)
"""By the highest bit of the reported state (kernel/sched, task_state_array)."""

_REPORT: Final = 0x7F  # TASK_REPORT
_UNINTERRUPTIBLE: Final = 0x2
_NOLOAD: Final = 0x400
_IDLE: Final = _UNINTERRUPTIBLE | _NOLOAD
_RTLOCK_WAIT: Final = 0x1000
_FROZEN: Final = 0x8000


def get_task_state(task: Object) -> str:
    """The state as /proc/PID/status shows it: ``S (sleeping)``."""
    state = int(task.member_("__state"))
    exit_state = int(task.exit_state)
    shown = (state | exit_state) & _REPORT
    if state & _IDLE == _IDLE:
        return _STATES[-1]
    if state & (_RTLOCK_WAIT | _FROZEN):
        shown = _UNINTERRUPTIBLE
    return _STATES[shown.bit_length()]


def task_state_to_char(task: Object) -> str:
    """The state as one letter, as ps shows it."""
    return get_task_state(task)[0]


def task_thread_info(task: Object) -> Object:
    """A task's ``struct thread_info *``, which lies in the task itself."""
    return task.thread_info.address_of_()


def task_cpu(task: Object) -> int:
    """The CPU that a task runs on, or ran on last."""
    return int(task.thread_info.cpu)


def idle_task(prog: Program, cpu: int) -> Object:
    """The idle task of a CPU: all emulated CPUs share one."""
    _check_cpu(prog, cpu)
    return prog["init_task"].address_of_()


def cpu_curr(prog: Program, cpu: int) -> Object:
    """The task that is current on a CPU: programs run as the world's current task."""
    _check_cpu(prog, cpu)
    if prog.kernel.cpus.here.id != cpu.__index__():
        return idle_task(prog, cpu)
    return Object(prog, "struct task_struct *", int(prog.kernel.services["tasks"].current))


def _check_cpu(prog: Program, cpu: int) -> None:
    count = prog.kernel.config.cpus
    if not 0 <= cpu.__index__() < count:
        raise InputError(f"CPU {cpu.__index__()}; there are {count}")
