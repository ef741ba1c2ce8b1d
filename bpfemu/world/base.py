"""Small structs that everything else is made of: lists, trees, counters, locks."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, int_, long_, uint, ulong
from bpfemu.proto.types import Ptr, Struct, s32, s64, u8, u16, u32, u64, void
from bpfemu.world.typedefs import __u8, __u64, gfp_t, gid_t, time64_t, uid_t


class list_head(Struct):
    """A doubly linked, circular list."""

    next: Ptr[list_head]
    prev: Ptr[list_head]


class hlist_head(Struct):
    """Start of a list with one pointer."""

    first: Ptr[hlist_node]


class hlist_node(Struct):
    """Link of such a list."""

    next: Ptr[hlist_node]
    pprev: Ptr[Ptr[hlist_node]]


class hlist_bl_node(Struct):
    """Link of a list whose head holds a lock bit."""

    next: Ptr[hlist_bl_node]
    pprev: Ptr[Ptr[hlist_bl_node]]


class hlist_nulls_node(Struct):
    """Link of a list that ends in a marker."""

    next: Ptr[hlist_nulls_node]
    pprev: Ptr[Ptr[hlist_nulls_node]]


class llist_node(Struct):
    """Link of a lock-free list."""

    next: Ptr[llist_node]


class llist_head(Struct):
    """Start of a lock-free list."""

    first: Ptr[llist_node]


class rb_node(Struct):
    """Node of a red-black tree."""

    __rb_parent_color: ulong
    rb_right: Ptr[rb_node]
    rb_left: Ptr[rb_node]


class rb_root(Struct):
    """A red-black tree."""

    rb_node: Ptr[rb_node]


class rb_root_cached(Struct):
    """A red-black tree that knows its leftmost node."""

    rb_root: rb_root
    rb_leftmost: Ptr[rb_node]


class callback_head(Struct):
    """What call_rcu and task work hang on (``struct rcu_head``)."""

    next: Ptr[callback_head]
    func: Ptr[void]


class atomic_t(Struct, tag=""):
    """A counter."""

    counter: int_


class atomic64_t(Struct, tag=""):
    """A 64-bit counter."""

    counter: s64


class refcount_t(Struct, tag="refcount_struct"):
    """A saturating reference count."""

    refs: atomic_t


class kref(Struct):
    """A reference count with a release function."""

    refcount: refcount_t


class _arch_spinlock_t_1_1(Struct, anonymous=True):
    """Without a name in C."""

    locked: u8
    pending: u8


class _arch_spinlock_t_1_2(Struct, anonymous=True):
    """Without a name in C."""

    locked_pending: u16
    tail: u16


class _arch_spinlock_t_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    val: atomic_t
    _anon1: _arch_spinlock_t_1_1
    _anon2: _arch_spinlock_t_1_2


class arch_spinlock_t(Struct, tag="qspinlock"):
    """x86's queued spin lock; 0 is free."""

    _anon1: _arch_spinlock_t_1


class raw_spinlock_t(Struct, tag="raw_spinlock"):
    """What a spin lock is made of."""

    raw_lock: arch_spinlock_t


class _spinlock_t_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    rlock: raw_spinlock_t


class spinlock_t(Struct, tag="spinlock"):
    """A spin lock."""

    _anon1: _spinlock_t_1


class optimistic_spin_queue(Struct):
    """Spinners of a mutex or rw_semaphore."""

    tail: atomic_t


class rw_semaphore(Struct):
    """A reader-writer semaphore; count 0 is free."""

    count: atomic_long_t
    owner: atomic_long_t
    osq: optimistic_spin_queue
    wait_lock: raw_spinlock_t
    wait_list: list_head


class mutex(Struct):
    """A mutex."""

    owner: atomic_long_t
    wait_lock: raw_spinlock_t
    osq: optimistic_spin_queue
    wait_list: list_head


class _lockref_1_1(Struct, anonymous=True):
    """Without a name in C."""

    lock: spinlock_t
    count: int_


class _lockref_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    lock_count: __u64
    _anon1: _lockref_1_1


class lockref(Struct):
    """A spin lock and a count in one word."""

    _anon1: _lockref_1


class seqcount_t(Struct, tag="seqcount"):
    """A sequence counter."""

    sequence: uint


class seqcount_spinlock_t(Struct, tag="seqcount_spinlock"):
    """A sequence counter guarded by a spin lock."""

    seqcount: seqcount_t


class wait_queue_head_t(Struct, tag="wait_queue_head"):
    """Those who wait."""

    lock: spinlock_t
    head: list_head


class work_struct(Struct):
    """Work for a work queue."""

    data: atomic_long_t
    entry: list_head
    func: Ptr[void]


class timespec64(Struct):
    """Seconds and nanoseconds."""

    tv_sec: time64_t
    tv_nsec: long_


class timer_list(Struct):
    """A timer of the timer wheel."""

    entry: hlist_node
    expires: ulong
    function: Ptr[void]
    flags: u32


class kernel_cap_t(Struct, tag=""):
    """A set of capabilities."""

    val: u64


class kuid_t(Struct, tag=""):
    """A user id of the initial namespace."""

    val: uid_t


class kgid_t(Struct, tag=""):
    """A group id of the initial namespace."""

    val: gid_t


class cpumask_t(Struct, tag="cpumask"):
    """A bit for each CPU."""

    bits: Array[ulong, 4]


class irq_work(Struct):
    """Work for interrupt context."""

    node: __call_single_node
    func: Ptr[void]
    irqwait: rcuwait


class _call_single_node_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    u_flags: uint
    a_flags: atomic_t


class __call_single_node(Struct):
    """Work sent to another CPU."""

    llist: llist_node
    _anon1: _call_single_node_1
    src: u16
    dst: u16


class rcuwait(Struct):
    """A single waiter."""

    task: Ptr[task_struct]


class _maple_tree_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ma_lock: spinlock_t


class maple_tree(Struct):
    """A tree of ranges: the VMAs of an mm."""

    _anon1: _maple_tree_1
    ma_flags: uint
    ma_root: Ptr[void]


class percpu_ref(Struct):
    """A reference count kept per CPU."""

    percpu_count_ptr: ulong
    data: Ptr[percpu_ref_data]


class rcu_work(Struct):
    """Work that starts after a grace period."""

    work: work_struct
    rcu: callback_head
    wq: Ptr[workqueue_struct]


class delayed_work(Struct):
    """Work that starts later."""

    work: work_struct
    timer: timer_list
    wq: Ptr[workqueue_struct]
    cpu: int_


class percpu_counter(Struct):
    """A counter kept per CPU."""

    lock: raw_spinlock_t
    count: s64
    list: list_head
    counters: Ptr[s32]


class freeptr_t(Struct, tag=""):
    """Where a free object keeps its link."""

    v: ulong


class uuid_t(Struct, tag=""):
    """A unique id."""

    b: Array[__u8, 16]


class xarray(Struct):
    """A sparse array of pointers."""

    xa_lock: spinlock_t
    xa_flags: gfp_t
    xa_head: Ptr[void]


class idr(Struct):
    """Numbers handed out for pointers."""

    idr_rt: xarray
    idr_base: uint
    idr_next: uint


class atomic_long_t(atomic64_t):
    """A counter as wide as a long."""
