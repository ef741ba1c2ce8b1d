"""css_sets in memory: which cgroup a task is in, and walks over the tasks of a css.

::

    cgroup.cset_links ◀──▶ cgrp_cset_link ─ cset ─▶ css_set           of one cgroup
    cgroup.e_csets[ss] ◀──▶ css_set.e_cset_node[ss]                   whose css of ss is this one
    css_set.tasks, mg_tasks, dying_tasks ◀──▶ task_struct.cg_list     in this order
    css_set.threaded_csets ◀──▶ css_set.threaded_csets_node           of its threaded cgroups

Source: kernel/cgroup/cgroup.c.
"""

from __future__ import annotations

from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.kernel.css_task_walk import CSS_TASK_ITER_SKIPPED, CssTaskWalks
from bpfemu.kernel.place_cgroup import CgroupTree
from bpfemu.kernel.place_list import Guard
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.place_task import TaskTable
from bpfemu.kernel.place_vmas import GracePeriods
from bpfemu.machine.memory import READ_ONLY, RegionKind
from bpfemu.proto.types import Ptr
from bpfemu.world.resources import CgroupSpec
from bpfemu.world.spec import World

__all__ = ["CgroupTable"]

_COUNT: Final = "refcount.refs.counter"


class CgroupTable:
    """Service ``cgroups``: the tree, and the tasks in it."""

    def __init__(
        self,
        placer: StructPlacer,
        world: World,
        tasks: TaskTable,
        rcu: GracePeriods | None,
        guard: Guard | None = None,
    ) -> None:
        self._placer = placer
        self._tasks = tasks
        self._rcu = rcu
        self._root_set = tasks.init_task.cgroups
        self.tree = CgroupTree(placer, self._root_set.dfl_cgrp, rcu)
        self._lists = self.tree.lists
        self._sets: dict[int, Ptr[Any]] = {}  # by the address of their cgroup
        memory = placer.space.memory
        self.css_set_lock = memory.allocate(
            4, RegionKind.OBJECT, "css_set_lock", align=4, state=READ_ONLY
        ).addr
        self._fill_set(self._root_set, self.tree.root)
        self._place(world)
        tasks.on_free.append(self._freed)
        self.walks = CssTaskWalks(self, tasks, self._lists, guard)

    # ---- the service: the tree ------------------------------------------------------------------

    def from_id(self, id: int) -> Ptr[Any]:
        """The cgroup with that id, or NULL."""
        return self.tree.from_id(id)

    def tryget(self, css: Ptr[Any]) -> bool:
        """css_tryget()."""
        return self.tree.tryget(css)

    def put(self, css: Ptr[Any]) -> None:
        """css_put()."""
        self.tree.put(css)

    def next_child(self, pos: Ptr[Any], parent: Ptr[Any]) -> Ptr[Any]:
        """css_next_child()."""
        return self.tree.next_child(pos, parent)

    # ---- the service: walks over tasks ----------------------------------------------------------

    def task_iter_start(self, css: Ptr[Any], flags: int, it: Ptr[Any]) -> None:
        """css_task_iter_start()."""
        self.walks.start(css, flags, it)

    def task_iter_next(self, it: Ptr[Any]) -> Ptr[Any]:
        """css_task_iter_next()."""
        return self.walks.next(it)

    def task_iter_end(self, it: Ptr[Any]) -> None:
        """css_task_iter_end()."""
        self.walks.end(it)

    # ---- the service: css_sets ------------------------------------------------------------------

    def get_set(self, cset: Ptr[Any]) -> None:
        """get_css_set()."""
        self._add(cset, 1)

    def put_set(self, cset: Ptr[Any]) -> None:
        """put_css_set(): the last one takes it out of every list and frees it later."""
        if self._add(cset, -1):
            return
        cset.dead = 1
        cgroup = cset.dfl_cgrp
        del self._sets[int(cgroup)]
        for subsystem in self.tree.subsystems.values():
            self._lists.delete(self._e_node(cset, int(subsystem.id)))
        for link in self._lists.walk(cset.address_of_("cgrp_links")):
            joint = self._lists.owner(link, "cgrp_cset_link", "cgrp_link")
            self._lists.delete(joint.address_of_("cset_link"))
            self._lists.delete(link)
            self._placer.free(joint)
        domain = cset.dom_cset
        if domain != cset:
            self._lists.delete(cset.address_of_("threaded_csets_node"))
            self.put_set(domain)
        if self._rcu is None:
            self._placer.free(cset)
        else:
            self._rcu.call_rcu(lambda: self._placer.free(cset))

    def _add(self, cset: Ptr[Any], change: int) -> int:
        count = int(self._placer.read(cset, _COUNT)) + change
        self._placer.fill(cset, {_COUNT: count})
        return count

    # ---- what other code of the kernel does -----------------------------------------------------

    def create(self, spec: CgroupSpec) -> Ptr[Any]:
        """Make a cgroup and put the tasks that it names there."""
        made = self.tree.create(spec)
        self._populate(spec)
        return made

    def remove(self, path: str) -> None:
        """rmdir(2); InputError while it has tasks or children."""
        self.tree.remove(path)

    def attach(self, pid: int, path: str) -> None:
        """A process with all its threads goes to a cgroup: a write to cgroup.procs."""
        leader = self._tasks.at(pid).group_leader
        for task in self._tasks.all():
            if task.group_leader == leader:
                self._move(task, self.tree.at(path))

    def attach_thread(self, pid: int, path: str) -> None:
        """One thread goes to a cgroup of the same domain: a write to cgroup.threads."""
        task, cgroup = self._tasks.at(pid), self.tree.at(path)
        if task.cgroups.dfl_cgrp.dom_cgrp != cgroup.dom_cgrp:
            raise InputError(f"task {pid}: {path!r} is of another resource domain", errno=95)
        self._move(task, cgroup)

    def begin_migration(self, pid: int) -> None:
        """A task is about to be moved: it stands in mg_tasks meanwhile."""
        task = self._tasks.at(pid)
        self._lists.delete(task.address_of_("cg_list"))
        self._lists.add_tail(task.address_of_("cg_list"), task.cgroups.address_of_("mg_tasks"))

    def begin_exit(self, task: Ptr[Any]) -> None:
        """cgroup_exit(): the task stands among the dying from now on."""
        cset, link = task.cgroups, task.address_of_("cg_list")
        self._leave(task, cset)
        self._lists.add_tail(link, cset.address_of_("dying_tasks"))
        cset.nr_tasks = int(cset.nr_tasks) - 1

    def end_exit(self, task: Ptr[Any]) -> None:
        """cgroup_release(): the task is in no list any more."""
        self._skip(task, task.cgroups)
        self._lists.delete_init(task.address_of_("cg_list"))

    def _freed(self, task: Ptr[Any]) -> None:
        """cgroup_free(): with the task goes its reference on the css_set."""
        self.put_set(task.cgroups)

    def _move(self, task: Ptr[Any], cgroup: Ptr[Any]) -> None:
        before, after = task.cgroups, self.set_of(cgroup)
        if before == after:
            return
        self.get_set(after)
        self._leave(task, before)
        before.nr_tasks = int(before.nr_tasks) - 1
        self._enter(task, after)
        self.put_set(before)

    def _enter(self, task: Ptr[Any], cset: Ptr[Any]) -> None:
        if not self.is_populated(cset):
            self._count_populated(cset, 1)
        self._placer.fill(task, {"cgroups": cset})
        self._lists.add_tail(task.address_of_("cg_list"), cset.address_of_("tasks"))
        cset.nr_tasks = int(cset.nr_tasks) + 1

    def _leave(self, task: Ptr[Any], cset: Ptr[Any]) -> None:
        self._skip(task, cset)
        self._lists.delete_init(task.address_of_("cg_list"))
        if not self.is_populated(cset):
            self._count_populated(cset, -1)

    def _skip(self, task: Ptr[Any], cset: Ptr[Any]) -> None:
        """css_set_skip_task_iters(): push walks that stand at the task forward."""
        link = task.address_of_("cg_list")
        for node in self._lists.walk(cset.address_of_("task_iters")):
            it = self._lists.owner(node, "css_task_iter", "iters_node")
            if it.task_pos == link:
                it.task_pos = self._lists.next(link)
                it.flags = int(it.flags) | CSS_TASK_ITER_SKIPPED

    def is_populated(self, cset: Ptr[Any]) -> bool:
        """css_set_populated(): has it tasks that are not dying?"""
        heads = (cset.address_of_("tasks"), cset.address_of_("mg_tasks"))
        return not all(self._lists.is_empty(head) for head in heads)

    @staticmethod
    def _count_populated(cset: Ptr[Any], change: int) -> None:
        cgroup = cset.dfl_cgrp
        cgroup.nr_populated_csets = int(cgroup.nr_populated_csets) + change

    # ---- placing --------------------------------------------------------------------------------

    def _place(self, world: World) -> None:
        """Everybody starts in the root; pid 0 is in no list."""
        self._lists.init(self._tasks.init_task.address_of_("cg_list"))
        for task in self._tasks.all():
            if int(task.pid):
                self.get_set(self._root_set)
                self._enter(task, self._root_set)
        for spec in world.cgroups:
            if spec.path != "/":
                self.tree.create(spec)
        for spec in world.cgroups:
            self._populate(spec)

    def _populate(self, spec: CgroupSpec) -> None:
        for pid in spec.procs:
            self.attach(pid, spec.path)
        for pid in spec.threads:
            self._move(self._tasks.at(pid), self.tree.at(spec.path))

    def set_of(self, cgroup: Ptr[Any]) -> Ptr[Any]:
        """find_css_set(): that of a cgroup, made when there is none."""
        found = self._sets.get(int(cgroup))
        if found is None:
            found = self._placer.new("css_set", "css_set", {_COUNT: 0})
            self._fill_set(found, cgroup)
        return found

    def _fill_set(self, cset: Ptr[Any], cgroup: Ptr[Any]) -> None:
        self._sets[int(cgroup)] = cset
        self._placer.fill(cset, {"dfl_cgrp": cgroup, "dom_cset": cset})
        for name in ("tasks", "mg_tasks", "dying_tasks", "task_iters", "threaded_csets"):
            self._lists.init(cset.address_of_(name))
        self._lists.init(cset.address_of_("cgrp_links"))
        for subsystem in self.tree.subsystems.values():
            index = int(subsystem.id)
            css = self.tree.effective_css(cgroup, index)
            cset.subsys[index] = css
            head = int(css.cgroup.address_of_("e_csets")) + 16 * index
            self._lists.add_tail(self._e_node(cset, index), head)
        joint = self._placer.new("cgrp_cset_link", "cgrp_cset_link", {"cgrp": cgroup, "cset": cset})
        self._lists.add_tail(joint.address_of_("cset_link"), cgroup.address_of_("cset_links"))
        self._lists.add_tail(joint.address_of_("cgrp_link"), cset.address_of_("cgrp_links"))
        if cgroup.dom_cgrp != cgroup:
            domain = self.set_of(cgroup.dom_cgrp)
            self.get_set(domain)
            self._placer.fill(cset, {"dom_cset": domain})
            node = cset.address_of_("threaded_csets_node")
            self._lists.add_tail(node, domain.address_of_("threaded_csets"))

    @staticmethod
    def _e_node(cset: Ptr[Any], index: int) -> int:
        return int(cset.address_of_("e_cset_node")) + 16 * index
