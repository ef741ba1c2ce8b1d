"""Packets, sockets and devices: the members that programs read."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, char, int_, short, uchar, uint, ulong, ushort
from bpfemu.proto.types import Ptr, Struct, u16, u32, void
from bpfemu.world.typedefs import __be16, __be32, __u8, __u16, __u32


class net_device(Struct):
    """A network device."""

    mtu: uint
    flags: uint
    ifindex: int_
    name: Array[char, 16]
    type: ushort


class net(Struct):
    """A network namespace."""

    ns: ns_common


class possible_net_t(Struct, tag=""):
    """The network namespace something belongs to."""

    net: Ptr[net]


class _sock_common_1_1(Struct, anonymous=True):
    """Without a name in C."""

    skc_daddr: __be32
    skc_rcv_saddr: __be32


class _sock_common_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _sock_common_1_1


class _sock_common_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    skc_hash: uint


class _sock_common_3_1(Struct, anonymous=True):
    """Without a name in C."""

    skc_dport: __be16
    skc_num: __u16


class _sock_common_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _sock_common_3_1


class sock_common(Struct):
    """What all sockets share."""

    _anon1: _sock_common_1
    _anon2: _sock_common_2
    _anon3: _sock_common_3
    skc_family: ushort
    skc_state: uchar
    skc_bound_dev_if: int_
    skc_net: possible_net_t
    skc_v6_daddr: in6_addr
    skc_v6_rcv_saddr: in6_addr
    skc_refcnt: refcount_t


class sock(Struct):
    """A socket."""

    __sk_common: sock_common
    sk_rcvbuf: int_
    sk_socket: Ptr[socket]
    sk_mark: u32
    sk_uid: kuid_t
    sk_protocol: u16
    sk_type: u16
    sk_sndbuf: int_


class socket(Struct):
    """A socket's file."""

    state: uint
    type: short
    flags: ulong
    file: Ptr[file]
    sk: Ptr[sock]


class sk_buff(Struct):
    """A packet."""

    dev: Ptr[net_device]
    sk: Ptr[sock]
    cb: Array[char, 48]
    len: uint
    data_len: uint
    mac_len: __u16
    hdr_len: __u16
    queue_mapping: __u16
    pkt_type: Bits[__u8, 3]
    ip_summed: Bits[__u8, 2]
    priority: __u32
    skb_iif: int_
    hash: __u32
    mark: __u32
    protocol: __be16
    transport_header: __u16
    network_header: __u16
    mac_header: __u16
    tail: uint
    end: uint
    head: Ptr[uchar]
    data: Ptr[uchar]
    truesize: uint
    users: refcount_t


class xdp_rxq_info(Struct):
    """The queue that a packet came from."""

    dev: Ptr[net_device]
    queue_index: u32
    reg_state: u32


class _xdp_buff_size(Struct, anonymous=True):
    """Without a name in C."""

    frame_sz: u32
    flags: u32


class xdp_buff(Struct):
    """A packet before the stack, as the kernel has it."""

    data: Ptr[void]
    data_end: Ptr[void]
    data_meta: Ptr[void]
    data_hard_start: Ptr[void]
    rxq: Ptr[xdp_rxq_info]
    txq: Ptr[xdp_txq_info]
    _anon1: _xdp_buff_size
