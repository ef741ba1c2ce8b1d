"""The kernel services a body may ask for by name (keyword-only parameters), as protocols.

=================  =========================================================================
``mem_alloc``      :class:`MemAlloc`: bpf_mem_alloc on bpf_global_ma
``cpu``            :class:`Cpu`: the CPU this runs on: context, interrupts, preemption
``rcu``            :class:`Rcu`: read sections
``locks``          :class:`Locks`: spin locks, the mmap lock, per-VMA locks
``unlock_work``    :class:`UnlockWork`: the per-CPU mmap unlock irq_work
``tasks``          :class:`Tasks`: current, look-ups, walking the task list
``vmas``           :class:`Vmas`: the VMA tree of an mm
``files``          :class:`Files`: file references and paths
``cgroups``        :class:`Cgroups`: the cgroup tree, css, the tasks in them
``slabs``          :class:`Slabs`: slab caches
``dmabufs``        :class:`DmaBufs`: DMA buffers
``scx``            :class:`Scx`: dispatch queues of a sched_ext scheduler
``probe_read``     :class:`ProbeRead`: fault-tolerant reads of kernel and user memory
``profile``        :class:`bpfemu.proto.profile.KernelProfile`
``space``          :class:`bpfemu.proto.space.Space`: pointers by type
``memory``         :class:`bpfemu.machine.memory.Memory`
``clock``          :class:`Clock`
``random``         :class:`Random`
``printk``         :class:`Printk`
``maps``           :class:`Maps`: map objects by the address in a map pointer
``run``            :class:`RunInfo`: the running program: ctx, image, packet
``kern_ctx``       :class:`KernCtx`: contexts as the kernel's own structs
``variables``      :class:`Variables`: the kernel's variables, those of each CPU
=================  =========================================================================
"""

from __future__ import annotations

from typing import Any, Protocol

from bpfemu.proto.resources import Cgroups, DmaBufs, Scx, Slabs
from bpfemu.proto.types import Ptr

__all__ = [
    "SERVICES",
    "Cgroups",
    "Clock",
    "Cpu",
    "DmaBufs",
    "Files",
    "KernCtx",
    "Locks",
    "Maps",
    "MemAlloc",
    "Printk",
    "ProbeRead",
    "Random",
    "Rcu",
    "RunInfo",
    "Scx",
    "Slabs",
    "Tasks",
    "UnlockWork",
    "Variables",
    "Vmas",
]


class MemAlloc(Protocol):
    """bpf_mem_alloc (kernel/bpf/memalloc.c): NMI-safe, from per-CPU caches, may fail."""

    def alloc(self, size: int) -> int:
        """``size`` bytes; the address behind the 8-byte unit header, or 0."""

    def free(self, addr: int) -> None:
        """Back into the cache of the current CPU; 0 is ignored."""

    def free_rcu(self, addr: int) -> None:
        """Free after a grace period; 0 is ignored."""


class Cpu(Protocol):
    """The CPU this runs on."""

    @property
    def id(self) -> int:
        """Its number."""

    def irqs_disabled(self) -> bool:
        """In hardirq, NMI or an irq-off region."""

    def in_nmi(self) -> bool:
        """In NMI context."""

    def in_interrupt(self) -> bool:
        """In softirq, hardirq or NMI context."""

    def local_irq_save(self) -> int:
        """Disable interrupts; returns flags for local_irq_restore."""

    def local_irq_restore(self, flags: int) -> None:
        """Restore; pending irq_work runs when this enables interrupts."""

    def preempt_disable(self) -> None:
        """Nest one level."""

    def preempt_enable(self) -> None:
        """Leave one level."""

    def sleepable(self) -> bool:
        """May the running code sleep?"""


class Rcu(Protocol):
    """RCU read sections of the running program."""

    def read_lock(self) -> None:
        """Enter a read section."""

    def read_unlock(self) -> None:
        """Leave it."""

    def in_section(self) -> bool:
        """Explicitly or because the program is not sleepable."""


class Locks(Protocol):
    """Locks in kernel objects; whoever holds them may be another CPU or a scripted owner."""

    def spin_trylock(self, lock: Ptr[Any]) -> bool:
        """False when held."""

    def spin_lock(self, lock: Ptr[Any]) -> None:
        """Take it; Trap where the kernel would spin for ever."""

    def spin_unlock(self, lock: Ptr[Any]) -> None:
        """Release."""

    def mmap_read_trylock(self, mm: Ptr[Any]) -> bool:
        """False when write-held or a writer waits."""

    def mmap_read_unlock(self, mm: Ptr[Any]) -> None:
        """Release one reader."""


class UnlockWork(Protocol):
    """kernel/bpf/mmap_unlock_work.h (notes 2.4)."""

    def get(self) -> tuple[Any, bool]:
        """(work or None, busy)."""

    def unlock(self, work: Any, mm: Ptr[Any]) -> None:
        """mmap_read_unlock now (work None) or from irq_work."""

    def of(self, cpu: int) -> Any:
        """One CPU's work."""


class Tasks(Protocol):
    """Tasks by identity and in list order; results are Ptr[task_struct] or NULL."""

    @property
    def current(self) -> Ptr[Any]:
        """The current task of this CPU."""

    @property
    def init_task(self) -> Ptr[Any]:
        """The idle task, pid 0."""

    def by_pid(self, pid: int) -> Ptr[Any]:
        """In the initial pid namespace; takes no reference."""

    def by_vpid(self, pid: int) -> Ptr[Any]:
        """In the current task's pid namespace; takes no reference."""

    def next_task(self, task: Ptr[Any]) -> Ptr[Any]:
        """The next process in the global list; wraps to init_task."""

    def next_thread(self, task: Ptr[Any]) -> Ptr[Any]:
        """The next thread of its group, NULL at the end."""

    def get(self, task: Ptr[Any]) -> None:
        """get_task_struct: usage + 1."""

    def get_unless_zero(self, task: Ptr[Any]) -> bool:
        """refcount_inc_not_zero(rcu_users)."""

    def put(self, task: Ptr[Any]) -> None:
        """put_task_struct: usage - 1; the task is freed at 0."""

    def put_rcu(self, task: Ptr[Any]) -> None:
        """put_task_struct_rcu_user: rcu_users - 1."""

    def mmget(self, mm: Ptr[Any]) -> None:
        """mm_users + 1."""

    def mmput_async(self, mm: Ptr[Any]) -> None:
        """mm_users - 1; teardown is left to a work queue."""


class Vmas(Protocol):
    """The VMA tree of an mm (maple tree in the kernel); results Ptr[vm_area_struct] or NULL."""

    def find(self, mm: Ptr[Any], addr: int) -> Ptr[Any]:
        """The first VMA with vm_end > addr."""

    def read_lock(self, mm: Ptr[Any], addr: int) -> Ptr[Any]:
        """lock_vma_under_rcu: the VMA that covers addr, read-locked, or NULL (never waits)."""

    def read_unlock(self, vma: Ptr[Any]) -> None:
        """vma_end_read."""


class Files(Protocol):
    """File references."""

    def get(self, file: Ptr[Any]) -> None:
        """get_file."""

    def put(self, file: Ptr[Any]) -> None:
        """fput: deferred, as from BPF context."""

    def path(self, file: Ptr[Any]) -> str:
        """The path that d_path prints."""


class ProbeRead(Protocol):
    """copy_from_kernel_nofault and copy_from_user_nofault."""

    def kernel(self, addr: int, size: int) -> bytes | int:
        """Bytes, or -ERANGE (not kernel space by policy) or -EFAULT."""

    def user(self, addr: int, size: int) -> bytes | int:
        """Bytes of the current task's user memory, or -EFAULT."""

    def task_user(self, task: Ptr[Any], addr: int, size: int) -> bytes | int:
        """Bytes of another task's user memory, or -EFAULT."""

    def write_user(self, addr: int, data: bytes) -> int:
        """0 or -EFAULT."""


class Clock(Protocol):
    """Emulated time, nanoseconds."""

    def ktime_ns(self) -> int:
        """CLOCK_MONOTONIC."""

    def coarse_ns(self) -> int:
        """CLOCK_MONOTONIC as of the last tick."""

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME."""

    def real_ns(self) -> int:
        """CLOCK_REALTIME."""

    def tai_ns(self) -> int:
        """CLOCK_TAI."""

    def jiffies(self) -> int:
        """jiffies_64."""


class Random(Protocol):
    """Random numbers from the seed."""

    def u32(self) -> int:
        """The next 32 bits."""


class Printk(Protocol):
    """The trace pipe."""

    def trace(self, text: str) -> None:
        """One bpf_trace_printk."""


class Maps(Protocol):
    """Map objects."""

    def at(self, addr: int) -> Any:
        """The map behind a map pointer; None when there is none."""

    def record_at(self, addr: int) -> Any:
        """The ring buffer that has a reserved record at ``addr``, or None."""


class KernCtx(Protocol):
    """Contexts as the kernel has them, where programs see another struct."""

    def of(self, ctx: int) -> int:
        """The address of the kernel's struct behind the context at ``ctx``."""


class RunInfo(Protocol):
    """The running program."""

    @property
    def ctx(self) -> int:
        """r1 at entry."""

    @property
    def prog_type(self) -> int:
        """BPF_PROG_TYPE_*."""

    @property
    def name(self) -> str:
        """The program's name."""


class Variables(Protocol):
    """Kernel variables."""

    def per_cpu(self, addr: int, cpu: int) -> int | None:
        """A CPU's copy of a per-CPU variable: its address, 0 without such a CPU; else None."""


SERVICES = frozenset(
    {
        "mem_alloc",
        "cpu",
        "rcu",
        "locks",
        "unlock_work",
        "tasks",
        "vmas",
        "files",
        "cgroups",
        "slabs",
        "dmabufs",
        "scx",
        "probe_read",
        "profile",
        "space",
        "memory",
        "clock",
        "random",
        "printk",
        "maps",
        "run",
        "kern_ctx",
        "variables",
        "args",
    }
)
"""Names a body may ask for; "args" is the list of all five raw registers (variadic helpers)."""
