"""perf_event contexts: registers (168 bytes), sample_period, addr."""

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.progs.perf_event import PerfEvent
from bpfemu.machine.stop import Trap
from tests.kernel.progs.places import image, load, place


def test_registers_and_the_events_own_fields_are_set_by_name():
    ctx = place(PerfEvent, image(7), ctx={"ip": 5, "sample_period": 1000, "addr": 2**63})

    assert load(ctx, 128, 8) == 5
    assert load(ctx, 168, 8) == 1000
    assert load(ctx, 176, 8) == 2**63


def test_the_default_is_184_zero_bytes():
    ctx = place(PerfEvent, image(7))

    assert {load(ctx, at, 8) for at in range(0, 184, 8)} == {0}
    with pytest.raises(Trap):
        load(ctx, 184, 1)


def test_bytes_must_be_all_of_them():
    assert load(place(PerfEvent, image(7), ctx=bytes(176) + b"\7" * 8), 183, 1) == 7
    with pytest.raises(InputError, match="183 bytes, struct bpf_perf_event_data has 184"):
        place(PerfEvent, image(7), ctx=bytes(183))


def test_a_sequence_has_no_meaning():
    with pytest.raises(InputError, match="by field names or as bytes"):
        place(PerfEvent, image(7), ctx=[1])


def test_an_unknown_field_is_named():
    with pytest.raises(InputError, match="'period' is no field of struct pt_regs"):
        place(PerfEvent, image(7), ctx={"period": 1})


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="perf_event programs take no packet"):
        place(PerfEvent, image(7), data_in=b"x" * 20)
