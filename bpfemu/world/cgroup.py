"""Control groups: declarations for BTF."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, Const, Enumeration, char, int_, uint, ulong, ushort
from bpfemu.proto.types import Ptr, Struct, bool_, u16, u64, void
from bpfemu.world.typedefs import umode_t


class bpf_cgroup_iter_order(Enumeration):
    """Order of a walk over cgroups."""

    BPF_CGROUP_ITER_ORDER_UNSPEC = 0
    BPF_CGROUP_ITER_SELF_ONLY = 1
    BPF_CGROUP_ITER_DESCENDANTS_PRE = 2
    BPF_CGROUP_ITER_DESCENDANTS_POST = 3
    BPF_CGROUP_ITER_ANCESTORS_UP = 4


class css_task_iter_flags(Enumeration):
    """Which tasks a walk shows, and its state."""

    CSS_TASK_ITER_PROCS = 1
    CSS_TASK_ITER_THREADED = 2
    CSS_TASK_ITER_SKIPPED = 0x10000


class cgroup_subsys_id(Enumeration):
    """The controllers of this kernel."""

    cpuset_cgrp_id = 0
    cpu_cgrp_id = 1
    cpuacct_cgrp_id = 2
    io_cgrp_id = 3
    memory_cgrp_id = 4
    devices_cgrp_id = 5
    freezer_cgrp_id = 6
    net_cls_cgrp_id = 7
    perf_event_cgrp_id = 8
    net_prio_cgrp_id = 9
    hugetlb_cgrp_id = 10
    pids_cgrp_id = 11
    CGROUP_SUBSYS_COUNT = 12


class kernfs_elem_dir(Struct):
    """Children of a directory."""

    subdirs: ulong
    children: rb_root
    root: Ptr[kernfs_root]


class kernfs_node(Struct):
    """A node of cgroupfs or sysfs."""

    count: atomic_t
    active: atomic_t
    __parent: Ptr[kernfs_node]
    name: Ptr[Const[char]]
    rb: rb_node
    ns: Ptr[Const[void]]
    hash: uint
    flags: ushort
    mode: umode_t
    id: u64
    priv: Ptr[void]


class cgroup_subsys(Struct):
    """A controller."""

    early_init: Bits[bool_, 1]
    implicit_on_dfl: Bits[bool_, 1]
    threaded: Bits[bool_, 1]
    id: int_
    name: Ptr[Const[char]]
    legacy_name: Ptr[Const[char]]
    root: Ptr[cgroup_root]
    depends_on: uint


class cgroup_subsys_state(Struct):
    """A controller's state in one cgroup."""

    cgroup: Ptr[cgroup]
    ss: Ptr[cgroup_subsys]
    refcnt: percpu_ref
    sibling: list_head
    children: list_head
    id: int_
    flags: uint
    serial_nr: u64
    online_cnt: atomic_t
    destroy_work: work_struct
    parent: Ptr[cgroup_subsys_state]
    nr_descendants: int_


class cgroup(Struct):
    """A control group."""

    self: cgroup_subsys_state
    flags: ulong
    level: int_
    max_depth: int_
    nr_descendants: int_
    nr_dying_descendants: int_
    max_descendants: int_
    nr_populated_csets: int_
    kn: Ptr[kernfs_node]
    subtree_control: u16
    subtree_ss_mask: u16
    subsys: Array[Ptr[cgroup_subsys_state], 12]
    root: Ptr[cgroup_root]
    cset_links: list_head
    e_csets: Array[list_head, 12]
    dom_cgrp: Ptr[cgroup]
    bpf_cgrp_storage: Ptr[bpf_local_storage]
    ancestors: Array[Ptr[cgroup], 0]


class cgroup_root(Struct):
    """A cgroup hierarchy."""

    subsys_mask: uint
    hierarchy_id: int_
    root_list: list_head
    flags: uint
    name: Array[char, 64]


class cgroup_namespace(Struct):
    """A cgroup namespace."""

    ns: ns_common
    user_ns: Ptr[user_namespace]
    root_cset: Ptr[css_set]


class css_set(Struct):
    """The cgroups a task belongs to."""

    subsys: Array[Ptr[cgroup_subsys_state], 12]
    refcount: refcount_t
    dom_cset: Ptr[css_set]
    dfl_cgrp: Ptr[cgroup]
    nr_tasks: int_
    tasks: list_head
    mg_tasks: list_head
    dying_tasks: list_head
    task_iters: list_head
    e_cset_node: Array[list_head, 12]
    threaded_csets: list_head
    threaded_csets_node: list_head
    hlist: hlist_node
    cgrp_links: list_head
    dead: bool_


class cgrp_cset_link(Struct):
    """One cgroup that the tasks of one css_set are in."""

    cgrp: Ptr[cgroup]
    cset: Ptr[css_set]
    cset_link: list_head
    cgrp_link: list_head


class css_task_iter(Struct):
    """A walk over the tasks of a css."""

    ss: Ptr[cgroup_subsys]
    flags: uint
    cset_pos: Ptr[list_head]
    cset_head: Ptr[list_head]
    tcset_pos: Ptr[list_head]
    tcset_head: Ptr[list_head]
    task_pos: Ptr[list_head]
    cur_tasks_head: Ptr[list_head]
    cur_cset: Ptr[css_set]
    cur_dcset: Ptr[css_set]
    cur_task: Ptr[task_struct]
    iters_node: list_head
