"""Builders: tasks and VMAs from keywords, with errors that name a field nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from bpfemu.errors import InputError
from bpfemu.record import fields
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World

if TYPE_CHECKING:
    from bpfemu.world.resources import CgroupSpec, DmaBufSpec, DsqSpec, KmemCacheSpec
    from bpfemu.world.variables import KernelVariable

__all__ = [
    "cgroup",
    "default_world",
    "dmabuf",
    "dsq",
    "file",
    "slab",
    "task",
    "variable",
    "vma",
    "world",
]

T = TypeVar("T")


def task(**values: Any) -> TaskSpec:
    """A task; see :class:`TaskSpec` for the fields."""
    return _make(TaskSpec, "task", values, need=("pid",))


def vma(**values: Any) -> VmaSpec:
    """A VMA; ``file`` may be a path."""
    if isinstance(values.get("file"), str):
        values["file"] = FileSpec(values["file"])
    return _make(VmaSpec, "vma", values, need=("start", "end"))


def file(**values: Any) -> FileSpec:
    """A mapped file; see :class:`FileSpec` for the fields."""
    return _make(FileSpec, "file", values, need=("path",))


def variable(**values: Any) -> KernelVariable:
    """A kernel variable; see :class:`KernelVariable` for the fields."""
    from bpfemu.world.variables import KernelVariable

    return _make(KernelVariable, "variable", values, need=("name", "type"))


def cgroup(**values: Any) -> CgroupSpec:
    """A cgroup; see :class:`CgroupSpec` for the fields."""
    from bpfemu.world.resources import CgroupSpec

    return _make(CgroupSpec, "cgroup", values, need=("path",))


def slab(**values: Any) -> KmemCacheSpec:
    """A slab cache; see :class:`KmemCacheSpec` for the fields."""
    from bpfemu.world.resources import KmemCacheSpec

    return _make(KmemCacheSpec, "slab", values, need=("name", "size"))


def dmabuf(**values: Any) -> DmaBufSpec:
    """A DMA buffer; see :class:`DmaBufSpec` for the fields."""
    from bpfemu.world.resources import DmaBufSpec

    return _make(DmaBufSpec, "dmabuf", values, need=("size",))


def dsq(**values: Any) -> DsqSpec:
    """A dispatch queue; see :class:`DsqSpec` for the fields."""
    from bpfemu.world.resources import DsqSpec

    return _make(DsqSpec, "dsq", values, need=("id",))


def world(*tasks: TaskSpec, **values: Any) -> World:
    """A world of these tasks; ``current`` is the pid of the one that runs (the first).

    ``variables``, ``cgroups``, ``slabs``, ``dmabufs`` and ``dsqs``: what else there is.
    """
    return _make(World, "world", {**values, "tasks": tasks}, need=())


def _make(cls: type[T], what: str, values: dict[str, Any], need: tuple[str, ...]) -> T:
    known = [field.name for field in fields(cls)]
    for name in values:
        if name not in known:
            raise InputError(f"{what} has no field {name!r}; there are {', '.join(known)}")
    for name in need:
        if name not in values:
            raise InputError(f"{what} needs {name!r}")
    return cls(**values)


def default_world() -> World:
    """What there is when nothing was said: init, kthreadd, and a process that is current."""
    shell = FileSpec("/usr/bin/bash", (8, 1), 4242, size=1_400_000)
    libc = FileSpec("/usr/lib/x86_64-linux-gnu/libc.so.6", (8, 1), 4711, size=2_000_000)
    low, high = 0x5555_5555_4000, 0x7FFF_F7C0_0000
    vmas = (
        VmaSpec(low, low + 0x2F000, "r--p", 0, shell),
        VmaSpec(low + 0x2F000, low + 0x10F000, "r-xp", 0x2F000, shell),
        VmaSpec(low + 0x10F000, low + 0x14C000, "rw-p", 0x10F000, shell),
        VmaSpec(low + 0x14C000, low + 0x200000, "rw-p", name="[heap]"),
        VmaSpec(high, high + 0x28000, "r--p", 0, libc),
        VmaSpec(high + 0x28000, high + 0x1B0000, "r-xp", 0x28000, libc),
        VmaSpec(high + 0x1B0000, high + 0x205000, "rw-p", 0x1B0000, libc),
        VmaSpec(0x7FFF_F7FC_D000, 0x7FFF_F7FC_F000, "r-xp", name="[vdso]"),
        VmaSpec(0x7FFF_FFFD_E000, 0x7FFF_FFFF_F000, "rw-p", name="[stack]"),
    )
    return World(
        (
            TaskSpec(pid=1, comm="init"),
            TaskSpec(pid=2, comm="kthreadd", kthread=True),
            TaskSpec(pid=1000, comm="bash", vmas=vmas, ppid=1, uid=1000, gid=1000, exe=shell),
        ),
        current=1000,
    )
