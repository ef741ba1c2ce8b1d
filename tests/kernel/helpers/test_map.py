"""Helpers for the elements of maps."""

from __future__ import annotations

from errno import E2BIG, EINVAL, ENOENT

import pytest

from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.helpers.env import HelperBench, callback
from tests.kernel.maps.env import u32, u64

LOOKUP = "bpf_map_lookup_elem"
UPDATE = "bpf_map_update_elem"
DELETE = "bpf_map_delete_elem"
FOR_EACH = "bpf_for_each_map_elem"
LOOKUP_PERCPU = "bpf_map_lookup_percpu_elem"
HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, RINGBUF = 1, 2, 5, 6, 27


def test_elements_come_and_go() -> None:
    bench = HelperBench()
    found = bench.create(HASH, 4, 8, 1)
    key, value = bench.put(u32(7)), bench.put(u64(77))

    assert bench.call(LOOKUP, found, key) == 0
    assert bench.call(UPDATE, found, key, value, 0) == 0
    addr = bench.call(LOOKUP, found, key)
    assert bench.memory.load(addr, 8) == 77
    assert bench.call(UPDATE, found, bench.put(u32(8)), value, 0) == -E2BIG
    assert bench.call(DELETE, found, key) == 0
    assert bench.call(DELETE, found, key) == -ENOENT


def test_a_key_is_as_long_as_the_map_says() -> None:
    bench = HelperBench()
    found = bench.create(HASH, 6, 8, 1)
    key, value = bench.put(b"abcde"), bench.put(u64(1))

    for call in ((LOOKUP, found, key), (DELETE, found, key), (UPDATE, found, key, value, 0)):
        with pytest.raises(Trap) as caught:
            bench.call(*call)
        assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS


def test_a_value_is_as_long_as_the_map_says() -> None:
    bench = HelperBench()
    found = bench.create(HASH, 4, 8, 1)

    with pytest.raises(Trap):
        bench.call(UPDATE, found, bench.put(u32(1)), bench.put(b"7 bytes"), 0)
    assert found.user_keys() == []


def test_another_cpus_value_is_found() -> None:
    bench = HelperBench(cpus=2)
    found = bench.create(PERCPU_ARRAY, 4, 8, 2)
    found.user_update(u32(1), [u64(10), u64(20)])
    key = bench.put(u32(1))

    assert bench.memory.load(bench.call(LOOKUP_PERCPU, found, key, 1), 8) == 20
    assert bench.call(LOOKUP_PERCPU, found, key, 0) == bench.call(LOOKUP, found, key)
    assert bench.call(LOOKUP_PERCPU, found, key, 2) == 0
    assert bench.call(LOOKUP_PERCPU, found, bench.put(u32(2)), 0) == 0


@pytest.mark.parametrize(
    ("helper", "type", "detail"),
    [
        (LOOKUP, RINGBUF, "cannot pass map_type 27 into func bpf_map_lookup_elem#1"),
        (DELETE, RINGBUF, "cannot pass map_type 27 into func bpf_map_delete_elem#3"),
        (LOOKUP_PERCPU, HASH, "cannot pass map_type 1 into func bpf_map_lookup_percpu_elem#195"),
    ],
)
def test_a_helper_is_not_for_every_map(helper: str, type: int, detail: str) -> None:
    bench = HelperBench()
    found = bench.create(type, 0, 0, 4096) if type == RINGBUF else bench.create(type, 4, 8, 1)
    key = bench.put(u32(0))

    with pytest.raises(Trap) as caught:
        bench.call(helper, found, key, *([0] if helper == LOOKUP_PERCPU else []))

    assert caught.value.fault.kind is FaultKind.BAD_CALL
    assert caught.value.fault.detail == detail


def test_a_program_does_not_write_into_a_map_that_is_read_only_for_programs() -> None:
    bench = HelperBench()
    found = bench.create(HASH, 4, 8, 1, 1 << 7)
    key, value = bench.put(u32(0)), bench.put(u64(0))

    for call in ((UPDATE, found, key, value, 0), (DELETE, found, key)):
        with pytest.raises(Trap) as caught:
            bench.call(*call)
        assert caught.value.fault.kind is FaultKind.READ_ONLY
        assert caught.value.fault.detail == "write into map forbidden"
    assert bench.call(LOOKUP, found, key) == 0


@pytest.mark.parametrize("type", [HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY])
def test_each_element_is_shown_to_the_callback(type: int) -> None:
    bench = HelperBench()
    found = bench.create(type, 4, 8, 3)
    for number in range(3):
        found.update(u32(number), u64(10 * number), 0)
    seen = []

    def show(*args: int) -> int:
        found_at, key, value, context = args
        seen.append((bench.memory.load(key, 4), bench.memory.load(value, 8)))
        assert (found_at, context) == (found.addr, 0x1234)
        return 0

    assert bench.call(FOR_EACH, found, callback(show), 0x1234, 0) == 3
    assert sorted(seen) == [(0, 0), (1, 10), (2, 20)]


def test_a_callback_stops_the_walk_and_is_counted() -> None:
    bench = HelperBench()
    found = bench.create(ARRAY, 4, 8, 10)

    def stop_at_four(found_at: int, key: int, value: int, context: int) -> int:
        return int(bench.memory.load(key, 4) == 4)

    assert bench.call(FOR_EACH, found, callback(stop_at_four), 0, 0) == 5


def test_for_each_takes_no_flags_and_no_ring_buffers() -> None:
    bench = HelperBench()
    never = callback(lambda *args: 1 // 0)

    assert bench.call(FOR_EACH, bench.create(ARRAY, 4, 8, 1), never, 0, 1) == -EINVAL
    assert bench.call(FOR_EACH, bench.create(HASH, 4, 8, 1), never, 0, 0) == 0
    with pytest.raises(Trap, match="cannot pass map_type 27"):
        bench.call(FOR_EACH, bench.create(RINGBUF, 0, 0, 4096), never, 0, 0)
