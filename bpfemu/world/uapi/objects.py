"""Special fields of map values, and other small structs of the interface."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, int_, uchar
from bpfemu.proto.types import Ptr, Struct, u32, void
from bpfemu.world.cgroup import bpf_cgroup_iter_order
from bpfemu.world.typedefs import __s16, __s32, __u8, __u32, __u64


class bpf_spin_lock(Struct):
    """A spin lock in a map value."""

    val: __u32


class bpf_res_spin_lock(Struct):
    """A resilient spin lock."""

    val: u32


class bpf_timer(Struct):
    """A timer in a map value."""

    __opaque: Array[__u64, 2]


class bpf_wq(Struct):
    """Work for a work queue in a map value."""

    __opaque: Array[__u64, 2]


class bpf_task_work(Struct):
    """Task work in a map value."""

    __opaque: __u64


class bpf_dynptr(Struct):
    """A pointer that knows its size."""

    __opaque: Array[__u64, 2]


class bpf_list_head(Struct):
    """A list of program objects."""

    __opaque: Array[__u64, 2]


class bpf_list_node(Struct):
    """Link of a program object."""

    __opaque: Array[__u64, 3]


class bpf_rb_root(Struct):
    """A tree of program objects."""

    __opaque: Array[__u64, 2]


class bpf_rb_node(Struct):
    """Node of a program object."""

    __opaque: Array[__u64, 4]


class bpf_refcount(Struct):
    """Reference count of a program object."""

    __opaque: Array[__u32, 1]


class bpf_perf_event_value(Struct):
    """Counter, enabled and running time."""

    counter: __u64
    enabled: __u64
    running: __u64


class bpf_pidns_info(Struct):
    """Pid and tgid in a namespace."""

    pid: __u32
    tgid: __u32


class _bpf_cpumap_val_bpf_prog(Struct, anonymous=True, union=True):
    """Without a name in C."""

    fd: int_
    id: __u32


class bpf_cpumap_val(Struct):
    """Value of a CPU map."""

    qsize: __u32
    bpf_prog: _bpf_cpumap_val_bpf_prog


class _bpf_devmap_val_bpf_prog(Struct, anonymous=True, union=True):
    """Without a name in C."""

    fd: int_
    id: __u32


class bpf_devmap_val(Struct):
    """Value of a device map."""

    ifindex: __u32
    bpf_prog: _bpf_devmap_val_bpf_prog


class bpf_lpm_trie_key_hdr(Struct):
    """Head of an LPM trie key."""

    prefixlen: __u32


class _bpf_lpm_trie_key_u8_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    hdr: bpf_lpm_trie_key_hdr
    prefixlen: __u32


class bpf_lpm_trie_key_u8(Struct):
    """Key of an LPM trie."""

    _anon1: _bpf_lpm_trie_key_u8_1
    data: Array[__u8, 0]


class bpf_cgroup_storage_key(Struct):
    """Key of cgroup storage."""

    cgroup_inode_id: __u64
    attach_type: __u32


class _bpf_stack_build_id_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    offset: __u64
    ip: __u64


class bpf_stack_build_id(Struct):
    """A stack entry with build id."""

    status: __s32
    build_id: Array[uchar, 20]
    _anon1: _bpf_stack_build_id_1


class bpf_raw_tracepoint_args(Struct):
    """Arguments of a raw tracepoint."""

    args: Array[__u64, 0]


class btf_ptr(Struct):
    """A pointer with its type."""

    ptr: Ptr[void]
    type_id: __u32
    flags: __u32


class bpf_insn(Struct):
    """One instruction."""

    code: __u8
    dst_reg: Bits[__u8, 4]
    src_reg: Bits[__u8, 4]
    off: __s16
    imm: __s32


class _bpf_iter_link_info_map(Struct, anonymous=True):
    """Without a name in C."""

    map_fd: __u32


class _bpf_iter_link_info_cgroup(Struct, anonymous=True):
    """Without a name in C."""

    order: bpf_cgroup_iter_order
    cgroup_fd: __u32
    cgroup_id: __u64


class _bpf_iter_link_info_task(Struct, anonymous=True):
    """Without a name in C."""

    tid: __u32
    pid: __u32
    pid_fd: __u32


class bpf_iter_link_info(Struct, union=True):
    """What an iterator link is about."""

    map: _bpf_iter_link_info_map
    cgroup: _bpf_iter_link_info_cgroup
    task: _bpf_iter_link_info_task
