"""Maps and globals as user space sees them, typed by BTF or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bpfemu.elf import read_object
from bpfemu.errors import InputError
from bpfemu.record import replace
from bpfemu.session import Options
from bpfemu.skeleton import Skeleton

OBJECT = Path(__file__).parent / "data/skel.bpf.o"


@pytest.fixture
def skel() -> Skeleton:
    """The object as it is."""
    return Skeleton(read_object(OBJECT), Options())


@pytest.fixture
def untyped() -> Skeleton:
    """The same maps and globals, without a type for any of them."""
    obj = read_object(OBJECT)
    maps = tuple(replace(m, key_type=0, value_type=0) for m in obj.maps)
    data = tuple(replace(section, btf_id=0) for section in obj.data)
    return Skeleton(replace(obj, maps=maps, data=data), Options())


# ---- maps without types -----------------------------------------------------------------


def test_elements_without_a_type_are_bytes_and_take_bytes_or_numbers(untyped: Skeleton) -> None:
    slots = untyped.maps.slots

    slots[1] = 0x0102
    slots[b"\2\0\0\0"] = -2

    assert slots[b"\1\0\0\0"] == b"\2\1" + bytes(6)
    assert slots[2] == b"\xfe" + b"\xff" * 7
    assert slots.keys() == [bytes([n, 0, 0, 0]) for n in range(3)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (1 << 32, 0, r"map slots: key 4294967296 needs > 4 bytes"),
        (0, 1 << 64, r"map slots: value 18446744073709551616 needs > 8 bytes"),
        (-(1 << 31) - 1, 0, r"map slots: key -2147483649 needs > 4 bytes"),
        ("zero", 0, "map slots: key has no BTF type; give bytes or a number"),
        (0, 1.5, "map slots: value has no BTF type; give bytes or a number"),
        (b"\0", 0, "map slots: key has 1 bytes, must have 4"),
        (0, b"", "map slots: value has 0 bytes, must have 8"),
    ],
)
def test_what_does_not_fit_an_untyped_element_is_refused(
    untyped: Skeleton, key: Any, value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        untyped.maps.slots[key] = value


# ---- maps with types --------------------------------------------------------------------


def test_a_map_behaves_like_a_dictionary(skel: Skeleton) -> None:
    table = skel.maps.table
    table[5] = {"a": 1, "b": 2, "name": "five"}

    assert 5 in table and 6 not in table
    assert table.get(5) == {"a": 1, "b": 2, "name": "five"}
    assert table.get(6) is None and table.get(6, "none") == "none"
    assert table.values() == [table[5]] and list(table) == [5] and len(table) == 1
    with pytest.raises(KeyError, match="6"):
        table[6]
    with pytest.raises(KeyError, match="6"):
        del table[6]
    del table[5]
    assert len(table) == 0 and repr(table) == "<map table>"


def test_values_of_every_cpu_are_given_as_a_list(skel: Skeleton) -> None:
    per_cpu = skel.maps.per_cpu

    per_cpu[0] = [7, 9]

    assert per_cpu[0] == [7, 9]
    skel.progs.bump.run(cpu=1)
    assert per_cpu[0] == [7, 10]


def test_records_are_handed_over_once_with_the_outcome(skel: Skeleton) -> None:
    # struct event { u32 kind; u32 value; }: kind 1, value runs * factor before the run: 0, then 3
    taken = [[record.data for record in skel.progs.bump.run().records] for _ in range(2)]

    assert taken == [[b"\1\0\0\0\0\0\0\0"], [b"\1\0\0\0\3\0\0\0"]]
    assert skel.maps.events.drain() == []


# ---- globals ----------------------------------------------------------------------------


def test_globals_without_types_are_not_there_by_name(untyped: Skeleton) -> None:
    assert list(untyped.bss) == [] and dir(untyped.bss) == []
    with pytest.raises(AttributeError, match=r"there are none \(the object has no BTF for it\)"):
        untyped.bss.runs  # noqa: B018 the look-up is the test


def test_bytes_for_a_global_must_be_as_many_as_it_has(skel: Skeleton) -> None:
    with pytest.raises(InputError, match=r"\.bss\.runs has 4 bytes, got 2"):
        skel.bss.runs = b"\1\2"
    skel.bss.runs = b"\1\0\0\0"

    assert skel.bss.runs == 1


def test_globals_set_before_loading_are_there_when_the_program_runs(skel: Skeleton) -> None:
    skel.bss.runs = 4

    assert skel.bss.runs == 4  # from the image: nothing is loaded yet
    assert not skel.loaded
    skel.rodata.factor = 2
    assert skel.progs.bump.run() == (4 + 1) * 2


# ---- names ------------------------------------------------------------------------------


def test_an_image_asked_for_is_bound(skel: Skeleton) -> None:
    assert skel.progs.bump.image.name == "bump" and skel.loaded
    assert repr(skel.progs.bump) == "<program bump SEC('syscall')>"


def test_protocols_that_views_lack_are_plainly_not_there(skel: Skeleton) -> None:
    for view in (skel.progs, skel.bss, skel):
        assert not hasattr(view, "__array__")
    assert len(skel.progs) == 3 and next(iter(skel.progs)).name == "bump"
