"""Objects: references read memory, values stay; members, elements, addresses, writing."""

import pytest

from bpfemu.errors import FaultError, InputError, ObjectAbsentError
from bpfemu.objects import Object, Program
from tests.objects.small import Small, number


def test_a_reference_reads_memory_each_time_and_a_value_does_not(small: Small) -> None:
    ref = small.at("int", number(5))
    value = ref.read_()
    assert ref.address_ is not None

    small.memory.write(ref.address_, number(6))

    assert (ref.value_(), value.value_()) == (6, 5)
    assert value.address_ is None and value.read_() is value
    assert value.bit_offset_ is None and ref.bit_offset_ == 0


def test_members_are_reached_with_a_dot_through_pointers_too(small: Small) -> None:
    line = small.at("struct line", number(1, 2, -3, 4) + number(0, size=8))
    pointer = line.address_of_()

    assert pointer.ends[1].x.value_() == line.ends[1].x.value_() == -3
    assert str(pointer.type_) == "struct line *"
    assert pointer[0].ends[0].y.value_() == 2
    assert line.member_("ends").type_.length == 2
    assert pointer.ends[1].y.address_ == line.address_ + 12  # type: ignore[operator]


def test_members_of_values_are_values(small: Small) -> None:
    value = small.at("struct mixed", number(7, -8, 9, 0)).read_()

    assert value.left.value_() == 7 and value.right.value_() == -8
    assert value.both.value_() == 7 | (2**32 - 8) << 32
    assert value.tail.address_ is None and str(value.tail.type_) == "const int"
    with pytest.raises(ValueError, match="address of a value"):
        value.left.address_of_()


def test_bit_fields_are_cut_out_with_their_sign(small: Small) -> None:
    word = 5 | (0b10010 << 3) | (0xABCDEF << 8)
    bits = small.at("struct bits", number(word))

    for obj in (bits, bits.read_(), bits.address_of_()):
        assert (obj.low.value_(), obj.mid.value_(), obj.high.value_()) == (5, -14, 0xABCDEF)
        assert obj.mid.bit_field_size_ == 5
    assert (bits.high.bit_offset_, bits.high.address_) == (0, bits.address_ + 1)  # type: ignore[operator]
    assert bits.mid.read_().bit_field_size_ == 5
    with pytest.raises(ValueError, match="address of a bit field"):
        bits.mid.address_of_()


def test_values_of_every_kind(small: Small) -> None:
    import struct

    data = b"abc\0...." + b"\1\0\0\0" + number(2) + struct.pack("<d", 1.5)
    data += number(0x1000, 0x2000, 0, 0, size=8)
    every = small.at("struct all", data)

    assert every.value_() == {
        "text": [97, 98, 99, 0, 46, 46, 46, 46],
        "on": True,
        "of": 2,
        "ratio": 1.5,
        "at": 0x1000,
        "fn": 0x2000,
        "nothing": 0,
        "far": 0,
        "more": [],
    }
    assert every.text.string_() == b"abc"
    assert every.text.string_(2) == b"ab"
    assert every.to_bytes_() == data


def test_strings_behind_pointers(small: Small, prog: Program) -> None:
    text = small.put(b"x" * 700 + b"\0tail")
    line = small.at("struct line", bytes(16) + number(text, size=8))

    assert line.name.string_() == b"x" * 700
    assert line.name.string_(3) == b"xxx"
    assert Object(prog, "char []", address=text + 698).string_() == b"xx"
    with pytest.raises(TypeError, match="no array or pointer"):
        line.ends[0].x.string_()


def test_a_string_without_an_end_is_a_fault_behind_its_memory(small: Small, prog: Program) -> None:
    addr = small.put(b"abcdefgh")

    with pytest.raises(FaultError) as caught:
        Object(prog, "char *", addr).string_()
    assert caught.value.address == addr + 8
    assert Object(prog, "char *", addr).string_(8) == b"abcdefgh"


def test_a_bad_read_is_a_fault_with_the_address(prog: Program) -> None:
    bad = Object(prog, "struct point *", 8)

    with pytest.raises(FaultError, match="read of 4 bytes at 0xc: NULL dereference") as caught:
        bad.y.value_()
    assert caught.value.address == 0xC


def test_elements_behind_pointers_and_in_arrays(small: Small) -> None:
    points = small.at("struct point [2]", number(1, 2, 3, 4))

    assert len(points) == 2
    assert [point.y.value_() for point in points] == [2, 4]
    assert [point.y.value_() for point in points.read_()] == [2, 4]
    assert points[points[0].x].x.value_() == 3
    pointer = points[0].address_of_()
    assert pointer[1].x.value_() == 3 and pointer[-1].address_ == points.address_ - 8  # type: ignore[operator]
    with pytest.raises(IndexError):
        points.read_()[2]
    for wrong in (points[0], small.at("int", number(1))):
        with pytest.raises(TypeError, match="no array or pointer"):
            wrong[0]
        with pytest.raises(TypeError, match="has no length"):
            len(wrong)


def test_void_has_no_value(small: Small, prog: Program) -> None:
    with pytest.raises(TypeError, match="void has no value"):
        Object(prog, "void", address=small.put(b"x")).value_()


def test_void_pointers_cannot_be_counted_with(prog: Program) -> None:
    with pytest.raises(TypeError, match="void has no size"):
        Object(prog, "void *", 8)[1]


def test_names_that_are_not_there(small: Small) -> None:
    point = small.at("struct point", number(1, 2))

    with pytest.raises(AttributeError, match="struct point has no member 'z'"):
        _ = point.z
    with pytest.raises(LookupError, match="struct point has no member 'z'"):
        point.member_("z")
    with pytest.raises(AttributeError, match="int is not a struct"):
        _ = point.x.y
    with pytest.raises(TypeError, match="int is not a struct, a union, or a pointer"):
        point.x.member_("y")
    assert not hasattr(point, "__nothing__")
    assert {"x", "y", "address_"} <= set(dir(point)) <= set(dir(point.address_of_()))
    assert "x" not in dir(point.x)


def test_objects_are_made_from_values(prog: Program) -> None:
    assert Object(prog, "int", -1).value_() == -1
    assert Object(prog, "u32", -1).value_() == 0xFFFF_FFFF
    assert Object(prog, "struct point", {"x": 1}).value_() == {"x": 1, "y": 0}
    assert Object(prog, "int [3]", [1, 2]).value_() == [1, 2, 0]
    assert Object(prog, "char [4]", b"ab").string_() == b"ab"
    assert Object(prog, "enum color", "BLUE").value_() == 2
    assert Object(prog, "double", 1).value_() == 1.0
    assert Object(prog, "struct bits", {"mid": -1, "low": 7}).to_bytes_() == number(0xFF)
    assert Object(prog, "struct line", {"ends": [{"y": Object(prog, "int", 3)}]}).ends[0].y == 3
    assert str(Object(prog, value=5).type_) == "int"
    assert str(Object(prog, value=1 << 31).type_) == "long"
    assert str(Object(prog, value=1 << 63).type_) == "unsigned long"
    assert str(Object(prog, value=0.5).type_) == "double"


@pytest.mark.parametrize(
    ("type", "value", "said"),
    [
        ("int", 1 << 32, "value: 0x100000000 does not fit int, 4 bytes"),
        ("int", "x", "value: 'x' is no int"),
        ("int", [1], r"value: \[1\] is no int"),
        ("struct point", {"z": 1}, "z: struct point has no member 'z'"),
        ("struct point", 5, "value: 5 is no struct point"),
        ("struct line", {"ends": [{}, {"x": 1 << 40}]}, r"ends\[1\].x: 0x10000000000 does not"),
        ("int [2]", [1, 2, 3], r"value: 3 elements, int \[2\] has 2"),
        ("int [2]", 1, r"value: 1 is no int \[2\]"),
        ("int [2]", "ab", r"value: 'ab' is no int \[2\]"),
        ("char [2]", b"abc", r"value: 3 bytes, char \[2\] has 2"),
        ("struct point", b"abc", "value: 3 bytes, struct point has 8"),
        ("enum color", "GREEN", "value: enum color has no 'GREEN'; there are RED, BLUE"),
        ("struct bits", {"low": 8}, "low: the value does not fit 3 bits"),
        ("struct bits", {"mid": -17}, "mid: the value does not fit 5 bits"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(
    prog: Program, type: str, value: object, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Object(prog, type, value)


def test_an_object_has_one_of_type_value_and_address(prog: Program) -> None:
    with pytest.raises(InputError, match="needs a value"):
        Object(prog)
    with pytest.raises(InputError, match="not both"):
        Object(prog, "int", 5, address=8)
    with pytest.raises(TypeError, match="void has no value"):
        Object(prog, "void", 5)
    with pytest.raises(OverflowError):
        Object(prog, value=1 << 64)


def test_bytes_that_are_no_number_stay_what_they_are(prog: Program) -> None:
    assert Object(prog, "float", 0.5).to_bytes_() == b"\0\0\0?"
    assert Object.from_bytes_(prog, "float [2]", b"\0\0\0?" * 2).value_() == [0.5, 0.5]


def test_absent_objects_raise(prog: Program) -> None:
    absent = Object(prog, "struct point")

    assert absent.absent_ and not Object(prog, "int", 1).absent_
    for look in (absent.value_, absent.read_, lambda: absent.x, absent.to_bytes_):
        with pytest.raises(ObjectAbsentError, match="an absent struct point has no value"):
            look()
    assert repr(absent) == "Object(prog, 'struct point')"
    assert str(absent) == "<absent>"


def test_values_from_bytes(prog: Program) -> None:
    assert Object.from_bytes_(prog, "struct point", number(1, 2, 3)).y.value_() == 2
    with pytest.raises(InputError, match="struct point has 8 bytes, 4 are given"):
        Object.from_bytes_(prog, "struct point", number(1))


def test_writing_changes_memory_and_nothing_beside_it(small: Small) -> None:
    line = small.at("struct line", number(1, 2, 3, 4) + number(9, size=8))

    line.ends[1].x.write_(-7)
    line.ends[0].write_({"y": 8})
    line.address_of_().name.write_(Object(small.prog, "char *", 0x10))

    assert line.to_bytes_() == number(1, 8, -7, 4) + number(0x10, size=8)


def test_writing_bit_fields_leaves_their_neighbours(small: Small) -> None:
    bits = small.at("struct bits", number(0xFFFF_FFFF))

    bits.mid.write_(-16)
    assert bits.to_bytes_() == number(0xFFFF_FF87)
    bits.high.write_(1)
    assert bits.to_bytes_() == number(0x187)
    with pytest.raises(InputError, match="value: the value does not fit 3 bits"):
        bits.low.write_(9)


def test_writing_text_and_enumerators(small: Small) -> None:
    every = small.at("struct all", b"\xff" * 56)

    every.text.write_("hi")
    every.of.write_("BLUE")

    assert every.text.value_() == [104, 105, 0, 0, 0, 0, 0, 0]
    assert every.of.value_() == 2


def test_only_memory_that_is_there_can_be_written(small: Small, prog: Program) -> None:
    with pytest.raises(TypeError, match="cannot write to a value"):
        Object(prog, "int", 1).write_(2)
    with pytest.raises(FaultError) as caught:
        Object(prog, "int", address=64).write_(2)
    assert caught.value.address == 64


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("int", -5, "Object(prog, 'int', value=-5)"),
        ("struct point *", 0x1000, "Object(prog, 'struct point *', value=0x1000)"),
        ("_Bool", True, "Object(prog, '_Bool', value=True)"),
        ("struct point", {"x": 1, "y": 2}, "Object(prog, 'struct point', value={'x': 1, 'y': 2})"),
        ("int [2]", [1, 2], "Object(prog, 'int [2]', value=[1, 2])"),
        ("unsigned long", 7, "Object(prog, 'unsigned long', value=7)"),
    ],
)
def test_repr_makes_the_same_value_again(
    prog: Program, type: str, value: object, text: str
) -> None:
    made = Object(prog, type, value)

    assert repr(made) == text
    again = eval(text, {"Object": Object, "prog": prog})
    assert again.to_bytes_() == made.to_bytes_() and again.type_ == made.type_


def test_repr_makes_the_same_reference_again(small: Small, prog: Program) -> None:
    bits = small.at("struct bits", number(0x1234_5678))
    for made in (bits, bits.mid, bits.high):
        again = eval(repr(made), {"Object": Object, "prog": prog})

        assert again.address_ == made.address_
        assert again.value_() == made.value_()
    where = f"address={bits.address_:#x}, bit_offset=3, bit_field_size=5"
    assert repr(bits.mid) == f"Object(prog, 'int', {where})"


def test_addresses_wrap_at_64_bits(prog: Program) -> None:
    assert Object(prog, "int *", 8)[-3].address_ == 2**64 - 4
    assert Object(prog, "int", address=-4).address_ == 2**64 - 4


def test_an_object_knows_its_program(prog: Program) -> None:
    assert Object(prog, "int", 1).prog_ is prog
