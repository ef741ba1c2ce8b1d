"""Numbers of maps: types, update flags, creation flags."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Enumeration


class bpf_map_type(Enumeration):
    """Kinds of maps."""

    BPF_MAP_TYPE_UNSPEC = 0
    BPF_MAP_TYPE_HASH = 1
    BPF_MAP_TYPE_ARRAY = 2
    BPF_MAP_TYPE_PROG_ARRAY = 3
    BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4
    BPF_MAP_TYPE_PERCPU_HASH = 5
    BPF_MAP_TYPE_PERCPU_ARRAY = 6
    BPF_MAP_TYPE_STACK_TRACE = 7
    BPF_MAP_TYPE_CGROUP_ARRAY = 8
    BPF_MAP_TYPE_LRU_HASH = 9
    BPF_MAP_TYPE_LRU_PERCPU_HASH = 10
    BPF_MAP_TYPE_LPM_TRIE = 11
    BPF_MAP_TYPE_ARRAY_OF_MAPS = 12
    BPF_MAP_TYPE_HASH_OF_MAPS = 13
    BPF_MAP_TYPE_DEVMAP = 14
    BPF_MAP_TYPE_SOCKMAP = 15
    BPF_MAP_TYPE_CPUMAP = 16
    BPF_MAP_TYPE_XSKMAP = 17
    BPF_MAP_TYPE_SOCKHASH = 18
    BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED = 19
    BPF_MAP_TYPE_CGROUP_STORAGE = 19
    BPF_MAP_TYPE_REUSEPORT_SOCKARRAY = 20
    BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED = 21
    BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE = 21
    BPF_MAP_TYPE_QUEUE = 22
    BPF_MAP_TYPE_STACK = 23
    BPF_MAP_TYPE_SK_STORAGE = 24
    BPF_MAP_TYPE_DEVMAP_HASH = 25
    BPF_MAP_TYPE_STRUCT_OPS = 26
    BPF_MAP_TYPE_RINGBUF = 27
    BPF_MAP_TYPE_INODE_STORAGE = 28
    BPF_MAP_TYPE_TASK_STORAGE = 29
    BPF_MAP_TYPE_BLOOM_FILTER = 30
    BPF_MAP_TYPE_USER_RINGBUF = 31
    BPF_MAP_TYPE_CGRP_STORAGE = 32
    BPF_MAP_TYPE_ARENA = 33
    __MAX_BPF_MAP_TYPE = 34


class bpf_update_flags(Enumeration, name=""):
    """Flags of map updates."""

    BPF_ANY = 0
    BPF_NOEXIST = 1
    BPF_EXIST = 2
    BPF_F_LOCK = 4


class bpf_map_create_flags(Enumeration, name=""):
    """Flags of map creation."""

    BPF_F_NO_PREALLOC = 1
    BPF_F_NO_COMMON_LRU = 2
    BPF_F_NUMA_NODE = 4
    BPF_F_RDONLY = 8
    BPF_F_WRONLY = 16
    BPF_F_STACK_BUILD_ID = 32
    BPF_F_ZERO_SEED = 64
    BPF_F_RDONLY_PROG = 128
    BPF_F_WRONLY_PROG = 256
    BPF_F_CLONE = 512
    BPF_F_MMAPABLE = 1024
    BPF_F_PRESERVE_ELEMS = 2048
    BPF_F_INNER_MAP = 0x1000
    BPF_F_LINK = 0x2000
    BPF_F_PATH_FD = 0x4000
    BPF_F_VTYPE_BTF_OBJ_FD = 0x8000
    BPF_F_TOKEN_FD = 0x10000
    BPF_F_SEGV_ON_FAULT = 0x20000
    BPF_F_NO_USER_CONV = 0x40000


class bpf_ringbuf_flags(Enumeration, name=""):
    """Flags of ring buffer submission."""

    BPF_RB_NO_WAKEUP = 1
    BPF_RB_FORCE_WAKEUP = 2


class bpf_ringbuf_query(Enumeration, name=""):
    """What bpf_ringbuf_query answers."""

    BPF_RB_AVAIL_DATA = 0
    BPF_RB_RING_SIZE = 1
    BPF_RB_CONS_POS = 2
    BPF_RB_PROD_POS = 3


class bpf_ringbuf_consts(Enumeration, name=""):
    """Bits of a record's header."""

    BPF_RINGBUF_BUSY_BIT = 0x80000000
    BPF_RINGBUF_DISCARD_BIT = 0x40000000
    BPF_RINGBUF_HDR_SZ = 8


class bpf_local_storage_flags(Enumeration, name=""):
    """Flags of local storage look-ups."""

    BPF_LOCAL_STORAGE_GET_F_CREATE = 1
    BPF_SK_STORAGE_GET_F_CREATE = 1


class bpf_timer_flags(Enumeration, name=""):
    """Flags of bpf_timer_start."""

    BPF_F_TIMER_ABS = 1
    BPF_F_TIMER_CPU_PIN = 2


class bpf_perf_event_flags(Enumeration, name="", size=8):
    """Index and length fields of perf event flags."""

    BPF_F_INDEX_MASK = 0xFFFFFFFF
    BPF_F_CURRENT_CPU = 0xFFFFFFFF
    BPF_F_CTXLEN_MASK = 0xFFFFF00000000


class bpf_stack_flags(Enumeration, name=""):
    """Flags of stack walks."""

    BPF_F_SKIP_FIELD_MASK = 255
    BPF_F_USER_STACK = 256
    BPF_F_FAST_STACK_CMP = 512
    BPF_F_REUSE_STACKID = 1024
    BPF_F_USER_BUILD_ID = 2048


class bpf_stack_build_id_status(Enumeration):
    """What a stack entry with build id holds."""

    BPF_STACK_BUILD_ID_EMPTY = 0
    BPF_STACK_BUILD_ID_VALID = 1
    BPF_STACK_BUILD_ID_IP = 2
