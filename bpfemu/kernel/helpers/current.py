"""Who and where: the current task, its ids, the CPU.

Source: kernel/bpf/helpers.c, kernel/trace/bpf_trace.c, kernel/bpf/cgroup.c.
"""

from __future__ import annotations

from typing import Any

from bpfemu.machine.memory import Memory
from bpfemu.proto.marks import helper
from bpfemu.proto.services import Cpu, Tasks
from bpfemu.proto.types import Ptr, s64, u32, u64, void
from bpfemu.world.task import task_struct


@helper(8)
def bpf_get_smp_processor_id(*, cpu: Cpu) -> u32:
    """The number of the CPU that runs this."""
    return u32(cpu.id)


@helper(42)
def bpf_get_numa_node_id() -> s64:
    """The NUMA node of this CPU: emulated machines have one."""
    return s64(0)


@helper(14)
def bpf_get_current_pid_tgid(*, tasks: Tasks) -> u64:
    """Thread group id in the high half, thread id in the low one."""
    task: Any = tasks.current
    return u64(task.tgid << 32 | task.pid)


@helper(15)
def bpf_get_current_uid_gid(*, tasks: Tasks) -> u64:
    """Group id in the high half, user id in the low one."""
    cred: Any = tasks.current.cred
    return u64(cred.gid.val << 32 | cred.uid.val)


@helper(16)
def bpf_get_current_comm(buf: Ptr[void], size_of_buf: u32, *, memory: Memory, tasks: Tasks) -> s64:
    """The task's name, cut to leave room for a NUL, the rest of the buffer zeroed."""
    if size_of_buf > memory.size:
        raise memory.trap(int(buf), size_of_buf, "write")
    if size_of_buf:
        comm: bytes = tasks.current.comm.string_(16)
        name = comm[: size_of_buf - 1]
        memory.store_bytes(int(buf), name + bytes(size_of_buf - len(name)))
    return s64(0)


@helper(35, gpl=True)
def bpf_get_current_task(*, tasks: Tasks) -> u64:
    """The address of the current task_struct, as a number."""
    return u64(int(tasks.current))


@helper(158, gpl=True)
def bpf_get_current_task_btf(*, tasks: Tasks) -> Ptr[task_struct]:
    """The current task_struct, as a trusted pointer."""
    return tasks.current
