"""The world in memory: tasks, address spaces and files, and the services that know them.

``PlacedWorld`` puts a :class:`~bpfemu.world.spec.World` where programs can see it: as kernel
objects laid out by the kernel's BTF, which they may read and not write.  What other CPUs do to
those objects in the meantime is scripted with its methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bpfemu.errors import InputError
from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_list import Guard
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.place_task import Numbers, TaskTable
from bpfemu.kernel.place_vmas import GracePeriods, VmaLocks, VmaTrees
from bpfemu.machine.user import UserMemory
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr
from bpfemu.world.build import default_world
from bpfemu.world.flags import PF_EXITING
from bpfemu.world.spec import VmaSpec, World

if TYPE_CHECKING:
    from bpfemu.kernel.place_css_set import CgroupTable
    from bpfemu.kernel.place_dmabuf import DmaBufTable
    from bpfemu.kernel.place_dsq import DispatchQueues
    from bpfemu.kernel.place_slab import SlabTable

__all__ = ["PlacedWorld", "WorldLocks"]


class WorldLocks(VmaLocks, Guard, Protocol):
    """What the world asks of the lock table."""


class PlacedWorld:
    """A world in memory; ``tasks``, ``vmas``, ``files``, ``cgroups`` and so on are the services."""

    def __init__(
        self,
        space: Space,
        world: World | None,
        profile: KernelProfile,
        random: Numbers,
        *,
        locks: WorldLocks | None = None,
        rcu: GracePeriods | None = None,
    ) -> None:
        placer = StructPlacer(space)
        self.spec = world if world is not None else default_world()
        self.profile = profile
        self.files = FileTable(placer)
        self.vmas = VmaTrees(placer, self.files, locks, rcu)
        self.tasks = TaskTable(placer, self.files, self.vmas, self.spec, random, rcu)
        self._placer = placer
        self._guard = locks
        self._rcu = rcu
        self._cgroups: CgroupTable | None = None
        self._slabs: SlabTable | None = None
        self._dmabufs: DmaBufTable | None = None
        self._scx: DispatchQueues | None = None
        if self.spec.cgroups:
            self._cgroups = self._place_cgroups()

    @property
    def cgroups(self) -> CgroupTable:
        """Cgroups and who is in them.

        A world without cgroups of its own gets its css and its lists of tasks when somebody asks.
        """
        if self._cgroups is None:
            self._cgroups = self._place_cgroups()
        return self._cgroups

    def _place_cgroups(self) -> CgroupTable:
        from bpfemu.kernel.place_css_set import CgroupTable

        return CgroupTable(self._placer, self.spec, self.tasks, self._rcu, self._guard)

    @property
    def scx(self) -> DispatchQueues:
        """Dispatch queues of a sched_ext scheduler."""
        if self._scx is None:
            from bpfemu.kernel.place_dsq import DispatchQueues

            self._scx = DispatchQueues(self._placer, self.tasks, self.spec.dsqs)
        return self._scx

    @property
    def slabs(self) -> SlabTable:
        """Slab caches."""
        if self._slabs is None:
            from bpfemu.kernel.place_slab import SlabTable
            from bpfemu.world.resources import DEFAULT_SLABS

            wanted = DEFAULT_SLABS if self.spec.slabs is None else self.spec.slabs
            self._slabs = SlabTable(self._placer, wanted)
        return self._slabs

    @property
    def dmabufs(self) -> DmaBufTable:
        """DMA buffers."""
        if self._dmabufs is None:
            from bpfemu.kernel.place_dmabuf import DmaBufTable

            self._dmabufs = DmaBufTable(self._placer, self.files, self.spec.dmabufs)
        return self._dmabufs

    def set_current(self, pid: int) -> None:
        """Run as that task from now on; InputError when there is none."""
        self.tasks.at(pid)
        self.tasks.current_pid = pid

    def task(self, pid: int) -> Ptr[Any]:
        """The task_struct of a pid; InputError when there is none."""
        return self.tasks.at(pid)

    def user_memory(self, task: Ptr[Any] | None = None) -> UserMemory | None:
        """A task's user memory (None: the current task's); None when it has no mm."""
        mm = (self.tasks.current if task is None else task).mm
        return self.vmas.of(mm).user if mm else None

    # ---- what other code of the kernel does in the meantime -------------------------------------

    def map(self, pid: int, spec: VmaSpec) -> bool:
        """Map something for a task; False when that has to wait for its mmap lock."""
        return self.vmas.map(self._mm(pid), spec)

    def unmap(self, pid: int, addr: int) -> bool:
        """Unmap the VMA at ``addr``; False when that has to wait for the mmap lock."""
        return self.vmas.unmap(self._mm(pid), addr)

    def grow(self, pid: int, addr: int, end: int) -> bool:
        """Move the end of the VMA at ``addr``; False when that has to wait for the mmap lock."""
        return self.vmas.grow(self._mm(pid), addr, end)

    def vma(self, pid: int, addr: int) -> Ptr[Any]:
        """The vm_area_struct that covers ``addr`` in a task's mm, or NULL."""
        return self.vmas.of(self._mm(pid)).covering(addr)

    def drop_mm(self, pid: int) -> None:
        """The task gives up its mm; the last user frees it."""
        self.tasks.drop_mm(pid)

    def exit(self, pid: int) -> None:
        """The task exits and is reaped; a leader whose other threads live is not, yet."""
        task = self.tasks.at(pid)
        if pid and not int(task.flags) & PF_EXITING:
            self._leave_process(task)
        self.tasks.exit(pid)

    def _leave_process(self, task: Ptr[Any]) -> None:
        live = task.signal.address_of_("live")
        live.counter = int(live.counter) - 1
        if self._scx is not None and self._scx.is_queued(task):
            self._scx.remove(int(task.pid))
        if self._cgroups is not None:
            self._cgroups.begin_exit(task)
            if task.group_leader != task or not int(live.counter):
                self._cgroups.end_exit(task)

    def _mm(self, pid: int) -> Ptr[Any]:
        mm: Ptr[Any] = self.tasks.at(pid).mm
        if not mm:
            raise InputError(f"task {pid} has no mm")
        return mm
