"""Addresses, and the maps that libbpf makes of data sections (notes, section 8.7)."""

from __future__ import annotations

import errno
import itertools

import pytest

from bpfemu.bind import arena_base
from bpfemu.bind.layout import HANDLE_SIZE, Layout, data_map, lay_out
from bpfemu.errors import BindError
from bpfemu.object import DataSection, MapDef
from bpfemu.record import replace
from tests.bind.small import HASH, obj, options

ARRAY = MapDef("array", 2, 4, 12, 10, offset=32)


def layout(**changes: object) -> Layout:
    found = obj("exit", maps=[HASH, ARRAY], data={".rodata": b"abcd", ".bss": bytes(5000)})
    return lay_out(found, options(**changes), b"")


def test_the_arena_lies_in_64_gib_of_the_direct_map_at_a_page() -> None:
    bases = {arena_base(seed) for seed in range(200)}
    assert len(bases) == 200
    assert all(0 <= base - 0xFFFF_8880_0000_0000 < 64 << 30 and base % 4096 == 0 for base in bases)


def test_the_first_number_of_splitmix64_chooses_the_page() -> None:
    # splitmix64 of seed 0 gives 0xe220a8397b1dcdaf first (its published test vector)
    page = 0xE220A8397B1DCDAF % ((64 << 30) // 4096)
    assert arena_base(0) == 0xFFFF_8880_0000_0000 + page * 4096


def test_places_ascend_with_room_between() -> None:
    found = layout()
    places = [(slot.addr, HANDLE_SIZE) for slot in found.maps]
    places += [(found.maps[1].values, 16 * 10)]  # elements of 12 bytes take 16
    places += [(segment.addr, len(segment.data)) for segment in found.segments]
    assert places == sorted(places)
    for (low, size), (high, _) in itertools.pairwise(places):
        assert high - (low + size) >= 32
    assert places[0][0] > found.base


def test_addresses_depend_on_the_seed_alone() -> None:
    assert layout() == layout()
    first, second = layout(seed=1), layout(seed=2)
    assert first.base != second.base
    assert first.maps[0].addr - first.base == second.maps[0].addr - second.base


def test_only_arrays_have_fixed_values() -> None:
    found = layout()
    assert found.maps[0].values == 0 and found.maps[1].values % 8 == 0 != found.maps[1].values


def test_data_sections_are_array_maps_with_one_value() -> None:
    found = layout()
    rodata, bss = found.maps[2:]
    assert (rodata.definition.name, rodata.definition.flags) == ("small.rodata", 128)
    assert (bss.definition.name, bss.definition.flags) == ("small.bss", 0)
    assert (bss.definition.type, bss.definition.key_size, bss.definition.max_entries) == (2, 4, 1)
    assert bss.definition.value_size == 5000
    assert [slot.values for slot in (rodata, bss)] == [s.addr for s in found.segments]
    assert found.map_of(found.segments[1]) == bss


@pytest.mark.parametrize(
    ("object_name", "section", "name"),
    [
        ("test_global_func1", ".bss", "test_glo.bss"),
        ("vma_census", ".rodata", "vma_cens.rodata"),
        ("vma_census", ".data", "vma_cens.data"),
        ("vma_census", ".kconfig", "vma_cen.kconfig"),
        ("x", ".kconfig", "x.kconfig"),
        ("x", ".rodata.cst16", ".rodata.cst16"),
        ("x", ".data.a-much-too-long-one", ".data.a_much_to"),
        ("has-dash", ".bss", "has_dash.bss"),
    ],
)
def test_data_maps_are_named_as_by_libbpf(object_name: str, section: str, name: str) -> None:
    assert data_map(object_name, DataSection(section, b"x", True)).name == name


def test_sections_with_variables_to_share_can_be_mapped_and_start_at_a_page() -> None:
    found = obj("exit", data={".bss": bytes(8)})
    found = replace(found, data=(replace(found.data[0], mmapable=True, btf_id=7),))
    (slot,) = lay_out(found, options(), b"").maps
    assert slot.definition.flags == 1024 and slot.definition.value_type == 7
    assert slot.values % 4096 == 0


def test_read_only_data_can_be_replaced_before_it_is_frozen() -> None:
    found = layout(rodata={".rodata": b"wxyz"})
    assert found.segments[0].data == b"wxyz"


def test_replacing_data_keeps_its_size() -> None:
    with pytest.raises(BindError, match="has 4 bytes, not 5") as caught:
        layout(rodata={".rodata": b"12345"})
    assert caught.value.errno == errno.EINVAL and caught.value.symbol == ".rodata"


def test_maps_can_be_redefined() -> None:
    found = layout(map_overrides={"hash": replace(HASH, max_entries=99)})
    assert found.maps[0].definition.max_entries == 99


@pytest.mark.parametrize(("given", "made"), [(0, 0), (1, 4096), (4096, 4096), (5000, 8192)])
def test_ring_buffers_are_rounded_up_to_pages_by_powers_of_two(given: int, made: int) -> None:
    found = obj("exit", maps=[MapDef("rb", 27, max_entries=given)])
    assert lay_out(found, options(), b"").maps[0].definition.max_entries == made


def test_a_map_of_maps_has_its_template() -> None:
    outer = MapDef("a_rather_long_one", 12, 4, 4, 2, inner=HASH)
    slot = lay_out(obj("exit", maps=[outer]), options(), b"").maps[0]
    assert slot.inner is not None and slot.inner.definition.name == "a_rather_long_o"


def test_what_does_not_fit_the_arena_names_itself() -> None:
    huge = replace(ARRAY, name="huge", max_entries=1 << 30)
    with pytest.raises(BindError, match="map 'huge' needs") as caught:
        lay_out(obj("exit", maps=[huge]), options(), b"")
    assert caught.value.errno == errno.ENOMEM


def test_arena_data_is_no_map_of_its_own() -> None:
    found = obj("exit", data={".addr_space.1": bytes(8)})
    assert lay_out(found, options(), b"").maps == ()


def test_places_are_found_again() -> None:
    found = layout()
    assert found.map_at(".maps", 32) == found.maps[1] and found.map_at(".maps", 8) is None
    assert found.segment(".nowhere") is None
