"""bytes → BTF: headers, geometry, walking and decoding each kind."""

import struct
from array import array

import pytest

from bpfemu.btf import Btf, kinds
from bpfemu.btf.parse import TypeWalk, decode_type
from bpfemu.errors import ObjectError
from tests.btf.samples import PAIR_STRINGS, PAIR_WORDS, blob, pair_blob, words


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"magic": 0x1234}, r"magic is 0x3412"),
        ({"version": 2}, r"version is 2"),
        ({"flags": 1}, r"flags are 0x1"),
        ({"hdr_len": 23}, r"hdr_len is 23"),
        ({"hdr_len": 1 << 31}, r"hdr_len is 2147483648"),
        ({"type_off": 2}, r"not made of 4-byte words"),
        ({"type_len": 63}, r"not made of 4-byte words"),
        ({"str_off": 60}, r"types end at 64, strings start at 60"),
        ({"str_len": 15}, r"strings end at 103, the blob at 102"),
        ({"str_len": 0}, r"string section is empty"),
        ({"str_len": 13}, r"do not end with a NUL"),
        ({"str_off": 65, "str_len": 13}, r"do not begin with a NUL"),
    ],
)
def test_a_header_that_breaks_a_rule_is_refused(header, message):
    data = blob(words(*PAIR_WORDS), PAIR_STRINGS, **header)

    with pytest.raises(ObjectError, match=message) as caught:
        Btf.parse(data)

    assert caught.value.section == ".BTF"


@pytest.mark.parametrize("size", [0, 1, 2, 23])
def test_a_blob_shorter_than_its_header_is_refused(size):
    with pytest.raises(ObjectError, match=f"header takes 24 bytes, the blob has {size}"):
        Btf.parse(pair_blob()[:size])


def test_version_and_flags_are_refused_as_not_supported():
    for header in ({"version": 2}, {"flags": 1}):
        with pytest.raises(ObjectError) as caught:
            Btf.parse(blob(b"", b"\0", **header))
        assert caught.value.errno == 95


def test_a_longer_header_is_skipped():
    types = words(*PAIR_WORDS)
    head = struct.pack("=HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, len(types), len(types), 14, 0, 0)

    btf = Btf.parse(head + types + PAIR_STRINGS)

    assert btf.find("pair") == 3


def test_the_other_byte_order_reads_the_same():
    types = struct.pack(f">{len(PAIR_WORDS)}I", *PAIR_WORDS)
    head = struct.pack(">HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 14)
    big = Btf.parse(head + types + PAIR_STRINGS)
    little_types = struct.pack(f"<{len(PAIR_WORDS)}I", *PAIR_WORDS)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 14)
    little = Btf.parse(head + little_types + PAIR_STRINGS)

    assert (big.byteorder, little.byteorder) == ("big", "little")
    assert list(big.types()) == list(little.types())
    assert big.find("pair") == 3 == little.find("pair")


@pytest.mark.parametrize("info", [0, 20 << 24, 31 << 24, 1 << 29 | 1 << 24, 1 << 24 | 1 << 16])
def test_an_unknown_kind_or_a_reserved_bit_is_refused_with_its_place(info):
    types = words(0, 2 << 24, 0, 0, info, 0, 0)

    with pytest.raises(ObjectError, match=rf"\.BTF\+0xc: .*info {info:#x}"):
        Btf.parse(blob(types, b"\0"))


@pytest.mark.parametrize("count", range(1, 9))
def test_a_type_section_that_ends_within_a_record_is_refused(count):
    types = words(*PAIR_WORDS)[: 4 * (len(PAIR_WORDS) - count)]

    with pytest.raises(ObjectError, match="ends within a record"):
        Btf.parse(blob(types, PAIR_STRINGS))


K = {kind.__name__: kind.KIND << 24 for kind in kinds.KINDS}
FLAG = 1 << 31


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ([1, K["Int"], 4, 4 << 24 | 3 << 16 | 7], kinds.Int("n", 4, 4, 7, 3)),
        ([0, K["Ptr"], 9], kinds.Ptr(9)),
        ([0, K["Array"], 0, 5, 6, 7], kinds.Array(5, 6, 7)),
        ([1, K["Struct"], 0], kinds.Struct("n", 0, ())),
        (
            [1, K["Union"] | FLAG | 1, 4, 3, 9, 5 << 24 | 2],
            kinds.Union("n", 4, (kinds.Member("m", 9, 2, 5),), True),
        ),
        (
            [1, K["Struct"] | 1, 4, 3, 9, 5 << 24 | 2],
            kinds.Struct("n", 4, (kinds.Member("m", 9, 5 << 24 | 2),)),
        ),
        (
            [1, K["Enum"] | 1, 4, 3, 0xFFFFFFFF],
            kinds.Enum("n", 4, False, (kinds.EnumValue("m", 0xFFFFFFFF),)),
        ),
        (
            [1, K["Enum"] | FLAG | 1, 4, 3, 0xFFFFFFFF],
            kinds.Enum("n", 4, True, (kinds.EnumValue("m", -1),)),
        ),
        ([1, K["Fwd"], 0], kinds.Fwd("n")),
        ([1, K["Fwd"] | FLAG, 0], kinds.Fwd("n", True)),
        ([1, K["Typedef"], 9], kinds.Typedef("n", 9)),
        ([0, K["Volatile"], 9], kinds.Volatile(9)),
        ([0, K["Const"], 9], kinds.Const(9)),
        ([0, K["Restrict"], 9], kinds.Restrict(9)),
        ([1, K["Func"] | 2, 9], kinds.Func("n", 9, 2)),
        (
            [0, K["FuncProto"] | 2, 9, 3, 8, 0, 0],
            kinds.FuncProto(9, (kinds.Param("m", 8), kinds.Param("", 0))),
        ),
        ([1, K["Var"], 9, 1], kinds.Var("n", 9, 1)),
        (
            [1, K["DataSec"] | 1, 16, 9, 8, 4],
            kinds.DataSec("n", 16, (kinds.SecVar(9, 8, 4),)),
        ),
        ([1, K["Float"], 8], kinds.Float("n", 8)),
        ([1, K["DeclTag"], 9, 0xFFFFFFFF], kinds.DeclTag("n", 9, -1)),
        ([1, K["DeclTag"] | FLAG, 9, 2], kinds.DeclTag("n", 9, 2, True)),
        ([1, K["TypeTag"], 9], kinds.TypeTag("n", 9)),
        ([1, K["TypeTag"] | FLAG, 9], kinds.TypeTag("n", 9, True)),
        (
            [1, K["Enum64"] | 1, 8, 3, 0xFFFFFFFE, 0xFFFFFFFF],
            kinds.Enum64("n", 8, False, (kinds.EnumValue("m", (1 << 64) - 2),)),
        ),
        (
            [1, K["Enum64"] | FLAG | 1, 8, 3, 0xFFFFFFFE, 0xFFFFFFFF],
            kinds.Enum64("n", 8, True, (kinds.EnumValue("m", -2),)),
        ),
    ],
)
def test_each_kind_is_decoded(record, wanted):
    btf = Btf.parse(blob(words(*record), b"\0n\0m\0"))

    assert btf.type(1) == wanted
    assert btf.type_count == 2


def test_a_prototype_knows_that_it_is_variadic():
    plain, dots = kinds.Param("a", 1), kinds.Param("", 0)

    assert kinds.FuncProto(0, (plain, dots)).variadic
    assert not kinds.FuncProto(0, (plain,)).variadic
    assert not kinds.FuncProto(0, ()).variadic


def test_a_walk_with_wrong_starts_ends_in_an_object_error():
    section = array("I", [0, 2 << 24, 0, 0, 0x1F << 24, 0])

    for at in (3, 5, 7):
        with pytest.raises(ObjectError, match="ends within a record"):
            decode_type(section, at, str)


def test_numbers_are_found_only_at_record_starts():
    walk = TypeWalk(array("I", PAIR_WORDS))

    assert [walk.number_at(word) for word in (0, 1, 4, 7, 8, 99)] == [0, None, 1, 2, None, None]
    assert walk.to_type(2)
    assert not walk.to_type(3)
    assert not walk.to_type(-1)
