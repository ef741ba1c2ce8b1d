"""bpf_spin_lock.  Source: kernel/bpf/helpers.c; rules: process_spin_lock in kernel/bpf/verifier.c.

The kernel also keeps interrupts off while a lock is held; nothing but the unlock may be called
then, so no program can tell.
"""

from __future__ import annotations

from bpfemu.machine.memory import KERNEL, Memory
from bpfemu.machine.stop import Fault, FaultKind, Trap
from bpfemu.proto.marks import helper
from bpfemu.proto.services import Locks
from bpfemu.proto.types import Ptr, void


@helper(93)
def bpf_spin_lock(lock: Ptr[void], *, locks: Locks, memory: Memory) -> None:
    """Take the lock in a map value; a fault where the kernel would spin for ever."""
    _check(int(lock), memory)
    locks.spin_lock(lock)


@helper(94)
def bpf_spin_unlock(lock: Ptr[void], *, locks: Locks, memory: Memory) -> None:
    """Release it."""
    _check(int(lock), memory)
    locks.spin_unlock(lock)


def _check(addr: int, memory: Memory) -> None:
    """Locks lie in map values, in bytes that no program may touch."""
    region = memory.find_region(addr)
    if region is None or any(memory.state_of(at) != KERNEL for at in range(addr, addr + 4)):
        detail = f"{addr:#x} is not a bpf_spin_lock in a map value"
        raise Trap(Fault(FaultKind.BAD_CALL, detail, addr=addr, region=memory.describe(addr)))
