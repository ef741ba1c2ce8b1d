"""A kernel with our kfuncs, a world with processes, and slots full of garbage."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from bpfemu.btf import Btf
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kernel import Kernel
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.memory import KERNEL, RegionKind
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.layout import StructType
from bpfemu.proto.profile import KernelProfile, find_profile
from bpfemu.proto.types import Ptr, Struct
from bpfemu.session import make_catalog
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World
from tests.kernel.doubles import ARENA_BASE, ARENA_SIZE, Bench

PAGE = 4096
CAT = FileSpec("/usr/bin/cat", (8, 1), 131)
VMAS = (
    VmaSpec(0x400000, 0x402000, "r-xp", 0, CAT),
    VmaSpec(0x402000, 0x403000, "rw-p", 0x2000, CAT),
    VmaSpec(0x500000, 0x600000, "rw-p", name="[heap]"),
    VmaSpec(0x7FFF_FFFD_E000, 0x7FFF_FFFF_F000, "rw-p", name="[stack]"),
)
WORLD = World(
    (
        TaskSpec(pid=7, comm="cat", vmas=VMAS, ppid=1),
        TaskSpec(pid=1, comm="init"),
        TaskSpec(pid=2, comm="kthreadd", kthread=True),
        TaskSpec(pid=3, comm="borrower", kthread=True, mm_of=7),
        TaskSpec(pid=10, comm="many", threads=(11, 12, 13), ppid=1),
        TaskSpec(pid=20, comm="gone", has_mm=False),
    ),
    current=7,
)


LIVE = Path("/sys/kernel/btf/vmlinux")


@cache
def live_btf() -> Btf:
    """The types of the kernel that these tests run on."""
    return Btf.open(LIVE)


def catalog() -> Catalog:
    """What our kernel offers."""
    return make_catalog()


class Lab:
    """A kernel whose kfuncs a test calls one by one."""

    def __init__(self, profile: str | KernelProfile, btf: Btf | None = None, **config: Any) -> None:
        config = {"world": WORLD, **config}
        found = find_profile(profile) if isinstance(profile, str) else profile
        made = KernelConfig(profile=found, **config)
        self.kernel = Kernel(
            catalog(),
            made,
            kernel_btf=btf or vmlinux_btf(catalog(), made.profile),
            arena_base=ARENA_BASE,
            arena_size=ARENA_SIZE,
        )
        self.services = self.kernel.services
        self.world = self.services["world"]
        self.locks = self.kernel.locks
        self.cpu = self.services["cpu"]

    @property
    def bench(self) -> Bench:
        """The same kernel for programs."""
        return Bench(self.kernel)

    def call(self, name: str, *args: Any) -> Any:
        """Call a kfunc's body with the services it asks for."""
        spec = catalog().find_kfunc(name, self.kernel.config.profile)
        assert spec is not None, name
        return spec.body(*args, **{name: self.services[name] for name in spec.services})

    def slot(self, cls: type[Struct]) -> Ptr[Any]:
        """An iterator on the stack, full of garbage."""
        space = self.kernel.space
        size = space.layouts.of(StructType(cls.c_name, cls)).size
        region = space.memory.allocate(size, RegionKind.STACK, cls.c_name, state=KERNEL)
        space.memory.write(region.addr, b"\xa5" * size)
        return space.pointer(region.addr, cls)

    def task(self, pid: int) -> Ptr[Any]:
        """A task_struct."""
        return self.world.task(pid)

    def usage(self, pid: int) -> tuple[int, int]:
        """usage and rcu_users of a task."""
        return self.world.tasks.usage(self.task(pid))

    def users(self, pid: int) -> int:
        """mm_users of a task's mm."""
        return self.world.vmas.users(self.task(pid).mm)

    def free_cnt(self, unit_size: int) -> int:
        """Units on this CPU's free list of a class."""
        return self.services["mem_alloc"].cache(unit_size).free_cnt

    def readers(self, pid: int) -> int:
        """How often a task's mmap lock is read-held."""
        return self.locks.mmap(self.task(pid).mm).readers
