"""Headers of packets, addresses of sockets."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array, Bits, char, uchar, ushort
from bpfemu.proto.types import Struct
from bpfemu.world.typedefs import (
    __be16,
    __be32,
    __kernel_sa_family_t,
    __sum16,
    __u8,
    __u16,
    __u32,
    sa_family_t,
)


class ethhdr(Struct):
    """Ethernet header."""

    h_dest: Array[uchar, 6]
    h_source: Array[uchar, 6]
    h_proto: __be16


class _iphdr_1_1(Struct, anonymous=True):
    """Without a name in C."""

    saddr: __be32
    daddr: __be32


class _iphdr_1_addrs(Struct, anonymous=True):
    """Without a name in C."""

    saddr: __be32
    daddr: __be32


class _iphdr_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _iphdr_1_1
    addrs: _iphdr_1_addrs


class iphdr(Struct):
    """IPv4 header."""

    ihl: Bits[__u8, 4]
    version: Bits[__u8, 4]
    tos: __u8
    tot_len: __be16
    id: __be16
    frag_off: __be16
    ttl: __u8
    protocol: __u8
    check: __sum16
    _anon1: _iphdr_1


class _in6_addr_in6_u(Struct, anonymous=True, union=True):
    """Without a name in C."""

    u6_addr8: Array[__u8, 16]
    u6_addr16: Array[__be16, 8]
    u6_addr32: Array[__be32, 4]


class in6_addr(Struct):
    """An IPv6 address."""

    in6_u: _in6_addr_in6_u


class _ipv6hdr_1_1(Struct, anonymous=True):
    """Without a name in C."""

    saddr: in6_addr
    daddr: in6_addr


class _ipv6hdr_1_addrs(Struct, anonymous=True):
    """Without a name in C."""

    saddr: in6_addr
    daddr: in6_addr


class _ipv6hdr_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _ipv6hdr_1_1
    addrs: _ipv6hdr_1_addrs


class ipv6hdr(Struct):
    """IPv6 header."""

    priority: Bits[__u8, 4]
    version: Bits[__u8, 4]
    flow_lbl: Array[__u8, 3]
    payload_len: __be16
    nexthdr: __u8
    hop_limit: __u8
    _anon1: _ipv6hdr_1


class tcphdr(Struct):
    """TCP header."""

    source: __be16
    dest: __be16
    seq: __be32
    ack_seq: __be32
    ae: Bits[__u16, 1]
    res1: Bits[__u16, 3]
    doff: Bits[__u16, 4]
    fin: Bits[__u16, 1]
    syn: Bits[__u16, 1]
    rst: Bits[__u16, 1]
    psh: Bits[__u16, 1]
    ack: Bits[__u16, 1]
    urg: Bits[__u16, 1]
    ece: Bits[__u16, 1]
    cwr: Bits[__u16, 1]
    window: __be16
    check: __sum16
    urg_ptr: __be16


class udphdr(Struct):
    """UDP header."""

    source: __be16
    dest: __be16
    len: __be16
    check: __sum16


class _icmphdr_un_echo(Struct, anonymous=True):
    """Without a name in C."""

    id: __be16
    sequence: __be16


class _icmphdr_un_frag(Struct, anonymous=True):
    """Without a name in C."""

    __unused: __be16
    mtu: __be16


class _icmphdr_un(Struct, anonymous=True, union=True):
    """Without a name in C."""

    echo: _icmphdr_un_echo
    gateway: __be32
    frag: _icmphdr_un_frag
    reserved: Array[__u8, 4]


class icmphdr(Struct):
    """ICMP header."""

    type: __u8
    code: __u8
    checksum: __sum16
    un: _icmphdr_un


class vlan_hdr(Struct):
    """VLAN header."""

    h_vlan_TCI: __be16
    h_vlan_encapsulated_proto: __be16


class in_addr(Struct):
    """An IPv4 address."""

    s_addr: __be32


class _sockaddr_1_1_empty_sa_data(Struct, anonymous=True):
    """Without a name in C."""


class _sockaddr_1_1(Struct, anonymous=True):
    """Without a name in C."""

    __empty_sa_data: _sockaddr_1_1_empty_sa_data
    sa_data: Array[char, 0]


class _sockaddr_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    sa_data_min: Array[char, 14]
    _anon1: _sockaddr_1_1


class sockaddr(Struct):
    """A socket address."""

    sa_family: sa_family_t
    _anon1: _sockaddr_1


class sockaddr_in(Struct):
    """An IPv4 socket address."""

    sin_family: __kernel_sa_family_t
    sin_port: __be16
    sin_addr: in_addr
    __pad: Array[uchar, 8]


class sockaddr_in6(Struct):
    """An IPv6 socket address."""

    sin6_family: ushort
    sin6_port: __be16
    sin6_flowinfo: __be32
    sin6_addr: in6_addr
    sin6_scope_id: __u32
