"""Contexts of cgroup programs as programs see them."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array
from bpfemu.proto.types import Ptr, Struct, void
from bpfemu.world.typedefs import __s32, __u32, __u64


class _bpf_sock_ops_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    args: Array[__u32, 4]
    reply: __u32
    replylong: Array[__u32, 4]


class _bpf_sock_ops_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class _bpf_sock_ops_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    skb_data: Ptr[void]


class _bpf_sock_ops_4(Struct, anonymous=True, union=True):
    """Without a name in C."""

    skb_data_end: Ptr[void]


class bpf_sock_ops(Struct):
    """Events of a TCP connection."""

    op: __u32
    _anon1: _bpf_sock_ops_1
    family: __u32
    remote_ip4: __u32
    local_ip4: __u32
    remote_ip6: Array[__u32, 4]
    local_ip6: Array[__u32, 4]
    remote_port: __u32
    local_port: __u32
    is_fullsock: __u32
    snd_cwnd: __u32
    srtt_us: __u32
    bpf_sock_ops_cb_flags: __u32
    state: __u32
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
    sk_txhash: __u32
    bytes_received: __u64
    bytes_acked: __u64
    _anon2: _bpf_sock_ops_2
    _anon3: _bpf_sock_ops_3
    _anon4: _bpf_sock_ops_4
    skb_len: __u32
    skb_tcp_flags: __u32
    skb_hwtstamp: __u64


class bpf_sysctl(Struct):
    """An access to a sysctl."""

    write: __u32
    file_pos: __u32


class _bpf_sockopt_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sk: Ptr[bpf_sock]


class _bpf_sockopt_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    optval: Ptr[void]


class _bpf_sockopt_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    optval_end: Ptr[void]


class bpf_sockopt(Struct):
    """A getsockopt or setsockopt."""

    _anon1: _bpf_sockopt_1
    _anon2: _bpf_sockopt_2
    _anon3: _bpf_sockopt_3
    level: __s32
    optname: __s32
    optlen: __s32
    retval: __s32


class bpf_cgroup_dev_ctx(Struct):
    """An access to a device."""

    access_type: __u32
    major: __u32
    minor: __u32
