"""Every program type of Linux 6.18 by number (BPF_PROG_TYPE_*, include/uapi/linux/bpf.h)."""

from __future__ import annotations

from typing import Final

__all__ = ["PROG_TYPE_NAMES", "PROG_TYPE_NUMBERS"]

PROG_TYPE_NAMES: Final = {
    0: "unspec",
    1: "socket_filter",
    2: "kprobe",
    3: "sched_cls",
    4: "sched_act",
    5: "tracepoint",
    6: "xdp",
    7: "perf_event",
    8: "cgroup_skb",
    9: "cgroup_sock",
    10: "lwt_in",
    11: "lwt_out",
    12: "lwt_xmit",
    13: "sock_ops",
    14: "sk_skb",
    15: "cgroup_device",
    16: "sk_msg",
    17: "raw_tracepoint",
    18: "cgroup_sock_addr",
    19: "lwt_seg6local",
    20: "lirc_mode2",
    21: "sk_reuseport",
    22: "flow_dissector",
    23: "cgroup_sysctl",
    24: "raw_tracepoint_writable",
    25: "cgroup_sockopt",
    26: "tracing",
    27: "struct_ops",
    28: "ext",
    29: "lsm",
    30: "sk_lookup",
    31: "syscall",
    32: "netfilter",
}
"""Names as bpftool prints them: the kernel's without BPF_PROG_TYPE_, in lower case."""

PROG_TYPE_NUMBERS: Final = {name: number for number, name in PROG_TYPE_NAMES.items()}
