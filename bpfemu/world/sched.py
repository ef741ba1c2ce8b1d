"""Run queues and CPU time: what per-CPU variables of the scheduler are made of."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, int_, uint, ulong
from bpfemu.proto.types import Ptr, Struct, u64


class _rq_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    donor: Ptr[task_struct]
    curr: Ptr[task_struct]


class rq(Struct):
    """The run queue of one CPU."""

    __lock: raw_spinlock_t
    nr_running: uint
    nr_switches: u64
    nr_uninterruptible: ulong
    _anon1: _rq_1
    idle: Ptr[task_struct]
    stop: Ptr[task_struct]
    next_balance: ulong
    prev_mm: Ptr[mm_struct]
    clock_update_flags: uint
    clock: u64
    clock_task: u64
    cpu: int_
    online: int_


class kernel_cpustat(Struct):
    """Nanoseconds that one CPU spent, by ``enum cpu_usage_stat``."""

    cpustat: Array[u64, 10]
