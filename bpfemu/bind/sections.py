"""Which program a section's name declares: libbpf's SEC() table as data (notes, section 8.5)."""

from __future__ import annotations

from typing import Final

from bpfemu.record import dataclass

__all__ = [
    "ATTACH_TYPES",
    "PROG_TYPES",
    "TABLE",
    "SecDef",
    "Section",
    "find_section",
]

PROG_TYPES: Final = {
    "UNSPEC": 0,
    "SOCKET_FILTER": 1,
    "KPROBE": 2,
    "SCHED_CLS": 3,
    "SCHED_ACT": 4,
    "TRACEPOINT": 5,
    "XDP": 6,
    "PERF_EVENT": 7,
    "CGROUP_SKB": 8,
    "CGROUP_SOCK": 9,
    "LWT_IN": 10,
    "LWT_OUT": 11,
    "LWT_XMIT": 12,
    "SOCK_OPS": 13,
    "SK_SKB": 14,
    "CGROUP_DEVICE": 15,
    "SK_MSG": 16,
    "RAW_TRACEPOINT": 17,
    "CGROUP_SOCK_ADDR": 18,
    "LWT_SEG6LOCAL": 19,
    "LIRC_MODE2": 20,
    "SK_REUSEPORT": 21,
    "FLOW_DISSECTOR": 22,
    "CGROUP_SYSCTL": 23,
    "RAW_TRACEPOINT_WRITABLE": 24,
    "CGROUP_SOCKOPT": 25,
    "TRACING": 26,
    "STRUCT_OPS": 27,
    "EXT": 28,
    "LSM": 29,
    "SK_LOOKUP": 30,
    "SYSCALL": 31,
    "NETFILTER": 32,
}
"""BPF_PROG_TYPE_* that sections declare (include/uapi/linux/bpf.h)."""

ATTACH_TYPES: Final = {
    "CGROUP_INET_INGRESS": 0,
    "CGROUP_INET_EGRESS": 1,
    "CGROUP_INET_SOCK_CREATE": 2,
    "CGROUP_SOCK_OPS": 3,
    "SK_SKB_STREAM_PARSER": 4,
    "SK_SKB_STREAM_VERDICT": 5,
    "CGROUP_DEVICE": 6,
    "SK_MSG_VERDICT": 7,
    "CGROUP_INET4_BIND": 8,
    "CGROUP_INET6_BIND": 9,
    "CGROUP_INET4_CONNECT": 10,
    "CGROUP_INET6_CONNECT": 11,
    "CGROUP_INET4_POST_BIND": 12,
    "CGROUP_INET6_POST_BIND": 13,
    "CGROUP_UDP4_SENDMSG": 14,
    "CGROUP_UDP6_SENDMSG": 15,
    "LIRC_MODE2": 16,
    "FLOW_DISSECTOR": 17,
    "CGROUP_SYSCTL": 18,
    "CGROUP_UDP4_RECVMSG": 19,
    "CGROUP_UDP6_RECVMSG": 20,
    "CGROUP_GETSOCKOPT": 21,
    "CGROUP_SETSOCKOPT": 22,
    "TRACE_RAW_TP": 23,
    "TRACE_FENTRY": 24,
    "TRACE_FEXIT": 25,
    "MODIFY_RETURN": 26,
    "LSM_MAC": 27,
    "TRACE_ITER": 28,
    "CGROUP_INET4_GETPEERNAME": 29,
    "CGROUP_INET6_GETPEERNAME": 30,
    "CGROUP_INET4_GETSOCKNAME": 31,
    "CGROUP_INET6_GETSOCKNAME": 32,
    "XDP_DEVMAP": 33,
    "CGROUP_INET_SOCK_RELEASE": 34,
    "XDP_CPUMAP": 35,
    "SK_LOOKUP": 36,
    "XDP": 37,
    "SK_SKB_VERDICT": 38,
    "SK_REUSEPORT_SELECT": 39,
    "SK_REUSEPORT_SELECT_OR_MIGRATE": 40,
    "TRACE_KPROBE_MULTI": 42,
    "LSM_CGROUP": 43,
    "NETFILTER": 45,
    "TCX_INGRESS": 46,
    "TCX_EGRESS": 47,
    "TRACE_UPROBE_MULTI": 48,
    "CGROUP_UNIX_CONNECT": 49,
    "CGROUP_UNIX_SENDMSG": 50,
    "CGROUP_UNIX_RECVMSG": 51,
    "CGROUP_UNIX_GETPEERNAME": 52,
    "CGROUP_UNIX_GETSOCKNAME": 53,
    "NETKIT_PRIMARY": 54,
    "NETKIT_PEER": 55,
    "TRACE_KPROBE_SESSION": 56,
    "TRACE_UPROBE_SESSION": 57,
    "TRACE_FSESSION": 58,
    "TRACE_FENTRY_MULTI": 59,
    "TRACE_FEXIT_MULTI": 60,
    "TRACE_FSESSION_MULTI": 61,
}
"""BPF_* attach types that sections declare (include/uapi/linux/bpf.h)."""


@dataclass(frozen=True, slots=True)
class SecDef:
    """One row: ``prefix`` says that the name may go on after a slash."""

    name: str
    prefix: bool
    prog_type: str
    attach_type: str
    sleepable: bool = False
    attach_btf: bool = False  # the target is looked up in the kernel's BTF
    frags: bool = False  # XDP with fragments
    since: str = ""  # "newer": not in libbpf for 6.18


def _rows(text: str) -> tuple[SecDef, ...]:
    """Rows of ``name program-type attach-type flags``; a ``+`` ends names that go on."""
    found = []
    for line in text.strip().splitlines():
        name, prog, attach, *flags = line.split()
        found.append(
            SecDef(
                name.rstrip("+"),
                name.endswith("+"),
                prog,
                "" if attach == "-" else attach,
                "sleepable" in flags,
                "btf" in flags,
                "frags" in flags,
                "newer" if "newer" in flags else "",
            )
        )
    return tuple(found)


TABLE: Final = _rows("""
socket SOCKET_FILTER -
sk_reuseport/migrate SK_REUSEPORT SK_REUSEPORT_SELECT_OR_MIGRATE
sk_reuseport SK_REUSEPORT SK_REUSEPORT_SELECT
kprobe+ KPROBE -
uprobe+ KPROBE -
uprobe.s+ KPROBE - sleepable
kretprobe+ KPROBE -
uretprobe+ KPROBE -
uretprobe.s+ KPROBE - sleepable
kprobe.multi+ KPROBE TRACE_KPROBE_MULTI
kretprobe.multi+ KPROBE TRACE_KPROBE_MULTI
kprobe.session+ KPROBE TRACE_KPROBE_SESSION
uprobe.multi+ KPROBE TRACE_UPROBE_MULTI
uretprobe.multi+ KPROBE TRACE_UPROBE_MULTI
uprobe.session+ KPROBE TRACE_UPROBE_SESSION
uprobe.multi.s+ KPROBE TRACE_UPROBE_MULTI sleepable
uretprobe.multi.s+ KPROBE TRACE_UPROBE_MULTI sleepable
uprobe.session.s+ KPROBE TRACE_UPROBE_SESSION sleepable
ksyscall+ KPROBE -
kretsyscall+ KPROBE -
usdt+ KPROBE -
usdt.s+ KPROBE - sleepable
tc/ingress SCHED_CLS TCX_INGRESS
tc/egress SCHED_CLS TCX_EGRESS
tcx/ingress SCHED_CLS TCX_INGRESS
tcx/egress SCHED_CLS TCX_EGRESS
tc SCHED_CLS -
classifier SCHED_CLS -
action SCHED_ACT -
netkit/primary SCHED_CLS NETKIT_PRIMARY
netkit/peer SCHED_CLS NETKIT_PEER
tracepoint+ TRACEPOINT -
tp+ TRACEPOINT -
tracepoint.s+ TRACEPOINT - sleepable newer
tp.s+ TRACEPOINT - sleepable newer
raw_tracepoint+ RAW_TRACEPOINT -
raw_tp+ RAW_TRACEPOINT -
raw_tracepoint.s+ RAW_TRACEPOINT - sleepable newer
raw_tp.s+ RAW_TRACEPOINT - sleepable newer
raw_tracepoint.w+ RAW_TRACEPOINT_WRITABLE -
raw_tp.w+ RAW_TRACEPOINT_WRITABLE -
tp_btf+ TRACING TRACE_RAW_TP btf
tp_btf.s+ TRACING TRACE_RAW_TP sleepable btf newer
fentry+ TRACING TRACE_FENTRY btf
fmod_ret+ TRACING MODIFY_RETURN btf
fexit+ TRACING TRACE_FEXIT btf
fentry.s+ TRACING TRACE_FENTRY sleepable btf
fmod_ret.s+ TRACING MODIFY_RETURN sleepable btf
fexit.s+ TRACING TRACE_FEXIT sleepable btf
fsession+ TRACING TRACE_FSESSION btf newer
fsession.s+ TRACING TRACE_FSESSION sleepable btf newer
fsession.multi+ TRACING TRACE_FSESSION_MULTI newer
fsession.multi.s+ TRACING TRACE_FSESSION_MULTI sleepable newer
fentry.multi+ TRACING TRACE_FENTRY_MULTI newer
fexit.multi+ TRACING TRACE_FEXIT_MULTI newer
fentry.multi.s+ TRACING TRACE_FENTRY_MULTI sleepable newer
fexit.multi.s+ TRACING TRACE_FEXIT_MULTI sleepable newer
freplace+ EXT - btf
lsm+ LSM LSM_MAC btf
lsm.s+ LSM LSM_MAC sleepable btf
lsm_cgroup+ LSM LSM_CGROUP btf
iter+ TRACING TRACE_ITER btf
iter.s+ TRACING TRACE_ITER sleepable btf
syscall SYSCALL - sleepable
xdp.frags/devmap XDP XDP_DEVMAP frags
xdp/devmap XDP XDP_DEVMAP
xdp.frags/cpumap XDP XDP_CPUMAP frags
xdp/cpumap XDP XDP_CPUMAP
xdp.frags XDP XDP frags
xdp XDP XDP
perf_event PERF_EVENT -
lwt_in LWT_IN -
lwt_out LWT_OUT -
lwt_xmit LWT_XMIT -
lwt_seg6local LWT_SEG6LOCAL -
sockops SOCK_OPS CGROUP_SOCK_OPS
sk_skb/stream_parser SK_SKB SK_SKB_STREAM_PARSER
sk_skb/stream_verdict SK_SKB SK_SKB_STREAM_VERDICT
sk_skb/verdict SK_SKB SK_SKB_VERDICT
sk_skb SK_SKB -
sk_msg SK_MSG SK_MSG_VERDICT
lirc_mode2 LIRC_MODE2 LIRC_MODE2
flow_dissector FLOW_DISSECTOR FLOW_DISSECTOR
cgroup_skb/ingress CGROUP_SKB CGROUP_INET_INGRESS
cgroup_skb/egress CGROUP_SKB CGROUP_INET_EGRESS
cgroup/skb CGROUP_SKB -
cgroup/sock_create CGROUP_SOCK CGROUP_INET_SOCK_CREATE
cgroup/sock_release CGROUP_SOCK CGROUP_INET_SOCK_RELEASE
cgroup/sock CGROUP_SOCK CGROUP_INET_SOCK_CREATE
cgroup/post_bind4 CGROUP_SOCK CGROUP_INET4_POST_BIND
cgroup/post_bind6 CGROUP_SOCK CGROUP_INET6_POST_BIND
cgroup/bind4 CGROUP_SOCK_ADDR CGROUP_INET4_BIND
cgroup/bind6 CGROUP_SOCK_ADDR CGROUP_INET6_BIND
cgroup/connect4 CGROUP_SOCK_ADDR CGROUP_INET4_CONNECT
cgroup/connect6 CGROUP_SOCK_ADDR CGROUP_INET6_CONNECT
cgroup/connect_unix CGROUP_SOCK_ADDR CGROUP_UNIX_CONNECT
cgroup/sendmsg4 CGROUP_SOCK_ADDR CGROUP_UDP4_SENDMSG
cgroup/sendmsg6 CGROUP_SOCK_ADDR CGROUP_UDP6_SENDMSG
cgroup/sendmsg_unix CGROUP_SOCK_ADDR CGROUP_UNIX_SENDMSG
cgroup/recvmsg4 CGROUP_SOCK_ADDR CGROUP_UDP4_RECVMSG
cgroup/recvmsg6 CGROUP_SOCK_ADDR CGROUP_UDP6_RECVMSG
cgroup/recvmsg_unix CGROUP_SOCK_ADDR CGROUP_UNIX_RECVMSG
cgroup/getpeername4 CGROUP_SOCK_ADDR CGROUP_INET4_GETPEERNAME
cgroup/getpeername6 CGROUP_SOCK_ADDR CGROUP_INET6_GETPEERNAME
cgroup/getpeername_unix CGROUP_SOCK_ADDR CGROUP_UNIX_GETPEERNAME
cgroup/getsockname4 CGROUP_SOCK_ADDR CGROUP_INET4_GETSOCKNAME
cgroup/getsockname6 CGROUP_SOCK_ADDR CGROUP_INET6_GETSOCKNAME
cgroup/getsockname_unix CGROUP_SOCK_ADDR CGROUP_UNIX_GETSOCKNAME
cgroup/sysctl CGROUP_SYSCTL CGROUP_SYSCTL
cgroup/getsockopt CGROUP_SOCKOPT CGROUP_GETSOCKOPT
cgroup/setsockopt CGROUP_SOCKOPT CGROUP_SETSOCKOPT
cgroup/dev CGROUP_DEVICE CGROUP_DEVICE
struct_ops+ STRUCT_OPS -
struct_ops.s+ STRUCT_OPS - sleepable
sk_lookup SK_LOOKUP SK_LOOKUP
netfilter NETFILTER NETFILTER
""")
"""First match wins."""


@dataclass(frozen=True, slots=True)
class Section:
    """What a section's name says: numbers are the kernel's."""

    name: str  # without the leading "?"
    definition: SecDef
    prog_type: int  # BPF_PROG_TYPE_*
    attach_type: int  # BPF_*; 0 when there is none
    attach_to: str  # after the first "/"
    autoload: bool


def find_section(name: str) -> Section | None:
    """The row that a section's name matches; None where libbpf has none."""
    autoload = not name.startswith("?")
    bare = name if autoload else name[1:]
    for row in TABLE:
        if bare == row.name or (row.prefix and bare.startswith(row.name + "/")):
            target = bare[len(row.name) + 1 :]
            attach = ATTACH_TYPES[row.attach_type] if row.attach_type else 0
            return Section(bare, row, PROG_TYPES[row.prog_type], attach, target, autoload)
    return None
