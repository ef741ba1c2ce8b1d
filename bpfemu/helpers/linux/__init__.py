"""Helpers for Linux: ``from bpfemu.helpers.linux import *`` brings all of them, as in drgn."""

from __future__ import annotations

from bpfemu.helpers.linux.fs import d_path, dentry_path
from bpfemu.helpers.linux.list import (
    list_count_nodes,
    list_empty,
    list_first_entry,
    list_first_entry_or_null,
    list_for_each,
    list_for_each_entry,
    list_for_each_entry_reverse,
    list_for_each_reverse,
    list_is_singular,
    list_last_entry,
    list_next_entry,
    list_prev_entry,
)
from bpfemu.helpers.linux.mm import (
    access_process_vm,
    access_remote_vm,
    cmdline,
    environ,
    for_each_vma,
    vma_find,
)
from bpfemu.helpers.linux.percpu import per_cpu, per_cpu_ptr
from bpfemu.helpers.linux.pid import (
    find_pid,
    find_task,
    for_each_pid,
    for_each_task,
    for_each_task_in_group,
    pid_task,
)
from bpfemu.helpers.linux.sched import (
    cpu_curr,
    get_task_state,
    idle_task,
    task_cpu,
    task_state_to_char,
    task_thread_info,
)

__all__ = [
    "access_process_vm",
    "access_remote_vm",
    "cmdline",
    "cpu_curr",
    "d_path",
    "dentry_path",
    "environ",
    "find_pid",
    "find_task",
    "for_each_pid",
    "for_each_task",
    "for_each_task_in_group",
    "for_each_vma",
    "get_task_state",
    "idle_task",
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
    "per_cpu",
    "per_cpu_ptr",
    "pid_task",
    "task_cpu",
    "task_state_to_char",
    "task_thread_info",
    "vma_find",
]
