"""Flags of networking helpers."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Enumeration


class bpf_skb_store_flags(Enumeration, name=""):
    """Flags of bpf_skb_store_bytes."""

    BPF_F_RECOMPUTE_CSUM = 1
    BPF_F_INVALIDATE_HASH = 2


class bpf_csum_field(Enumeration, name=""):
    """Field size in checksum flags."""

    BPF_F_HDR_FIELD_MASK = 15


class bpf_csum_flags(Enumeration, name=""):
    """Flags of bpf_l4_csum_replace."""

    BPF_F_PSEUDO_HDR = 16
    BPF_F_MARK_MANGLED_0 = 32
    BPF_F_MARK_ENFORCE = 64
    BPF_F_IPV6 = 128


class bpf_redirect_flags(Enumeration, name=""):
    """Direction of redirects."""

    BPF_F_INGRESS = 1
    BPF_F_BROADCAST = 8
    BPF_F_EXCLUDE_INGRESS = 16


class bpf_tunnel_flags(Enumeration, name=""):
    """Flags of bpf_skb_set_tunnel_key."""

    BPF_F_ZERO_CSUM_TX = 2
    BPF_F_DONT_FRAGMENT = 4
    BPF_F_SEQ_NUMBER = 8
    BPF_F_NO_TUNNEL_KEY = 16


class bpf_netns(Enumeration, name=""):
    """The current network namespace."""

    BPF_F_CURRENT_NETNS = -1


class bpf_csum_level(Enumeration, name=""):
    """Levels of bpf_csum_level."""

    BPF_CSUM_LEVEL_QUERY = 0
    BPF_CSUM_LEVEL_INC = 1
    BPF_CSUM_LEVEL_DEC = 2
    BPF_CSUM_LEVEL_RESET = 3


class bpf_adj_room_flags(Enumeration, name=""):
    """Flags of bpf_skb_adjust_room."""

    BPF_F_ADJ_ROOM_FIXED_GSO = 1
    BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 2
    BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 4
    BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 8
    BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 16
    BPF_F_ADJ_ROOM_NO_CSUM_RESET = 32
    BPF_F_ADJ_ROOM_ENCAP_L2_ETH = 64
    BPF_F_ADJ_ROOM_DECAP_L3_IPV4 = 128
    BPF_F_ADJ_ROOM_DECAP_L3_IPV6 = 256


class bpf_adj_room_mode(Enumeration):
    """Modes of bpf_skb_adjust_room."""

    BPF_ADJ_ROOM_NET = 0
    BPF_ADJ_ROOM_MAC = 1


class bpf_hdr_start_off(Enumeration):
    """What offsets count from."""

    BPF_HDR_START_MAC = 0
    BPF_HDR_START_NET = 1


class bpf_fib_flags(Enumeration, name=""):
    """Flags of bpf_fib_lookup."""

    BPF_FIB_LOOKUP_DIRECT = 1
    BPF_FIB_LOOKUP_OUTPUT = 2
    BPF_FIB_LOOKUP_SKIP_NEIGH = 4
    BPF_FIB_LOOKUP_TBID = 8
    BPF_FIB_LOOKUP_SRC = 16
    BPF_FIB_LOOKUP_MARK = 32


class bpf_fib_result(Enumeration, name=""):
    """What bpf_fib_lookup returns."""

    BPF_FIB_LKUP_RET_SUCCESS = 0
    BPF_FIB_LKUP_RET_BLACKHOLE = 1
    BPF_FIB_LKUP_RET_UNREACHABLE = 2
    BPF_FIB_LKUP_RET_PROHIBIT = 3
    BPF_FIB_LKUP_RET_NOT_FWDED = 4
    BPF_FIB_LKUP_RET_FWD_DISABLED = 5
    BPF_FIB_LKUP_RET_UNSUPP_LWT = 6
    BPF_FIB_LKUP_RET_NO_NEIGH = 7
    BPF_FIB_LKUP_RET_FRAG_NEEDED = 8
    BPF_FIB_LKUP_RET_NO_SRC_ADDR = 9


class bpf_check_mtu_flags(Enumeration):
    """Flags of bpf_check_mtu."""

    BPF_MTU_CHK_SEGS = 1


class bpf_check_mtu_ret(Enumeration):
    """What bpf_check_mtu returns."""

    BPF_MTU_CHK_RET_SUCCESS = 0
    BPF_MTU_CHK_RET_FRAG_NEEDED = 1
    BPF_MTU_CHK_RET_SEGS_TOOBIG = 2


class bpf_sock_ops_cb(Enumeration, name=""):
    """Callback flags of sock_ops."""

    BPF_SOCK_OPS_RTO_CB_FLAG = 1
    BPF_SOCK_OPS_RETRANS_CB_FLAG = 2
    BPF_SOCK_OPS_STATE_CB_FLAG = 4
    BPF_SOCK_OPS_RTT_CB_FLAG = 8
    BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG = 16
    BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG = 32
    BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG = 64
    BPF_SOCK_OPS_ALL_CB_FLAGS = 127


class bpf_sock_ops_op(Enumeration, name=""):
    """Operations of sock_ops."""

    BPF_SOCK_OPS_VOID = 0
    BPF_SOCK_OPS_TIMEOUT_INIT = 1
    BPF_SOCK_OPS_RWND_INIT = 2
    BPF_SOCK_OPS_TCP_CONNECT_CB = 3
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB = 4
    BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5
    BPF_SOCK_OPS_NEEDS_ECN = 6
    BPF_SOCK_OPS_BASE_RTT = 7
    BPF_SOCK_OPS_RTO_CB = 8
    BPF_SOCK_OPS_RETRANS_CB = 9
    BPF_SOCK_OPS_STATE_CB = 10
    BPF_SOCK_OPS_TCP_LISTEN_CB = 11
    BPF_SOCK_OPS_RTT_CB = 12
    BPF_SOCK_OPS_PARSE_HDR_OPT_CB = 13
    BPF_SOCK_OPS_HDR_OPT_LEN_CB = 14
    BPF_SOCK_OPS_WRITE_HDR_OPT_CB = 15
    BPF_SOCK_OPS_TSTAMP_SCHED_CB = 16
    BPF_SOCK_OPS_TSTAMP_SND_SW_CB = 17
    BPF_SOCK_OPS_TSTAMP_SND_HW_CB = 18
    BPF_SOCK_OPS_TSTAMP_ACK_CB = 19
    BPF_SOCK_OPS_TSTAMP_SENDMSG_CB = 20


class bpf_tcp_state(Enumeration, name=""):
    """States of a TCP socket."""

    BPF_TCP_ESTABLISHED = 1
    BPF_TCP_SYN_SENT = 2
    BPF_TCP_SYN_RECV = 3
    BPF_TCP_FIN_WAIT1 = 4
    BPF_TCP_FIN_WAIT2 = 5
    BPF_TCP_TIME_WAIT = 6
    BPF_TCP_CLOSE = 7
    BPF_TCP_CLOSE_WAIT = 8
    BPF_TCP_LAST_ACK = 9
    BPF_TCP_LISTEN = 10
    BPF_TCP_CLOSING = 11
    BPF_TCP_NEW_SYN_RECV = 12
    BPF_TCP_BOUND_INACTIVE = 13
    BPF_TCP_MAX_STATES = 14
