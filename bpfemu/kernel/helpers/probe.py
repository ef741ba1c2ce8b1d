"""Reads and writes that may fail instead of faulting.

On failure the whole destination is zeroed.  Source: kernel/trace/bpf_trace.c, mm/maccess.c;
bpf_copy_from_user: kernel/bpf/helpers.c.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EFAULT, EINVAL, EPERM
from typing import Any, Final, TypeAlias

from bpfemu.machine.memory import Memory
from bpfemu.proto.marks import helper
from bpfemu.proto.services import Cpu, ProbeRead, Tasks
from bpfemu.proto.types import Ptr, s64, u32, u64, void
from bpfemu.world.task import task_struct

__all__ = ["TASK_SIZE", "Reader", "copy_string"]

Reader: TypeAlias = Callable[[int, int], bytes | int]
"""(address, size) → bytes, or a negative errno."""

TASK_SIZE: Final = (1 << 47) - 4096  # where user addresses end on x86-64
PF_EXITING: Final = 0x4
PF_KTHREAD: Final = 0x20_0000
CHUNK: Final = 64  # bytes read at once while looking for a NUL


def copy_string(read: Reader, addr: int, size: int) -> bytes | int:
    """A string with its NUL, cut to ``size`` bytes; a negative errno when it cannot be read.

    strncpy_from_kernel_nofault and strncpy_from_user_nofault: a string that does not fit gets its
    NUL in the last byte.  Memory behind the NUL is not looked at.
    """
    out = bytearray()
    while len(out) < size:
        at = addr + len(out)
        part = read(at, min(CHUNK - at % CHUNK, size - len(out)))
        if isinstance(part, int):
            part = read(at, 1)
            if isinstance(part, int):
                return part
        end = part.find(b"\0")
        if end >= 0:
            return bytes(out + part[: end + 1])
        out += part
    return bytes(out[:-1] + b"\0") if out else b""


def _read_into(read: Reader, dst: Ptr[void], size: int, addr: int, memory: Memory) -> s64:
    data = read(addr, size)
    if isinstance(data, int):
        memory.store_bytes(int(dst), bytes(size))
        return s64(data)
    memory.store_bytes(int(dst), data)
    return s64(0)


def _string_into(read: Reader, dst: Ptr[void], size: int, addr: int, memory: Memory) -> s64:
    data = copy_string(read, addr, size)
    if isinstance(data, int):
        memory.store_bytes(int(dst), bytes(size))
        return s64(data)
    memory.store_bytes(int(dst), data)
    return s64(len(data))


def _by_address(probe_read: ProbeRead, addr: int) -> Reader:
    """bpf_probe_read: x86-64 can tell user from kernel by the address."""
    return probe_read.user if addr < TASK_SIZE else probe_read.kernel


@helper(4, gpl=True)
def bpf_probe_read(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read from user or kernel memory, whichever the address belongs to."""
    addr = int(unsafe_ptr)
    return _read_into(_by_address(probe_read, addr), dst, size, addr, memory)


@helper(45, gpl=True)
def bpf_probe_read_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from user or kernel memory; its length, NUL included."""
    addr = int(unsafe_ptr)
    return _string_into(_by_address(probe_read, addr), dst, size, addr, memory)


@helper(112, gpl=True)
def bpf_probe_read_user(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read user memory of the current task; -EFAULT for anything not mapped."""
    return _read_into(probe_read.user, dst, size, int(unsafe_ptr), memory)


@helper(113, gpl=True)
def bpf_probe_read_kernel(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read kernel memory; -ERANGE for addresses that are not the kernel's, -EFAULT unmapped."""
    return _read_into(probe_read.kernel, dst, size, int(unsafe_ptr), memory)


@helper(114, gpl=True)
def bpf_probe_read_user_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from user memory; its length, NUL included."""
    return _string_into(probe_read.user, dst, size, int(unsafe_ptr), memory)


@helper(115, gpl=True)
def bpf_probe_read_kernel_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from kernel memory; its length, NUL included."""
    return _string_into(probe_read.kernel, dst, size, int(unsafe_ptr), memory)


@helper(148, sleepable=True)
def bpf_copy_from_user(
    dst: Ptr[void], size: u32, user_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read user memory of the current task, faulting pages in."""
    return _read_into(probe_read.user, dst, size, int(user_ptr), memory)


@helper(191, gpl=True, sleepable=True)
def bpf_copy_from_user_task(
    dst: Ptr[void],
    size: u32,
    user_ptr: Ptr[void],
    tsk: Ptr[task_struct],
    flags: u64,
    *,
    memory: Memory,
    probe_read: ProbeRead,
) -> s64:
    """Read user memory of any task."""
    if flags:
        return s64(-EINVAL)
    if not size:
        return s64(0)
    data = probe_read.task_user(tsk, int(user_ptr), size)
    if isinstance(data, int):
        memory.store_bytes(int(dst), bytes(size))
        return s64(-EFAULT)
    memory.store_bytes(int(dst), data)
    return s64(0)


@helper(36, gpl=True)
def bpf_probe_write_user(
    dst: Ptr[void],
    src: Ptr[void],
    len: u32,
    *,
    memory: Memory,
    probe_read: ProbeRead,
    tasks: Tasks,
    cpu: Cpu,
) -> s64:
    """Write user memory of the current task; -EPERM where there is no user to write to."""
    data = memory.load_bytes(int(src), len)
    current: Any = tasks.current
    if cpu.in_interrupt() or current.flags & (PF_KTHREAD | PF_EXITING):
        return s64(-EPERM)
    return s64(probe_read.write_user(int(dst), data))
