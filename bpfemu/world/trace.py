"""Registers and trace events."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, Const, char, int_, long_, uchar, ulong, ushort
from bpfemu.proto.types import Ptr, Struct, u16, u32, u64
from bpfemu.world.typedefs import __u64, pid_t


class _pt_regs_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    cs: u16
    csx: u64
    fred_cs: fred_cs


class _pt_regs_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ss: u16
    ssx: u64
    fred_ss: fred_ss


class pt_regs(Struct):
    """Registers of an interrupted context (x86-64)."""

    r15: ulong
    r14: ulong
    r13: ulong
    r12: ulong
    bp: ulong
    bx: ulong
    r11: ulong
    r10: ulong
    r9: ulong
    r8: ulong
    ax: ulong
    cx: ulong
    dx: ulong
    si: ulong
    di: ulong
    orig_ax: ulong
    ip: ulong
    _anon1: _pt_regs_1
    flags: ulong
    sp: ulong
    _anon2: _pt_regs_2


class fred_cs(Struct):
    """Code segment with FRED's event data."""

    cs: Bits[u64, 16]
    sl: Bits[u64, 2]
    wfe: Bits[u64, 1]


class fred_ss(Struct):
    """Stack segment with FRED's event data."""

    ss: Bits[u64, 16]
    sti: Bits[u64, 1]
    swevent: Bits[u64, 1]
    nmi: Bits[u64, 1]
    vector: Bits[u64, 8]
    type: Bits[u64, 4]
    enclave: Bits[u64, 1]
    lm: Bits[u64, 1]
    nested: Bits[u64, 1]
    insnlen: Bits[u64, 4]


class trace_entry(Struct):
    """What every trace event starts with."""

    type: ushort
    flags: uchar
    preempt_count: uchar
    pid: int_


class trace_event_raw_sys_enter(Struct):
    """Event sys_enter."""

    ent: trace_entry
    id: long_
    args: Array[ulong, 6]
    __data: Array[char, 0]


class trace_event_raw_sys_exit(Struct):
    """Event sys_exit."""

    ent: trace_entry
    id: long_
    ret: long_
    __data: Array[char, 0]


class trace_event_raw_sched_switch(Struct):
    """Event sched_switch."""

    ent: trace_entry
    prev_comm: Array[char, 16]
    prev_pid: pid_t
    prev_prio: int_
    prev_state: long_
    next_comm: Array[char, 16]
    next_pid: pid_t
    next_prio: int_
    __data: Array[char, 0]


class trace_event_raw_sched_wakeup_template(Struct):
    """Event sched_wakeup and its like."""

    ent: trace_entry
    comm: Array[char, 16]
    pid: pid_t
    prio: int_
    target_cpu: int_
    __data: Array[char, 0]


class trace_event_raw_sched_process_exec(Struct):
    """Event sched_process_exec."""

    ent: trace_entry
    __data_loc_filename: u32
    pid: pid_t
    old_pid: pid_t
    __data: Array[char, 0]


class trace_event_raw_sched_process_fork(Struct):
    """Event sched_process_fork."""

    ent: trace_entry
    __data_loc_parent_comm: u32
    parent_pid: pid_t
    __data_loc_child_comm: u32
    child_pid: pid_t
    __data: Array[char, 0]


class trace_event_raw_sched_process_template(Struct):
    """Event sched_process_exit and its like."""

    ent: trace_entry
    __data_loc_comm: u32
    pid: pid_t
    prio: int_
    __data: Array[char, 0]


class bpf_perf_event_data(Struct):
    """Context of perf event programs."""

    regs: bpf_user_pt_regs_t
    sample_period: __u64
    addr: __u64


class linux_binprm(Struct):
    """A program being executed."""

    file: Ptr[file]
    cred: Ptr[cred]
    argc: int_
    envc: int_
    filename: Ptr[Const[char]]
    interp: Ptr[Const[char]]


class bpf_user_pt_regs_t(pt_regs):
    """Registers as perf event and kprobe programs see them."""


class perf_sample_data(Struct):
    """What a perf event sampled."""

    sample_flags: u64
    period: u64
    type: u64
    time: u64
    id: u64
    ip: u64
    addr: u64


class bpf_perf_event_data_kern(Struct):
    """Context of perf event programs, as the kernel has it."""

    regs: Ptr[bpf_user_pt_regs_t]
    data: Ptr[perf_sample_data]
    event: Ptr[perf_event]
