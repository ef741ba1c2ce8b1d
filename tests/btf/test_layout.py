"""Sizes, alignments and offsets, by the rules of C on 64-bit targets."""

import pytest

from bpfemu.btf import Array, Btf, BtfBuilder, MemberAt
from bpfemu.errors import ObjectError
from tests.btf.samples import Sample


def test_sizes_of_every_kind_that_has_one():
    s = Sample()
    array = s.b.array(s.int, s.u32, 3)
    nested = s.b.array(array, s.u32, 5)
    pair = s.b.struct("pair", 24, [])
    union = s.b.union("either", 12, [])
    enum = s.b.enum("color", 4, [("RED", 0)])
    enum64 = s.b.enum64("wide", 8, [])
    double = s.b.float_("double", 8)
    const = s.b.const(s.b.typedef("t", pair))
    var = s.b.var("v", array)
    section = s.b.datasec(".data", 40, [])
    btf = s.b.build()

    wanted = {
        s.int: 4,
        s.void_ptr: 8,
        array: 12,
        nested: 60,
        pair: 24,
        union: 12,
        enum: 4,
        enum64: 8,
        double: 8,
        const: 24,
        var: 12,
        section: 40,
    }
    assert {id: btf.size_of(id) for id in wanted} == wanted


def test_types_without_a_size_are_errors():
    s = Sample()
    fwd = s.b.fwd("somewhere")
    proto = s.b.func_proto(0)
    btf = s.b.build()

    for id, kind in ((0, "UNKN"), (fwd, "FWD"), (proto, "FUNC_PROTO")):
        with pytest.raises(ObjectError, match=f"is a {kind}, which has no size"):
            btf.size_of(id)
        with pytest.raises(ObjectError, match=f"is a {kind} that has no alignment"):
            btf.align_of(id)


def test_arrays_without_end_are_errors():
    s = Sample()
    huge = s.b.array(s.int, s.u32, 0xFFFFFFFF)
    huger = s.b.array(huge, s.u32, 0xFFFFFFFF)
    hugest = s.b.array(huger, s.u32, 0xFFFFFFFF)
    loop = s.b.reserve()
    s.b.set(loop, Array(loop, s.u32, 1))
    btf = s.b.build()

    with pytest.raises(ObjectError, match="an array of"):
        btf.size_of(hugest)
    with pytest.raises(ObjectError, match="nested deeper than 32"):
        btf.size_of(loop)
    with pytest.raises(ObjectError, match="no alignment"):
        btf.align_of(loop)


def test_alignments_are_those_of_the_strictest_member():
    s = Sample()
    small = s.b.struct("small", 2, [("a", s.char, 0), ("b", s.u8, 8)])
    pair = s.b.struct("pair", 16, [("a", s.char, 0), ("b", s.u64, 64)])
    packed_size = s.b.struct("packed_size", 9, [("a", s.u64, 0), ("b", s.char, 64)])
    packed_offset = s.b.struct("packed_offset", 16, [("a", s.char, 0), ("b", s.u64, 8)])
    bits = s.b.struct("bits", 4, [("a", s.int, 3, 5)])
    array = s.b.array(pair, s.u32, 2)
    wide = s.b.int_("__int128", 16)
    var = s.b.var("v", pair)
    btf = s.b.build()

    wanted = {
        small: 1,
        pair: 8,
        packed_size: 1,
        packed_offset: 1,
        bits: 4,
        array: 8,
        wide: 8,
        s.void_ptr: 8,
        var: 8,
        s.bool: 1,
    }
    assert {id: btf.align_of(id) for id in wanted} == wanted


def test_a_struct_that_contains_itself_has_no_alignment():
    b = BtfBuilder()
    loop = b.struct("loop", 8, [("again", 1, 0)])

    with pytest.raises(ObjectError, match="no alignment"):
        b.build().align_of(loop)


def nested() -> tuple[Btf, int]:
    s = Sample()
    inner = s.b.struct("", 8, [("x", s.int, 0), ("y", s.int, 32)])
    either = s.b.union("", 8, [("", inner, 0), ("both", s.u64, 0)])
    array = s.b.array(s.char, s.u32, 16)
    place = s.b.struct("place", 32, [("name", array, 0), ("at", s.u64, 128), ("", either, 192)])
    places = s.b.array(s.b.const(place), s.u32, 4)
    outer = s.b.struct("outer", 136, [("first", s.u64, 0), ("places", places, 64)])
    return s.b.build(), outer


def test_members_of_anonymous_structs_are_members_of_the_outer_one():
    btf, _ = nested()
    place = btf.find("place")

    assert [(m.name, m.offset) for m in btf.members(place)] == [
        ("name", 0),
        ("at", 16),
        ("x", 24),
        ("y", 28),
        ("both", 24),
    ]


@pytest.mark.parametrize(
    ("path", "offset"),
    [
        ("first", 0),
        ("places", 8),
        ("places[0].name", 8),
        ("places[3].at", 8 + 96 + 16),
        ("places[3].y", 8 + 96 + 28),
        ("places[1].name[5]", 8 + 32 + 5),
    ],
)
def test_a_path_leads_to_the_byte_that_c_gives(path, offset):
    btf, outer = nested()

    found = btf.find_member(outer, path)

    assert found is not None
    assert (found.offset, found.bit_size) == (offset, 0)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nowhere",
        "first.x",
        "first[0]",
        "places.at",
        "places[4]",
        "places[x]",
        "places[-1]",
        "places[1",
        "places[99999999999999999999]",
        "places[0].nowhere.at",
        "places[0]..at",
    ],
)
def test_a_path_that_leads_nowhere_is_none(path):
    btf, outer = nested()

    assert btf.find_member(outer, path) is None


def test_members_of_a_number_are_an_error():
    s = Sample()

    with pytest.raises(ObjectError, match="is not a struct or union"):
        s.b.build().members(s.int)


def test_both_forms_of_bitfields_give_the_same_members():
    s = Sample()
    old_int = s.b.int_("unsigned int", 4, 0, bits=3, bit_offset=5)
    old = s.b.struct("old", 4, [("x", old_int, 8)])
    new = s.b.struct("new", 4, [("x", s.u32, 13, 3)])
    btf = s.b.build()

    assert btf.members(old) == [MemberAt("x", old_int, 13, 3)]
    assert btf.members(new) == [MemberAt("x", s.u32, 13, 3)]


def test_anonymous_structs_without_end_are_an_error():
    b = BtfBuilder()
    b.struct("", 8, [("", 1, 0), ("", 1, 0)])
    btf = b.build()

    with pytest.raises(ObjectError, match="nested without end"):
        btf.members(1)
    with pytest.raises(ObjectError, match="nested without end"):
        btf.find_member(1, "x")


def test_a_flexible_array_has_its_first_element():
    s = Sample()
    tail = s.b.array(s.int, s.u32, 0)
    outer = s.b.struct("outer", 8, [("n", s.u64, 0), ("tail", tail, 64)])
    btf = s.b.build()

    assert btf.find_member(outer, "tail[0]") == MemberAt("tail[0]", s.int, 64, 0)
    assert btf.find_member(outer, "tail[1]") is None
