"""The builder, and that encoding is the inverse of parsing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.btf import Btf, BtfBuilder, kinds
from bpfemu.btf.encode import encode
from bpfemu.errors import InputError
from tests.btf.samples import pair_blob, split_pair

u32 = st.integers(0, (1 << 32) - 1)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
members = st.lists(st.builds(kinds.Member, names, u32, u32), max_size=4).map(tuple)
bit_members = st.lists(
    st.builds(kinds.Member, names, u32, st.integers(0, (1 << 24) - 1), st.integers(0, 255)),
    max_size=4,
).map(tuple)


def enums(make, bits):
    def values(signed):
        low, high = (-1 << bits - 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        return st.lists(st.builds(kinds.EnumValue, names, st.integers(low, high)), max_size=4)

    return st.booleans().flatmap(
        lambda signed: st.builds(make, names, u32, st.just(signed), values(signed).map(tuple))
    )


types = st.one_of(
    st.builds(kinds.Int, names, u32, st.integers(0, 15), st.integers(0, 255), st.integers(0, 255)),
    st.builds(kinds.Ptr, u32),
    st.builds(kinds.Array, u32, u32, u32),
    st.builds(kinds.Struct, names, u32, members, st.just(False)),
    st.builds(kinds.Struct, names, u32, bit_members, st.just(True)),
    st.builds(kinds.Union, names, u32, members, st.just(False)),
    enums(kinds.Enum, 32),
    enums(kinds.Enum64, 64),
    st.builds(kinds.Fwd, names, st.booleans()),
    st.builds(kinds.Typedef, names, u32),
    st.builds(kinds.Volatile, u32),
    st.builds(kinds.Const, u32),
    st.builds(kinds.Restrict, u32),
    st.builds(kinds.Func, names, u32, st.integers(0, 0xFFFF)),
    st.builds(
        kinds.FuncProto, u32, st.lists(st.builds(kinds.Param, names, u32), max_size=4).map(tuple)
    ),
    st.builds(kinds.Var, names, u32, u32),
    st.builds(
        kinds.DataSec,
        names,
        u32,
        st.lists(st.builds(kinds.SecVar, u32, u32, u32), max_size=4).map(tuple),
    ),
    st.builds(kinds.Float, names, u32),
    st.builds(kinds.DeclTag, names, u32, st.integers(-(1 << 31), (1 << 31) - 1), st.booleans()),
    st.builds(kinds.TypeTag, names, u32, st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(types, max_size=8), st.sampled_from(["little", "big"]))
def test_what_was_encoded_is_parsed_again(found, byteorder):
    builder = BtfBuilder(byteorder=byteorder)
    for one in found:
        builder.add(one)

    btf = builder.build()
    again = Btf.parse(encode(btf))

    assert [t for _, t in btf.types()] == found
    assert list(again.types()) == list(btf.types())
    assert again.byteorder == byteorder


def test_a_blob_made_of_deduplicated_strings_encodes_to_itself():
    assert encode(Btf.parse(pair_blob())) == pair_blob()


def test_a_split_btf_uses_the_strings_of_its_base():
    base, split = split_pair()

    data = encode(split)

    assert b"pair\0" not in data.replace(b"pair_ptr\0", b"")
    assert list(Btf.parse(data, base).types()) == list(split.types())


def test_the_same_name_is_stored_once():
    builder = BtfBuilder()
    builder.typedef("same", 0)
    builder.typedef("same", 0)

    assert builder.encode().count(b"same\0") == 1


def test_reserved_ids_allow_cycles():
    builder = BtfBuilder()
    node = builder.reserve()
    pointer = builder.ptr(node)
    builder.set(node, kinds.Struct("node", 8, (kinds.Member("next", pointer, 0),)))

    btf = builder.build()

    assert btf.find_member(node, "next").type == pointer
    assert btf.type(pointer) == kinds.Ptr(node)


def test_every_kind_has_its_method():
    b = BtfBuilder()
    made = [
        b.int_("i", 4),
        b.ptr(),
        b.array(1, 1, 2),
        b.struct("s", 4, [("a", 1, 0, 3)]),
        b.union("u", 4, [kinds.Member("a", 1, 0)]),
        b.enum("e", 4, [("A", -1)], signed=True),
        b.fwd("f", True),
        b.typedef("t", 1),
        b.volatile(1),
        b.const(1),
        b.restrict(2),
        b.func("g", 13, kinds.Linkage.STATIC),
        b.func_proto(1, [("x", 1), kinds.Param("", 0)]),
        b.var("v", 1),
        b.datasec(".d", 4, [(14, 0, 4), kinds.SecVar(14, 0, 4)]),
        b.float_("double", 8),
        b.decl_tag("tag", 4, 0),
        b.type_tag("rcu", 1),
        b.enum64("E", 8, [kinds.EnumValue("B", 1)]),
    ]

    btf = b.build()

    assert made == list(range(1, 20))
    assert [btf.type(id).KIND for id in made] == made
    assert btf.type(4).bitfields
    assert not btf.type(5).bitfields


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (kinds.Ptr(-1), "BTF type id is -1, must be 0 to 4294967295"),
        (kinds.Int("i", 4, 16, 32), "BTF INT encoding is 16"),
        (kinds.Int("i", 4, 0, 256), "BTF INT bits is 256"),
        (kinds.Enum("e", 4, False, (kinds.EnumValue("A", -1),)), "BTF value of 'A' is -1"),
        (kinds.Enum("e", 4, True, (kinds.EnumValue("A", 1 << 31),)), "must be -2147483648 to"),
        (kinds.Struct("s", 4, (kinds.Member("a", 1, 0, 3),)), "bit size of 'a' without bitfields"),
        (kinds.Struct("s", 4, (kinds.Member("a", 1, 1 << 24, 3),), True), "member bit offset"),
        (kinds.Func("f", 1, 1 << 16), "BTF vlen is 65536"),
        (kinds.Typedef("a\0b", 1), r"BTF string 'a\\x00b' contains a NUL"),
        (kinds.Void(), "void has id 0 and is never stored"),
    ],
)
def test_a_field_that_does_not_fit_is_an_input_error(found, message):
    builder = BtfBuilder()
    builder.add(found)

    with pytest.raises(InputError, match=message):
        builder.encode()


def test_ids_that_were_not_handed_out_or_never_set_are_input_errors():
    builder = BtfBuilder()
    builder.reserve()

    with pytest.raises(InputError, match="BTF id 2 was not handed out"):
        builder.set(2, kinds.Ptr(0))
    with pytest.raises(InputError, match="BTF id 1 was reserved and never set"):
        builder.encode()
