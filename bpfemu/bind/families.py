"""Program types → the kfunc hooks they use and the helper families they belong to."""

from __future__ import annotations

from functools import cache
from typing import Final

from bpfemu.bind.sections import PROG_TYPES

__all__ = ["families_of", "hooks_of"]

_HOOKS: Final = {
    "xdp": "XDP",
    "tc": "SCHED_CLS",
    "struct_ops": "STRUCT_OPS",
    "tracing": "TRACING TRACEPOINT PERF_EVENT LSM",
    "syscall": "SYSCALL",
    "cgroup": "CGROUP_SKB CGROUP_SOCK CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SOCKOPT CGROUP_SYSCTL"
    " SOCK_OPS",
    "sched_act": "SCHED_ACT",
    "sk_skb": "SK_SKB",
    "socket_filter": "SOCKET_FILTER",
    "netfilter": "NETFILTER",
    "kprobe": "KPROBE",
    "lwt": "LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL",
}
"""kfunc hook → program types (notes, section 9.1); every type has the hook "common" too."""

_FAMILIES: Final = {
    "tracing": "KPROBE TRACEPOINT PERF_EVENT RAW_TRACEPOINT RAW_TRACEPOINT_WRITABLE TRACING LSM",
    "lsm": "LSM",
    "skb": "SOCKET_FILTER SCHED_CLS SCHED_ACT CGROUP_SKB LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL"
    " SK_SKB FLOW_DISSECTOR",
    "tc": "SCHED_CLS SCHED_ACT",
    "lwt": "LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL",
    "cgroup": "CGROUP_SKB CGROUP_SOCK CGROUP_DEVICE CGROUP_SOCK_ADDR CGROUP_SOCKOPT CGROUP_SYSCTL",
    "net": "SOCKET_FILTER SCHED_CLS SCHED_ACT CGROUP_SKB LWT_IN LWT_OUT LWT_XMIT LWT_SEG6LOCAL"
    " SK_SKB FLOW_DISSECTOR XDP SK_MSG SOCK_OPS SK_LOOKUP SK_REUSEPORT CGROUP_SOCK"
    " CGROUP_SOCK_ADDR NETFILTER",
}
"""Helper family → program types; each type is a family of its own name too."""


def _names(table: dict[str, str], number: int) -> set[str]:
    types = {name for name, code in PROG_TYPES.items() if code == number}
    return {word for word, members in table.items() if types & set(members.split())}


@cache
def hooks_of(prog_type: int) -> frozenset[str]:
    """The kfunc hooks that a program of this type uses."""
    return frozenset({"common"} | _names(_HOOKS, prog_type))


@cache
def families_of(prog_type: int) -> frozenset[str]:
    """The helper families that a program type belongs to."""
    own = {name.lower() for name, code in PROG_TYPES.items() if code == prog_type}
    return frozenset(own | _names(_FAMILIES, prog_type))
