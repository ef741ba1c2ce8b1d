"""The address spaces of a kernel, by mm: walks, per-VMA locks, and what others do to them."""

from __future__ import annotations

from typing import Any, Protocol

from bpfemu.errors import InputError
from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_mm import AddressSpace
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.spec import TaskSpec, VmaSpec

__all__ = ["GracePeriods", "VmaLocks", "VmaTrees"]


class VmaLocks(Protocol):
    """What address spaces ask of the lock table."""

    def vma_read_trylock(self, vma: Any) -> bool:
        """False when write-locked."""

    def vma_read_unlock(self, vma: Any) -> None:
        """Release one reader."""

    def mmap(self, mm: Any) -> Any:
        """The state of an mm's lock: ``readers``, ``writer``."""


class GracePeriods(Protocol):
    """What freeing under RCU asks for."""

    def call_rcu(self, callback: Any) -> None:
        """Call back after a grace period."""


class VmaTrees:
    """Service ``vmas``: the address spaces by the address of their mm."""

    def __init__(
        self,
        placer: StructPlacer,
        files: FileTable,
        locks: VmaLocks | None,
        rcu: GracePeriods | None,
    ) -> None:
        self._placer = placer
        self._files = files
        self._locks = locks
        self._rcu = rcu
        self._spaces: dict[int, AddressSpace] = {}
        self._refcnt = placer.first("vm_area_struct", "vm_refcnt.refs.counter")

    def place(self, spec: TaskSpec, users: int) -> AddressSpace:
        """A new address space with so many users."""
        space = AddressSpace(self._placer, self._files, spec, users)
        self._spaces[int(space.mm)] = space
        return space

    def of(self, mm: Ptr[Any]) -> AddressSpace:
        """The address space of an mm; Trap when the mm has been freed."""
        space = self._spaces.get(int(mm))
        if space is None:
            self._placer.space.memory.read(int(mm), 8)
            raise InputError(f"there is no mm at {int(mm):#x}")
        return space

    # ---- the service ------------------------------------------------------------------------

    def find(self, mm: Ptr[Any], addr: int) -> Ptr[Any]:
        """The first VMA with vm_end > addr, or NULL."""
        return self.of(mm).find(addr)

    def read_lock(self, mm: Ptr[Any], addr: int) -> Ptr[Any]:
        """The VMA that covers addr, read-locked; NULL when there is none or it is being changed."""
        vma = self.of(mm).covering(addr)
        if not vma or (self._locks is not None and not self._locks.vma_read_trylock(vma)):
            return NULL
        self._count_reader(vma, 1)
        return vma

    def read_unlock(self, vma: Ptr[Any]) -> None:
        """vma_end_read()."""
        self._count_reader(vma, -1)
        if self._locks is not None:
            self._locks.vma_read_unlock(vma)

    def _count_reader(self, vma: Ptr[Any], change: int) -> None:
        if self._refcnt:
            count = self._placer.read(vma, self._refcnt) + change
            self._placer.fill(vma, {self._refcnt: count})

    # ---- what other code of the kernel does ---------------------------------------------------

    def map(self, mm: Ptr[Any], spec: VmaSpec) -> bool:
        """Map something; False when that would wait for the mmap lock."""
        if self._busy(mm):
            return False
        self.of(mm).map(spec)
        return True

    def unmap(self, mm: Ptr[Any], addr: int) -> bool:
        """Unmap the VMA at ``addr``; False when that would wait for the mmap lock."""
        if self._busy(mm):
            return False
        self._free_later(self.of(mm).unmap(addr))
        return True

    def grow(self, mm: Ptr[Any], addr: int, end: int) -> bool:
        """Move the end of the VMA at ``addr``; False when that would wait for the mmap lock."""
        if self._busy(mm):
            return False
        self.of(mm).grow(addr, end)
        return True

    def get(self, mm: Ptr[Any]) -> None:
        """mmget()."""
        self._placer.fill(mm, {"mm_users.counter": self.users(mm) + 1})

    def put(self, mm: Ptr[Any]) -> None:
        """mmput(): the last user tears the address space down and frees the mm."""
        users = self.users(mm) - 1
        self._placer.fill(mm, {"mm_users.counter": users})
        if users == 0:
            space = self._spaces.pop(int(mm))
            for vma in space.close():
                self._free_later(vma)
            exe = mm.exe_file if self._placer.find("mm_struct", "exe_file") else NULL
            if exe:
                self._files.put(exe)
            self._placer.free(mm)

    def users(self, mm: Ptr[Any]) -> int:
        """mm_users."""
        return int(self._placer.read(mm, "mm_users.counter"))

    def _busy(self, mm: Ptr[Any]) -> bool:
        lock = self._locks.mmap(mm) if self._locks is not None else None
        return bool(lock is not None and (lock.readers or lock.writer))

    def _free_later(self, vma: Ptr[Any]) -> None:
        """VMAs are freed after a grace period: somebody may still be looking."""
        if not vma:
            return
        if self._rcu is None:
            self._placer.free(vma)
        else:
            self._rcu.call_rcu(lambda: self._placer.free(vma))
