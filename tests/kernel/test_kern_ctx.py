"""bpf_cast_to_kern_ctx: the kernel's structs behind what programs see."""

from __future__ import annotations

import pytest

from bpfemu.kernel.config import RunOptions
from tests.kfuncs.conftest import Lab

FRAME = bytes(12) + b"\x08\x00" + bytes(50)


@pytest.fixture
def lab():
    return Lab("6.18.44")


def cast(lab, prog_type, **options):
    bench = lab.bench
    image = bench.image("r0 = 0; exit", prog_type=prog_type)
    _, args = lab.kernel.start(image, RunOptions(**options))
    return lab.call("bpf_cast_to_kern_ctx", lab.kernel.space.pointer(args[0], "void")), args[0]


def test_a_packets_context_becomes_an_sk_buff(lab):
    found, ctx = cast(lab, 3, data_in=FRAME, ctx={"mark": 7, "priority": 3, "cb": b"abcd"})
    skb = lab.kernel.space.pointer(int(found), "sk_buff")

    assert int(found) != ctx
    assert (skb.len, skb.mark, skb.priority, skb.protocol) == (64, 7, 3, 0x0008)
    assert skb.data.read_(14) == FRAME[:14]
    assert (skb.tail, skb.dev.ifindex, skb.dev.name.string_()) == (64, 1, b"lo")
    assert skb.cb.read_(12) == bytes(8) + b"abcd"


def test_each_cast_of_a_context_gives_the_same_object_brought_up_to_date(lab):
    found, ctx = cast(lab, 3, data_in=FRAME)
    layout = lab.kernel.space.layouts.named("__sk_buff")
    lab.kernel.memory.write_int(ctx + layout.fields["mark"].offset, 4, 9)

    again = lab.call("bpf_cast_to_kern_ctx", lab.kernel.space.pointer(ctx, "void"))

    assert again == found
    assert lab.kernel.space.pointer(int(again), "sk_buff").mark == 9


def test_an_xdp_context_becomes_an_xdp_buff(lab):
    found, _ = cast(lab, 6, data_in=FRAME)
    xdp = lab.kernel.space.pointer(int(found), "xdp_buff")

    assert xdp.data_end == int(xdp.data) + 64
    assert int(xdp.data_hard_start) == int(xdp.data) - 256
    assert (xdp.rxq.dev.ifindex, xdp.rxq.queue_index, xdp.frame_sz) == (1, 0, 4096)


def test_a_perf_events_context_becomes_registers_and_sample(lab):
    found, ctx = cast(lab, 7, ctx={"sample_period": 99, "addr": 0x1234, "ip": 0x5678})
    event = lab.kernel.space.pointer(int(found), "bpf_perf_event_data_kern")

    assert event.regs == ctx
    assert event.regs.ip == 0x5678
    assert (event.data.period, event.data.addr) == (99, 0x1234)


def test_where_both_are_one_the_address_stays(lab):
    found, ctx = cast(lab, 31, ctx=b"12345678")

    assert int(found) == ctx
