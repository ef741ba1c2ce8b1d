"""Helpers for ring buffers; results as Linux 6.18.44 gave them."""

from __future__ import annotations

from errno import EAGAIN, EINVAL

import pytest

from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.helpers.env import HelperBench

OUTPUT = "bpf_ringbuf_output"
RESERVE = "bpf_ringbuf_reserve"
SUBMIT = "bpf_ringbuf_submit"
DISCARD = "bpf_ringbuf_discard"
QUERY = "bpf_ringbuf_query"


def test_output_copies_the_programs_bytes() -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)

    assert bench.call(OUTPUT, ring, bench.put(b"hello"), 5, 0) == 0
    assert ring.drain() == [b"hello"]


@pytest.mark.parametrize(
    ("flags", "result"), [(1, 0), (2, 0), (3, 0), (4, -EINVAL), (1 << 32, -EINVAL)]
)
def test_output_flags_are_checked(flags: int, result: int) -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)

    assert bench.call(OUTPUT, ring, bench.put(b"x"), 1, flags) == result
    assert ring.drain() == ([] if result else [b"x"])


def test_what_does_not_fit_is_eagain() -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)

    assert bench.call(OUTPUT, ring, bench.put(bytes(4081)), 4081, 0) == -EAGAIN
    assert bench.call(OUTPUT, ring, bench.put(bytes(4080)), 4080, 0) == 0


def test_a_record_is_reserved_filled_and_submitted() -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)
    record = bench.call(RESERVE, ring, 8, 0)

    bench.memory.store(record, 8, 0x1122334455667788)
    assert ring.drain() == []
    bench.call(SUBMIT, record, 0)

    assert ring.drain() == [bytes.fromhex("8877665544332211")]


def test_a_discarded_record_never_arrives() -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)
    bench.call(DISCARD, bench.call(RESERVE, ring, 8, 0), 0)

    assert ring.drain() == []
    assert [bench.call(QUERY, ring, what) for what in range(5)] == [0, 4096, 16, 16, 0]


def test_reserve_takes_no_flags() -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)

    assert bench.call(RESERVE, ring, 8, 1) == 0
    assert bench.call(RESERVE, ring, 8, 2) == 0
    assert bench.call(QUERY, ring, 3) == 0


@pytest.mark.parametrize("helper", [SUBMIT, DISCARD])
def test_what_is_not_reserved_cannot_be_committed(helper: str) -> None:
    bench = HelperBench()
    ring = bench.create(27, 0, 0, 4096)
    record = bench.call(RESERVE, ring, 8, 0)
    bench.call(helper, record, 0)

    for bad in (record, bench.put(bytes(8)), 0):
        with pytest.raises(Trap) as caught:
            bench.call(helper, bad, 0)
        assert caught.value.fault.kind is FaultKind.REFERENCE_STATE
        assert caught.value.fault.addr == bad


def test_only_ring_buffers_have_records() -> None:
    bench = HelperBench()
    found = bench.create(2, 4, 8, 1)

    for helper, rest in ((OUTPUT, (bench.put(b"x"), 1, 0)), (RESERVE, (8, 0)), (QUERY, (0,))):
        with pytest.raises(Trap, match=f"cannot pass map_type 2 into func {helper}#13"):
            bench.call(helper, found, *rest)
