"""Locks in kernel objects: who holds what, by the lock's address.

Holders are names: the running program's kernel code is :data:`SELF`, anybody else (another CPU,
the interrupted task) is scripted with ``hold…`` and ``drop…``.  Nothing here waits: kernel code
that may not wait uses trylocks, and a program that would wait for ever faults.
Source: iterator notes, sections 2.3 to 2.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.machine.memory import Memory
from bpfemu.machine.stop import Fault, FaultKind, Site, Trap
from bpfemu.record import dataclass, field

__all__ = ["SELF", "LockTable", "MmapLock"]

SELF: Final = "the program"

RWSEM_WRITER_LOCKED: Final = 1  # bits of rw_semaphore.count (kernel/locking/rwsem.c)
RWSEM_FLAG_WAITERS: Final = 2
RWSEM_READER_BIAS: Final = 256


@dataclass(slots=True)
class MmapLock:
    """An mm's ``mmap_lock``: a read-write semaphore that prefers waiting writers."""

    readers: int = 0
    writer: str = ""  # "" when nobody
    waiters: int = 0  # writers in the queue
    sites: list[Site | None] = field(default_factory=list)  # where SELF took it for reading


class LockTable:
    """Service ``locks``: spin locks, mmap locks, per-VMA locks.

    ``trylock_fails`` is asked before each trylock, with "alloc_lock", "mmap_lock" or "vma_lock".
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._spins: dict[int, tuple[str, Site | None]] = {}
        self._mmaps: dict[int, MmapLock] = {}
        self._vmas: dict[int, tuple[int, str]] = {}  # VMA: (readers, writer)
        self.own: dict[int, Site | None] = {}  # spin locks of SELF, in the order taken
        self.trylock_fails: Callable[[str], bool] | None = None

    # ---- spin locks -----------------------------------------------------------------------

    def spin_trylock(self, lock: Any) -> bool:
        """False when held by anybody, SELF included."""
        if self.trylock_fails is not None and self.trylock_fails("alloc_lock"):
            return False
        return self._spin(int(lock), SELF)

    def spin_lock(self, lock: Any) -> None:
        """Take it; Trap where the kernel would spin for ever."""
        addr = int(lock)
        if not self._spin(addr, SELF):
            owner, site = self._spins[addr]
            raise Trap(
                Fault(
                    FaultKind.LOCK_STATE,
                    f"deadlock: the spin lock at {addr:#x} is held by {owner}"
                    + (f", {site}" if site else ""),
                    addr=addr,
                )
            )

    def spin_unlock(self, lock: Any) -> None:
        """Release; Trap when SELF does not hold it."""
        addr = int(lock)
        if addr not in self.own:
            raise Trap(
                Fault(
                    FaultKind.LOCK_STATE,
                    f"unlock of the spin lock at {addr:#x}, which the program does not hold",
                    addr=addr,
                )
            )
        self._unspin(addr)

    def hold(self, lock: Any, owner: str = "another CPU") -> None:
        """Somebody else takes a spin lock."""
        if not self._spin(int(lock), owner):
            raise InputError(f"the spin lock at {int(lock):#x} is held already")

    def drop(self, lock: Any) -> None:
        """Whoever holds it releases it."""
        if int(lock) not in self._spins:
            raise InputError(f"nobody holds the spin lock at {int(lock):#x}")
        self._unspin(int(lock))

    def is_held(self, lock: Any) -> bool:
        """spin_is_locked()."""
        return int(lock) in self._spins

    def _spin(self, addr: int, owner: str) -> bool:
        if addr in self._spins:
            return False
        self._spins[addr] = owner, self._memory.site
        if owner == SELF:
            self.own[addr] = self._memory.site
        self._show(addr, 4, 1)
        return True

    def _unspin(self, addr: int) -> None:
        del self._spins[addr]
        self.own.pop(addr, None)
        self._show(addr, 4, 0)

    # ---- mmap_lock --------------------------------------------------------------------------

    def mmap(self, mm: Any) -> MmapLock:
        """The state of an mm's lock."""
        return self._mmaps.setdefault(int(mm), MmapLock())

    def mmap_read_trylock(self, mm: Any) -> bool:
        """False when write-held, or when a writer waits: readers do not overtake it."""
        if self.trylock_fails is not None and self.trylock_fails("mmap_lock"):
            return False
        lock = self.mmap(mm)
        if lock.writer or lock.waiters:
            return False
        lock.readers += 1
        lock.sites.append(self._memory.site)
        self._show_mmap(mm, lock)
        return True

    def mmap_read_unlock(self, mm: Any) -> None:
        """Release one reader; Trap when there is none."""
        lock = self.mmap(mm)
        if not lock.readers:
            raise Trap(
                Fault(
                    FaultKind.LOCK_STATE,
                    f"mmap_read_unlock of mm {int(mm):#x}, which nobody holds for reading",
                    addr=int(mm),
                )
            )
        lock.readers -= 1
        if lock.sites:
            lock.sites.pop()
        self._show_mmap(mm, lock)

    def hold_mmap(self, mm: Any, *, write: bool = True, owner: str = "another CPU") -> None:
        """Somebody else takes an mmap lock."""
        lock = self.mmap(mm)
        if lock.writer or (write and lock.readers):
            raise InputError(f"the mmap lock of mm {int(mm):#x} is held already")
        if write:
            lock.writer = owner
        else:
            lock.readers += 1
            lock.sites.insert(0, None)
        self._show_mmap(mm, lock)

    def drop_mmap(self, mm: Any) -> None:
        """The writer, or else one scripted reader, releases it."""
        lock = self.mmap(mm)
        if lock.writer:
            lock.writer = ""
        elif lock.readers:
            lock.readers -= 1
            if lock.sites:
                lock.sites.pop(0)
        else:
            raise InputError(f"nobody holds the mmap lock of mm {int(mm):#x}")
        self._show_mmap(mm, lock)

    def queue_writer(self, mm: Any, count: int = 1) -> None:
        """Writers start (count > 0) or stop (< 0) waiting for an mmap lock."""
        lock = self.mmap(mm)
        lock.waiters = max(lock.waiters + count, 0)
        self._show_mmap(mm, lock)

    def forget_readers(self, *, release: bool) -> list[tuple[int, Site]]:
        """(mm, where taken) of each read lock that SELF still holds, which nobody knows any more.

        They stay held for ever, as in the kernel, unless they are to be released.
        """
        found: list[tuple[int, Site]] = []
        for mm, lock in self._mmaps.items():
            own = [site for site in lock.sites if site is not None]
            found += [(mm, site) for site in own]
            kept: list[Site | None] = [None] * (len(lock.sites) - (len(own) if release else 0))
            lock.readers -= len(lock.sites) - len(kept)
            lock.sites = kept
        return found

    def _show_mmap(self, mm: Any, lock: MmapLock) -> None:
        """Mirror the state into ``mm->mmap_lock.count``, where the mm's layout has one."""
        try:
            addr = int(mm.address_of_("mmap_lock"))
        except (AttributeError, InputError, TypeError):
            return
        count = lock.readers * RWSEM_READER_BIAS
        count |= RWSEM_WRITER_LOCKED if lock.writer else 0
        self._show(addr, 8, count | (RWSEM_FLAG_WAITERS if lock.waiters else 0))

    # ---- per-VMA locks ------------------------------------------------------------------------

    def vma_read_trylock(self, vma: Any) -> bool:
        """False when write-locked."""
        if self.trylock_fails is not None and self.trylock_fails("vma_lock"):
            return False
        readers, writer = self._vmas.get(int(vma), (0, ""))
        if writer:
            return False
        self._vmas[int(vma)] = readers + 1, ""
        return True

    def vma_read_unlock(self, vma: Any) -> None:
        """Release one reader; Trap when there is none."""
        readers, writer = self._vmas.get(int(vma), (0, ""))
        if not readers:
            raise Trap(
                Fault(
                    FaultKind.LOCK_STATE,
                    f"vma_end_read of VMA {int(vma):#x}, which nobody holds for reading",
                    addr=int(vma),
                )
            )
        self._vmas[int(vma)] = readers - 1, writer

    def vma_write_locked(self, vma: Any) -> bool:
        """Is somebody changing this VMA?"""
        return bool(self._vmas.get(int(vma), (0, ""))[1])

    def hold_vma(self, vma: Any, owner: str = "another CPU") -> None:
        """Somebody write-locks a VMA."""
        readers, writer = self._vmas.get(int(vma), (0, ""))
        if readers or writer:
            raise InputError(f"the lock of VMA {int(vma):#x} is held already")
        self._vmas[int(vma)] = 0, owner

    def drop_vma(self, vma: Any) -> None:
        """Whoever write-locked a VMA is done."""
        if not self.vma_write_locked(vma):
            raise InputError(f"nobody write-locked VMA {int(vma):#x}")
        self._vmas[int(vma)] = 0, ""

    # ---- emulated memory ------------------------------------------------------------------------

    def _show(self, addr: int, size: int, value: int) -> None:
        """Write the lock word where the lock lies in emulated memory."""
        if self._memory.contains(addr, size):
            self._memory.write_int(addr, size, value)
