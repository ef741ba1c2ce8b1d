"""The arena and its shadow: who may read and write which byte."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError, InternalError
from bpfemu.machine.memory import (
    FREED,
    ITER,
    KERNEL,
    QUARANTINE_SIZE,
    READ_ONLY,
    REDZONE,
    REDZONE_SIZE,
    UNINIT,
    VALID,
    LoadKind,
    Memory,
    RegionKind,
)
from bpfemu.machine.stop import FaultKind, Site, Trap

BASE = 0xFFFF_8880_0000_0000
SIZE = 1 << 16


@pytest.fixture
def memory() -> Memory:
    return Memory(BASE, SIZE)


def kind_of(memory: Memory, what: str, *args: object, **kwargs: object) -> FaultKind:
    with pytest.raises(Trap) as caught:
        getattr(memory, what)(*args, **kwargs)
    return caught.value.fault.kind


# ---- the arena --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "size"),
    [(BASE + 1, SIZE), (BASE, SIZE + 1), (BASE, 0), (BASE, -4096), ((1 << 64) - 4096, 8192)],
)
def test_an_arena_is_made_of_whole_pages_below_2_to_the_64(base: int, size: int) -> None:
    with pytest.raises(InternalError, match="not made of whole pages"):
        Memory(base, size)


def test_a_big_endian_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")

    with pytest.raises(InputError, match="little-endian"):
        Memory(BASE, SIZE)


def test_the_shadow_reaches_to_a_power_of_two() -> None:
    memory = Memory(BASE, 3 * 4096)

    assert memory.reach == len(memory.shadow) == len(memory.shb) == 4 * 4096
    assert len(memory.b) == 3 * 4096


def test_all_views_show_the_same_bytes(memory: Memory) -> None:
    region = memory.allocate(16, RegionKind.MEMORY, "m", align=8)
    memory.write(region.addr, bytes(range(1, 17)))
    low = region.addr - BASE

    assert memory.q[low >> 3] == 0x0807060504030201
    assert memory.d[low >> 2] == 0x04030201
    assert memory.h[low >> 1] == 0x0201
    assert memory.b[low] == 1
    assert memory.shq[low >> 3] == 0x0303030303030303
    assert memory.shd[low >> 2] == 0x03030303
    assert (memory.shh[low >> 1], memory.shb[low]) == (0x0303, 3)


# ---- allocation -------------------------------------------------------------------------


def test_an_allocation_is_zeroed_aligned_and_has_red_zones(memory: Memory) -> None:
    first = memory.allocate(5, RegionKind.HEAP, "a", align=64)
    second = memory.allocate(8, RegionKind.HEAP, "b")

    assert first.addr % 64 == 0
    assert memory.read(first.addr, 5) == bytes(5)
    assert second.addr >= first.end + REDZONE_SIZE
    for addr in (first.addr - 1, first.end, first.end + REDZONE_SIZE - 1, second.addr - 1):
        assert memory.state_of(addr) == REDZONE
    assert memory.state_of(first.addr) == memory.state_of(first.end - 1) == VALID


def test_an_allocation_can_stand_at_an_offset_from_its_alignment(memory: Memory) -> None:
    region = memory.allocate(24, RegionKind.HEAP, "a", align=64, offset=8)

    assert region.addr % 64 == 8


def test_a_full_arena_is_the_users_error(memory: Memory) -> None:
    with pytest.raises(InputError, match="out of emulated memory: big wants 65536 bytes"):
        memory.allocate(SIZE, RegionKind.MAP, "big")


def test_fixed_places_are_claimed_in_ascending_order(memory: Memory) -> None:
    region = memory.place(BASE + 4096, 64, RegionKind.DATA, ".data", READ_ONLY)

    assert (region.addr, memory.state_of(BASE + 4096 + 63)) == (BASE + 4096, READ_ONLY)
    assert memory.allocate(8, RegionKind.HEAP, "later").addr > region.end
    for addr in (BASE, BASE + 4096 + 64, BASE + SIZE - 8):
        with pytest.raises(InternalError, match="cannot place x"):
            memory.place(addr, 64, RegionKind.DATA, "x")


def test_used_counts_what_was_handed_out(memory: Memory) -> None:
    before = memory.used
    memory.allocate(100, RegionKind.HEAP, "a")

    assert before == 0
    assert 100 + REDZONE_SIZE <= memory.used <= 100 + 2 * REDZONE_SIZE + 8


def test_freed_memory_is_known_as_such_and_who_freed_it(memory: Memory) -> None:
    memory.site = Site(3, "prog", "call alloc")
    region = memory.allocate(8, RegionKind.HEAP, "a")
    memory.site = Site(9, "prog", "call free")

    memory.free(region.addr)

    assert memory.state_of(region.addr) == FREED
    with pytest.raises(Trap) as caught:
        memory.load(region.addr, 8)
    fault = caught.value.fault
    assert fault.kind is FaultKind.USE_AFTER_FREE
    assert fault.allocated_by == Site(3, "prog", "call alloc")
    assert fault.freed_by == Site(9, "prog", "call free")
    assert fault.region == "0 bytes inside the freed 8-byte allocator unit 'a'"


@pytest.mark.parametrize("twice", [True, False])
def test_only_what_is_allocated_can_be_freed(memory: Memory, twice: bool) -> None:
    region = memory.allocate(8, RegionKind.HEAP, "a")
    if twice:
        memory.free(region.addr)

    with pytest.raises(InternalError, match="which is not allocated"):
        memory.free(region.addr if twice else region.addr + 1)


def test_freed_memory_is_used_again_only_after_quarantine() -> None:
    memory = Memory(BASE, 8 << 20)
    chunk = 64 << 10
    first = memory.allocate(chunk, RegionKind.HEAP, "first")
    memory.store(first.addr, 8, 5)
    memory.free(first.addr)

    second = memory.allocate(chunk, RegionKind.HEAP, "second")
    for _ in range(QUARANTINE_SIZE // chunk):
        memory.free(memory.allocate(chunk, RegionKind.HEAP, "filler").addr)
    again = memory.allocate(chunk, RegionKind.HEAP, "again")

    assert second.addr != first.addr
    assert again.addr == first.addr
    assert memory.load(again.addr, 8) == 0
    assert memory.find_region(first.addr) is again
    assert again.freed_by is None


def test_what_is_used_again_has_the_alignment_that_is_asked_for() -> None:
    memory = Memory(BASE, 8 << 20)
    half = QUARANTINE_SIZE // 2 + 4096
    odd = memory.allocate(half, RegionKind.HEAP, "odd", align=16, offset=8)
    memory.free(odd.addr)
    memory.free(memory.allocate(half, RegionKind.HEAP, "other").addr)

    even = memory.allocate(half, RegionKind.HEAP, "even", align=4096, offset=24)
    same = memory.allocate(half, RegionKind.HEAP, "same", align=16, offset=24)

    assert even.addr % 4096 == 24
    assert same.addr == odd.addr


def test_fixed_places_are_never_used_for_something_else() -> None:
    memory = Memory(BASE, 4 << 20)
    size = QUARANTINE_SIZE + 4096
    memory.place(BASE, size, RegionKind.MAP, "fixed")
    memory.free(BASE)

    assert memory.allocate(size, RegionKind.HEAP, "new").addr > BASE


# ---- the kernel's accesses --------------------------------------------------------------


@pytest.mark.parametrize("state", [VALID, READ_ONLY, UNINIT, KERNEL, ITER])
def test_the_kernel_reads_and_writes_whatever_is_mapped(memory: Memory, state: int) -> None:
    region = memory.allocate(16, RegionKind.OBJECT, "o", state=state)

    memory.write(region.addr + 4, b"abc")
    memory.write_int(region.addr + 8, 4, -2)

    assert memory.read(region.addr, 8) == b"\0\0\0\0abc\0"
    assert memory.read_int(region.addr + 8, 4) == 0xFFFF_FFFE
    assert memory.read_int(region.addr + 8, 4, signed=True) == -2


@pytest.mark.parametrize("at", [0, 1, 8])
@pytest.mark.parametrize("state", [VALID, READ_ONLY, KERNEL, UNINIT])
def test_the_kernel_reads_and_writes_words_of_any_alignment(
    memory: Memory, state: int, at: int
) -> None:
    region = memory.allocate(24, RegionKind.OBJECT, "o", state=state)

    memory.write_int(region.addr + at, 8, -(1 << 63) + 5)

    assert memory.read_int(region.addr + at, 8) == (1 << 63) + 5
    assert memory.read_int(region.addr + at, 8, signed=True) == -(1 << 63) + 5
    assert memory.read(region.addr + at, 8) == b"\x05\0\0\0\0\0\0\x80"
    assert memory.read_int(region.addr + (at ^ 8) % 16, 1) == 0


@pytest.mark.parametrize("what", ["read_int", "write_int"])
@pytest.mark.parametrize("addr", [BASE - 8, BASE + SIZE, BASE + 512])
def test_the_kernel_faults_on_words_that_are_not_mapped(
    memory: Memory, what: str, addr: int
) -> None:
    args = (8,) if what == "read_int" else (8, 1)

    assert kind_of(memory, what, addr, *args) is FaultKind.OUT_OF_BOUNDS


def test_what_the_kernel_writes_is_initialised(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=UNINIT)

    memory.write(region.addr + 2, b"xy")

    states = [memory.state_of(region.addr + at) for at in range(5)]
    assert states == [UNINIT, UNINIT, VALID, VALID, UNINIT]


@pytest.mark.parametrize("state", [READ_ONLY, KERNEL, ITER])
def test_other_states_stay_when_the_kernel_writes(memory: Memory, state: int) -> None:
    region = memory.allocate(8, RegionKind.OBJECT, "o", state=state)

    memory.write(region.addr, b"12345678")

    assert memory.state_of(region.addr) == state


@pytest.mark.parametrize("state", [0, FREED, REDZONE])
def test_the_kernel_faults_on_what_is_not_mapped(memory: Memory, state: int) -> None:
    region = memory.allocate(8, RegionKind.OBJECT, "o", state=VALID)
    memory.set_state(region.addr + 7, 1, state)

    want = FaultKind.USE_AFTER_FREE if state == FREED else FaultKind.OUT_OF_BOUNDS
    assert kind_of(memory, "read", region.addr, 8) is want
    assert kind_of(memory, "write", region.addr, b"12345678") is want
    assert memory.read(region.addr, 7) == bytes(7)


@pytest.mark.parametrize("addr", [BASE - 1, BASE + SIZE, BASE + SIZE - 4, 0])
def test_there_is_nothing_outside_the_arena(memory: Memory, addr: int) -> None:
    assert not memory.contains(addr, 8)
    assert kind_of(memory, "read", addr, 8) in (FaultKind.OUT_OF_BOUNDS, FaultKind.NULL_DEREF)


def test_states_outside_the_arena_are_nothing(memory: Memory) -> None:
    assert memory.state_of(BASE - 1) == memory.state_of(BASE + SIZE) == 0


@pytest.mark.parametrize(("addr", "size"), [(BASE - 1, 1), (BASE + SIZE - 1, 2)])
def test_a_shadow_outside_the_arena_cannot_be_set(memory: Memory, addr: int, size: int) -> None:
    with pytest.raises(InternalError, match="outside the arena"):
        memory.set_state(addr, size, VALID)


# ---- the program's accesses -------------------------------------------------------------


def test_loads_and_stores_are_little_endian_and_cut_to_size(memory: Memory) -> None:
    region = memory.allocate(16, RegionKind.MEMORY, "m")

    memory.store(region.addr + 3, 4, 0x1122334455)

    assert memory.read(region.addr, 8) == b"\0\0\0\x55\x44\x33\x22\0"
    assert memory.load(region.addr + 3, 2) == 0x4455


def test_a_store_makes_bytes_valid(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=UNINIT)

    memory.store(region.addr, 4, 1)

    assert memory.load(region.addr, 4) == 1
    assert memory.findings == []


def test_a_load_of_unwritten_bytes_is_a_finding_even_beside_written_ones(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=UNINIT)
    memory.store(region.addr, 4, 7)

    assert memory.load(region.addr, 8) == 7
    assert memory.findings == [(FaultKind.UNINITIALISED, region.addr, 8)]


def test_unwritten_bytes_do_not_hide_forbidden_ones(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=UNINIT)
    memory.set_state(region.addr + 7, 1, FREED)

    assert kind_of(memory, "load", region.addr, 8) is FaultKind.USE_AFTER_FREE
    assert kind_of(memory, "load_bytes", region.addr, 8) is FaultKind.USE_AFTER_FREE
    assert memory.findings == []


@pytest.mark.parametrize(
    ("state", "read", "write"),
    [
        (0, FaultKind.OUT_OF_BOUNDS, FaultKind.OUT_OF_BOUNDS),
        (REDZONE, FaultKind.OUT_OF_BOUNDS, FaultKind.OUT_OF_BOUNDS),
        (KERNEL, FaultKind.OUT_OF_BOUNDS, FaultKind.OUT_OF_BOUNDS),
        (FREED, FaultKind.USE_AFTER_FREE, FaultKind.USE_AFTER_FREE),
        (READ_ONLY, None, FaultKind.READ_ONLY),
    ],
)
def test_states_decide_what_a_program_may_do(
    memory: Memory, state: int, read: FaultKind | None, write: FaultKind
) -> None:
    region = memory.allocate(8, RegionKind.OBJECT, "o", state=state)

    assert kind_of(memory, "store", region.addr, 8, 1) is write
    assert kind_of(memory, "store_bytes", region.addr, b"1") is write
    if read is None:
        assert memory.load(region.addr, 8) == 0
        assert memory.load_bytes(region.addr, 8) == bytes(8)
    else:
        assert kind_of(memory, "load", region.addr, 8) is read
        assert kind_of(memory, "load_bytes", region.addr, 8) is read


def test_iterator_bytes_are_read_through_element_pointers_only(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=ITER)

    assert memory.load(region.addr, 4, LoadKind.MEM) == 0
    assert kind_of(memory, "load", region.addr, 4, LoadKind.STACK) is FaultKind.ITERATOR_STATE
    assert kind_of(memory, "load_bytes", region.addr, 4) is FaultKind.ITERATOR_STATE


def test_overwritten_iterator_bytes_are_noted_once(memory: Memory) -> None:
    region = memory.allocate(16, RegionKind.STACK, "s", state=ITER)

    memory.store(region.addr, 8, 1)
    memory.store_bytes(region.addr + 8, b"12")

    assert memory.clobbered == [(region.addr, 8), (region.addr + 8, 2)]
    assert memory.state_of(region.addr + 9) == VALID


def test_an_element_cannot_be_written(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=ITER)

    assert kind_of(memory, "store", region.addr, 4, 1, LoadKind.MEM) is FaultKind.READ_ONLY
    assert memory.clobbered == []


def test_a_store_that_faults_notes_nothing(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=ITER)
    memory.set_state(region.addr + 4, 4, FREED)

    assert kind_of(memory, "store", region.addr, 8, 1) is FaultKind.USE_AFTER_FREE
    assert memory.clobbered == []


def test_bytes_handed_over_are_checked_to_the_byte(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.VALUE, "v")

    memory.store_bytes(region.addr, b"12345678")

    assert memory.load_bytes(region.addr, 8) == b"12345678"
    assert kind_of(memory, "load_bytes", region.addr, 9) is FaultKind.OUT_OF_BOUNDS
    assert kind_of(memory, "store_bytes", region.addr + 1, b"12345678") is FaultKind.OUT_OF_BOUNDS


def test_unwritten_bytes_handed_over_are_a_finding(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.STACK, "s", state=UNINIT)

    assert memory.load_bytes(region.addr, 8) == bytes(8)
    assert memory.findings == [(FaultKind.UNINITIALISED, region.addr, 8)]


@pytest.mark.parametrize("addr", [0, 8, 4095, 1 << 47, (1 << 64) - 1, BASE - 8, BASE + SIZE - 4])
@pytest.mark.parametrize("what", ["load", "store", "load_bytes", "store_bytes"])
def test_far_addresses_fault_in_every_access(memory: Memory, addr: int, what: str) -> None:
    args: tuple[object, ...] = {
        "load": (8,),
        "store": (8, 1),
        "load_bytes": (8,),
        "store_bytes": (b"12345678",),
    }[what]

    want = FaultKind.NULL_DEREF if addr < 4096 else FaultKind.OUT_OF_BOUNDS
    assert kind_of(memory, what, addr, *args) is want


# ---- reports ----------------------------------------------------------------------------


def test_a_fault_names_the_first_byte_that_is_wrong(memory: Memory) -> None:
    region = memory.allocate(12, RegionKind.VALUE, "v")

    fault = memory.trap(region.addr + 8, 8, "read").fault

    assert (fault.addr, fault.size) == (region.addr + 8, 8)
    assert fault.region == "0 bytes behind the 12-byte map value 'v'"
    assert fault.detail == f"read of 8 bytes at {region.addr + 8:#x}: out of bounds"


def test_a_write_over_the_end_of_read_only_memory_is_a_write_to_it(memory: Memory) -> None:
    region = memory.allocate(8, RegionKind.CTX, "c", state=READ_ONLY)

    fault = memory.trap(region.addr + 4, 8, "write").fault

    assert (fault.kind, fault.region) == (
        FaultKind.READ_ONLY,
        "4 bytes inside the 8-byte context 'c'",
    )


def test_descriptions_tell_where_an_address_lies(memory: Memory) -> None:
    empty = memory.describe(BASE + 10)
    first = memory.allocate(16, RegionKind.VALUE, "first")
    second = memory.place(BASE + 4096, 16, RegionKind.DATA, ".bss")

    assert empty == "no emulated memory is near"
    assert memory.describe(first.addr + 3) == "3 bytes inside the 16-byte map value 'first'"
    assert memory.describe(first.end + 5) == "5 bytes behind the 16-byte map value 'first'"
    assert memory.describe(first.addr - 2) == "2 bytes before the 16-byte map value 'first'"
    assert memory.describe(second.addr - 9) == "9 bytes before the 16-byte global data '.bss'"
    assert memory.describe(second.end + 90) == "90 bytes behind the 16-byte global data '.bss'"
    assert memory.describe(0) == memory.describe(BASE + SIZE) == "no emulated memory is near"


def test_regions_are_found_by_any_address_inside(memory: Memory) -> None:
    region = memory.allocate(16, RegionKind.VALUE, "v")

    assert memory.find_region(region.addr) is memory.find_region(region.end - 1) is region
    assert memory.find_region(region.end) is None
    assert memory.regions() == [region]


def test_a_fault_far_away_has_no_owner(memory: Memory) -> None:
    memory.site = Site(1, "f", "x")
    memory.allocate(16, RegionKind.VALUE, "v")

    fault = memory.trap(0xFFFF_1234_5678_0000, 8, "read").fault

    assert (fault.allocated_by, fault.region) == (None, "no emulated memory is near")


def test_a_long_access_that_goes_wrong_late_names_the_late_byte() -> None:
    memory = Memory(BASE, 64 << 20)
    region = memory.allocate(32 << 20, RegionKind.MAP, "m")

    fault = memory.trap(region.addr, 40 << 20, "read").fault

    assert fault.region == "0 bytes behind the 33554432-byte map 'm'"


# ---- against a model --------------------------------------------------------------------

_STATES = st.sampled_from([0, VALID, READ_ONLY, UNINIT, REDZONE, FREED, KERNEL, ITER])
_OPS = st.one_of(
    st.tuples(st.just("state"), st.integers(0, 40), st.integers(1, 12), _STATES),
    st.tuples(
        st.just("load"), st.integers(-4, 40), st.sampled_from([1, 2, 4, 8]), st.integers(0, 8)
    ),
    st.tuples(
        st.just("store"),
        st.integers(-4, 40),
        st.sampled_from([1, 2, 4, 8]),
        st.integers(0, 2**64 - 1),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_OPS, max_size=25))
def test_loads_and_stores_do_what_a_byte_by_byte_model_does(
    ops: list[tuple[str, int, int, int]],
) -> None:
    memory = Memory(BASE, 4096)
    states, data = dict[int, int](), dict[int, int]()
    for what, at, size, value in ops:
        bytes_of = range(at, at + size)
        if what == "state":
            memory.set_state(BASE + at, size, value)
            states.update(dict.fromkeys(bytes_of, value))
        elif what == "load":
            kind = LoadKind(value)
            allowed = all(_readable(states.get(byte, 0), kind) for byte in bytes_of)
            if allowed and at >= 0:
                want = sum(data.get(byte, 0) << 8 * n for n, byte in enumerate(bytes_of))
                assert memory.load(BASE + at, size, kind) == want
            else:
                with pytest.raises(Trap):
                    memory.load(BASE + at, size, kind)
        elif all(states.get(byte, 0) in (VALID, UNINIT, ITER) for byte in bytes_of) and at >= 0:
            memory.store(BASE + at, size, value)
            for n, byte in enumerate(bytes_of):
                data[byte], states[byte] = value >> 8 * n & 255, VALID
        else:
            with pytest.raises(Trap):
                memory.store(BASE + at, size, value)


def _readable(state: int, kind: LoadKind) -> bool:
    if state == ITER:
        return kind is not LoadKind.STACK
    return state in (VALID, READ_ONLY, UNINIT)


def test_a_user_address_is_said_to_be_one() -> None:
    memory = Memory(BASE, SIZE)

    with pytest.raises(Trap) as caught:
        memory.load(0x5555_5555_4000, 8)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
    assert caught.value.fault.region.startswith("a user address")
    assert not memory.describe(0x7FFF_FFFF_FFFF + 1).startswith("a user address")


def test_a_part_of_a_region_is_told_of_in_its_place() -> None:
    memory = Memory(BASE, SIZE)
    region = memory.allocate(64, RegionKind.MAP, "ring", state=KERNEL)
    memory.site = Site(1, "f", "call reserve")
    memory.note_part(region.addr + 16, 8, RegionKind.RECORD, "r")
    memory.site = None

    assert memory.describe(region.addr + 20) == "4 bytes inside the 8-byte ring buffer record 'r'"
    assert memory.describe(region.addr + 24) == "0 bytes behind the 8-byte ring buffer record 'r'"
    assert memory.describe(region.addr) == "16 bytes before the 8-byte ring buffer record 'r'"
    assert memory.describe(region.end) == "0 bytes behind the 64-byte map 'ring'"
    assert memory.find_region(region.addr + 40) is region
    memory.note_freed(region.addr + 16)
    memory.note_freed(region.addr)  # no part begins there
    owner = memory.owner(region.addr + 16)
    assert owner is not None and owner.freed_by == Site(-1, "", "")
    assert memory.owner(0) is None
