"""Control groups in memory: the tree of the default hierarchy with a css for each controller.

::

    cgroup / ─ self.children ◀──▶ cgroup /a ─ self.sibling ◀──▶ …       the tree, in order of birth
    cgroup ─ subsys[memory_cgrp_id] ─▶ css ─ parent ─▶ css of the next cgroup up that has one
    cgroup ─ kn ─▶ kernfs_node: name and id

Walks follow these links in memory.  Source: kernel/cgroup/cgroup.c.
"""

from __future__ import annotations

from typing import Any, Final

from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.kernel.place_list import Lists
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.place_vmas import GracePeriods
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.resources import CONTROLLERS, CgroupSpec

__all__ = ["CSS_DYING", "CSS_ONLINE", "CSS_RELEASED", "CgroupTree"]

# include/linux/cgroup-defs.h: css->flags
CSS_NO_REF: Final = 1
CSS_ONLINE: Final = 2
CSS_RELEASED: Final = 4
CSS_VISIBLE: Final = 8
CSS_DYING: Final = 16

KERNFS_DIR: Final = 1
S_IFDIR_755: Final = 0o040755
IMPLICIT: Final = "perf_event"  # a css in every cgroup, without being asked for
_THREADED: Final = ("cpuset", "cpu", "perf_event", "pids")
_ID: Final = "_cgrp_id"  # how enum cgroup_subsys_id spells a controller


class CgroupTree:
    """The tree of one kernel: its cgroups, their css, references on those."""

    def __init__(self, placer: StructPlacer, root: Ptr[Any], rcu: GracePeriods | None) -> None:
        self._placer = placer
        self._rcu = rcu
        self.lists = Lists(placer)
        self.root = root
        self.subsystems = self._place_subsystems()
        self._paths: dict[str, Ptr[Any]] = {"/": root}
        self._ids: dict[int, Ptr[Any]] = {int(root.kn.id): root}
        self._refs: dict[int, int] = {}  # references on a css, by its address
        self._serial = 0  # css_serial_nr_next
        self._free_id = 2
        self._parent_member = placer.first("kernfs_node", "__parent", "parent")
        self._ancestors = placer.find("cgroup", "ancestors") is not None
        self._place_root()

    # ---- look-ups -----------------------------------------------------------------------------

    def at(self, path: str) -> Ptr[Any]:
        """The cgroup with that path; InputError lists those there are."""
        found = self._paths.get(path)
        if found is None:
            known = ", ".join(sorted(self._paths)[:12])
            raise InputError(f"there is no cgroup {path!r}; there are {known}", errno=2)
        return found

    def from_id(self, id: int) -> Ptr[Any]:
        """The cgroup with that kernfs id, or NULL."""
        return self._ids.get(id, NULL)

    def css(self, path: str, controller: str = "") -> Ptr[Any]:
        """A cgroup's css of a controller, NULL when it has none; "" is the cgroup's own."""
        cgroup = self.at(path)
        if not controller:
            return cgroup.address_of_("self")
        found: Ptr[Any] = cgroup.subsys[self._number(controller)]
        return found

    def effective_css(self, cgroup: Ptr[Any], index: int) -> Ptr[Any]:
        """cgroup_e_css(): that of the nearest cgroup up which has one."""
        while cgroup:
            css: Ptr[Any] = cgroup.subsys[index]
            if css:
                return css
            cgroup = self.parent(cgroup)
        return NULL

    def parent(self, cgroup: Ptr[Any]) -> Ptr[Any]:
        """cgroup_parent(): NULL for the root."""
        css = cgroup.address_of_("self").parent
        return css.cgroup if css else NULL

    def next_child(self, pos: Ptr[Any], parent: Ptr[Any]) -> Ptr[Any]:
        """css_next_child(): behind ``pos``, the first without one; NULL when there is none.

        What was released while a walk stood there is left behind by its serial number.
        """
        head = parent.address_of_("children")
        if not pos:
            link = self.lists.next(head)
        elif not int(pos.flags) & CSS_RELEASED:
            link = self.lists.next(pos.address_of_("sibling"))
        else:
            link = self.lists.next(head)
            while link != int(head) and self._serial_of(link) <= int(pos.serial_nr):
                link = self.lists.next(link)
        if link == int(head):
            return NULL
        return self.lists.owner(link, "cgroup_subsys_state", "sibling")

    def _serial_of(self, link: int) -> int:
        return int(self.lists.owner(link, "cgroup_subsys_state", "sibling").serial_nr)

    def _number(self, controller: str) -> int:
        found = self.subsystems.get(controller)
        if found is None:
            known = ", ".join(self.subsystems)
            raise InputError(f"there is no controller {controller!r}; there are {known}")
        return int(found.id)

    # ---- references ---------------------------------------------------------------------------

    def tryget(self, css: Ptr[Any]) -> bool:
        """css_tryget(): False when it is being released."""
        count = self._refs.get(int(css), 0)
        if count:
            self._refs[int(css)] = count + 1
        return count > 0

    def put(self, css: Ptr[Any]) -> None:
        """css_put(): the last one takes it out of its parent's list and frees it later."""
        self._refs[int(css)] -= 1
        if self._refs[int(css)] == 0:
            self._release(css)

    def references(self, css: Ptr[Any]) -> int:
        """How many references there are."""
        return self._refs.get(int(css), 0)

    def _release(self, css: Ptr[Any]) -> None:
        """css_release_work_fn()."""
        css.flags = int(css.flags) | CSS_RELEASED
        self.lists.delete_rcu(css.address_of_("sibling"))
        own = not css.ss
        if own:
            self._ids.pop(int(css.cgroup.kn.id), None)
        object = css.cgroup if own else css
        if self._rcu is None:
            self._free(object, css)
        else:
            self._rcu.call_rcu(lambda: self._free(object, css))

    def _free(self, object: Ptr[Any], css: Ptr[Any]) -> None:
        del self._refs[int(css)]
        self._placer.free(object)

    # ---- making and removing ------------------------------------------------------------------

    def create(self, spec: CgroupSpec) -> Ptr[Any]:
        """mkdir(2) in cgroupfs; InputError without a parent."""
        if spec.path in self._paths:
            raise InputError(f"there is a cgroup {spec.path!r} already", errno=17)
        above = self.at(spec.parent)
        id = self._new_id(spec)
        level = int(above.level) + 1
        cgroup = self._placer.new("cgroup", f"cgroup {spec.path}", tail=8 * (level + 1))
        self._placer.fill(
            cgroup,
            {
                "level": level,
                "kn": self._node(spec, id, above.kn, cgroup),
                "root": above.root,
                # a threaded cgroup's resource domain is its parent's
                "dom_cgrp": above.dom_cgrp if spec.threaded else cgroup,
            },
        )
        self._fill_ancestors(cgroup, above, level)
        self._init_lists(cgroup)
        self._new_css(cgroup.address_of_("self"), cgroup, NULL, above.address_of_("self"))
        for name, subsystem in self.subsystems.items():
            if self._has(above, spec, name):
                css = self._placer.new("cgroup_subsys_state", f"css {name} of {spec.path}")
                cgroup.subsys[int(subsystem.id)] = css
                self._new_css(css, cgroup, subsystem, above.subsys[int(subsystem.id)])
        self._count_descendants(above, 1)
        self._paths[spec.path] = self._ids[id] = cgroup
        return cgroup

    def remove(self, path: str) -> None:
        """rmdir(2): offline at once, released when nobody refers to it any more."""
        cgroup = self.at(path)
        own = cgroup.address_of_("self")
        busy = path == "/" or not self.lists.is_empty(own.address_of_("children"))
        if busy or int(cgroup.nr_populated_csets):
            raise InputError(f"cgroup {path!r} has tasks or cgroups below it, or is /", errno=16)
        self._count_descendants(self.parent(cgroup), -1)
        del self._paths[path]
        present = [cgroup.subsys[int(subsystem.id)] for subsystem in self.subsystems.values()]
        for css in [*filter(None, present), own]:
            css.flags = (int(css.flags) | CSS_DYING) & ~CSS_ONLINE
            self.put(css)

    def _has(self, above: Ptr[Any], spec: CgroupSpec, name: str) -> bool:
        if name == IMPLICIT:
            return True
        wanted = CONTROLLERS if spec.controllers is None else spec.controllers
        return name in wanted and bool(above.subsys[self._number(name)])

    def _new_id(self, spec: CgroupSpec) -> int:
        if spec.id:
            if spec.id in self._ids:
                raise InputError(f"cgroup {spec.path}: id {spec.id} is taken", errno=17)
            return spec.id
        while self._free_id in self._ids:
            self._free_id += 1
        return self._free_id

    def _count_descendants(self, cgroup: Ptr[Any], change: int) -> None:
        while cgroup:
            cgroup.nr_descendants = int(cgroup.nr_descendants) + change
            cgroup = self.parent(cgroup)

    # ---- parts --------------------------------------------------------------------------------

    def _place_subsystems(self) -> dict[str, Ptr[Any]]:
        """A cgroup_subsys for each controller of this kernel, by name."""
        made = {}
        for index, name in sorted((index, name) for name, index in self._numbers().items()):
            text = self._placer.bytes(name.encode() + b"\0", f"name of controller {name}")
            values = {
                "id": index,
                "name": text,
                "legacy_name": text,
                "implicit_on_dfl": name == IMPLICIT,
                "threaded": name in _THREADED,
            }
            made[name] = self._placer.new("cgroup_subsys", f"cgroup_subsys {name}", values)
        return made

    def _numbers(self) -> dict[str, int]:
        btf = self._placer.space.layouts.btf
        found = btf.find("cgroup_subsys_id", k.Enum) if btf is not None else None
        if btf is not None and found is not None:
            kind = btf.type(found)
            assert isinstance(kind, k.Enum)
            values = {value.name: value.value for value in kind.values}
        else:
            from bpfemu.world.cgroup import cgroup_subsys_id

            values = cgroup_subsys_id.enumerators()
        return {name[: -len(_ID)]: number for name, number in values.items() if name.endswith(_ID)}

    def _place_root(self) -> None:
        """Complete the root, in which every task was placed: it has a css for every controller."""
        root = self.root
        mask = sum(1 << int(subsystem.id) for subsystem in self.subsystems.values())
        hierarchy = self._placer.new("cgroup_root", "cgroup_root", {"subsys_mask": mask})
        self._placer.fill(root, {"root": hierarchy})
        self._init_lists(root)
        own = root.address_of_("self")
        self._placer.fill(own, {"cgroup": root, "flags": CSS_NO_REF | CSS_ONLINE})
        self._init_css_lists(own)
        self._refs[int(own)] = 1
        for name, subsystem in self.subsystems.items():
            css = self._placer.new("cgroup_subsys_state", f"css {name} of /")
            root.subsys[int(subsystem.id)] = css
            self._new_css(css, root, subsystem, NULL)

    def _new_css(
        self, css: Ptr[Any], cgroup: Ptr[Any], subsystem: Ptr[Any], parent: Ptr[Any]
    ) -> None:
        """init_and_link_css() and online_css()."""
        self._serial += 1
        values = {
            "cgroup": cgroup,
            "ss": subsystem,
            "parent": parent,
            "flags": CSS_ONLINE | CSS_VISIBLE,
            "serial_nr": self._serial,
            "id": self._serial if subsystem else 0,
            "online_cnt.counter": 1,
        }
        self._placer.fill(css, values)
        self._init_css_lists(css)
        if parent:
            self.lists.add_tail(css.address_of_("sibling"), parent.address_of_("children"))
        self._refs[int(css)] = 1

    def _init_css_lists(self, css: Ptr[Any]) -> None:
        self.lists.init(css.address_of_("sibling"))
        self.lists.init(css.address_of_("children"))

    def _init_lists(self, cgroup: Ptr[Any]) -> None:
        self.lists.init(cgroup.address_of_("cset_links"))
        first = int(cgroup.address_of_("e_csets"))
        for subsystem in self.subsystems.values():
            self.lists.init(first + 16 * int(subsystem.id))

    def _node(self, spec: CgroupSpec, id: int, above: Ptr[Any], cgroup: Ptr[Any]) -> Ptr[Any]:
        """The directory in cgroupfs."""
        name = spec.path.rpartition("/")[2].encode("utf-8", "surrogateescape")
        values = {
            "id": id,
            "name": self._placer.bytes(name + b"\0", f"name of cgroup {spec.path}"),
            "flags": KERNFS_DIR,
            "mode": S_IFDIR_755,
            "priv": cgroup,
            "count.counter": 1,
            self._parent_member: above,
        }
        return self._placer.new("kernfs_node", f"kernfs_node {spec.path}", values)

    def _fill_ancestors(self, cgroup: Ptr[Any], above: Ptr[Any], level: int) -> None:
        if self._ancestors:
            for index in range(level):
                cgroup.ancestors[index] = above.ancestors[index]
            cgroup.ancestors[level] = cgroup
