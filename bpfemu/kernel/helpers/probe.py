"""Reads and writes that may fail instead of faulting.

On failure the whole destination is zeroed.  Source: kernel/trace/bpf_trace.c, mm/maccess.c,
lib/strncpy_from_user.c; bpf_copy_from_user: kernel/bpf/helpers.c.  What comes of odd addresses and
sizes was compared with Linux 6.18.44.
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


def _read_kernel(probe_read: ProbeRead, addr: int, size: int) -> bytes | int:
    found = probe_read.kernel(addr, size)
    return b"" if not size and found == -EFAULT else found  # no byte that could be unmapped


def _read_user(probe_read: ProbeRead, addr: int, size: int) -> bytes | int:
    if not size:
        return b"" if addr <= TASK_SIZE else -EFAULT
    return probe_read.user(addr, size)


def _string_kernel(probe_read: ProbeRead, addr: int, size: int) -> bytes | int:
    return copy_string(probe_read.kernel, addr, size)


def _string_user(probe_read: ProbeRead, addr: int, size: int) -> bytes | int:
    """Words are copied whole: what the last one holds behind the NUL is zeroed."""
    found = copy_string(probe_read.user, addr, size)
    if isinstance(found, int):
        return found
    whole = (len(found) + 7) & ~7
    return found.ljust(whole, b"\0") if whole <= size else found


def _store(found: bytes | int, dst: Ptr[void], size: int, memory: Memory) -> int:
    """Write what was read, zeros where nothing was; the errno or 0."""
    if not isinstance(found, int):
        memory.store_bytes(int(dst), found)
        return 0
    if size > memory.size:
        raise memory.trap(int(dst), size, "write")
    memory.store_bytes(int(dst), bytes(size))
    return found


def _store_string(found: bytes | int, dst: Ptr[void], size: int, memory: Memory) -> s64:
    error = _store(found, dst, size, memory)
    return s64(error if isinstance(found, int) else found.find(b"\0") + 1)


@helper(4, gpl=True)
def bpf_probe_read(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read from user or kernel memory, whichever the address belongs to."""
    addr = int(unsafe_ptr)
    read = _read_user if addr < TASK_SIZE else _read_kernel
    return s64(_store(read(probe_read, addr, size), dst, size, memory))


@helper(45, gpl=True)
def bpf_probe_read_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from user or kernel memory; its length, NUL included."""
    addr = int(unsafe_ptr)
    read = _string_user if addr < TASK_SIZE else _string_kernel
    return _store_string(read(probe_read, addr, size), dst, size, memory)


@helper(112, gpl=True)
def bpf_probe_read_user(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read user memory of the current task; -EFAULT for anything not mapped."""
    return s64(_store(_read_user(probe_read, int(unsafe_ptr), size), dst, size, memory))


@helper(113, gpl=True)
def bpf_probe_read_kernel(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read kernel memory; -ERANGE for addresses that are not the kernel's, -EFAULT unmapped."""
    return s64(_store(_read_kernel(probe_read, int(unsafe_ptr), size), dst, size, memory))


@helper(114, gpl=True)
def bpf_probe_read_user_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from user memory; its length, NUL included."""
    return _store_string(_string_user(probe_read, int(unsafe_ptr), size), dst, size, memory)


@helper(115, gpl=True)
def bpf_probe_read_kernel_str(
    dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read a string from kernel memory; its length, NUL included."""
    return _store_string(_string_kernel(probe_read, int(unsafe_ptr), size), dst, size, memory)


@helper(148, sleepable=True)
def bpf_copy_from_user(
    dst: Ptr[void], size: u32, user_ptr: Ptr[void], *, memory: Memory, probe_read: ProbeRead
) -> s64:
    """Read user memory of the current task, faulting pages in."""
    return s64(_store(_read_user(probe_read, int(user_ptr), size), dst, size, memory))


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
    return s64(_store(probe_read.task_user(tsk, int(user_ptr), size), dst, size, memory))


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
