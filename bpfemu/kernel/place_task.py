"""Tasks in memory: task_struct with what the threads of a process share, linked as in the kernel.

::

    init_task.tasks ◀──▶ leader.tasks ◀──▶ leader.tasks ◀──▶ …             processes, a ring
    signal.thread_head ◀──▶ leader.thread_node ◀──▶ thread.thread_node     threads, a ring

Walks follow these links in memory, so a task that has left the ring keeps its way onward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from bpfemu.errors import InputError
from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_process import ProcessParts, ProcessPlacer
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.place_vmas import GracePeriods, VmaTrees
from bpfemu.kernel.symbol_places import init_task_address
from bpfemu.proto.types import NULL, Ptr
from bpfemu.record import replace
from bpfemu.world.flags import PF_EXITING, PF_IDLE, PF_KTHREAD
from bpfemu.world.spec import TaskSpec, World

__all__ = ["Numbers", "TaskTable"]

EXIT_DEAD: Final = 0x10
EXIT_ZOMBIE: Final = 0x20
SIGCHLD: Final = 17
LIST_POISON2: Final = 0xDEAD_0000_0000_0122  # list_del_rcu leaves it in prev
UNSET: Final = 0xFFFF_FFFF  # loginuid and sessionid of a task that never logged in

USAGE: Final = "usage.refs.counter"
RCU_USERS: Final = "rcu_users.refs.counter"


class Numbers(Protocol):
    """Where random numbers come from."""

    def u64(self) -> int:
        """The next 64 bits."""


class TaskTable:
    """Service ``tasks``."""

    def __init__(
        self,
        placer: StructPlacer,
        files: FileTable,
        vmas: VmaTrees,
        world: World,
        random: Numbers,
        rcu: GracePeriods | None,
    ) -> None:
        self._placer = placer
        self._vmas = vmas
        self._random = random
        self._rcu = rcu
        self._shared = ProcessPlacer(placer, files)
        self._tasks: dict[int, Ptr[Any]] = {}  # by pid
        self._vpids: dict[int, Ptr[Any]] = {}  # by pid in the child namespace
        self._parts: dict[int, ProcessParts] = {}  # by tgid
        self.on_free: list[Callable[[Ptr[Any]], None]] = []  # told before a task is freed
        self._offsets = {
            name: placer.need("task_struct", name)[0]
            for name in ("tasks", "thread_node", "sibling")
        }
        self._place(world)
        self.current_pid = world.current_pid

    # ---- the service: who ---------------------------------------------------------------------

    @property
    def current(self) -> Ptr[Any]:
        """The current task."""
        return self.at(self.current_pid)

    @property
    def init_task(self) -> Ptr[Any]:
        """The idle task, pid 0."""
        return self._tasks[0]

    def at(self, pid: int) -> Ptr[Any]:
        """The task with that pid, the idle task for 0; InputError when there is none."""
        found = self._tasks.get(pid)
        if found is None:
            pids = ", ".join(str(known) for known in sorted(self._tasks)[:12])
            raise InputError(f"no task has pid {pid}; there are {pids}", errno=3)
        return found

    def all(self) -> list[Ptr[Any]]:
        """Every task, threads too, the idle task first."""
        return list(self._tasks.values())

    def by_pid(self, pid: int) -> Ptr[Any]:
        """find_task_by_pid_ns(pid, &init_pid_ns): NULL for 0, the idle task has no struct pid."""
        return self._tasks.get(pid, NULL) if pid > 0 else NULL

    def by_vpid(self, pid: int) -> Ptr[Any]:
        """find_task_by_vpid(): in the current task's pid namespace."""
        if self.current in self._vpids.values():
            return self._vpids.get(pid, NULL)
        return self.by_pid(pid)

    def next_task(self, task: Ptr[Any]) -> Ptr[Any]:
        """The next process in the ring."""
        return self._owner(int(task.tasks.next), "tasks")

    def next_thread(self, task: Ptr[Any]) -> Ptr[Any]:
        """The next thread of the group, NULL behind the last."""
        following = int(task.thread_node.next)
        if following == int(task.signal.address_of_("thread_head")):
            return NULL
        return self._owner(following, "thread_node")

    def _owner(self, link: int, member: str) -> Ptr[Any]:
        """container_of(link, struct task_struct, member)."""
        addr = link - self._offsets[member]
        return self._placer.space.pointer(addr, "task_struct")

    # ---- the service: references --------------------------------------------------------------

    def get(self, task: Ptr[Any]) -> None:
        """get_task_struct()."""
        self._add(task, USAGE, 1)

    def get_unless_zero(self, task: Ptr[Any]) -> bool:
        """refcount_inc_not_zero(&task->rcu_users)."""
        if not self._placer.read(task, RCU_USERS):
            return False
        self._add(task, RCU_USERS, 1)
        return True

    def put(self, task: Ptr[Any]) -> None:
        """put_task_struct(): the task is freed with its last reference."""
        if self._add(task, USAGE, -1) == 0:
            for told in self.on_free:
                told(task)
            self._placer.free(task)

    def put_rcu(self, task: Ptr[Any]) -> None:
        """put_task_struct_rcu_user(): the last one drops ``usage`` after a grace period."""
        if self._add(task, RCU_USERS, -1) == 0:
            if self._rcu is None:
                self.put(task)
            else:
                self._rcu.call_rcu(lambda: self.put(task))

    def mmget(self, mm: Ptr[Any]) -> None:
        """mm_users + 1."""
        self._vmas.get(mm)

    def mmput_async(self, mm: Ptr[Any]) -> None:
        """mm_users - 1; the work queue that tears the mm down runs at once, on another CPU."""
        self._vmas.put(mm)

    def usage(self, task: Ptr[Any]) -> tuple[int, int]:
        """(usage, rcu_users)."""
        return int(self._placer.read(task, USAGE)), int(self._placer.read(task, RCU_USERS))

    def _add(self, task: Ptr[Any], path: str, change: int) -> int:
        count = int(self._placer.read(task, path)) + change
        self._placer.fill(task, {path: count})
        return count

    # ---- what other code of the kernel does ---------------------------------------------------

    def drop_mm(self, pid: int) -> None:
        """exit_mm(): the task gives up its mm."""
        task = self.at(pid)
        mm = task.mm
        if mm:
            self._placer.fill(task, {"mm": 0})
            self._vmas.put(mm)

    def exit(self, pid: int) -> None:
        """do_exit() and release_task(): gone from every ring and look-up.

        A leader whose other threads live stays as a zombie, as in the kernel.
        """
        task = self.at(pid)
        if pid == 0:
            raise InputError("the idle task, pid 0, cannot exit")
        self._placer.fill(task, {"flags": task.flags | PF_EXITING})
        self.drop_mm(pid)
        leads = int(task.pid) == int(task.tgid)
        if leads and self.next_thread(task):
            self._placer.fill(task, {"exit_state": EXIT_ZOMBIE})
            return
        self._reparent(task)
        self._placer.fill(task, {"exit_state": EXIT_DEAD})
        for member in ("thread_node", "tasks", "sibling") if leads else ("thread_node",):
            self._unlink(task, member)
        del self._tasks[pid]
        self._vpids = {vpid: other for vpid, other in self._vpids.items() if other != task}
        if self.current_pid == pid:
            self.current_pid = 0
        self.put_rcu(task)
        self.put_rcu(task)

    def _reparent(self, task: Ptr[Any]) -> None:
        """Children go to init, pid 1, or to the idle task where there is none."""
        heir = self._tasks.get(1, NULL)
        heir = heir if heir and heir != task else self.init_task
        head, adopted = task.address_of_("children"), heir.address_of_("children")
        while (link := head.next) != head:
            child = self._owner(int(link), "sibling")
            for thread in self._group(child):
                self._placer.fill(thread, {"real_parent": heir, "parent": heir})
            self._unlink(child, "sibling")
            last = adopted.prev
            link.next, link.prev = adopted, last
            last.next = adopted.prev = link

    def _group(self, leader: Ptr[Any]) -> list[Ptr[Any]]:
        return [task for task in self._tasks.values() if task.group_leader == leader]

    def _unlink(self, task: Ptr[Any], member: str) -> None:
        """list_del_rcu(): neighbours close the gap, ``next`` keeps leading onward."""
        head = task.address_of_(member)
        before, after = head.prev, head.next
        before.next, after.prev = after, before
        head.prev = LIST_POISON2

    # ---- placing ------------------------------------------------------------------------------

    def _place(self, world: World) -> None:
        space = self._placer.space
        addr = init_task_address(space.layouts, space.memory.base + space.memory.size)
        idle = self._placer.at_end("task_struct", "task_struct pid 0 (swapper/0)", addr)
        self._tasks[0] = idle
        specs = [spec for leader in world.tasks for spec in _threads(leader)]
        for spec in specs:
            self._tasks[spec.pid] = self._new_task(spec.pid, spec.comm)
        idle_spec = replace(TaskSpec(pid=1, comm="swapper/0", kthread=True), flags=PF_IDLE)
        self._fill(idle, idle_spec, 0)
        for spec in sorted(specs, key=lambda spec: spec.is_thread):  # leaders first
            self._fill(self._tasks[spec.pid], spec, spec.pid)
        self._borrow_mms(specs)
        self._link(specs)

    def _new_task(self, pid: int, comm: str) -> Ptr[Any]:
        return self._placer.new("task_struct", f"task_struct pid {pid} ({comm})")

    def _fill(self, task: Ptr[Any], spec: TaskSpec, pid: int) -> None:
        tgid = spec.tgid or pid
        parts = self._parts.get(tgid)
        if parts is None:
            parts = self._parts[tgid] = self._process(spec, pid)
        if spec.is_thread and parts.mm:
            self._vmas.get(parts.mm)
        thread_pid = self._shared.pid(pid, spec.vpid) if pid else NULL
        if spec.vpid:
            self._vpids[spec.vpid] = task
        has_mm = spec.has_mm and not spec.kthread
        values: dict[str, Any] = {
            **_own_values(spec, pid, tgid),
            USAGE: 1,
            RCU_USERS: 2,  # one until it is reaped, one until it is scheduled away for good
            "mm": parts.mm if has_mm else 0,
            "active_mm": parts.mm if has_mm else 0,
            "stack_canary": self._random.u64() & ~0xFF,
            "group_leader": self._tasks[tgid],
            "thread_pid": thread_pid,
            "cpus_ptr": task.address_of_("cpus_mask"),
            "cred": parts.cred,
            "real_cred": parts.cred,
            "fs": parts.fs,
            "files": parts.files,
            "nsproxy": parts.nsproxy,
            "signal": parts.signal,
            "sighand": parts.sighand,
            "cgroups": self._shared.css_set,
        }
        self._placer.fill(task, values)

    def _process(self, spec: TaskSpec, pid: int) -> ProcessParts:
        """What the threads of a process share."""
        has_mm = pid != 0 and not spec.kthread and spec.has_mm
        space = self._vmas.place(spec, 1) if has_mm else None
        parts = self._shared.place(spec, pid, space.mm if space is not None else NULL)
        if space is not None:
            self._placer.fill(space.mm, {"owner": self._tasks[pid]})
        return parts

    def _borrow_mms(self, specs: list[TaskSpec]) -> None:
        """kthread_use_mm(): a kernel thread runs with somebody's mm, which it holds a user of."""
        for spec in specs:
            if spec.mm_of is not None:
                mm = self._parts[spec.mm_of].mm
                self._vmas.get(mm)
                self._placer.fill(self._tasks[spec.pid], {"mm": mm, "active_mm": mm})

    def _link(self, specs: list[TaskSpec]) -> None:
        """Parents, and the rings of processes, threads and children."""
        leaders = [spec for spec in specs if not spec.is_thread]
        by_tgid = {spec.pid: spec for spec in leaders}
        children: dict[int, list[int]] = {pid: [] for pid in self._tasks}
        threads: dict[int, list[int]] = {0: [0], **{pid: [pid] for pid in by_tgid}}
        for spec in specs:
            parent = self._tasks[by_tgid[spec.tgid or spec.pid].ppid]
            self._placer.fill(self._tasks[spec.pid], {"real_parent": parent, "parent": parent})
            if spec.is_thread:
                threads[spec.tgid].append(spec.pid)
            else:
                children[spec.ppid].append(spec.pid)
        idle = self._tasks[0]
        self._placer.fill(idle, {"real_parent": idle, "parent": idle})
        self._ring([self._tasks[pid].address_of_("tasks") for pid in threads])
        for pid, group in threads.items():
            head = self._parts[pid].signal.address_of_("thread_head")
            self._ring([head, *(self._tasks[tid].address_of_("thread_node") for tid in group)])
            values = {"nr_threads": len(group), "live.counter": len(group)}
            self._placer.fill(self._parts[pid].signal, values)
        for pid, below in children.items():
            head = self._tasks[pid].address_of_("children")
            self._ring([head, *(self._tasks[child].address_of_("sibling") for child in below)])

    @staticmethod
    def _ring(heads: list[Ptr[Any]]) -> None:
        """Link list_heads in a circle."""
        for here, following in zip(heads, [*heads[1:], heads[0]], strict=True):
            here.next = following
            following.prev = here


def _threads(leader: TaskSpec) -> list[TaskSpec]:
    """A task and its ``threads``, which differ from it in their pid alone."""
    made = [
        replace(leader, pid=pid, tgid=leader.pid, threads=(), vmas=(), vpid=0)
        for pid in leader.threads
    ]
    return [leader, *made]


def _own_values(spec: TaskSpec, pid: int, tgid: int) -> dict[str, Any]:
    """Members that come straight from the description."""
    return {
        "__state": spec.state,
        "flags": spec.flags | (PF_KTHREAD if spec.kthread else 0),
        "prio": spec.prio,
        "static_prio": spec.prio,
        "normal_prio": spec.prio,
        "policy": spec.policy,
        "exit_signal": SIGCHLD if tgid == pid else -1,
        "pid": pid,
        "tgid": tgid,
        "comm": spec.comm.encode("utf-8", "surrogateescape"),
        "start_time": spec.start_time,
        "start_boottime": spec.start_time,
        "utime": spec.utime,
        "stime": spec.stime,
        "nvcsw": spec.nvcsw,
        "nivcsw": spec.nivcsw,
        "loginuid.val": UNSET,
        "sessionid": UNSET,
    }
