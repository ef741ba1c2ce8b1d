"""Contexts of socket programs as programs see them."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array
from bpfemu.proto.types import Ptr, Struct, void
from bpfemu.world.typedefs import __be16, __be32, __s32, __u32, __u64


class bpf_sock(Struct):
    """A socket."""

    bound_dev_if: __u32
    family: __u32
    type: __u32
    protocol: __u32
    mark: __u32
    priority: __u32
    src_ip4: __u32
    src_ip6: Array[__u32, 4]
    src_port: __u32
    dst_port: __be16
    dst_ip4: __u32
    dst_ip6: Array[__u32, 4]
    state: __u32
    rx_queue_mapping: __s32


class bpf_tcp_sock(Struct):
    """A TCP socket."""

    snd_cwnd: __u32
    srtt_us: __u32
    rtt_min: __u32
    snd_ssthresh: __u32
    rcv_nxt: __u32
    snd_nxt: __u32
    snd_una: __u32
    mss_cache: __u32
    ecn_flags: __u32
    rate_delivered: __u32
    rate_interval_us: __u32
    packets_out: __u32
    retrans_out: __u32
    total_retrans: __u32
    segs_in: __u32
    data_segs_in: __u32
    segs_out: __u32
    data_segs_out: __u32
    lost_out: __u32
    sacked_out: __u32
    bytes_received: __u64
    bytes_acked: __u64
    dsack_dups: __u32
    delivered: __u32
    delivered_ce: __u32
    icsk_retransmits: __u32


class _bpf_sock_tuple_1_ipv4(Struct, anonymous=True):
    """Without a name in C."""

    saddr: __be32
    daddr: __be32
    sport: __be16
    dport: __be16


class _bpf_sock_tuple_1_ipv6(Struct, anonymous=True):
    """Without a name in C."""

    saddr: Array[__be32, 4]
    daddr: Array[__be32, 4]
    sport: __be16
    dport: __be16


class _bpf_sock_tuple_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ipv4: _bpf_sock_tuple_1_ipv4
    ipv6: _bpf_sock_tuple_1_ipv6


class bpf_sock_tuple(Struct):
    """A connection's addresses and ports."""

    _anon1: _bpf_sock_tuple_1


class _bpf_sock_addr_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class bpf_sock_addr(Struct):
    """Addresses of bind, connect, sendmsg, recvmsg."""

    user_family: __u32
    user_ip4: __u32
    user_ip6: Array[__u32, 4]
    user_port: __u32
    family: __u32
    type: __u32
    protocol: __u32
    msg_src_ip4: __u32
    msg_src_ip6: Array[__u32, 4]
    _anon1: _bpf_sock_addr_1


class _sk_msg_md_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    data: Ptr[void]


class _sk_msg_md_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    data_end: Ptr[void]


class _sk_msg_md_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class sk_msg_md(Struct):
    """A message on a socket."""

    _anon1: _sk_msg_md_1
    _anon2: _sk_msg_md_2
    family: __u32
    remote_ip4: __u32
    local_ip4: __u32
    remote_ip6: Array[__u32, 4]
    local_ip6: Array[__u32, 4]
    remote_port: __u32
    local_port: __u32
    size: __u32
    _anon3: _sk_msg_md_3


class _sk_reuseport_md_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    data: Ptr[void]


class _sk_reuseport_md_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    data_end: Ptr[void]


class _sk_reuseport_md_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class _sk_reuseport_md_4(Struct, anonymous=True, union=True):
    """Without a name in C."""

    migrating_sk: Ptr[bpf_sock]


class sk_reuseport_md(Struct):
    """A packet looking for its reuseport socket."""

    _anon1: _sk_reuseport_md_1
    _anon2: _sk_reuseport_md_2
    len: __u32
    eth_protocol: __u32
    ip_protocol: __u32
    bind_inany: __u32
    hash: __u32
    _anon3: _sk_reuseport_md_3
    _anon4: _sk_reuseport_md_4


class _bpf_sk_lookup_1_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class _bpf_sk_lookup_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _bpf_sk_lookup_1_1
    cookie: __u64


class bpf_sk_lookup(Struct):
    """A packet looking for its socket."""

    _anon1: _bpf_sk_lookup_1
    family: __u32
    protocol: __u32
    remote_ip4: __u32
    remote_ip6: Array[__u32, 4]
    remote_port: __be16
    local_ip4: __u32
    local_ip6: Array[__u32, 4]
    local_port: __u32
    ingress_ifindex: __u32
