"""Bytes → Python values and C text."""

import struct

import pytest

from bpfemu.btf import BtfBuilder, IntEncoding, Member, Struct, Var
from bpfemu.btf.render import format_value, value_to_python
from bpfemu.errors import InputError, ObjectError
from tests.btf.samples import Sample


def test_numbers_are_read_with_their_sign_and_width():
    s = Sample()
    typedef = s.b.typedef("pid_t", s.int)
    var = s.b.var("v", s.int)
    double, single, half = (s.b.float_(n, z) for n, z in (("d", 8), ("f", 4), ("h", 2)))
    long_double = s.b.float_("long double", 16)
    wide = s.b.int_("__int128", 16, IntEncoding.SIGNED)
    btf = s.b.build()

    assert value_to_python(btf, s.int, b"\xfe\xff\xff\xff") == -2
    assert value_to_python(btf, typedef, b"\xfe\xff\xff\xff") == -2
    assert value_to_python(btf, var, b"\xfe\xff\xff\xff") == -2
    assert value_to_python(btf, s.u32, b"\xfe\xff\xff\xff") == 0xFFFFFFFE
    assert value_to_python(btf, s.void_ptr, b"\1" + bytes(6) + b"\x80") == 0x8000000000000001
    assert value_to_python(btf, s.bool, b"\1") is True
    assert value_to_python(btf, s.bool, b"\0") is False
    assert value_to_python(btf, s.bool, b"\2") == 2
    assert value_to_python(btf, wide, b"\xff" * 16) == -1
    assert value_to_python(btf, double, struct.pack("<d", 1.5)) == 1.5
    assert value_to_python(btf, single, struct.pack("<f", -0.25)) == -0.25
    assert value_to_python(btf, half, struct.pack("<e", 2.0)) == 2.0
    assert value_to_python(btf, long_double, b"\1" + bytes(15)) == 1
    assert value_to_python(btf, s.char, b"A") == 65


def test_the_byte_order_is_that_of_the_types():
    s = Sample("big")
    double = s.b.float_("double", 8)
    bits = s.b.struct("bits", 4, [("a", s.u32, 0, 4), ("b", s.u32, 4, 12), ("c", s.u32, 16, 16)])
    btf = s.b.build()

    assert value_to_python(btf, s.u32, b"\1\2\3\4") == 0x01020304
    assert value_to_python(btf, double, struct.pack(">d", 1.5)) == 1.5
    assert value_to_python(btf, bits, b"\x12\x34\x56\x78") == {"a": 1, "b": 0x234, "c": 0x5678}


def test_enums_are_names_or_numbers():
    s = Sample()
    color = s.b.enum("color", 4, [("RED", 0), ("BLUE", 7)])
    signed = s.b.enum("err", 4, [("EPERM", -1)], signed=True)
    wide = s.b.enum64("wide", 8, [("TOP", 1 << 63)])
    btf = s.b.build()

    assert value_to_python(btf, color, b"\7\0\0\0") == "BLUE"
    assert value_to_python(btf, color, b"\6\0\0\0") == 6
    assert value_to_python(btf, signed, b"\xff" * 4) == "EPERM"
    assert value_to_python(btf, signed, b"\xfe" + b"\xff" * 3) == -2
    assert value_to_python(btf, wide, bytes(7) + b"\x80") == "TOP"
    assert format_value(btf, color, b"\7\0\0\0") == "BLUE"
    assert format_value(btf, color, b"\6\0\0\0") == "6"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"init\0\0\0\0", "init"),
        (bytes(8), ""),
        (b"a\0junk\0\0", "a"),
        ("añb\n\0\0\0".encode()[:8], "añb\n"),
        (b"12345678", list(b"12345678")),
        (b"\1\2\0\0\0\0\0\0", [1, 2, 0, 0, 0, 0, 0, 0]),
        (b"\xff\0\0\0\0\0\0\0", [-1, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_char_array_is_a_string_if_it_is_text(data, wanted):
    s = Sample()
    array = s.b.array(s.char, s.u32, 8)

    assert value_to_python(s.b.build(), array, data) == wanted


def test_other_small_numbers_are_never_text():
    s = Sample()
    marked = s.b.int_("letter", 1, IntEncoding.CHAR)
    arrays = [s.b.array(elem, s.u32, 2) for elem in (s.u8, marked, s.b.const(s.char))]
    empty = s.b.array(s.char, s.u32, 0)
    nothing = s.b.array(s.b.struct("", 0, []), s.u32, 3)
    btf = s.b.build()

    assert [value_to_python(btf, array, b"a\0") for array in arrays] == [[97, 0], "a", "a"]
    assert value_to_python(btf, empty, b"") == []
    assert value_to_python(btf, nothing, b"") == []


def test_structs_are_dicts_with_the_members_of_anonymous_ones():
    s = Sample()
    inner = s.b.union("", 4, [("x", s.int, 0), ("y", s.u8, 0)])
    outer = s.b.struct(
        "outer",
        12,
        [("a", s.u32, 0, 4), ("b", s.int, 4, 4), ("", inner, 32), ("flag", s.bool, 64)],
    )
    array = s.b.array(outer, s.u32, 2)
    btf = s.b.build()
    data = b"\xf3\0\0\0" + b"\xff\xff\xff\xff" + b"\1\0\0\0"

    wanted = {"a": 3, "b": -1, "x": -1, "y": 255, "flag": True}
    assert value_to_python(btf, outer, data) == wanted
    assert value_to_python(btf, array, data * 2) == [wanted, wanted]
    assert format_value(btf, outer, data) == "{.a = 3, .b = -1, .x = -1, .y = 255, .flag = true}"


def test_a_section_is_a_dict_of_its_variables():
    s = Sample()
    a, b = s.b.var("a", s.int), s.b.var("b", s.bool)
    func = s.b.func("f", s.b.func_proto(0), 2)
    section = s.b.datasec(".data", 8, [(a, 0, 4), (b, 4, 1), (func, 0, 0)])
    btf = s.b.build()

    assert value_to_python(btf, section, b"\5\0\0\0\1\0\0\0") == {"a": 5, "b": True}
    assert format_value(btf, section, b"\5\0\0\0\0\0\0\0") == "{.a = 5, .b = false}"
    assert format_value(btf, a, b"\5\0\0\0") == "5"


def test_old_bitfield_integers_are_read_at_their_own_offset():
    s = Sample()
    old = s.b.int_("old", 4, IntEncoding.SIGNED, bits=4, bit_offset=8)
    nothing = s.b.int_("nothing", 4, IntEncoding.SIGNED, bits=0)
    empty = s.b.enum("empty", 0, [], signed=True)
    btf = s.b.build()

    assert value_to_python(btf, old, b"\0\x0f\0\0") == -1
    assert value_to_python(btf, nothing, b"\xff\xff\xff\xff") == -1
    assert value_to_python(btf, empty, b"") == 0


def test_numbers_wider_than_16_bytes_are_bytes():
    b = BtfBuilder()
    wide = b.int_("wide", 2048, 0, bits=0)
    btf = b.build()

    assert value_to_python(btf, wide, b"\1" * 2048) == b"\1" * 2048
    assert format_value(btf, wide, b"\xab" * 2048) == "0x" + "ab" * 2048


def test_text_is_escaped_pointers_are_hexadecimal_and_repeats_are_counted():
    s = Sample()
    text = s.b.array(s.char, s.u32, 8)
    numbers = s.b.array(s.u8, s.u32, 12)
    double = s.b.float_("double", 8)
    btf = s.b.build()

    assert format_value(btf, text, b'a"\\\n\t\r\0\0') == r'"a\"\\\n\t\r"'
    assert format_value(btf, text, b"abcdefgh") == "{97, 98, 99, 100, 101, 102, 103, 104}"
    assert format_value(btf, numbers, b"\1\2" + bytes(8) + b"\3\3") == (
        "{1, 2, 0 <repeats 8 times>, 3, 3}"
    )
    assert format_value(btf, s.void_ptr, bytes(8)) == "NULL"
    assert format_value(btf, s.void_ptr, b"\xff" + bytes(7)) == "0xff"
    assert format_value(btf, double, struct.pack("<d", 0.5)) == "0.5"


def test_too_few_bytes_are_an_input_error_and_too_many_are_cut():
    s = Sample()
    btf = s.b.build()

    with pytest.raises(InputError, match="has 4 bytes, 3 are given"):
        value_to_python(btf, s.int, b"abc")
    assert value_to_python(btf, s.int, bytearray(9)) == 0
    assert value_to_python(btf, s.int, memoryview(bytes(9))) == 0
    with pytest.raises(ObjectError, match="has no size"):
        value_to_python(btf, 0, b"")


def test_types_that_do_not_fit_into_themselves_are_errors():
    s = Sample()
    outside = s.b.struct("outside", 4, [("a", s.u64, 0)])
    bits_outside = s.b.struct("bits", 1, [("a", s.u32, 4, 8)])
    loop = s.b.reserve()
    s.b.set(loop, Struct("loop", 4, (Member("again", loop, 0),)))
    wide_loop = s.b.reserve()
    twice = tuple(Member(name, wide_loop, 0) for name in "abcd")
    s.b.set(wide_loop, Struct("wide", 4, twice))
    btf = s.b.build()

    with pytest.raises(InputError, match="passes the end of what it is in"):
        value_to_python(btf, outside, bytes(4))
    with pytest.raises(InputError, match="bitfield 'a' passes the end"):
        value_to_python(btf, bits_outside, bytes(1))
    for id in (loop, wide_loop):
        with pytest.raises(InputError, match="nested without end"):
            value_to_python(btf, id, bytes(4))


def test_a_variable_of_itself_is_an_error():
    b = BtfBuilder()
    b.add(Var("v", 1))

    with pytest.raises(ObjectError):
        value_to_python(b.build(), 1, b"")
