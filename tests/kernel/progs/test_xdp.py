"""XDP packets; numbers in comments were seen on Linux 6.18.44."""

import struct

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.progs.xdp import Xdp
from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.progs.places import image, load, place

FRAME = bytes(range(100, 164))
DATA, DATA_END, DATA_META, IFINDEX, QUEUE = 0, 4, 8, 12, 16


def pointer(ctx, field):
    """The 64-bit pointer that bind makes of a 4-byte load at ``field``."""
    return load(ctx, 256 + 2 * field, 8)


def test_data_and_data_end_enclose_the_packet():
    ctx = place(Xdp, image(6), data_in=FRAME)

    data, end = pointer(ctx, DATA), pointer(ctx, DATA_END)
    assert end - data == 64
    assert ctx.memory.load(data, 1) == 100
    assert pointer(ctx, DATA_META) == data
    assert load(ctx, DATA, 4) == data & 0xFFFF_FFFF
    with pytest.raises(Trap):
        ctx.memory.load(end, 1)


def test_defaults_are_64_zero_bytes_on_queue_0_of_lo():
    ctx = place(Xdp, image(6))

    assert pointer(ctx, DATA_END) - pointer(ctx, DATA) == 64
    assert load(ctx, IFINDEX, 4) == 1
    assert load(ctx, QUEUE, 4) == 0


def test_the_first_bytes_are_metadata_when_data_says_so():
    ctx = place(Xdp, image(6), data_in=FRAME, ctx={"data": 4, "data_end": 64})

    data, meta = pointer(ctx, DATA), pointer(ctx, DATA_META)
    assert data - meta == 4
    assert ctx.memory.load(data, 1) == 104
    assert ctx.ctx_out() == struct.pack("6I", 4, 64, 0, 1, 0, 0)
    assert ctx.data_out() == FRAME


def test_the_packet_can_be_written_and_comes_back():
    ctx = place(Xdp, image(6), data_in=FRAME)

    ctx.memory.store(pointer(ctx, DATA), 2, 0)

    assert ctx.data_out() == b"\0\0" + FRAME[2:]


def test_the_context_is_read_only():
    ctx = place(Xdp, image(6))

    with pytest.raises(Trap) as caught:
        ctx.memory.store(ctx.addr + QUEUE, 4, 1)
    assert caught.value.fault.kind is FaultKind.READ_ONLY


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"data": 3}, "data is 3, must be a multiple of 4"),
        ({"data": 64}, "which leaves no Ethernet header"),
        ({"data": 256}, "data is 256, must be a multiple of 4 up to 252"),
        ({"data_meta": 4}, "data_meta is 4, must be 0"),
        ({"data_end": 65}, "data_end is 65, data_in has 64 bytes"),
        ({"rx_queue_index": 1}, "there is one queue"),
        ({"egress_ifindex": 1}, "egress_ifindex is 1, must be 0"),
        ({"ingress": 1}, "'ingress' is no field of struct xdp_md"),
        ({"ingress_ifindex": 1 << 32}, "ingress_ifindex is 0x100000000, does not fit its 4"),
        ([1], "by field names or as bytes"),
        (bytes(20), "20 bytes, struct xdp_md has 24"),
    ],
)
def test_what_the_kernel_does_not_take_is_refused(given, why):
    with pytest.raises(InputError, match=why) as caught:
        place(Xdp, image(6), data_in=FRAME, ctx=given)
    assert caught.value.errno == 22


def test_bytes_of_the_struct_are_taken():
    raw = struct.pack("6I", 36, 64, 0, 2, 0, 0)

    ctx = place(Xdp, image(6), data_in=FRAME, ctx=raw)

    assert pointer(ctx, DATA) - pointer(ctx, DATA_META) == 36
    assert load(ctx, IFINDEX, 4) == 2


def test_3520_bytes_fit_a_page():
    ctx = place(Xdp, image(6), data_in=bytes(3520))
    assert pointer(ctx, DATA_END) - pointer(ctx, DATA) == 3520
    with pytest.raises(InputError, match="3521 bytes, there can be 3520"):
        place(Xdp, image(6), data_in=bytes(3521))
