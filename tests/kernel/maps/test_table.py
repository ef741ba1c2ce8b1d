"""What BPF_MAP_CREATE accepts; the expected errno were given by Linux 6.18.44 (x86-64, 2 CPUs)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.maps.types import ENOTSUPP, MAP_TYPES, map_type_name
from tests.kernel.maps.env import Bench

HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY, RINGBUF = 1, 2, 5, 6, 27

# (type, key_size, value_size, max_entries, map_flags) and the errno of Linux 6.18.44, 0 for a map.
SIZES = [
    ((ARRAY, 4, 4, 1, 0), 0),
    ((ARRAY, 3, 4, 1, 0), errno.EINVAL),
    ((ARRAY, 8, 4, 1, 0), errno.EINVAL),
    ((ARRAY, 4, 0, 1, 0), errno.EINVAL),
    ((ARRAY, 4, 4, 0, 0), errno.EINVAL),
    ((ARRAY, 4, 32769, 1, 0), 0),
    ((ARRAY, 4, 0x80000000, 1, 0), errno.E2BIG),
    ((PERCPU_ARRAY, 4, 4, 1, 0), 0),
    ((PERCPU_ARRAY, 3, 4, 1, 0), errno.EINVAL),
    ((PERCPU_ARRAY, 4, 0, 1, 0), errno.EINVAL),
    ((PERCPU_ARRAY, 4, 4, 0, 0), errno.EINVAL),
    ((PERCPU_ARRAY, 4, 32768, 1, 0), 0),
    ((PERCPU_ARRAY, 4, 32761, 1, 0), 0),
    ((PERCPU_ARRAY, 4, 32769, 1, 0), errno.E2BIG),
    ((PERCPU_ARRAY, 4, 0x80000000, 1, 0), errno.E2BIG),
    ((HASH, 4, 4, 1, 0), 0),
    ((HASH, 0, 4, 1, 0), errno.EINVAL),
    ((HASH, 4, 0, 1, 0), errno.EINVAL),
    ((HASH, 4, 4, 0, 0), errno.EINVAL),
    ((HASH, 3, 5, 1, 0), 0),
    ((HASH, 600, 4, 1, 0), 0),
    ((HASH, 4, 4194251, 1, 1), 0),
    ((HASH, 4, 4194252, 1, 0), errno.E2BIG),
    ((HASH, 4, 8, 1 << 31, 1), errno.E2BIG),
    ((HASH, 4, 8, (1 << 31) + 1, 1), errno.E2BIG),
    ((HASH, 4, 8, 0xFFFFFFFF, 0), errno.E2BIG),
    ((PERCPU_HASH, 4, 4, 1, 0), 0),
    ((PERCPU_HASH, 4, 32761, 1, 0), 0),
    ((PERCPU_HASH, 4, 32769, 1, 0), errno.E2BIG),
    ((RINGBUF, 0, 0, 4096, 0), 0),
    ((RINGBUF, 0, 0, 0, 0), errno.EINVAL),
    ((RINGBUF, 0, 0, 2048, 0), errno.EINVAL),
    ((RINGBUF, 0, 0, 12288, 0), errno.EINVAL),
    ((RINGBUF, 4, 0, 4096, 0), errno.EINVAL),
    ((RINGBUF, 0, 4, 4096, 0), errno.EINVAL),
    ((34, 4, 4, 1, 0), errno.EINVAL),
    ((1000, 4, 4, 1, 0), errno.EINVAL),
    ((0, 4, 4, 1, 0), errno.EINVAL),
]

# Flags that Linux 6.18.44 accepts, of bits 0 to 20; every other bit is -EINVAL.
FLAGS = {
    ARRAY: {2, 3, 4, 7, 8, 10, 12},
    PERCPU_ARRAY: {3, 4, 7, 8},
    HASH: {0, 2, 3, 4, 6, 7, 8},
    PERCPU_HASH: {0, 3, 4, 6, 7, 8},
    RINGBUF: {2},
}


def create(type: int, key: int, value: int, entries: int, flags: int, **more: object) -> int:
    try:
        Bench().create(type, key, value, entries, flags, **more)
    except InputError as error:
        return error.errno or 0
    return 0


@pytest.mark.parametrize(("attributes", "expected"), SIZES, ids=str)
def test_sizes_are_checked_as_linux_does(
    attributes: tuple[int, int, int, int, int], expected: int
) -> None:
    assert create(*attributes) == expected


@pytest.mark.parametrize("type", FLAGS, ids=map_type_name)
def test_flags_are_checked_as_linux_does(type: int) -> None:
    key, value, entries = (0, 0, 4096) if type == RINGBUF else (4, 8, 2)

    accepted = {bit for bit in range(21) if not create(type, key, value, entries, 1 << bit)}

    assert accepted == FLAGS[type]


@pytest.mark.parametrize("type", [HASH, ARRAY, PERCPU_HASH, PERCPU_ARRAY], ids=map_type_name)
@pytest.mark.parametrize("flags", [1 << 7 | 1 << 8, 1 << 3 | 1 << 4], ids=["prog", "user"])
def test_a_map_that_nobody_may_use_is_refused(type: int, flags: int) -> None:
    assert create(type, 4, 8, 2, flags) == errno.EINVAL


def test_a_numa_node_that_is_not_there_is_refused() -> None:
    assert create(ARRAY, 4, 8, 2, 4, numa_node=0) == 0
    assert create(ARRAY, 4, 8, 2, 4, numa_node=1) == errno.EINVAL
    assert create(ARRAY, 4, 8, 2, 0, numa_node=1) == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ok_name.x", 0),
        ("bad-name", errno.EINVAL),
        ("sp ace", errno.EINVAL),
        ("é", errno.EINVAL),
        ("a" * 15, 0),
        ("a" * 15 + "-", 0),  # libbpf cuts names before the kernel sees them
    ],
)
def test_names_are_checked_as_linux_does(name: str, expected: int) -> None:
    assert create(ARRAY, 4, 4, 1, 0, name=name) == expected


def test_map_extra_and_a_key_type_without_a_value_type_are_refused() -> None:
    assert create(ARRAY, 4, 4, 1, 0, map_extra=1) == errno.EINVAL
    assert create(ARRAY, 4, 4, 1, 0, key_type=1) == errno.EINVAL
    assert create(ARRAY, 4, 4, 1, 0, key_type=1, value_type=1) == 0


def test_the_message_names_map_type_value_and_rule() -> None:
    with pytest.raises(InputError) as caught:
        Bench().create(ARRAY, 8, 4, 1, name="counts")

    assert str(caught.value) == (
        "map 'counts' (BPF_MAP_TYPE_ARRAY): key_size is 8, must be 4 (map_create: -EINVAL)"
    )


def test_a_type_that_is_not_there_yet_is_named() -> None:
    with pytest.raises(InputError, match="'m': bpfemu has no BPF_MAP_TYPE_TASK_STORAGE yet"):
        Bench().create(29, 4, 8, 0)


def test_the_table_of_types_is_that_of_linux_6_18() -> None:
    assert sorted(MAP_TYPES) == list(range(1, 34))
    assert len(set(MAP_TYPES.values())) == 33
    assert MAP_TYPES[1] == "BPF_MAP_TYPE_HASH"
    assert MAP_TYPES[33] == "BPF_MAP_TYPE_ARENA"
    assert map_type_name(34) == "map type 34"
    assert ENOTSUPP == 524


def test_maps_are_found_by_address_and_by_name() -> None:
    bench = Bench()
    one = bench.create(ARRAY, 4, 4, 1, name="one")
    two = bench.create(ARRAY, 4, 4, 1, name="two")
    again = bench.create(ARRAY, 4, 4, 1, name="two")

    assert bench.table.at(one.addr) is one
    assert bench.table.at(one.addr + 8) is None
    assert bench.table.find("two") is again
    assert bench.table.find("three") is None
    assert list(bench.table) == [one, two, again]
    assert len(bench.table) == 3
    assert repr(one) == "<ArrayMap 'one'>"
