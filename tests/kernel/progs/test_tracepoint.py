"""Trace records: by the type that BTF has for them, or as bytes."""

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.errors import InputError
from bpfemu.kernel.progs.tracepoint import Tracepoint
from bpfemu.machine.stop import Trap
from tests.kernel.progs.places import image, load, place


def switch_btf(size=24):
    """``struct trace_event_raw_sched_switch { u64 ent; int prev_pid; u64 prev_state; }``."""
    b = BtfBuilder()
    u64, s32 = b.int_("u64", 8), b.int_("int", 4, 1)
    members = [("ent", u64, 0), ("prev_pid", s32, 64), ("prev_state", u64, 128)]
    b.struct("trace_event_raw_sched_switch", size, members)
    return b.build()


@pytest.mark.parametrize("where", ["kernel_btf", "btf"])
def test_fields_are_given_by_name(where):
    record = image(5, attach_to="sched/sched_switch", **{where: switch_btf()})

    ctx = place(Tracepoint, record, ctx={"prev_pid": -1, "prev_state": 2})

    assert load(ctx, 8, 4) == 2**32 - 1
    assert load(ctx, 16, 8) == 2


def test_the_default_is_a_record_of_zeros_as_long_as_its_type():
    ctx = place(Tracepoint, image(5, attach_to="sched/sched_switch", kernel_btf=switch_btf()))

    assert load(ctx, 16, 8) == 0
    with pytest.raises(Trap):
        load(ctx, 24, 1)


def test_an_unknown_record_has_64_bytes():
    ctx = place(Tracepoint, image(5, attach_to="a/b"))

    assert load(ctx, 56, 8) == 0
    with pytest.raises(Trap):
        load(ctx, 64, 1)


def test_names_need_a_type():
    with pytest.raises(InputError, match="no BTF has trace_event_raw_b; give the record as bytes"):
        place(Tracepoint, image(5, attach_to="a/b", kernel_btf=switch_btf()), ctx={"x": 1})


def test_the_first_eight_bytes_are_the_kernels():
    ctx = place(Tracepoint, image(5), ctx=bytes(range(16)))

    assert load(ctx, 8, 1) == 8
    with pytest.raises(Trap):
        load(ctx, 0, 8)


@pytest.mark.parametrize("size", [7, 8193])
def test_records_have_8_to_8192_bytes(size):
    with pytest.raises(InputError, match=f"the record has {size} bytes, must have 8 to 8192"):
        place(Tracepoint, image(5), ctx=bytes(size))


def test_a_sequence_has_no_meaning():
    with pytest.raises(InputError, match="by field names or as bytes"):
        place(Tracepoint, image(5), ctx=[1])


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="tracepoint programs take no packet"):
        place(Tracepoint, image(5), data_in=b"x" * 20)
