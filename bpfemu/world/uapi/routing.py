"""What helpers for routing take."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Array
from bpfemu.proto.types import Struct
from bpfemu.world.typedefs import __be16, __be32, __u8, __u16, __u32


class _bpf_flow_keys_1_1(Struct, anonymous=True):
    """Without a name in C."""

    ipv4_src: __be32
    ipv4_dst: __be32


class _bpf_flow_keys_1_2(Struct, anonymous=True):
    """Without a name in C."""

    ipv6_src: Array[__u32, 4]
    ipv6_dst: Array[__u32, 4]


class _bpf_flow_keys_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _bpf_flow_keys_1_1
    _anon2: _bpf_flow_keys_1_2


class bpf_flow_keys(Struct):
    """What a flow dissector fills in."""

    nhoff: __u16
    thoff: __u16
    addr_proto: __u16
    is_frag: __u8
    is_first_frag: __u8
    is_encap: __u8
    ip_proto: __u8
    n_proto: __be16
    sport: __be16
    dport: __be16
    _anon1: _bpf_flow_keys_1
    flags: __u32
    flow_label: __be32


class _bpf_fib_lookup_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    tot_len: __u16
    mtu_result: __u16


class _bpf_fib_lookup_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    tos: __u8
    flowinfo: __be32
    rt_metric: __u32


class _bpf_fib_lookup_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ipv4_src: __be32
    ipv6_src: Array[__u32, 4]


class _bpf_fib_lookup_4(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ipv4_dst: __be32
    ipv6_dst: Array[__u32, 4]


class _bpf_fib_lookup_5_1(Struct, anonymous=True):
    """Without a name in C."""

    h_vlan_proto: __be16
    h_vlan_TCI: __be16


class _bpf_fib_lookup_5(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _bpf_fib_lookup_5_1
    tbid: __u32


class _bpf_fib_lookup_6_1(Struct, anonymous=True):
    """Without a name in C."""

    mark: __u32


class _bpf_fib_lookup_6_2(Struct, anonymous=True):
    """Without a name in C."""

    smac: Array[__u8, 6]
    dmac: Array[__u8, 6]


class _bpf_fib_lookup_6(Struct, anonymous=True, union=True):
    """Without a name in C."""

    _anon1: _bpf_fib_lookup_6_1
    _anon2: _bpf_fib_lookup_6_2


class bpf_fib_lookup(Struct):
    """Question to and answer of the routing table."""

    family: __u8
    l4_protocol: __u8
    sport: __be16
    dport: __be16
    _anon1: _bpf_fib_lookup_1
    ifindex: __u32
    _anon2: _bpf_fib_lookup_2
    _anon3: _bpf_fib_lookup_3
    _anon4: _bpf_fib_lookup_4
    _anon5: _bpf_fib_lookup_5
    _anon6: _bpf_fib_lookup_6


class _bpf_redir_neigh_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    ipv4_nh: __be32
    ipv6_nh: Array[__u32, 4]


class bpf_redir_neigh(Struct):
    """Next hop of bpf_redirect_neigh."""

    nh_family: __u32
    _anon1: _bpf_redir_neigh_1


class _bpf_tunnel_key_1(Struct, anonymous=True, union=True):
    """Without a name in C."""

    remote_ipv4: __u32
    remote_ipv6: Array[__u32, 4]


class _bpf_tunnel_key_2(Struct, anonymous=True, union=True):
    """Without a name in C."""

    tunnel_ext: __u16
    tunnel_flags: __be16


class _bpf_tunnel_key_3(Struct, anonymous=True, union=True):
    """Without a name in C."""

    local_ipv4: __u32
    local_ipv6: Array[__u32, 4]


class bpf_tunnel_key(Struct):
    """Metadata of a tunnel."""

    tunnel_id: __u32
    _anon1: _bpf_tunnel_key_1
    tunnel_tos: __u8
    tunnel_ttl: __u8
    _anon2: _bpf_tunnel_key_2
    tunnel_label: __u32
    _anon3: _bpf_tunnel_key_3
