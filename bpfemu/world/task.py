"""Tasks: task_struct and what hangs on it."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import (
    Array,
    Bits,
    Const,
    Enumeration,
    char,
    int_,
    short,
    uint,
    ullong,
    ulong,
    ushort,
)
from bpfemu.proto.types import Ptr, Struct, bool_, u32, u64, void
from bpfemu.world.typedefs import __kernel_ulong_t, pid_t


class pid_type(Enumeration):
    """What a struct pid is used for."""

    PIDTYPE_PID = 0
    PIDTYPE_TGID = 1
    PIDTYPE_PGID = 2
    PIDTYPE_SID = 3
    PIDTYPE_MAX = 4


class thread_info(Struct):
    """Flags that entry code looks at."""

    flags: ulong
    syscall_work: ulong
    status: u32
    cpu: u32


class task_struct(Struct):
    """A thread: what the kernel schedules."""

    thread_info: thread_info
    __state: uint
    stack: Ptr[void]
    usage: refcount_t
    flags: uint
    ptrace: uint
    on_cpu: int_
    recent_used_cpu: int_
    wake_cpu: int_
    on_rq: int_
    prio: int_
    static_prio: int_
    normal_prio: int_
    rt_priority: uint
    scx: sched_ext_entity
    policy: uint
    nr_cpus_allowed: int_
    cpus_ptr: Ptr[Const[cpumask_t]]
    cpus_mask: cpumask_t
    migration_disabled: ushort
    rcu_read_lock_nesting: int_
    trc_reader_nesting: int_
    tasks: list_head
    mm: Ptr[mm_struct]
    active_mm: Ptr[mm_struct]
    exit_state: int_
    exit_code: int_
    exit_signal: int_
    pdeath_signal: int_
    jobctl: ulong
    personality: uint
    sched_reset_on_fork: Bits[uint, 1]
    sched_contributes_to_load: Bits[uint, 1]
    sched_migrated: Bits[uint, 1]
    in_execve: Bits[uint, 1]
    in_iowait: Bits[uint, 1]
    no_cgroup_migration: Bits[uint, 1]
    frozen: Bits[uint, 1]
    atomic_flags: ulong
    pid: pid_t
    tgid: pid_t
    stack_canary: ulong
    real_parent: Ptr[task_struct]
    parent: Ptr[task_struct]
    children: list_head
    sibling: list_head
    group_leader: Ptr[task_struct]
    ptraced: list_head
    ptrace_entry: list_head
    thread_pid: Ptr[pid]
    pid_links: Array[hlist_node, 4]
    thread_node: list_head
    vfork_done: Ptr[completion]
    set_child_tid: Ptr[int_]
    clear_child_tid: Ptr[int_]
    utime: u64
    stime: u64
    gtime: u64
    nvcsw: ulong
    nivcsw: ulong
    start_time: u64
    start_boottime: u64
    min_flt: ulong
    maj_flt: ulong
    ptracer_cred: Ptr[Const[cred]]
    real_cred: Ptr[Const[cred]]
    cred: Ptr[Const[cred]]
    comm: Array[char, 16]
    last_switch_count: ulong
    last_switch_time: ulong
    fs: Ptr[fs_struct]
    files: Ptr[files_struct]
    io_uring: Ptr[io_uring_task]
    nsproxy: Ptr[nsproxy]
    signal: Ptr[signal_struct]
    sighand: Ptr[sighand_struct]
    blocked: sigset_t
    real_blocked: sigset_t
    task_works: Ptr[callback_head]
    loginuid: kuid_t
    sessionid: uint
    parent_exec_id: u64
    self_exec_id: u64
    alloc_lock: spinlock_t
    pi_lock: raw_spinlock_t
    journal_info: Ptr[void]
    io_context: Ptr[io_context]
    mems_allowed_seq: seqcount_spinlock_t
    cgroups: Ptr[css_set]
    cg_list: list_head
    robust_list: Ptr[robust_list_head]
    perf_event_ctxp: Ptr[perf_event_context]
    rseq: Ptr[rseq]
    splice_pipe: Ptr[pipe_inode_info]
    delays: Ptr[task_delay_info]
    nr_dirtied: int_
    timer_slack_ns: u64
    utask: Ptr[uprobe_task]
    rcu: callback_head
    rcu_users: refcount_t
    pagefault_disabled: int_
    security: Ptr[void]
    bpf_storage: Ptr[bpf_local_storage]
    bpf_ctx: Ptr[bpf_run_ctx]


class sighand_struct(Struct):
    """Signal handlers of a process."""

    siglock: spinlock_t
    count: refcount_t
    signalfd_wqh: wait_queue_head_t


class signal_struct(Struct):
    """What the threads of a process share."""

    sigcnt: refcount_t
    live: atomic_t
    nr_threads: int_
    quick_threads: int_
    thread_head: list_head
    wait_chldexit: wait_queue_head_t
    curr_target: Ptr[task_struct]
    group_exit_code: int_
    notify_count: int_
    group_stop_count: int_
    flags: uint
    is_child_subreaper: Bits[uint, 1]
    has_child_subreaper: Bits[uint, 1]
    pids: Array[Ptr[pid], 4]
    leader: int_
    tty: Ptr[tty_struct]
    utime: u64
    stime: u64
    cutime: u64
    cstime: u64
    gtime: u64
    cgtime: u64
    nvcsw: ulong
    nivcsw: ulong
    cnvcsw: ulong
    cnivcsw: ulong
    min_flt: ulong
    maj_flt: ulong
    cmin_flt: ulong
    cmaj_flt: ulong
    inblock: ulong
    oublock: ulong
    maxrss: ulong
    cmaxrss: ulong
    sum_sched_runtime: ullong
    rlim: Array[rlimit, 16]
    oom_flag_origin: bool_
    oom_score_adj: short
    oom_score_adj_min: short
    oom_mm: Ptr[mm_struct]
    cred_guard_mutex: mutex


class rlimit(Struct):
    """A resource limit."""

    rlim_cur: __kernel_ulong_t
    rlim_max: __kernel_ulong_t


class sigset_t(Struct, tag=""):
    """A set of signals."""

    sig: Array[ulong, 1]


class _cred_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    non_rcu: int_
    rcu: callback_head


class cred(Struct):
    """Who a task acts as."""

    usage: atomic_long_t
    uid: kuid_t
    gid: kgid_t
    suid: kuid_t
    sgid: kgid_t
    euid: kuid_t
    egid: kgid_t
    fsuid: kuid_t
    fsgid: kgid_t
    securebits: uint
    cap_inheritable: kernel_cap_t
    cap_permitted: kernel_cap_t
    cap_effective: kernel_cap_t
    cap_bset: kernel_cap_t
    cap_ambient: kernel_cap_t
    security: Ptr[void]
    user: Ptr[user_struct]
    user_ns: Ptr[user_namespace]
    ucounts: Ptr[ucounts]
    group_info: Ptr[group_info]
    _anon1: _cred_1


class upid(Struct):
    """A number in one pid namespace."""

    nr: int_
    ns: Ptr[pid_namespace]


class pid(Struct):
    """A process id in every namespace it is seen in."""

    count: refcount_t
    level: uint
    lock: spinlock_t
    tasks: Array[hlist_head, 4]
    inodes: hlist_head
    rcu: callback_head
    numbers: Array[upid, 0]


class pid_namespace(Struct):
    """A pid namespace."""

    pid_allocated: uint
    child_reaper: Ptr[task_struct]
    level: uint
    pid_max: int_
    parent: Ptr[pid_namespace]
    user_ns: Ptr[user_namespace]
    ns: ns_common


class ns_common(Struct):
    """What all namespaces share."""

    ns_type: u32
    inum: uint


class nsproxy(Struct):
    """The namespaces of a task."""

    count: refcount_t
    uts_ns: Ptr[uts_namespace]
    ipc_ns: Ptr[ipc_namespace]
    mnt_ns: Ptr[mnt_namespace]
    pid_ns_for_children: Ptr[pid_namespace]
    net_ns: Ptr[net]
    time_ns: Ptr[time_namespace]
    time_ns_for_children: Ptr[time_namespace]
    cgroup_ns: Ptr[cgroup_namespace]


class uts_namespace(Struct):
    """Host name and friends."""

    name: new_utsname
    user_ns: Ptr[user_namespace]
    ns: ns_common


class new_utsname(Struct):
    """What uname(2) returns."""

    sysname: Array[char, 65]
    nodename: Array[char, 65]
    release: Array[char, 65]
    version: Array[char, 65]
    machine: Array[char, 65]
    domainname: Array[char, 65]


class user_namespace(Struct):
    """A user namespace."""

    parent: Ptr[user_namespace]
    level: int_
    owner: kuid_t
    group: kgid_t
    ns: ns_common
    flags: ulong


class group_info(Struct):
    """Supplementary groups."""

    usage: refcount_t
    ngroups: int_


class fs_struct(Struct):
    """Working directory and root."""

    users: int_
    umask: int_
    in_exec: int_
    root: path
    pwd: path


class fdtable(Struct):
    """Open files by number."""

    max_fds: uint
    fd: Ptr[Ptr[file]]
    close_on_exec: Ptr[ulong]
    open_fds: Ptr[ulong]
    full_fds_bits: Ptr[ulong]
    rcu: callback_head


class files_struct(Struct):
    """The file table of a process."""

    count: atomic_t
    fdt: Ptr[fdtable]
    fdtab: fdtable
    next_fd: uint
    fd_array: Array[Ptr[file], 64]
