"""Contexts of networking programs as programs see them."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array
from bpfemu.proto.types import Ptr, Struct
from bpfemu.world.typedefs import __u8, __u32, __u64


class _sk_buff_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    flow_keys: Ptr[bpf_flow_keys]


class _sk_buff_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class __sk_buff(Struct):
    """A packet with its metadata."""

    len: __u32
    pkt_type: __u32
    mark: __u32
    queue_mapping: __u32
    protocol: __u32
    vlan_present: __u32
    vlan_tci: __u32
    vlan_proto: __u32
    priority: __u32
    ingress_ifindex: __u32
    ifindex: __u32
    tc_index: __u32
    cb: Array[__u32, 5]
    hash: __u32
    tc_classid: __u32
    data: __u32
    data_end: __u32
    napi_id: __u32
    family: __u32
    remote_ip4: __u32
    local_ip4: __u32
    remote_ip6: Array[__u32, 4]
    local_ip6: Array[__u32, 4]
    remote_port: __u32
    local_port: __u32
    data_meta: __u32
    _anon1: _sk_buff_1
    tstamp: __u64
    wire_len: __u32
    gso_segs: __u32
    _anon2: _sk_buff_2
    gso_size: __u32
    tstamp_type: __u8
    hwtstamp: __u64


class xdp_md(Struct):
    """A packet before the stack."""

    data: __u32
    data_end: __u32
    data_meta: __u32
    ingress_ifindex: __u32
    rx_queue_index: __u32
    egress_ifindex: __u32
