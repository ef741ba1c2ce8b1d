"""Reads that may fail: copy_from_kernel_nofault and copy_from_user_nofault on x86-64.

Policy for kernel addresses (arch/x86/mm/maccess.c): user addresses, the guard page above them,
non-canonical addresses and (since 6.8) the vsyscall page are refused with -ERANGE before anything
is touched; what is left and not mapped is -EFAULT.  Source: iterator notes, section 2.7.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from bpfemu.machine.memory import PAGE, Memory
from bpfemu.proto.profile import KernelProfile

__all__ = ["TASK_SIZE_MAX", "VSYSCALL_ADDR", "NoFaultReader", "UserSpace"]

EFAULT: Final = 14
ERANGE: Final = 34
TASK_SIZE_MAX: Final = (1 << 47) - PAGE  # four-level page tables
VSYSCALL_ADDR: Final = 0xFFFF_FFFF_FF60_0000
_CANONICAL_LOW: Final = (1 << 64) - (1 << 47)


class UserSpace(Protocol):
    """The user memory of one address space."""

    def read(self, addr: int, size: int) -> bytes | None:
        """Bytes, None when any of them is not mapped or not readable."""

    def write(self, addr: int, data: bytes) -> bool:
        """False when any byte is not mapped or not writable."""


class NoFaultReader:
    """Service ``probe_read``.  ``space_of`` finds a task's user memory; None: the current's.

    ``user_fails`` is asked before each access to user memory: an errno makes that its result.
    """

    def __init__(
        self,
        memory: Memory,
        profile: KernelProfile,
        space_of: Callable[[Any], UserSpace | None],
    ) -> None:
        self._memory = memory
        self._space_of = space_of
        self.user_fails: Callable[[], int] | None = None
        self._no_vsyscall = profile.at_least((6, 8))

    def allowed(self, addr: int) -> bool:
        """copy_from_kernel_nofault_allowed()."""
        if self._no_vsyscall and addr & ~(PAGE - 1) == VSYSCALL_ADDR:
            return False
        return addr >= TASK_SIZE_MAX + PAGE and addr >= _CANONICAL_LOW

    def kernel(self, addr: int, size: int) -> bytes | int:
        """Bytes as they lie in kernel memory, -ERANGE or -EFAULT."""
        if not self.allowed(addr):
            return -ERANGE
        low = addr - self._memory.base
        if low < 0 or low + size > self._memory.size:
            return -EFAULT
        if 0 in self._memory.shadow[low : low + size]:
            return -EFAULT
        return self._memory.data[low : low + size]

    def user(self, addr: int, size: int) -> bytes | int:
        """Bytes of the current task's user memory, or -EFAULT."""
        return self._user(self._space_of(None), addr, size)

    def task_user(self, task: Any, addr: int, size: int) -> bytes | int:
        """Bytes of another task's user memory, or -EFAULT."""
        return self._user(self._space_of(task), addr, size)

    def write_user(self, addr: int, data: bytes) -> int:
        """0, or -EFAULT."""
        if self.user_fails is not None and (error := self.user_fails()):
            return error
        space = self._space_of(None)
        if space is None or not _access_ok(addr, len(data)):
            return -EFAULT
        return 0 if space.write(addr, bytes(data)) else -EFAULT

    def _user(self, space: UserSpace | None, addr: int, size: int) -> bytes | int:
        if self.user_fails is not None and (error := self.user_fails()):
            return error
        if space is None or not _access_ok(addr, size):
            return -EFAULT
        data = space.read(addr, size)
        return -EFAULT if data is None else data


def _access_ok(addr: int, size: int) -> bool:
    """__access_ok(): the range lies in user space."""
    return addr + size <= TASK_SIZE_MAX
