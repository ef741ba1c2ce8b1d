"""BPF_MAP_TYPE_ARRAY and its per-CPU sister; errno given by Linux 6.18.44."""

from __future__ import annotations

from errno import E2BIG, EEXIST, EINVAL, EPERM

import pytest

from bpfemu.errors import InputError
from bpfemu.image import MapSlot
from bpfemu.kernel.maps.fields import ValueFields
from bpfemu.machine.memory import READ_ONLY, VALID, WRITE, RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.object import MapDef
from tests.kernel.maps.env import BASE, Bench, u32, u64

ARRAY, PERCPU = 2, 6
BOTH = pytest.mark.parametrize("type", [ARRAY, PERCPU], ids=["array", "percpu"])


def test_elements_lie_side_by_side_rounded_up_to_eight_bytes() -> None:
    found = Bench().create(ARRAY, 4, 5, 3)

    addrs = [found.lookup(u32(index)) for index in range(3)]

    assert [addr - addrs[0] for addr in addrs] == [0, 8, 16]


def test_the_bytes_between_two_elements_belong_to_nobody() -> None:
    bench = Bench()
    found = bench.create(ARRAY, 4, 5, 2)
    addr = found.lookup(u32(0))

    bench.memory.store(addr + 4, 1, 7)

    with pytest.raises(Trap) as caught:
        bench.memory.store(addr + 5, 1, 7)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
    bench.memory.store(found.lookup(u32(1)), 4, 7)


def test_a_lone_value_ends_with_its_last_byte() -> None:
    bench = Bench()
    addr = bench.create(ARRAY, 4, 5, 1).lookup(u32(0))

    with pytest.raises(Trap):
        bench.memory.load(addr + 5, 1)


def test_values_stand_where_the_image_wants_them() -> None:
    bench = Bench()
    definition = MapDef("m", ARRAY, 4, 8, 4)
    placed = bench.table.create(MapSlot(definition, BASE + 4096, BASE + 8192))

    assert placed.lookup(u32(3)) == BASE + 8192 + 24
    assert bench.memory.find_region(BASE + 8192).name == "map 'm' values"


def test_values_that_are_placed_already_stay_what_they_are() -> None:
    bench = Bench()
    bench.memory.place(BASE + 8192, 6, RegionKind.DATA, ".data")
    bench.memory.write(BASE + 8192, b"abcdef")

    found = bench.table.create(MapSlot(MapDef("x.data", ARRAY, 4, 6, 1), BASE + 4096, BASE + 8192))

    assert found.user_lookup(u32(0)) == b"abcdef"
    assert bench.memory.find_region(BASE + 8192).name == ".data"


@pytest.mark.parametrize(
    ("flags", "state"), [(0, VALID), (1 << 7, READ_ONLY), (1 << 8, WRITE)], ids=["", "rd", "wr"]
)
@BOTH
def test_programs_get_the_access_that_the_flags_leave(type: int, flags: int, state: int) -> None:
    bench = Bench()
    found = bench.create(type, 4, 8, 2, flags)

    assert bench.memory.state_of(found.lookup(u32(1))) == state


@pytest.mark.parametrize("section", [".rodata", ".rodata.str1.1", ".kconfig"])
def test_constant_data_is_frozen(section: str) -> None:
    found = Bench().create(ARRAY, 4, 8, 1, 1 << 7, section=section)

    assert found.frozen
    assert found.user_update(u32(0), u64(1)) == -EPERM
    assert found.user_lookup(u32(0)) == u64(0)


def test_writable_data_is_not_frozen() -> None:
    assert not Bench().create(ARRAY, 4, 8, 1, section=".data").frozen


@BOTH
def test_an_index_beyond_the_end_is_null_or_e2big(type: int) -> None:
    found = Bench().create(type, 4, 8, 2)

    assert found.lookup(u32(1))
    assert found.lookup(u32(2)) == 0
    assert found.lookup_percpu(u32(1), 1)
    assert found.lookup_percpu(u32(0xFFFFFFFF), 1) == 0
    for flags in (0, 1, 2):
        assert found.update(u32(2), u64(1), flags) == -E2BIG
        assert found.user_update(u32(2), u64(1), flags) == -E2BIG
    assert found.user_lookup(u32(9)) is None


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(0, 0), (1, -EEXIST), (2, 0)]
    + [(flags, -EINVAL) for flags in (3, 4, 5, 6, 7, 8, 9, 1 << 32, 1 << 63)],
)
@BOTH
def test_update_flags_are_checked_as_linux_does(type: int, flags: int, expected: int) -> None:
    found = Bench().create(type, 4, 8, 2)

    assert found.user_update(u32(1), u64(1), flags) == expected
    if flags != 5:
        assert found.update(u32(1), u64(1), flags) == expected


@BOTH
def test_a_program_hears_of_noexist_before_the_missing_lock(type: int) -> None:
    assert Bench().create(type, 4, 8, 2).update(u32(1), u64(1), 5) == -EEXIST


@BOTH
def test_nothing_can_be_deleted(type: int) -> None:
    found = Bench().create(type, 4, 8, 2)

    assert found.delete(u32(0)) == -EINVAL
    assert found.user_delete(u32(9)) == -EINVAL


@BOTH
def test_keys_go_from_zero_to_the_last(type: int) -> None:
    found = Bench().create(type, 4, 8, 3)

    assert found.next_key(None) == u32(0)
    assert found.next_key(u32(0)) == u32(1)
    assert found.next_key(u32(2)) is None
    assert found.next_key(u32(3)) == u32(0)  # 6.18.44: an index beyond the end starts over
    assert found.next_key(u32(0xFFFFFFFF)) == u32(0)
    assert found.user_keys() == [u32(0), u32(1), u32(2)]


def test_a_walk_shows_each_index_and_its_value() -> None:
    bench = Bench()
    found = bench.create(ARRAY, 4, 8, 3)
    memory = bench.memory

    seen = [(memory.load(key, 4), value - found.values) for key, value in found.walk()]

    assert seen == [(0, 0), (1, 8), (2, 16)]


def test_the_key_of_a_walk_is_read_only_and_gone_afterwards() -> None:
    bench = Bench()
    walk = bench.create(ARRAY, 4, 8, 3).walk()
    key, _ = next(walk)

    with pytest.raises(Trap) as caught:
        bench.memory.store(key, 4, 1)
    walk.close()

    assert caught.value.fault.kind is FaultKind.READ_ONLY
    with pytest.raises(Trap) as caught:
        bench.memory.load(key, 4)
    assert caught.value.fault.kind is FaultKind.USE_AFTER_FREE


def test_user_space_reads_and_writes_values() -> None:
    bench = Bench()
    found = bench.create(ARRAY, 4, 8, 2)

    assert found.user_update(u32(1), u64(77)) == 0

    assert bench.memory.load(found.lookup(u32(1)), 8) == 77
    assert list(found.items()) == [(u32(0), u64(0)), (u32(1), u64(77))]


@BOTH
def test_sizes_that_do_not_fit_are_named(type: int) -> None:
    found = Bench().create(type, 4, 8, 2, name="counts")

    with pytest.raises(InputError, match=r"'counts': key has 3 bytes, must have 4"):
        found.user_lookup(b"abc")
    with pytest.raises(InputError, match=r"'counts': value has 7 bytes, must have 8"):
        found.user_update(u32(0), b"1234567")


def test_a_list_is_for_percpu_maps_with_one_value_per_cpu() -> None:
    with pytest.raises(InputError, match="3 values given, must be 2: one per possible CPU"):
        Bench().create(PERCPU, 4, 8, 2).user_update(u32(0), [u64(0)] * 3)
    with pytest.raises(InputError, match="2 values given, must be 1"):
        Bench().create(ARRAY, 4, 8, 2).user_update(u32(0), [u64(0)] * 2)


def test_each_cpu_has_its_own_value() -> None:
    bench = Bench(cpus=3)
    found = bench.create(PERCPU, 4, 8, 2)
    assert found.update(u32(1), u64(10), 0) == 0

    bench.cpus.switch(2)
    assert found.update(u32(1), u64(30), 0) == 0

    assert found.user_lookup(u32(1)) == [u64(10), u64(0), u64(30)]
    assert found.lookup(u32(1)) == found.lookup_percpu(u32(1), 2) != found.lookup_percpu(u32(1), 0)
    assert [value for _, value in found.items()] == [[u64(0)] * 3, [u64(10), u64(0), u64(30)]]


def test_user_space_writes_all_cpus_of_a_percpu_array() -> None:
    found = Bench().create(PERCPU, 4, 3, 2)

    assert found.user_update(u32(0), [b"abc", b"def"]) == 0
    assert found.user_lookup(u32(0)) == [b"abc", b"def"]
    assert found.user_update(u32(0), b"xyz") == 0
    assert found.user_lookup(u32(0)) == [b"xyz", b"xyz"]


def test_a_walk_of_a_percpu_array_shows_this_cpu() -> None:
    bench = Bench()
    found = bench.create(PERCPU, 4, 8, 2)
    bench.cpus.switch(1)

    values = [value for _, value in found.walk()]

    assert values == [found.lookup_percpu(u32(index), 1) for index in range(2)]


def test_an_element_that_nobody_touched_costs_nothing() -> None:
    bench = Bench()
    before = bench.memory.used
    found = bench.create(PERCPU, 4, 8, 10_000_000)

    assert found.user_lookup(u32(9_999_999)) == [u64(0), u64(0)]
    assert bench.memory.used - before < 1024


def test_user_space_is_held_to_the_flags_of_the_map() -> None:
    bench = Bench()
    readable = bench.create(ARRAY, 4, 8, 2, 1 << 3)
    writable = bench.create(ARRAY, 4, 8, 2, 1 << 4)

    assert readable.user_update(u32(0), u64(1), 99) == -EPERM
    assert readable.user_delete(u32(0)) == -EPERM
    assert readable.freeze() == -EPERM
    assert readable.user_lookup(u32(0)) == u64(0)
    assert writable.user_update(u32(0), u64(1)) == 0
    assert writable.user_update(u32(0), u64(1), 99) == -EINVAL
    assert writable.user_delete(u32(0)) == -EINVAL
    with pytest.raises(InputError, match="BPF_F_WRONLY") as caught:
        writable.user_lookup(u32(0))
    assert caught.value.errno == EPERM


@BOTH
def test_a_frozen_map_is_read_only_for_user_space(type: int) -> None:
    found = Bench().create(type, 4, 8, 2)

    assert found.freeze() == 0
    assert found.freeze() == -EPERM
    assert found.user_update(u32(0), u64(1), 9) == -EPERM
    assert found.user_delete(u32(0)) == -EPERM
    assert found.user_lookup(u32(0))
    assert found.update(u32(0), u64(1), 0) == 0


@pytest.mark.parametrize("flags", [1, 2, 3, 4, 8, 1 << 32])
def test_lookup_flags_need_a_lock(flags: int) -> None:
    with pytest.raises(InputError) as caught:
        Bench().create(ARRAY, 4, 8, 2).user_lookup(u32(0), flags)
    assert caught.value.errno == EINVAL


def test_a_spin_lock_in_the_value_stays_what_it_is() -> None:
    bench = Bench()
    found = bench.create(ARRAY, 4, 12, 1)
    found.fields = ValueFields((("bpf_spin_lock", 4, 4),))
    addr = found.lookup(u32(0))
    bench.memory.write(addr, b"....LOCK....")

    assert found.user_update(u32(0), b"abcdefghijkl", 4) == 0

    assert bench.memory.read(addr, 12) == b"abcdLOCKijkl"
    assert found.user_lookup(u32(0), 4) == b"abcd\0\0\0\0ijkl"
