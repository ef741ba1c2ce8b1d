"""BPF_MAP_TYPE_RINGBUF; what fits and what does not was tried on Linux 6.18.44."""

from __future__ import annotations

from collections import deque
from errno import EINVAL

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.kernel.maps.types import ENOTSUPP
from bpfemu.machine.memory import KERNEL, UNINIT, VALID
from bpfemu.machine.stop import FaultKind, Site, Trap
from tests.kernel.maps.env import Bench

AVAIL_DATA, RING_SIZE, CONS_POS, PROD_POS = range(4)


def ring(size: int = 4096) -> tuple[Bench, object]:
    bench = Bench()
    return bench, bench.create(27, 0, 0, size, name="events")


def output(found: object, size: int) -> bool:
    return found.output(bytes(size), 0)


def test_records_come_out_in_the_order_of_their_reservation() -> None:
    bench, found = ring()
    first, second = found.reserve(3), found.reserve(5)
    bench.memory.write(second, b"later")
    found.commit(second, 0, discard=False)

    assert found.drain() == []  # the first one is still busy
    bench.memory.write(first, b"abc")
    found.commit(first, 0, discard=False)
    assert found.drain() == [b"abc", b"later"]
    assert found.drain() == []


def test_a_discarded_record_is_skipped() -> None:
    _, found = ring()
    first = found.reserve(8)
    found.output(b"kept", 0)
    found.commit(first, 0, discard=True)

    assert found.drain() == [b"kept"]


def test_a_header_tells_length_state_and_page() -> None:
    bench, found = ring(8192)
    found.output(bytes(4072), 0)
    addr = found.reserve(13)

    assert bench.memory.read_int(addr - 8, 4) == 13 | 1 << 31  # busy
    assert bench.memory.read_int(addr - 4, 4) == 3 + 0  # at 4080: the fourth page of the ring
    found.commit(addr, 0, discard=True)
    assert bench.memory.read_int(addr - 8, 4) == 13 | 1 << 30  # discarded
    following = found.reserve(1)
    assert following == addr + 24
    assert bench.memory.read_int(following - 4, 4) == 3 + 1


@pytest.mark.parametrize(
    ("size", "fits"),
    [(4072, True), (4079, True), (4080, True), (4081, False), (4088, False), (4096, False)],
)
def test_one_record_may_fill_the_ring_but_eight_bytes(size: int, fits: bool) -> None:
    assert output(ring()[1], size) is fits


def test_how_many_records_fit() -> None:
    _, found = ring()

    assert [output(found, 1016) for _ in range(5)] == [True, True, True, False, False]
    assert [found.query(what) for what in range(5)] == [3072, 4096, 0, 3072, 0]


def test_what_fits_into_the_rest() -> None:
    _, found = ring()

    assert [output(found, 1000) for _ in range(4)] == [True] * 4
    assert found.query(AVAIL_DATA) == 4032
    assert [output(found, size) for size in (60, 56, 48, 40)] == [False, False, True, False]
    assert found.query(PROD_POS) == 4088


def test_sizes_are_rounded_up_to_eight_with_the_header() -> None:
    _, found = ring()
    positions = []
    for size in (0, 1, 8, 9):
        assert output(found, size)
        positions.append(found.query(PROD_POS))

    assert positions == [8, 24, 40, 64]
    assert found.drain() == [b"", b"\0", bytes(8), bytes(9)]
    assert found.query(CONS_POS) == 64
    assert found.query(RING_SIZE) == 4096


@pytest.mark.parametrize("size", [4089, 0x3FFFFFFF, 0x40000000, 0xFFFFFFFF, 1 << 40])
def test_a_record_larger_than_the_ring_or_a_quarter_of_the_numbers_is_refused(size: int) -> None:
    assert ring()[1].reserve(size) == 0


def test_room_comes_back_when_user_space_has_read() -> None:
    _, found = ring()
    assert output(found, 4080)
    assert not output(found, 8)

    assert found.drain() == [bytes(4080)]

    assert output(found, 4080)


def test_a_busy_record_holds_up_the_ones_behind_it() -> None:
    _, found = ring()
    busy = found.reserve(8)
    assert output(found, 2000)
    found.commit(busy, 0, discard=True)
    found.drain()
    busy = found.reserve(8)
    assert output(found, 2000)
    assert output(found, 2000)

    assert not output(found, 64)
    found.commit(busy, 0, discard=False)
    assert len(found.drain()) == 3


def test_records_wrap_around_in_one_piece() -> None:
    bench, found = ring()
    found.output(bytes(4000), 0)
    found.drain()

    addr = found.reserve(200)
    bench.memory.store_bytes(addr, bytes(range(200)))
    found.commit(addr, 0, discard=False)

    assert addr % 4096 == (4008 + 8) % 4096
    assert found.drain() == [bytes(range(200))]
    following = found.reserve(8)
    assert following % 4096 == (4008 + 208 + 8) % 4096
    assert following < addr


def test_a_program_may_touch_its_records_and_nothing_else() -> None:
    bench, found = ring()
    addr = found.reserve(13)
    states = [bench.memory.state_of(addr + offset) for offset in (-1, 0, 12, 13)]

    assert states == [KERNEL, UNINIT, UNINIT, KERNEL]
    bench.memory.store(addr, 8, 1)
    assert bench.memory.state_of(addr) == VALID
    for outside in (addr - 1, addr + 13):
        with pytest.raises(Trap) as caught:
            bench.memory.store(outside, 1, 1)
        assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
        assert "the 13-byte ring buffer record 'events'" in caught.value.fault.region


def test_a_record_that_nobody_wrote_is_read_as_a_finding() -> None:
    bench, found = ring()
    addr = found.reserve(8)

    bench.memory.load(addr, 8)

    assert bench.memory.findings == [(FaultKind.UNINITIALISED, addr, 8)]


@pytest.mark.parametrize("discard", [False, True])
def test_a_record_is_out_of_the_programs_hands_once_committed(discard: bool) -> None:
    bench, found = ring()
    addr = found.reserve(8)
    found.commit(addr, 0, discard=discard)

    with pytest.raises(Trap) as caught:
        bench.memory.store(addr, 8, 1)
    assert caught.value.fault.kind is FaultKind.USE_AFTER_FREE


def test_committing_twice_or_something_else_is_a_fault() -> None:
    _, found = ring()
    addr = found.reserve(8)
    found.commit(addr, 0, discard=False)

    for bad in (addr, addr + 8, 0):
        with pytest.raises(Trap) as caught:
            found.commit(bad, 0, discard=False)
        assert caught.value.fault.kind is FaultKind.REFERENCE_STATE
        assert "is not a reserved ring buffer record" in caught.value.fault.detail


def test_a_reserved_record_is_found_by_its_address() -> None:
    bench, found = ring()
    other = bench.create(27, 0, 0, 4096)
    addr = other.reserve(8)

    assert bench.table.record_at(addr) is other
    assert bench.table.record_at(addr + 8) is None
    other.commit(addr, 0, discard=False)
    assert bench.table.record_at(addr) is None
    assert found.reserved == {}


def test_a_consumer_is_told_when_it_has_read_everything_before() -> None:
    _, found = ring()
    wakeups = []
    for flags in (0, 0, 1, 2):  # the second finds the consumer behind; NO_WAKEUP; FORCE_WAKEUP
        found.output(b"x", flags)
        wakeups.append(found.wakeups)
    found.drain()
    found.output(b"x", 1)
    wakeups.append(found.wakeups)

    assert wakeups == [1, 1, 1, 2, 2]


def test_a_ring_has_no_elements() -> None:
    _, found = ring()

    assert found.user_update(b"", b"") == -ENOTSUPP
    assert found.user_delete(b"") == -ENOTSUPP
    with pytest.raises(InputError, match="no elements") as caught:
        found.user_lookup(b"")
    assert caught.value.errno == ENOTSUPP
    assert found.user_keys() == [] and list(found.items()) == [] and list(found.walk()) == []
    assert found.next_key(None) is None
    assert not found.shows_elements


def test_a_ring_without_records_has_no_memory() -> None:
    bench = Bench()
    before = bench.memory.used
    found = bench.create(27, 0, 0, 1 << 20)

    assert found.drain() == []
    assert found.query(RING_SIZE) == 1 << 20
    assert bench.memory.used - before < 1024


STEP = st.tuples(st.sampled_from(["reserve", "commit", "discard", "drain"]), st.integers(0, 1500))


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(STEP, max_size=60))
def test_a_ring_behaves_like_a_queue_with_a_limit(steps: list[tuple[str, int]]) -> None:
    bench, found = ring()
    queue: deque[list[object]] = deque()  # [state, data, address, bytes in the ring]
    open_records: list[list[object]] = []

    for number, (what, size) in enumerate(steps):
        if what == "reserve":
            taken = (size + 8 + 7) // 8 * 8
            used = sum(entry[3] for entry in queue)
            addr = found.reserve(size)
            assert bool(addr) == (used + taken <= 4095)
            if addr:
                data = bytes([number]) * size
                bench.memory.store_bytes(addr, data)
                queue.append(["busy", data, addr, taken])
                open_records.append(queue[-1])
        elif what == "drain":
            expected = []
            while queue and queue[0][0] != "busy":
                entry = queue.popleft()
                expected += [entry[1]] if entry[0] == "done" else []
            assert found.drain() == expected
        elif open_records:
            entry = open_records.pop(size % len(open_records))
            found.commit(entry[2], 0, discard=what == "discard")
            entry[0] = "gone" if what == "discard" else "done"

    assert found.query(AVAIL_DATA) == sum(entry[3] for entry in queue)
    assert sorted(found.reserved) == sorted(entry[2] for entry in open_records)


def test_nothing_is_ever_found_in_a_ring_by_key() -> None:
    _, found = ring()

    assert found.lookup(b"") == found.lookup_percpu(b"", 0) == 0
    assert found.update(b"", b"", 0) == found.delete(b"") == -EINVAL


def test_a_record_in_the_wrong_hands_tells_who_reserved_and_who_submitted_it() -> None:
    bench, found = ring()
    memory = bench.memory
    memory.site = Site(1, "prog", "call bpf_ringbuf_reserve")
    first, second = found.reserve(8), found.reserve(16)
    memory.site = Site(9, "prog", "call bpf_ringbuf_submit")
    found.commit(first, 0, discard=False)

    with pytest.raises(Trap) as early:
        memory.store(second + 16, 8, 1)
    assert early.value.fault.kind is FaultKind.OUT_OF_BOUNDS
    assert "0 bytes behind the 16-byte ring buffer record 'events'" in early.value.fault.region
    with pytest.raises(Trap) as late:
        memory.load(first, 8)
    fault = late.value.fault
    assert fault.kind is FaultKind.USE_AFTER_FREE
    assert fault.region == "0 bytes inside the freed 8-byte ring buffer record 'events'"
    assert str(fault.allocated_by) == "call bpf_ringbuf_reserve at prog+1"
    assert str(fault.freed_by) == "call bpf_ringbuf_submit at prog+9"
    with pytest.raises(Trap) as again:
        found.commit(first, 0, discard=True)
    assert again.value.fault.freed_by == fault.freed_by


def test_a_later_record_in_the_same_place_is_the_one_that_is_told_of() -> None:
    bench, found = ring()
    for _ in range(2):
        addr = found.reserve(2032)
        found.commit(addr, 0, discard=True)
        found.drain()
    again = found.reserve(8)

    assert "inside the 8-byte ring buffer record 'events'" in bench.memory.describe(again)
