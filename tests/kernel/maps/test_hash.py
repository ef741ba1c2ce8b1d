"""BPF_MAP_TYPE_HASH and its per-CPU sister; errno and orders were given by Linux 6.18.44."""

from __future__ import annotations

from errno import E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM, EPERM

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.kernel.maps.fields import ValueFields
from bpfemu.kernel.maps.jhash import jhash
from bpfemu.machine.memory import KERNEL, READ_ONLY, VALID
from bpfemu.machine.stop import FaultKind, Site, Trap
from tests.kernel.maps.env import Bench, u32, u64

HASH, PERCPU = 1, 5
NO_PREALLOC, ZERO_SEED = 1, 64
KINDS = pytest.mark.parametrize(
    ("type", "flags"),
    [(HASH, 0), (HASH, NO_PREALLOC), (PERCPU, 0), (PERCPU, NO_PREALLOC)],
    ids=["hash", "hash-no-prealloc", "percpu", "percpu-no-prealloc"],
)

# Sixteen keys were inserted into a map of 16 with BPF_F_ZERO_SEED: key number i has the bytes
# 37 * i + 11, 5 + i, 5 + 2 * i, ….  First bytes of the keys as BPF_MAP_GET_NEXT_KEY listed them:
# after inserting, and after updating keys 2 and 7 once more.  By key size.
ORDERS = {
    4: (
        "55 a2 c4 e9 33 30 7d 11 0e 9f 7a 36 0b ec 58 c7",
        "55 a2 c4 e9 33 30 7d 11 0e 9f 7a 36 0b ec 58 c7",
    ),
    8: (
        "c4 9f 58 0e a2 33 30 e9 11 7a 7d 55 36 c7 0b ec",
        "c4 9f 58 0e a2 33 30 e9 11 7a 55 7d 36 c7 0b ec",
    ),
    5: (
        "a2 c4 7d c7 30 e9 9f 7a 0b 36 ec 58 33 11 0e 55",
        "a2 c4 7d c7 30 e9 9f 7a 0b 36 ec 58 33 0e 55 11",
    ),
    12: (
        "e9 0b c7 ec 58 11 0e 36 55 a2 9f 30 33 7a c4 7d",
        "e9 0b c7 ec 58 11 0e 36 55 a2 9f 30 33 7a c4 7d",
    ),
    3: (
        "36 33 7a 11 7d 0b c4 a2 55 c7 9f ec 0e 58 e9 30",
        "36 33 7a 11 7d 0b c4 55 a2 c7 9f 0e ec 58 e9 30",
    ),
    16: (
        "0b 7d ec 7a 11 e9 a2 c4 33 36 c7 58 9f 55 30 0e",
        "0b 7d ec 7a 11 e9 a2 c4 33 36 55 c7 58 9f 30 0e",
    ),
    1: (
        "33 11 ec c7 c4 0b 55 7a 58 7d 9f a2 0e e9 36 30",
        "33 11 ec c7 c4 0b 55 7a 58 7d 9f 0e a2 e9 36 30",
    ),
    7: (
        "9f 7d e9 36 55 58 30 ec 11 a2 c4 0e 0b c7 33 7a",
        "9f 7d e9 55 36 58 30 ec 11 a2 c4 0e 0b c7 33 7a",
    ),
    13: (
        "0e 7d c4 36 11 30 58 7a c7 33 55 a2 ec e9 9f 0b",
        "0e 7d c4 36 11 30 58 7a c7 33 55 a2 ec e9 9f 0b",
    ),
}


def key_of(number: int, size: int) -> bytes:
    first = bytes([(37 * number + 11) & 255])
    return first + bytes((number * at + 5) & 255 for at in range(1, size))


@pytest.mark.parametrize("size", ORDERS)
def test_keys_are_listed_in_linux_order(size: int) -> None:
    found = Bench().create(HASH, size, 8, 16, ZERO_SEED)
    for number in range(16):
        assert found.user_update(key_of(number, size), u64(number)) == 0

    inserted = " ".join(f"{key[0]:02x}" for key in found.user_keys())
    for number in (2, 7):
        found.user_update(key_of(number, size), u64(number))
    updated = " ".join(f"{key[0]:02x}" for key in found.user_keys())

    assert (inserted, updated) == ORDERS[size]


def test_the_order_comes_from_the_seed_otherwise() -> None:
    one, two, zero = (Bench().create(HASH, 4, 8, 64, flags) for flags in (0, 0, ZERO_SEED))
    for number in range(64):
        for found in (one, two, zero):
            found.user_update(u32(number), u64(0))

    assert one.user_keys() == two.user_keys() != zero.user_keys()
    assert sorted(one.user_keys()) == sorted(zero.user_keys())


@pytest.mark.parametrize(
    ("mode", "new", "old"),
    [(0, 0, 0), (1, 0, -EEXIST), (2, -ENOENT, 0)]
    + [(mode, -EINVAL, -EINVAL) for mode in (3, 4, 5, 6, 7, 8, 9, 1 << 32, 1 << 63)],
)
@KINDS
def test_update_flags_are_checked_as_linux_does(
    type: int, flags: int, mode: int, new: int, old: int
) -> None:
    found = Bench().create(type, 4, 8, 2, flags)
    found.update(u32(0), u64(0), 0)

    assert found.user_update(u32(1), u64(1), mode) == new
    assert found.user_update(u32(0), u64(1), mode) == old
    found.user_delete(u32(1))
    assert found.update(u32(1), u64(1), mode) == new
    assert found.update(u32(0), u64(1), mode) == old


@KINDS
def test_a_full_map_takes_no_new_key(type: int, flags: int) -> None:
    found = Bench().create(type, 4, 8, 2, flags)
    found.update(u32(0), u64(0), 0)
    found.update(u32(1), u64(1), 0)

    assert found.update(u32(2), u64(2), 0) == -E2BIG
    assert found.update(u32(2), u64(2), 1) == -E2BIG
    assert found.update(u32(2), u64(2), 2) == -ENOENT
    assert found.update(u32(1), u64(7), 0) == 0
    assert found.update(u32(1), u64(7), 1) == -EEXIST
    assert len(found) == 2


@KINDS
def test_a_deleted_key_makes_room(type: int, flags: int) -> None:
    found = Bench().create(type, 4, 8, 1, flags)
    found.update(u32(1), u64(1), 0)

    assert found.delete(u32(9)) == -ENOENT
    assert found.delete(u32(1)) == 0
    assert found.delete(u32(1)) == -ENOENT
    assert found.lookup(u32(1)) == 0
    assert found.user_lookup(u32(1)) is None
    assert found.update(u32(2), u64(2), 0) == 0
    assert found.user_keys() == [u32(2)]


@KINDS
def test_next_key_goes_on_after_a_key_and_starts_over_after_an_unknown_one(
    type: int, flags: int
) -> None:
    found = Bench().create(type, 4, 8, 8, flags)
    assert found.next_key(None) is None
    assert found.next_key(u32(5)) is None
    for number in range(8):
        found.update(u32(number), u64(0), 0)
    keys = found.user_keys()

    assert found.next_key(None) == found.next_key(u32(99)) == keys[0]
    assert [found.next_key(key) for key in keys] == [*keys[1:], None]


@KINDS
def test_a_program_reads_and_writes_the_value_and_nothing_around_it(type: int, flags: int) -> None:
    bench = Bench()
    found = bench.create(type, 4, 12, 2, flags)
    found.update(u32(1), b"abcdefghijkl", 0)
    addr = found.lookup(u32(1))

    bench.memory.store(addr + 8, 4, int.from_bytes(b"WXYZ", "little"))

    assert bench.memory.load_bytes(addr, 12) == b"abcdefghWXYZ"
    for outside in (addr - 1, addr + 12):
        with pytest.raises(Trap) as caught:
            bench.memory.load(outside, 1)
        assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS


@pytest.mark.parametrize(("flag", "state"), [(1 << 7, READ_ONLY), (0, VALID)])
@KINDS
def test_programs_get_the_access_that_the_flags_leave(
    type: int, flags: int, flag: int, state: int
) -> None:
    bench = Bench()
    found = bench.create(type, 4, 8, 2, flags | flag)
    found.user_update(u32(1), u64(1))

    assert bench.memory.state_of(found.lookup(u32(1))) == state


def test_an_update_gives_the_key_another_element() -> None:
    bench = Bench(cpus=1)
    found = bench.create(HASH, 4, 8, 4)
    found.update(u32(1), u64(1), 0)
    first = found.lookup(u32(1))
    found.update(u32(1), u64(2), 0)
    second = found.lookup(u32(1))
    found.update(u32(1), u64(3), 0)

    assert first != second
    assert found.lookup(u32(1)) == first  # the CPU's extra element goes back and forth
    assert bench.memory.load(second, 8) == 2


def test_each_cpu_has_an_extra_element() -> None:
    bench = Bench(cpus=2)
    found = bench.create(HASH, 4, 8, 1)
    found.update(u32(1), u64(1), 0)
    found.update(u32(1), u64(2), 0)
    on_cpu_0 = found.lookup(u32(1))
    bench.cpus.switch(1)

    found.update(u32(1), u64(3), 0)
    found.update(u32(1), u64(4), 0)

    assert found.lookup(u32(1)) == on_cpu_0
    assert found.update(u32(2), u64(0), 0) == -E2BIG


def test_a_percpu_value_stays_where_it_is() -> None:
    found = Bench().create(PERCPU, 4, 8, 4)
    found.update(u32(1), u64(1), 0)
    addr = found.lookup(u32(1))

    found.update(u32(1), u64(2), 0)

    assert found.lookup(u32(1)) == addr


def test_the_element_deleted_last_is_handed_out_first() -> None:
    found = Bench(cpus=1).create(HASH, 4, 8, 4)
    for number in range(3):
        found.update(u32(number), u64(number), 0)
    addrs = [found.lookup(u32(number)) for number in range(3)]
    for number in range(3):
        found.delete(u32(number))
    for number in range(10, 13):
        found.update(u32(number), u64(number), 0)

    assert [found.lookup(u32(number)) for number in range(10, 13)] == addrs[::-1]


def test_an_element_goes_to_the_cpu_that_deletes_it_and_others_take_it_when_they_have_none() -> (
    None
):
    bench = Bench(cpus=2)
    found = bench.create(HASH, 4, 8, 2)
    found.update(u32(0), u64(0), 0)
    found.update(u32(1), u64(1), 0)
    addr = found.lookup(u32(1))
    bench.cpus.switch(1)
    found.delete(u32(1))
    bench.cpus.switch(0)

    assert found.update(u32(2), u64(2), 0) == 0
    assert found.lookup(u32(2)) == addr


@KINDS
def test_a_value_stays_readable_after_its_deletion(type: int, flags: int) -> None:
    bench = Bench()
    found = bench.create(type, 4, 8, 2, flags)
    found.update(u32(1), u64(77), 0)
    addr = found.lookup(u32(1))
    bench.memory.site = Site(3, "prog", "call bpf_map_delete_elem")

    found.delete(u32(1))

    assert bench.memory.load(addr, 8) == 77
    bench.memory.store(addr, 8, 78)


def test_reports_know_who_deleted_a_value() -> None:
    bench = Bench()
    found = bench.create(HASH, 4, 8, 2)
    bench.memory.site = put = Site(1, "prog", "call bpf_map_update_elem")
    found.update(u32(1), u64(77), 0)
    region = bench.memory.find_region(found.lookup(u32(1)))
    bench.memory.site = deleted = Site(3, "prog", "call bpf_map_delete_elem")

    found.delete(u32(1))

    assert (region.allocated_by, region.freed_by) == (put, deleted)
    assert "freed 8-byte map value 'map 'm' value'" in bench.memory.describe(region.addr)
    found.update(u32(2), u64(0), 0)
    assert region.freed_by is None


def test_elements_without_prealloc_come_from_bpf_mem_alloc() -> None:
    bench = Bench()
    found = bench.create(HASH, 5, 9, 4, NO_PREALLOC)
    found.update(b"abcde", b"123456789", 0)
    addr = found.lookup(b"abcde")
    (allocator,) = bench.allocators

    assert allocator.snapshot()
    assert bench.memory.state_of(addr - 1) == KERNEL
    assert bench.memory.state_of(addr + 9) == KERNEL
    assert addr - 48 - 8 in allocator.units.live  # struct htab_elem, key rounded up to 8
    found.delete(b"abcde")
    assert not allocator.units.live


def test_percpu_elements_without_prealloc_have_two_allocators() -> None:
    bench = Bench()
    found = bench.create(PERCPU, 4, 8, 4, NO_PREALLOC)
    found.update(u32(1), u64(1), 0)

    assert [one.percpu for one in bench.allocators] == [False, True]
    assert [len(one.units.live) for one in bench.allocators] == [1, 1]
    assert found.delete(u32(1)) == 0
    assert [len(one.units.live) for one in bench.allocators] == [0, 0]


@pytest.mark.parametrize(("type", "failing"), [(HASH, 0), (PERCPU, 0), (PERCPU, 1)])
def test_an_allocation_that_fails_is_enomem_and_leaves_nothing(type: int, failing: int) -> None:
    bench = Bench()
    found = bench.create(type, 4, 8, 4, NO_PREALLOC)
    found.update(u32(1), u64(1), 0)
    before = [len(one.units.live) for one in bench.allocators]
    bench.allocators[failing].alloc_fails = lambda size: True

    assert found.update(u32(2), u64(2), 0) == -ENOMEM
    assert found.lookup(u32(2)) == 0
    assert [len(one.units.live) for one in bench.allocators] == before
    expected = -ENOMEM if type == HASH else 0  # per-CPU values are written in place
    assert found.update(u32(1), u64(9), 0) == expected
    assert len(found) == 1


def test_replacing_without_prealloc_needs_a_second_element_for_a_moment() -> None:
    bench = Bench()
    found = bench.create(HASH, 4, 8, 1, NO_PREALLOC)
    found.update(u32(1), u64(1), 0)
    first = found.lookup(u32(1))

    assert found.update(u32(1), u64(2), 0) == 0

    assert found.lookup(u32(1)) != first
    assert len(bench.allocators[0].units.live) == 1
    assert found.user_lookup(u32(1)) == u64(2)


@pytest.mark.parametrize("flags", [0, NO_PREALLOC])
def test_a_program_writes_its_own_cpu_and_zeros_elsewhere_for_a_new_key(flags: int) -> None:
    bench = Bench(cpus=3)
    found = bench.create(PERCPU, 4, 8, 2, flags)
    bench.cpus.switch(1)
    found.update(u32(1), u64(11), 0)
    bench.cpus.switch(2)
    found.update(u32(1), u64(22), 0)

    assert found.user_lookup(u32(1)) == [u64(0), u64(11), u64(22)]
    assert found.lookup(u32(1)) == found.lookup_percpu(u32(1), 2)
    found.user_update(u32(1), [u64(1), u64(2), u64(3)])
    assert found.user_lookup(u32(1)) == [u64(1), u64(2), u64(3)]
    found.delete(u32(1))
    found.update(u32(5), u64(5), 0)
    assert found.user_lookup(u32(5)) == [u64(0), u64(0), u64(5)]  # nothing of the old values


def test_a_key_deleted_meanwhile_is_not_listed() -> None:
    found = Bench().create(HASH, 4, 8, 8)
    for number in range(8):
        found.update(u32(number), u64(number), 0)
    items = found.items()
    first, _ = next(items)
    gone = found.user_keys()[3]

    found.user_delete(gone)

    assert sorted([first, gone, *(key for key, _ in items)]) == [u32(n) for n in range(8)]


def test_user_space_gives_a_new_key_the_values_of_all_cpus() -> None:
    found = Bench().create(PERCPU, 4, 8, 2)

    assert found.user_update(u32(1), [u64(1), u64(2)]) == 0
    assert found.user_lookup(u32(1)) == [u64(1), u64(2)]
    assert list(found.items()) == [(u32(1), [u64(1), u64(2)])]


@KINDS
def test_a_walk_shows_each_element_with_its_own_key(type: int, flags: int) -> None:
    bench = Bench()
    found = bench.create(type, 4, 8, 8, flags)
    for number in range(6):
        found.update(u32(number), u64(number), 0)
    memory = bench.memory

    seen = [(memory.load_bytes(key, 4), memory.load(value, 8)) for key, value in found.walk()]

    assert [key for key, _ in seen] == found.user_keys()
    assert all(key == u32(value) for key, value in seen)


def test_a_key_handed_to_a_callback_is_read_only_and_follows_its_element() -> None:
    bench = Bench(cpus=1)
    found = bench.create(HASH, 4, 8, 4)
    found.update(u32(1), u64(0), 0)
    ((key, _),) = list(found.walk())

    with pytest.raises(Trap) as caught:
        bench.memory.store(key, 4, 0)
    found.delete(u32(1))
    found.update(u32(2), u64(0), 0)

    assert caught.value.fault.kind is FaultKind.READ_ONLY
    assert bench.memory.load(key, 4) == 2


@KINDS
def test_keys_that_come_and_go_leave_nothing_behind(type: int, flags: int) -> None:
    found = Bench().create(type, 4, 8, 4, flags)
    for number in range(500):
        found.update(u32(number), u64(number), 0)
        assert found.user_keys() == [u32(number)]
        assert [found.memory.load(value, 8) for _, value in found.walk()] == [number]
        found.delete(u32(number))

    assert found.user_keys() == []
    assert len(found._order) < 16


def test_a_walk_survives_what_its_callback_deletes() -> None:
    found = Bench().create(HASH, 4, 8, 1024, ZERO_SEED)
    for number in range(600):
        found.update(u32(number), u64(number), 0)
    seen = 0
    for key, _ in found.walk():
        seen += 1
        assert found.delete(found.memory.load_bytes(key, 4)) == 0

    assert seen == 600
    assert len(found) == 0
    assert list(found.walk()) == []


def test_a_walk_meets_what_its_callback_puts_into_later_buckets() -> None:
    found = Bench().create(HASH, 4, 8, 1024, ZERO_SEED)
    found.update(u32(0), u64(0), 0)
    walk = found.walk()
    next(walk)
    for number in range(1, 500):
        found.update(u32(number), u64(0), 0)
    order = found.user_keys()

    rest = [found.memory.load_bytes(key, 4) for key, _ in walk]

    assert rest == order[order.index(u32(0)) + 1 :]
    assert rest


def test_an_element_deleted_while_it_is_next_is_still_visited() -> None:
    found = Bench().create(HASH, 4, 8, 4, ZERO_SEED | NO_PREALLOC)
    oldest, middle, newest = [u32(n) for n in range(100) if jhash(u32(n), 0) % 4 == 2][:3]
    for key in (oldest, middle, newest):
        found.update(key, u64(0), 0)
    walk = found.walk()
    next(walk)

    found.delete(middle)

    assert [found.memory.load_bytes(key, 4) for key, _ in walk] == [middle, oldest]
    assert found.user_keys() == [newest, oldest]


def test_a_lock_in_the_value_lets_an_update_work_in_place() -> None:
    bench = Bench()
    found = bench.create(HASH, 4, 12, 2)
    found.fields = ValueFields((("bpf_spin_lock", 0, 4),))
    assert found.update(u32(1), b"lockabcdefgh", 4) == 0
    addr = found.lookup(u32(1))
    assert bench.memory.read(addr, 12) == bytes(4) + b"abcdefgh"
    bench.memory.write(addr, b"held")

    assert found.update(u32(1), b"lockABCDEFGH", 4) == 0
    assert found.update(u32(1), b"lockABCDEFGH", 5) == -EEXIST
    assert found.update(u32(2), b"lockABCDEFGH", 6) == -ENOENT

    assert found.lookup(u32(1)) == addr
    assert bench.memory.read(addr, 12) == b"heldABCDEFGH"
    assert found.user_lookup(u32(1), 4) == bytes(4) + b"ABCDEFGH"


@KINDS
def test_user_space_is_held_to_the_flags_of_the_map(type: int, flags: int) -> None:
    bench = Bench()
    readable = bench.create(type, 4, 8, 2, flags | 1 << 3)
    writable = bench.create(type, 4, 8, 2, flags | 1 << 4)

    assert readable.user_update(u32(0), u64(1), 99) == -EPERM
    assert readable.user_delete(u32(0)) == -EPERM
    assert readable.freeze() == -EPERM
    assert readable.user_lookup(u32(0)) is None
    assert writable.user_update(u32(0), u64(1)) == 0
    assert writable.user_update(u32(0), u64(1), 99) == -EINVAL
    assert writable.user_delete(u32(0)) == 0
    assert writable.freeze() == 0
    with pytest.raises(InputError, match="BPF_F_WRONLY"):
        writable.user_lookup(u32(0))


@KINDS
def test_ten_million_elements_cost_nothing_before_they_are_used(type: int, flags: int) -> None:
    bench = Bench()
    before = bench.memory.used

    found = bench.create(type, 4, 8, 10_000_000, flags)
    found.update(u32(1), u64(1), 0)

    assert bench.memory.used - before < 16384


OPERATION = st.tuples(
    st.sampled_from(["update", "user", "delete", "lookup", "cpu"]),
    st.integers(0, 11),
    st.integers(0, 2),
)


@settings(max_examples=60, deadline=None)
@given(
    flags=st.sampled_from([0, NO_PREALLOC]),
    size=st.integers(1, 8),
    operations=st.lists(OPERATION, max_size=60),
)
def test_a_hash_map_behaves_like_a_dictionary_with_a_limit(
    flags: int, size: int, operations: list[tuple[str, int, int]]
) -> None:
    bench = Bench(cpus=2)
    found = bench.create(HASH, 4, 8, size, flags)
    model: dict[bytes, bytes] = {}

    for step, (what, number, mode) in enumerate(operations):
        key, value = u32(number), u64(step)
        if what == "cpu":
            bench.cpus.switch(number % 2)
        elif what == "delete":
            assert found.delete(key) == (0 if model.pop(key, None) is not None else -ENOENT)
        elif what == "lookup":
            addr = found.lookup(key)
            assert (bench.memory.load_bytes(addr, 8) if addr else None) == model.get(key)
        else:
            update = found.update if what == "update" else found.user_update
            expected = 0
            if mode == 1 and key in model:
                expected = -EEXIST
            elif mode == 2 and key not in model:
                expected = -ENOENT
            elif key not in model and len(model) == size:
                expected = -E2BIG
            assert update(key, value, mode) == expected
            if not expected:
                model[key] = value

    assert dict(found.items()) == model
    assert len(found.user_keys()) == len(found) == len(model)
    live = [found.lookup(key) for key in model]
    assert len(set(live)) == len(live)
