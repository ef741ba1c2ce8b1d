"""sched_ext: declarations for BTF."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, ulong
from bpfemu.proto.types import Ptr, Struct, bool_, s32, u32, u64


class rhash_head(Struct):
    """Link of a resizable hash table."""

    next: Ptr[rhash_head]


class scx_dsq_list_node(Struct):
    """A place in a dispatch queue: a task's or a walk's cursor."""

    node: list_head
    flags: u32
    priv: u32


class scx_dispatch_q(Struct):
    """A dispatch queue."""

    lock: raw_spinlock_t
    list: list_head
    priq: rb_root
    nr: u32
    seq: u32
    id: u64
    hash_node: rhash_head
    free_node: llist_node
    rcu: callback_head


class sched_ext_entity(Struct):
    """What a sched_ext scheduler knows of a task."""

    dsq: Ptr[scx_dispatch_q]
    dsq_list: scx_dsq_list_node
    dsq_priq: rb_node
    dsq_seq: u32
    dsq_flags: u32
    flags: u32
    weight: u32
    sticky_cpu: s32
    holding_cpu: s32
    selected_cpu: s32
    kf_mask: u32
    kf_tasks: Array[Ptr[task_struct], 2]
    ops_state: atomic_long_t
    runnable_node: list_head
    runnable_at: ulong
    ddsp_dsq_id: u64
    ddsp_enq_flags: u64
    slice: u64
    dsq_vtime: u64
    disallow: bool_
    cgrp_moving_from: Ptr[cgroup]
    tasks_node: list_head
