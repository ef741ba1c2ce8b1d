"""What the verifier knows of helpers beyond their prototypes, by number.

``bind`` reads ``returns`` to know what a register points at after the call; the gate's books read
``acquires`` and ``releases``.  Only helpers that return a pointer or move a reference are listed;
every other one returns a scalar.  Source: struct bpf_func_proto of each helper, Linux 6.18.
"""

from __future__ import annotations

from typing import Final

from bpfemu.record import dataclass

__all__ = ["HELPER_FACTS", "SCALAR", "HelperFact", "helper_fact"]


@dataclass(frozen=True, slots=True)
class HelperFact:
    """One helper.

    ``returns``: "scalar"; "map_value"; "mem" (of ``size_arg`` bytes); "btf:NAME", a pointer to
    ``struct NAME``; "sock", "sock_common", "tcp_sock"; "percpu"/"percpu_here": the per-CPU
    variable that the first argument names, on some or on this CPU; "dynptr_data"; "kptr": what
    the field held.  ``or_null``: it has to be tested before use.  ``trusted``: a trusted pointer.
    ``acquires``: the result is a reference of the program's.  ``releases``: the argument (from 0)
    whose reference goes, -1 for none.  ``size_arg``: the argument that is the size of the result.
    """

    returns: str = "scalar"
    or_null: bool = False
    trusted: bool = False
    acquires: str = ""  # what it is called in reports
    releases: int = -1
    size_arg: int = -1
    rdonly: bool = False


SCALAR: Final = HelperFact()

HELPER_FACTS: Final[dict[int, HelperFact]] = {
    1: HelperFact("map_value", or_null=True),  # map_lookup_elem
    35: SCALAR,  # get_current_task: an address, but a number to the verifier
    81: HelperFact("map_value"),  # get_local_storage
    84: HelperFact("sock", or_null=True, acquires="sock"),  # sk_lookup_tcp
    85: HelperFact("sock", or_null=True, acquires="sock"),  # sk_lookup_udp
    86: HelperFact(releases=0),  # sk_release
    95: HelperFact("sock", or_null=True),  # sk_fullsock
    96: HelperFact("tcp_sock", or_null=True),  # tcp_sock
    98: HelperFact("sock", or_null=True),  # get_listener_sock
    99: HelperFact("sock_common", or_null=True, acquires="sock_common"),  # skc_lookup_tcp
    107: HelperFact("map_value", or_null=True),  # sk_storage_get
    131: HelperFact("mem", or_null=True, acquires="ringbuf record", size_arg=1),  # ringbuf_reserve
    132: HelperFact(releases=0),  # ringbuf_submit
    133: HelperFact(releases=0),  # ringbuf_discard
    136: HelperFact("btf:tcp6_sock", or_null=True),  # skc_to_tcp6_sock
    137: HelperFact("btf:tcp_sock", or_null=True),  # skc_to_tcp_sock
    138: HelperFact("btf:tcp_timewait_sock", or_null=True),  # skc_to_tcp_timewait_sock
    139: HelperFact("btf:tcp_request_sock", or_null=True),  # skc_to_tcp_request_sock
    140: HelperFact("btf:udp6_sock", or_null=True),  # skc_to_udp6_sock
    145: HelperFact("map_value", or_null=True),  # inode_storage_get
    153: HelperFact("percpu", or_null=True, rdonly=True),  # per_cpu_ptr
    154: HelperFact("percpu_here", rdonly=True),  # this_cpu_ptr
    156: HelperFact("map_value", or_null=True),  # task_storage_get
    158: HelperFact("btf:task_struct", trusted=True),  # get_current_task_btf
    162: HelperFact("btf:socket", or_null=True),  # sock_from_file
    175: HelperFact("btf:pt_regs", trusted=True),  # task_pt_regs
    178: HelperFact("btf:unix_sock", or_null=True),  # skc_to_unix_sock
    194: HelperFact("kptr", or_null=True, acquires="kptr", releases=1),  # kptr_xchg
    195: HelperFact("map_value", or_null=True),  # map_lookup_percpu_elem
    196: HelperFact("btf:mptcp_sock", or_null=True),  # skc_to_mptcp_sock
    199: HelperFact(releases=0),  # ringbuf_submit_dynptr
    200: HelperFact(releases=0),  # ringbuf_discard_dynptr
    203: HelperFact("dynptr_data", or_null=True, size_arg=2),  # dynptr_data
    210: HelperFact("map_value", or_null=True),  # cgrp_storage_get
}


def helper_fact(number: int) -> HelperFact:
    """What is known of a helper; a scalar result where nothing is listed."""
    return HELPER_FACTS.get(number, SCALAR)
