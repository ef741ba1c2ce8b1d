"""A world as plain data: which tasks there are, and what is mapped where.

Specs are frozen and can be pickled; ``kernel.objects`` puts them into memory.  Every wrong value
is an InputError that names the field, the value and the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass
from bpfemu.world.flags import PAGE_SIZE, TASK_SIZE, vm_flags

if TYPE_CHECKING:
    from bpfemu.world.resources import CgroupSpec, DmaBufSpec, DsqSpec, KmemCacheSpec
    from bpfemu.world.variables import KernelVariable

__all__ = ["FileSpec", "TaskSpec", "VmaSpec", "World"]

COMM_SIZE: Final = 15  # bytes without the NUL (TASK_COMM_LEN - 1)
PID_MAX: Final = 1 << 22  # PID_MAX_LIMIT


def _need(ok: bool, what: str, value: object, rule: str) -> None:
    if not ok:
        raise InputError(f"{what} is {value!r}, {rule}", errno=22)


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A mapped file: ``path`` as d_path prints it, without "(deleted)"."""

    path: str
    dev: tuple[int, int] = (0, 0)  # major, minor
    inode: int = 0
    deleted: bool = False
    size: int = 0  # bytes
    mode: int = 0o100755  # S_IFREG and permissions

    def __post_init__(self) -> None:
        _need(bool(self.path) and "\0" not in self.path, "file.path", self.path, "must be a path")
        _need(0 <= self.inode < 1 << 64, "file.inode", self.inode, "must fit 64 bits")
        major, minor = self.dev
        fits = 0 <= major < 1 << 12 and 0 <= minor < 1 << 20
        _need(fits, "file.dev", self.dev, "must be a major below 4096 and a minor below 2**20")


@dataclass(frozen=True, slots=True)
class VmaSpec:
    """One VMA.

    ``perms`` is what /proc/PID/maps shows ("r-xp"); ``flags`` are the exact VM_* bits, None to
    derive them.  ``name`` is what stands there for a mapping without a file ("[heap]").
    ``content`` are the first bytes of the user memory behind it; the rest is zero.
    """

    start: int  # u64, page aligned
    end: int  # u64, page aligned, exclusive
    perms: str = "rw-p"
    offset: int = 0  # bytes into the file
    file: FileSpec | None = None
    name: str = ""
    flags: int | None = None
    content: bytes = b""

    def __post_init__(self) -> None:
        for field in ("start", "end"):
            value = getattr(self, field)
            good = isinstance(value, int) and value % PAGE_SIZE == 0
            _need(good, f"vma.{field}", _hex(value), f"must be a multiple of {PAGE_SIZE}")
        _need(self.start >= 0, "vma.start", self.start, "must not be negative")
        _need(self.end > self.start, "vma.end", _hex(self.end), f"must be above {self.start:#x}")
        limit = f"must not be above TASK_SIZE ({TASK_SIZE:#x})"
        _need(self.end <= TASK_SIZE, "vma.end", _hex(self.end), limit)
        good = len(self.perms) == 4 and all(
            c in allowed for c, allowed in zip(self.perms, ("r-", "w-", "x-", "ps"), strict=True)
        )
        _need(good, "vma.perms", self.perms, "must look like 'rwxp', '-' for what is not allowed")
        _need(
            self.offset >= 0 and self.offset % PAGE_SIZE == 0,
            "vma.offset",
            self.offset,
            f"must be a multiple of {PAGE_SIZE}",
        )
        fits = self.flags is None or 0 <= self.flags < 1 << 64
        _need(fits, "vma.flags", self.flags, "must fit 64 bits")
        room = len(self.content) <= self.end - self.start
        _need(room, "vma.content", f"{len(self.content)} bytes", "must fit between start and end")

    @property
    def vm_flags(self) -> int:
        """VM_* bits: the exact ones, else those that ``perms`` and ``name`` imply."""
        return vm_flags(self.perms, self.name) if self.flags is None else self.flags

    @property
    def pgoff(self) -> int:
        """vm_pgoff in pages: of the file, or where an anonymous mapping starts."""
        anonymous = self.file is None and self.name not in ("[vdso]", "[vvar]", "[vvar_vclock]")
        return (self.start if anonymous else self.offset) // PAGE_SIZE


def _hex(value: object) -> object:
    return f"{value:#x}" if isinstance(value, int) else value


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task.

    ``tgid`` is the pid of its group leader (0: its own); a thread shares the leader's mm, files
    and credentials.  ``threads`` are pids of further threads that differ in nothing else.
    ``kthread`` sets PF_KTHREAD and leaves mm NULL; ``mm_of`` is the pid whose mm a kernel thread
    has borrowed (kthread_use_mm).  ``has_mm=False`` is a task that has already given up its mm.
    ``exe`` is the executable (None: the first file that is mapped executable).  Times are
    nanoseconds.
    """

    pid: int
    tgid: int = 0
    comm: str = "task"
    vmas: tuple[VmaSpec, ...] = ()
    threads: tuple[int, ...] = ()
    ppid: int = 0
    kthread: bool = False
    mm_of: int | None = None
    has_mm: bool = True
    uid: int = 0
    gid: int = 0
    vpid: int = 0  # pid in its own pid namespace; 0: the same as pid
    flags: int = 0  # further PF_* bits
    state: int = 0  # __state: 0 is TASK_RUNNING
    prio: int = 120
    policy: int = 0  # SCHED_*
    exe: FileSpec | None = None
    args: tuple[str, ...] = ()  # strings at mm->arg_start, in the stack's memory
    env: tuple[str, ...] = ()  # strings at mm->env_start
    start_time: int = 0
    utime: int = 0
    stime: int = 0
    nvcsw: int = 0
    nivcsw: int = 0

    def __post_init__(self) -> None:
        who = f"task {self.pid}"
        _need(0 < self.pid < PID_MAX, "task.pid", self.pid, f"must be 1 to {PID_MAX - 1}")
        for field in ("tgid", "ppid", "vpid"):
            value = getattr(self, field)
            _need(0 <= value < PID_MAX, f"{who}: {field}", value, f"must be 0 to {PID_MAX - 1}")
        size = len(self.comm.encode("utf-8", "surrogateescape"))
        fits = size <= COMM_SIZE and "\0" not in self.comm
        _need(fits, f"{who}: comm", self.comm, f"must be at most {COMM_SIZE} bytes")
        for field, bits in (("uid", 32), ("gid", 32), ("flags", 32), ("state", 32)):
            value = getattr(self, field)
            _need(0 <= value < 1 << bits, f"{who}: {field}", value, f"must fit {bits} bits")
        _need(0 <= self.prio < 140, f"{who}: prio", self.prio, "must be 0 to 139")
        self._check_mm(who)
        self._check_vmas(who)

    def _check_mm(self, who: str) -> None:
        bare = not self.kthread and self.has_mm and not self.is_thread
        _need(bare or not self.vmas, f"{who}: vmas", "given", "but it has no mm of its own")
        _need(self.mm_of is None or self.kthread, f"{who}: mm_of", self.mm_of, "needs kthread")
        good = not (self.is_thread and self.threads)
        _need(good, f"{who}: threads", self.threads, "but it is a thread itself")

    def _check_vmas(self, who: str) -> None:
        for index, (a, b) in enumerate(zip(self.vmas, self.vmas[1:], strict=False)):
            _need(
                b.start >= a.end,
                f"{who}: vmas[{index + 1}].start",
                f"{b.start:#x}",
                f"must not be below the end of the VMA before it ({a.end:#x})",
            )

    @property
    def is_thread(self) -> bool:
        """Is it a thread other than its group's leader?"""
        return self.tgid not in (0, self.pid)


@dataclass(frozen=True, slots=True)
class World:
    """All tasks besides init_task (the idle task, pid 0); ``current`` is a pid, 0 the idle task.

    Without ``current`` it is the first task's.  ``variables`` are those besides the ones that
    every kernel has; one of the same name replaces it.  Tasks that no cgroup names are in the root
    cgroup.  ``slabs`` stand in the order of /proc/slabinfo, None for those of a small kernel;
    ``dsqs`` are the queues of the sched_ext scheduler that is loaded, None when there is none.
    """

    tasks: tuple[TaskSpec, ...] = ()
    current: int | None = None
    variables: tuple[KernelVariable, ...] = ()
    cgroups: tuple[CgroupSpec, ...] = ()
    slabs: tuple[KmemCacheSpec, ...] | None = None
    dmabufs: tuple[DmaBufSpec, ...] = ()
    dsqs: tuple[DsqSpec, ...] | None = None

    def __post_init__(self) -> None:
        pids: set[int] = set()
        for task in self.tasks:
            for pid in (task.pid, *task.threads):
                _need(pid not in pids, "world.tasks: pid", pid, "must be there once")
                pids.add(pid)
        leaders = {task.pid: task for task in self.tasks if not task.is_thread}
        for task in self.tasks:
            known = not task.is_thread or task.tgid in leaders
            _need(known, f"task {task.pid}: tgid", task.tgid, "must be the pid of a task")
            known = task.ppid == 0 or task.ppid in pids
            _need(known, f"task {task.pid}: ppid", task.ppid, "must be 0 or the pid of a task")
            lender = leaders.get(task.mm_of) if task.mm_of is not None else None
            known = task.mm_of is None or (lender is not None and not lender.kthread)
            _need(known, f"task {task.pid}: mm_of", task.mm_of, "must be the pid of a user task")
        known = self.current in (None, 0) or self.current in pids
        _need(known, "world.current", self.current, "must be 0 or the pid of a task")
        named = [(variable.module, variable.name) for variable in self.variables]
        for key in named:
            _need(named.count(key) == 1, "world.variables: name", key[1], "must be there once")
        if self.cgroups or self.slabs or self.dmabufs or self.dsqs:
            self._check_resources(pids)

    def _check_resources(self, pids: set[int]) -> None:
        from bpfemu.world.resources import check_cgroups, check_queues, check_unique

        groups = {task.pid: [task.pid, *task.threads] for task in self.tasks if not task.is_thread}
        for task in self.tasks:
            if task.is_thread:
                groups[task.tgid].append(task.pid)
        check_cgroups(self.cgroups, groups)
        check_unique("world.slabs: name", [slab.name for slab in self.slabs or ()])
        inodes = [buf.inode for buf in self.dmabufs if buf.inode]
        check_unique("world.dmabufs: inode", inodes)
        check_queues(self.dsqs, pids)

    @property
    def current_pid(self) -> int:
        """The pid of the task that is current at the start."""
        if self.current is None:
            return self.tasks[0].pid if self.tasks else 0
        return self.current
