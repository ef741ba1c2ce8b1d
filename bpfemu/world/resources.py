"""Control groups, slab caches, DMA buffers and dispatch queues as plain data.

Specs are frozen and can be pickled.  Every wrong value is an InputError that names the field, the
value and the rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass

__all__ = [
    "CONTROLLERS",
    "DEFAULT_SLABS",
    "CgroupSpec",
    "DmaBufSpec",
    "DsqSpec",
    "KmemCacheSpec",
    "check_cgroups",
    "check_queues",
    "check_unique",
]

CONTROLLERS: Final = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
"""What cgroup.controllers of the root shows; perf_event is in every cgroup without being asked."""

ROOT_CGROUP_ID: Final = 1
_NAME_MAX: Final = 255  # bytes of a directory's name
_DEPTH: Final = 128  # levels
_MOST_OBJECTS: Final = (1 << 16) - 1  # of one slab


def _need(ok: bool, what: str, value: object, rule: str) -> None:
    if not ok:
        raise InputError(f"{what} is {value!r}, {rule}", errno=22)


@dataclass(frozen=True, slots=True)
class CgroupSpec:
    """A cgroup of the default (v2) hierarchy.

    ``path`` counts from the root, "/", which is there without being said and may be, too.
    ``procs`` are processes with all their threads, as in cgroup.procs; ``threads`` single threads,
    as in cgroup.threads, which only a ``threaded`` cgroup may have.  ``controllers`` are those it
    has a css of its own for; None: all that its parent has.  ``id`` is its inode in cgroupfs; 0:
    the next one free.
    """

    path: str
    procs: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    threaded: bool = False
    controllers: tuple[str, ...] | None = None
    id: int = 0

    def __post_init__(self) -> None:
        names = self.path.split("/")[1:] if self.path != "/" else []
        good = self.path.startswith("/") and all(
            name not in ("", ".", "..")
            and len(name.encode("utf-8", "surrogateescape")) <= _NAME_MAX
            for name in names
        )
        rule = f"must be '/' or like '/a/b', names of at most {_NAME_MAX} bytes"
        _need(good and "\0" not in self.path, "cgroup.path", self.path, rule)
        who = f"cgroup {self.path}"
        _need(len(names) <= _DEPTH, f"{who}: path", len(names), f"levels, at most {_DEPTH} fit")
        _need(0 <= self.id < 1 << 64, f"{who}: id", self.id, "must fit 64 bits")
        for name in self.controllers or ():
            known = name in CONTROLLERS
            _need(known, f"{who}: controllers", name, f"must be among {', '.join(CONTROLLERS)}")
        need = self.threaded or not self.threads
        _need(need, f"{who}: threads", self.threads, "but the cgroup is not threaded")
        _need(
            not (self.threaded and self.path == "/"), f"{who}: threaded", True, "but it is the root"
        )

    @property
    def parent(self) -> str:
        """The path of the cgroup above, "" for the root."""
        above, _, name = self.path.rpartition("/")
        return (above or "/") if name else ""


def check_cgroups(cgroups: Sequence[CgroupSpec], processes: Mapping[int, Collection[int]]) -> None:
    """Check a tree against the tasks there are: ``processes`` has the threads of each leader."""
    known = {"/": set(CONTROLLERS)}
    placed: set[int] = set()
    tids = {tid for group in processes.values() for tid in group}
    ids: set[int] = set()
    for cgroup in cgroups:
        who = f"cgroup {cgroup.path}"
        fresh = cgroup.path not in known or (cgroup.path == "/" and cgroup is cgroups[0])
        _need(fresh, "world.cgroups: path", cgroup.path, "must be there once, '/' first")
        above = known.get(cgroup.parent or "/")
        _need(above is not None, f"{who}: parent", cgroup.parent, "must stand before it")
        own = above if cgroup.controllers is None else set(cgroup.controllers)
        there = own is not None and above is not None and own <= above
        _need(there, f"{who}: controllers", cgroup.controllers, "must be its parent's, too")
        free = cgroup.id == 0 or (cgroup.id not in ids and (cgroup.id != 1 or cgroup.path == "/"))
        _need(free, f"{who}: id", cgroup.id, "must be there once; 1 is the root's")
        ids.add(cgroup.id)
        known[cgroup.path] = own or set()
        for pid in cgroup.procs:
            _need(pid in processes, f"{who}: procs", pid, "must be the pid of a process")
        for tid in cgroup.threads:
            _need(tid in tids, f"{who}: threads", tid, "must be the pid of a task")
        for pid in (*cgroup.procs, *cgroup.threads):
            _need(pid not in placed, f"{who}: pid", pid, "must be in one cgroup")
            placed.add(pid)


@dataclass(frozen=True, slots=True)
class KmemCacheSpec:
    """A slab cache; sizes in bytes.

    ``object_size`` is without padding and metadata (0: ``size``).  ``refcount`` counts users of a
    merged cache; the caches that slab itself was booted with have -1.
    """

    name: str
    size: int
    object_size: int = 0
    align: int = 8
    objects_per_slab: int = 32
    pages_per_slab: int = 1  # a power of two
    flags: int = 0  # SLAB_*
    refcount: int = 1

    def __post_init__(self) -> None:
        _need(bool(self.name) and "\0" not in self.name, "slab.name", self.name, "must be a name")
        who = f"slab {self.name}"
        _need(0 < self.size < 1 << 32, f"{who}: size", self.size, "must be 1 to 4294967295")
        fits = 0 <= self.object_size <= self.size
        _need(fits, f"{who}: object_size", self.object_size, f"must be 0 to {self.size}")
        power = self.align > 0 and self.align & (self.align - 1) == 0
        _need(power, f"{who}: align", self.align, "must be a power of two")
        few = 0 < self.objects_per_slab <= _MOST_OBJECTS
        rule = f"must be 1 to {_MOST_OBJECTS}"
        _need(few, f"{who}: objects_per_slab", self.objects_per_slab, rule)
        pages = self.pages_per_slab
        power = 0 < pages < 1 << 16 and pages & (pages - 1) == 0
        _need(power, f"{who}: pages_per_slab", pages, "must be a power of two below 65536")
        _need(0 <= self.flags < 1 << 32, f"{who}: flags", self.flags, "must fit 32 bits")
        good = self.refcount != 0 and abs(self.refcount) < 1 << 31
        _need(good, f"{who}: refcount", self.refcount, "must be a C int other than 0")


@dataclass(frozen=True, slots=True)
class DmaBufSpec:
    """A DMA buffer: ``size`` in bytes, who exported it, its name if it got one.

    ``references`` on its file; 0 is a buffer that is just being released, still in the list.
    """

    size: int
    exp_name: str = "system"
    name: str = ""
    inode: int = 0  # 0: the next one free
    references: int = 1

    def __post_init__(self) -> None:
        _need(0 <= self.size < 1 << 63, "dmabuf.size", self.size, "must fit 63 bits")
        _need("\0" not in self.exp_name, "dmabuf.exp_name", self.exp_name, "must be a string")
        short = len(self.name.encode("utf-8", "surrogateescape")) < 32 and "\0" not in self.name
        _need(short, "dmabuf.name", self.name, "must be at most 31 bytes")  # DMA_BUF_NAME_LEN
        _need(0 <= self.inode < 1 << 64, "dmabuf.inode", self.inode, "must fit 64 bits")
        good = 0 <= self.references < 1 << 31
        _need(good, "dmabuf.references", self.references, "must be a C int that is not negative")


@dataclass(frozen=True, slots=True)
class DsqSpec:
    """A dispatch queue that a sched_ext scheduler has made, with the pids in it, first to last."""

    id: int
    pids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # bit 63 marks the built-in queues (SCX_DSQ_FLAG_BUILTIN)
        _need(0 <= self.id < 1 << 63, "dsq.id", self.id, "must fit 63 bits")
        once = len(set(self.pids)) == len(self.pids)
        _need(once, f"dsq {self.id}: pids", self.pids, "must be there once")


def check_queues(queues: Sequence[DsqSpec] | None, pids: Collection[int]) -> None:
    """Check queues against the tasks there are."""
    queued: set[int] = set()
    check_unique("world.dsqs: id", [queue.id for queue in queues or ()])
    for queue in queues or ():
        for pid in queue.pids:
            _need(pid in pids, f"dsq {queue.id}: pids", pid, "must be the pid of a task")
            _need(pid not in queued, f"dsq {queue.id}: pids", pid, "must be in one queue")
            queued.add(pid)


def check_unique(what: str, values: Sequence[object]) -> None:
    """InputError for the first value that is there twice."""
    seen: set[object] = set()
    for value in values:
        _need(value not in seen, what, value, "must be there once")
        seen.add(value)


DEFAULT_SLABS: Final = (
    KmemCacheSpec("task_struct", 4096, 4096, 64, 8, 8),
    KmemCacheSpec("mm_struct", 1408, 1368, 64, 23, 8),
    KmemCacheSpec("vm_area_struct", 192, 192, 64, 21, 1),
    KmemCacheSpec("files_cache", 704, 704, 64, 23, 4),
    KmemCacheSpec("signal_cache", 1152, 1112, 64, 28, 8),
    KmemCacheSpec("sighand_cache", 2112, 2088, 64, 15, 8),
    KmemCacheSpec("filp", 192, 192, 64, 21, 1),
    KmemCacheSpec("inode_cache", 608, 600, 8, 26, 4),
    KmemCacheSpec("dentry", 192, 192, 8, 21, 1),
    KmemCacheSpec("pid", 128, 128, 64, 32, 1),
    KmemCacheSpec("kmalloc-1k", 1024, 1024, 8, 32, 8, refcount=3),
    KmemCacheSpec("kmalloc-512", 512, 512, 8, 32, 4, refcount=5),
    KmemCacheSpec("kmalloc-256", 256, 256, 8, 32, 2, refcount=7),
    KmemCacheSpec("kmalloc-64", 64, 64, 8, 64, 1, refcount=11),
    KmemCacheSpec("kmem_cache_node", 128, 64, 64, 32, 1, refcount=-1),
    KmemCacheSpec("kmem_cache", 256, 232, 64, 16, 1, refcount=-1),
)
"""The caches of a world that says nothing of them, in the order of /proc/slabinfo."""
