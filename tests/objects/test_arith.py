"""C's operators."""

import operator

import pytest

from bpfemu.objects import Object, Program
from tests.objects.small import Small, number


def made(prog: Program, type: str, value: object) -> Object:
    return Object(prog, type, value)


@pytest.mark.parametrize(
    ("op", "left", "right", "type", "value"),
    [
        (operator.add, ("int", 1), ("int", 2), "int", 3),
        (operator.add, ("u32", 0xFFFF_FFFF), ("int", 1), "unsigned int", 0),
        (operator.sub, ("int", 1), ("u32", 2), "unsigned int", 0xFFFF_FFFF),
        (operator.add, ("char", 127), ("char", 1), "int", 128),
        (operator.mul, ("unsigned long", 1 << 63), ("int", 2), "unsigned long", 0),
        (operator.add, ("long long", -1), ("u32", 1), "long long", 0),
        (operator.add, ("unsigned long", 5), ("long long", -6), "unsigned long", 2**64 - 1),
        (operator.truediv, ("int", -7), ("int", 2), "int", -3),
        (operator.mod, ("int", -7), ("int", 2), "int", -1),
        (operator.mod, ("int", 7), ("int", -2), "int", 1),
        (operator.truediv, ("double", 1.0), ("int", 4), "double", 0.25),
        (operator.add, ("float", 0.5), ("double", 1.0), "double", 1.5),
        (operator.and_, ("u32", 12), ("u32", 10), "unsigned int", 8),
        (operator.or_, ("int", 12), ("int", 3), "int", 15),
        (operator.xor, ("int", -1), ("int", 1), "int", -2),
        (operator.lshift, ("char", 1), ("unsigned long", 8), "int", 256),
        (operator.rshift, ("int", -8), ("int", 1), "int", -4),
        (operator.add, ("_Bool", True), ("_Bool", True), "int", 2),
        (operator.add, ("enum color", 2), ("int", 1), "unsigned int", 3),
        (operator.add, ("enum big", 1 << 63), ("int", 1), "unsigned long", (1 << 63) + 1),
    ],
)
def test_usual_conversions(
    prog: Program, op: object, left: tuple, right: tuple, type: str, value: object
) -> None:
    result = op(made(prog, *left), made(prog, *right))  # type: ignore[operator]

    assert isinstance(result, Object)
    assert result.type_.type_name() == type
    assert result.value_() == value


def test_python_numbers_on_either_side_are_literals(prog: Program) -> None:
    seven = made(prog, "u32", 7)

    results = [
        7 + seven, 9 - seven, 2 * seven, 22 / seven, 10 % seven, 1 << seven, 1024 >> seven,
        3 & seven, 8 | seven, 1 ^ seven,
    ]  # fmt: skip
    assert [result.value_() for result in results] == [14, 2, 14, 3, 3, 128, 8, 3, 15, 6]
    assert (seven + (1 << 40)).type_.type_name() == "long"
    assert (seven * 0.5).value_() == 3.5


def test_unary_operators_promote(prog: Program) -> None:
    assert (-made(prog, "char", 5)).value_() == -5
    assert (+made(prog, "char", 5)).type_.type_name() == "int"
    assert (~made(prog, "u32", 0)).value_() == 0xFFFF_FFFF
    assert (-made(prog, "double", 1.5)).value_() == -1.5
    for op, type in ((operator.neg, "int *"), (operator.invert, "double")):
        with pytest.raises(TypeError):
            op(made(prog, type, 1))  # type: ignore[operator]


def test_pointers_move_by_what_they_point_to(prog: Program) -> None:
    pointer = made(prog, "struct point *", 0x1000)

    assert (pointer + 2).value_() == 0x1010 and (2 + pointer).value_() == 0x1010
    assert (pointer - 1).value_() == 0xFF8
    assert (pointer + 1).type_ == pointer.type_
    assert (made(prog, "struct point *", 0x1010) - pointer).value_() == 2
    assert (made(prog, "void *", 8) + 3).value_() == 11
    for wrong in (
        lambda: pointer + pointer,
        lambda: pointer * 2,
        lambda: 2 - pointer,
        lambda: pointer + 0.5,
        lambda: pointer & 1,
    ):
        with pytest.raises(TypeError, match="C has no"):
            wrong()


def test_comparisons_convert_as_c_does(prog: Program) -> None:
    assert made(prog, "int", -1) == -1
    assert made(prog, "int", -1) == made(prog, "u32", 0xFFFF_FFFF)
    assert made(prog, "int", -1) > made(prog, "u32", 1)
    assert made(prog, "int", -1) < made(prog, "int", 1)
    assert made(prog, "int", 1) <= 1 and made(prog, "int", 1) >= 1 and made(prog, "int", 1) != 2
    assert made(prog, "int *", 8) == made(prog, "void *", 8)
    assert made(prog, "void *", 2**64 - 1) == -1
    assert made(prog, "double", 0.5) < 1
    assert (made(prog, "int", 1) == "1") is False


def test_references_are_read_for_it(small: Small) -> None:
    point = small.at("struct point", number(3, 4))

    assert (point.x + point.y).value_() == 7
    assert point.x < point.y
    assert int(point.x) == 3 and float(point.y) == 4.0 and hex(point.y) == "0x4"
    assert [10, 20, 30, 40][point.x] == 40
    assert bool(point.x) and not small.at("int", number(0))


def test_structs_and_arrays_are_no_numbers(small: Small) -> None:
    point = small.at("struct point", number(3, 4))

    for use in (bool, int, float, lambda p: p + 1, lambda p: p == p, lambda p: 1 + p):
        with pytest.raises(TypeError, match="struct point is no number or pointer"):
            use(point)  # type: ignore[operator]
    with pytest.raises(TypeError):
        hash(point)
    with pytest.raises(TypeError):
        point.x + "1"


def test_floating_point_has_no_bits(prog: Program) -> None:
    half = made(prog, "double", 0.5)

    for wrong in (lambda: half & 1, lambda: 1 << half, lambda: half % 2, lambda: hex(half)):
        with pytest.raises(TypeError):
            wrong()
    assert int(half) == 0 and __import__("math").trunc(made(prog, "double", 2.5)) == 2


def test_dividing_by_zero_and_shifting_backwards(prog: Program) -> None:
    for wrong in (lambda: made(prog, "int", 1) / 0, lambda: made(prog, "int", 1) % 0):
        with pytest.raises(ZeroDivisionError):
            wrong()
    with pytest.raises(ValueError, match="negative shift"):
        made(prog, "int", 1) << -1
