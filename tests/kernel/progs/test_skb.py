"""Packets of socket filters, tc and cgroup_skb; numbers in comments were seen on Linux 6.18.44."""

import struct

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.progs.cgroup_skb import CgroupSkb
from bpfemu.kernel.progs.sched_cls import SchedAct, SchedCls
from bpfemu.kernel.progs.socket_filter import SocketFilter
from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.progs.places import Env, image, load, place

FRAME = bytes(range(100, 164))  # EtherType 0x7071
LEN, PKT_TYPE, MARK, PROTOCOL, PRIORITY, INGRESS, IFINDEX = 0, 4, 8, 16, 32, 36, 40
TC_INDEX, CB, TC_CLASSID, DATA, DATA_END, FAMILY = 44, 48, 72, 76, 80, 88
DATA_META, TSTAMP, WIRE_LEN, GSO_SEGS = 140, 152, 160, 164


def pointer(ctx, field):
    """The 64-bit pointer that bind makes of a 4-byte load at ``field``."""
    return load(ctx, 256 + 2 * field, 8)


def test_tc_sees_the_frame_from_its_ethernet_header_on():
    ctx = place(SchedCls, image(3), data_in=FRAME)

    data, end = pointer(ctx, DATA), pointer(ctx, DATA_END)
    assert load(ctx, LEN, 4) == 64
    assert end - data == 64
    assert ctx.memory.load(data, 1) == 100
    assert pointer(ctx, DATA_META) == data
    with pytest.raises(Trap):
        ctx.memory.load(end, 1)


def test_a_socket_filter_sees_it_from_behind_the_ethernet_header():
    ctx = place(SocketFilter, image(1), data_in=FRAME)

    assert load(ctx, LEN, 4) == 50
    assert ctx.packet.load(ctx.memory, 1, 0) == 114
    assert ctx.packet.load(ctx.memory, 4, 46) == 0xA0A1A2A3
    assert ctx.packet.load(ctx.memory, 4, 47) is None


def test_negative_offsets_count_from_the_headers():
    ctx = place(SocketFilter, image(1), data_in=FRAME)

    assert ctx.packet.load(ctx.memory, 2, -0x100000) == 0x7273  # SKF_NET_OFF
    assert ctx.packet.load(ctx.memory, 2, -0x200000 + 12) == 0x7071  # SKF_LL_OFF


def test_defaults_are_64_zero_bytes_on_lo():
    ctx = place(SocketFilter, image(1))

    assert load(ctx, LEN, 4) == 50
    assert load(ctx, IFINDEX, 4) == 1
    assert load(ctx, INGRESS, 4) == 0
    assert load(ctx, PKT_TYPE, 4) == 0


@pytest.mark.parametrize(
    ("first", "kind"),
    [(bytes(6), 0), (b"\xff" * 6, 2), (b"\1" + bytes(5), 2), (b"\2\0\0\0\0\0", 3)],
)
def test_the_packet_type_follows_the_destination(first, kind):
    assert load(place(SocketFilter, image(1), data_in=first + bytes(58)), PKT_TYPE, 4) == kind


@pytest.mark.parametrize(
    ("ethertype", "next_bytes", "protocol"),
    [
        (0x0800, b"\0\0", 8),
        (0x86DD, b"\0\0", 56710),
        (0x8100, b"\0\0", 129),
        (1536, b"\0\0", 6),
        (1535, b"\0\0", 1024),  # ETH_P_802_2
        (0, b"\xff\xff", 256),  # ETH_P_802_3
    ],
)
def test_the_protocol_is_the_ethertype_in_network_order(ethertype, next_bytes, protocol):
    frame = bytes(12) + struct.pack(">H", ethertype) + next_bytes + bytes(48)

    assert load(place(SocketFilter, image(1), data_in=frame), PROTOCOL, 4) == protocol


@pytest.mark.parametrize("size", [0, 8, 13])
def test_a_frame_without_an_ethernet_header_is_refused(size):
    with pytest.raises(InputError, match=f"data_in has {size} bytes, an Ethernet header") as caught:
        place(SocketFilter, image(1), data_in=bytes(size))
    assert caught.value.errno == 22


def test_a_bare_ethernet_header_is_an_empty_packet():
    ctx = place(SocketFilter, image(1), data_in=bytes(14))

    assert load(ctx, LEN, 4) == 0
    assert ctx.packet.load(ctx.memory, 1, 0) is None


def test_3712_bytes_are_the_most():
    assert load(place(SchedCls, image(3), data_in=bytes(3712)), LEN, 4) == 3712
    with pytest.raises(InputError, match="3713 bytes, there can be 3712"):
        place(SchedCls, image(3), data_in=bytes(3713))


def test_data_in_must_be_bytes():
    with pytest.raises(InputError, match="data_in is str, must be bytes"):
        place(SchedCls, image(3), data_in="x" * 20)


def test_what_tc_writes_comes_back():
    ctx = place(SchedAct, image(4), ctx={}, data_in=FRAME)
    for at, size, value in ((MARK, 4, 1), (PRIORITY, 4, 7), (CB + 8, 4, 9), (TSTAMP, 8, 5)):
        ctx.memory.store(ctx.addr + at, size, value)
    ctx.memory.store(ctx.addr + TC_INDEX, 4, 3)
    ctx.memory.store(pointer(ctx, DATA), 1, 0xEE)

    out = struct.unpack("48I", ctx.ctx_out())
    nonzero = {4 * at: value for at, value in enumerate(out) if value}

    # tc_index is not handed back, wire_len is filled in
    assert nonzero == {8: 1, 32: 7, 40: 1, 56: 9, 152: 5, 160: 64}
    assert ctx.data_out() == b"\xee" + FRAME[1:]


def test_a_socket_filters_data_out_has_a_zeroed_ethernet_header():
    ctx = place(SocketFilter, image(1), data_in=FRAME)

    assert ctx.data_out() == bytes(14) + FRAME[14:]


def test_wire_len_stays_zero_without_a_context():
    assert load(place(SchedCls, image(3), data_in=FRAME), WIRE_LEN, 4) == 0
    assert load(place(SchedCls, image(3), ctx={}, data_in=FRAME), WIRE_LEN, 4) == 64


@pytest.mark.parametrize("wire", [63, 65537])
def test_wire_len_below_the_packet_or_above_64k_is_refused(wire):
    with pytest.raises(InputError, match=f"wire_len is {wire}, must be from 64 to 65536"):
        place(SchedCls, image(3), ctx={"wire_len": wire}, data_in=FRAME)
    ctx = place(SchedCls, image(3), ctx={"wire_len": 65536}, data_in=FRAME)
    assert load(ctx, WIRE_LEN, 4) == 65536


def test_gso_segs_has_16_bits():
    ctx = place(SchedCls, image(3), ctx={"gso_segs": 65535})
    assert load(ctx, GSO_SEGS, 4) == 65535
    with pytest.raises(InputError, match="gso_segs is 65536"):
        place(SchedCls, image(3), ctx={"gso_segs": 65536})


@pytest.mark.parametrize("name", ["len", "protocol", "tc_index", "hash", "data", "sk"])
def test_fields_that_the_kernel_does_not_take_are_refused(name):
    with pytest.raises(InputError, match=f"'{name}' cannot be set in struct __sk_buff"):
        place(SchedCls, image(3), ctx={name: 1})


def test_a_field_that_does_not_exist_is_named():
    with pytest.raises(InputError, match="'marc' is no field of struct __sk_buff"):
        place(SchedCls, image(3), ctx={"marc": 1})


def test_cb_takes_numbers_or_bytes():
    ctx = place(SchedCls, image(3), ctx={"cb": [1, 2, 3, 4, 5]})
    assert [load(ctx, CB + 4 * at, 4) for at in range(5)] == [1, 2, 3, 4, 5]
    assert load(place(SchedCls, image(3), ctx={"cb": b"\7"}), CB, 4) == 7
    for wrong in ([0] * 6, "12345", 5):
        with pytest.raises(InputError, match="must be up to 5 numbers"):
            place(SchedCls, image(3), ctx={"cb": wrong})
    with pytest.raises(InputError, match="cb has 21 bytes, must have 20"):
        place(SchedCls, image(3), ctx={"cb": bytes(21)})


def test_the_context_can_be_given_as_the_structs_bytes():
    raw = bytearray(192)
    struct.pack_into("I", raw, MARK, 5)
    struct.pack_into("I", raw, CB + 4, 6)
    struct.pack_into("Q", raw, TSTAMP, 1 << 40)

    ctx = place(SchedCls, image(3), ctx=bytes(raw), data_in=FRAME)

    assert load(ctx, MARK, 4) == 5
    assert load(ctx, CB + 4, 4) == 6
    assert load(ctx, TSTAMP, 8) == 1 << 40
    assert load(ctx, IFINDEX, 4) == 1


@pytest.mark.parametrize("size", [4, 100, 193, 200])
def test_a_shorter_or_zero_padded_context_is_taken(size):
    assert load(place(SchedCls, image(3), ctx=bytes(size)), LEN, 4) == 64


def test_a_longer_context_must_end_in_zeros():
    with pytest.raises(InputError, match="not zero behind 192") as caught:
        place(SchedCls, image(3), ctx=bytes(199) + b"x")
    assert caught.value.errno == 7  # E2BIG


def test_bytes_in_fields_that_cannot_be_set_are_refused_by_offset():
    with pytest.raises(InputError, match="byte 16 of the context is 8") as caught:
        place(SchedCls, image(3), ctx=bytes(16) + b"\x08")
    assert caught.value.errno == 22


def test_a_sequence_has_no_meaning():
    with pytest.raises(InputError, match="by field names or as bytes"):
        place(SchedCls, image(3), ctx=[1])


@pytest.mark.parametrize("field", [DATA, DATA_END, TC_CLASSID, FAMILY, TSTAMP, WIRE_LEN])
def test_a_socket_filter_cannot_read_what_its_access_table_hides(field):
    ctx = place(SocketFilter, image(1))

    with pytest.raises(Trap) as caught:
        load(ctx, field, 4)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS


def test_hidden_pointers_are_hidden_in_both_forms():
    ctx = place(SocketFilter, image(1))

    with pytest.raises(Trap):
        pointer(ctx, DATA)


@pytest.mark.parametrize(("cls", "number"), [(SocketFilter, 1), (SchedCls, 3), (CgroupSkb, 8)])
def test_writes_outside_the_access_table_fault(cls, number):
    ctx = place(cls, image(number))

    ctx.memory.store(ctx.addr + CB, 4, 1)
    with pytest.raises(Trap) as caught:
        ctx.memory.store(ctx.addr + LEN, 4, 1)
    assert caught.value.fault.kind is FaultKind.READ_ONLY


def test_cgroup_skb_packets_are_read_only():
    ctx = place(CgroupSkb, image(8), data_in=FRAME)

    assert load(ctx, LEN, 4) == 50
    assert ctx.memory.load(pointer(ctx, DATA), 1) == 114
    with pytest.raises(Trap) as caught:
        ctx.memory.store(pointer(ctx, DATA), 1, 0)
    assert caught.value.fault.kind is FaultKind.READ_ONLY


def test_freeing_gives_back_context_and_packet():
    env = Env()
    ctx = place(SchedCls, image(3), env, data_in=FRAME)
    data = pointer(ctx, DATA)

    ctx.free()

    for addr in (ctx.addr, data):
        with pytest.raises(Trap) as caught:
            env.memory.load(addr, 4)
        assert caught.value.fault.kind is FaultKind.USE_AFTER_FREE
