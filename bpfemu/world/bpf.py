"""The BPF subsystem's own objects: maps, programs, iterator contexts."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, Const, Enumeration, char, int_
from bpfemu.proto.types import Ptr, Struct, u8, u16, u32, u64, void
from bpfemu.world.typedefs import loff_t, size_t
from bpfemu.world.uapi.maps import bpf_map_type
from bpfemu.world.uapi.progs import bpf_attach_type, bpf_prog_type


class bpf_iter_task_type(Enumeration):
    """What an iterator program over tasks walks."""

    BPF_TASK_ITER_ALL = 0
    BPF_TASK_ITER_TID = 1
    BPF_TASK_ITER_TGID = 2


class bpf_map(Struct):
    """A map."""

    ops: Ptr[Const[bpf_map_ops]]
    map_type: bpf_map_type
    key_size: u32
    value_size: u32
    max_entries: u32
    map_extra: u64
    map_flags: u32
    id: u32
    record: Ptr[btf_record]
    btf: Ptr[btf]
    name: Array[char, 16]
    refcnt: atomic64_t
    usercnt: atomic64_t


class bpf_array(Struct):
    """An array map."""

    map: bpf_map
    elem_size: u32
    index_mask: u32


class _bpf_prog_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    tag: Array[u8, 8]


class bpf_prog(Struct):
    """A program."""

    pages: u16
    jited: Bits[u16, 1]
    gpl_compatible: Bits[u16, 1]
    sleepable: Bits[u16, 1]
    type: bpf_prog_type
    expected_attach_type: bpf_attach_type
    len: u32
    jited_len: u32
    _anon1: _bpf_prog_1
    stats: Ptr[bpf_prog_stats]
    active: Ptr[int_]
    aux: Ptr[bpf_prog_aux]


class bpf_prog_aux(Struct):
    """What is rarely needed of a program."""

    refcnt: atomic64_t
    used_map_cnt: u32
    max_ctx_offset: u32
    stack_depth: u32
    id: u32
    func_cnt: u32
    attach_btf_id: u32
    attach_func_name: Ptr[Const[char]]
    load_time: u64
    name: Array[char, 16]


class bpf_cpumask(Struct):
    """A CPU mask that programs may own."""

    cpumask: cpumask_t
    usage: refcount_t


class seq_operations(Struct):
    """How a sequence is walked."""

    start: Ptr[void]
    stop: Ptr[void]
    next: Ptr[void]
    show: Ptr[void]


class seq_file(Struct):
    """A file that is written line by line."""

    buf: Ptr[char]
    size: size_t
    from_: size_t
    count: size_t
    pad_until: size_t
    index: loff_t
    read_pos: loff_t
    lock: mutex
    op: Ptr[Const[seq_operations]]
    file: Ptr[Const[file]]
    private: Ptr[void]


class _bpf_iter_meta_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    seq: Ptr[seq_file]


class bpf_iter_meta(Struct):
    """What every seq iterator program gets."""

    _anon1: _bpf_iter_meta_1
    session_id: u64
    seq_num: u64


class _bpf_iter__task_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__task_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    task: Ptr[task_struct]


class bpf_iter__task(Struct):
    """Context of SEC("iter/task")."""

    _anon1: _bpf_iter__task_1
    _anon2: _bpf_iter__task_2


class _bpf_iter__task_file_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__task_file_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    task: Ptr[task_struct]


class _bpf_iter__task_file_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    file: Ptr[file]


class bpf_iter__task_file(Struct):
    """Context of SEC("iter/task_file")."""

    _anon1: _bpf_iter__task_file_1
    _anon2: _bpf_iter__task_file_2
    fd: u32
    _anon3: _bpf_iter__task_file_3


class _bpf_iter__task_vma_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__task_vma_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    task: Ptr[task_struct]


class _bpf_iter__task_vma_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    vma: Ptr[vm_area_struct]


class bpf_iter__task_vma(Struct):
    """Context of SEC("iter/task_vma")."""

    _anon1: _bpf_iter__task_vma_1
    _anon2: _bpf_iter__task_vma_2
    _anon3: _bpf_iter__task_vma_3


class _bpf_iter__bpf_map_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__bpf_map_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    map: Ptr[bpf_map]


class bpf_iter__bpf_map(Struct):
    """Context of SEC("iter/bpf_map")."""

    _anon1: _bpf_iter__bpf_map_1
    _anon2: _bpf_iter__bpf_map_2


class _bpf_iter__bpf_map_elem_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__bpf_map_elem_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    map: Ptr[bpf_map]


class _bpf_iter__bpf_map_elem_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    key: Ptr[void]


class _bpf_iter__bpf_map_elem_4(Struct, anonymous=True, union=True):
    """Without a name in C."""

    value: Ptr[void]


class bpf_iter__bpf_map_elem(Struct):
    """Context of SEC("iter/bpf_map_elem")."""

    _anon1: _bpf_iter__bpf_map_elem_1
    _anon2: _bpf_iter__bpf_map_elem_2
    _anon3: _bpf_iter__bpf_map_elem_3
    _anon4: _bpf_iter__bpf_map_elem_4


class _bpf_iter__bpf_prog_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__bpf_prog_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    prog: Ptr[bpf_prog]


class bpf_iter__bpf_prog(Struct):
    """Context of SEC("iter/bpf_prog")."""

    _anon1: _bpf_iter__bpf_prog_1
    _anon2: _bpf_iter__bpf_prog_2


class _bpf_iter__cgroup_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__cgroup_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    cgroup: Ptr[cgroup]


class bpf_iter__cgroup(Struct):
    """Context of SEC("iter/cgroup")."""

    _anon1: _bpf_iter__cgroup_1
    _anon2: _bpf_iter__cgroup_2


class _bpf_iter__kmem_cache_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__kmem_cache_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    s: Ptr[kmem_cache]


class bpf_iter__kmem_cache(Struct):
    """Context of SEC("iter/kmem_cache")."""

    _anon1: _bpf_iter__kmem_cache_1
    _anon2: _bpf_iter__kmem_cache_2


class _bpf_iter__dmabuf_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    meta: Ptr[bpf_iter_meta]


class _bpf_iter__dmabuf_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    dmabuf: Ptr[dma_buf]


class bpf_iter__dmabuf(Struct):
    """Context of SEC("iter/dmabuf")."""

    _anon1: _bpf_iter__dmabuf_1
    _anon2: _bpf_iter__dmabuf_2
