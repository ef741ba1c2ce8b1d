"""Address spaces: mm_struct and vm_area_struct."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Const, int_, uint, ulong
from bpfemu.proto.types import Ptr, Struct, void
from bpfemu.world.typedefs import pgdval_t, pgprotval_t, vm_flags_t


class pgd_t(Struct, tag=""):
    """A page table's top entry."""

    pgd: pgdval_t


class pgprot_t(Struct, tag="pgprot"):
    """Protection bits of a page table entry."""

    pgprot: pgprotval_t


class mm_flags_t(Struct, tag=""):
    """MMF_* bits."""

    __mm_flags: Array[ulong, 1]


class _mm_struct_1_1(Struct, anonymous=True):
    """Without a name in C."""

    mm_count: atomic_t


class _mm_struct_1(Struct, anonymous=True):
    """Without a name in C."""

    _anon1: _mm_struct_1_1
    mm_mt: maple_tree
    mmap_base: ulong
    mmap_legacy_base: ulong
    task_size: ulong
    pgd: Ptr[pgd_t]
    membarrier_state: atomic_t
    mm_users: atomic_t
    pgtables_bytes: atomic_long_t
    map_count: int_
    page_table_lock: spinlock_t
    mmap_lock: rw_semaphore
    mmlist: list_head
    vma_writer_wait: rcuwait
    mm_lock_seq: seqcount_t
    hiwater_rss: ulong
    hiwater_vm: ulong
    total_vm: ulong
    locked_vm: ulong
    pinned_vm: atomic64_t
    data_vm: ulong
    exec_vm: ulong
    stack_vm: ulong
    def_flags: vm_flags_t
    arg_lock: spinlock_t
    start_code: ulong
    end_code: ulong
    start_data: ulong
    end_data: ulong
    start_brk: ulong
    brk: ulong
    start_stack: ulong
    arg_start: ulong
    arg_end: ulong
    env_start: ulong
    env_end: ulong
    saved_auxv: Array[ulong, 56]
    rss_stat: Array[percpu_counter, 4]
    binfmt: Ptr[linux_binfmt]
    flags: mm_flags_t
    ioctx_lock: spinlock_t
    owner: Ptr[task_struct]
    user_ns: Ptr[user_namespace]
    exe_file: Ptr[file]
    tlb_flush_pending: atomic_t
    async_put_work: work_struct


class mm_struct(Struct):
    """An address space."""

    _anon1: _mm_struct_1


class vm_userfaultfd_ctx(Struct):
    """The userfaultfd of a VMA."""

    ctx: Ptr[userfaultfd_ctx]


class _vm_area_struct_1_1(Struct, anonymous=True):
    """Without a name in C."""

    vm_start: ulong
    vm_end: ulong


class _vm_area_struct_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _vm_area_struct_1_1
    vm_freeptr: freeptr_t


class _vm_area_struct_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    vm_flags: vm_flags_t
    __vm_flags: vm_flags_t


class _vm_area_struct_shared(Struct, anonymous=True):
    """Without a name in C."""

    rb: rb_node
    rb_subtree_last: ulong


class vm_area_struct(Struct):
    """A mapped range of an address space."""

    _anon1: _vm_area_struct_1
    vm_mm: Ptr[mm_struct]
    vm_page_prot: pgprot_t
    _anon2: _vm_area_struct_2
    vm_lock_seq: uint
    anon_vma_chain: list_head
    anon_vma: Ptr[anon_vma]
    vm_ops: Ptr[Const[vm_operations_struct]]
    vm_pgoff: ulong
    vm_file: Ptr[file]
    vm_private_data: Ptr[void]
    swap_readahead_info: atomic_long_t
    vm_policy: Ptr[mempolicy]
    numab_state: Ptr[vma_numab_state]
    vm_refcnt: refcount_t
    shared: _vm_area_struct_shared
    vm_userfaultfd_ctx: vm_userfaultfd_ctx
