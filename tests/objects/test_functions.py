"""cast, reinterpret, container_of and the like."""

import pytest

from bpfemu.objects import NULL, Object, Program, cast, container_of, reinterpret, sizeof
from tests.objects.small import Small, number


@pytest.mark.parametrize(
    ("type", "value", "target", "result"),
    [
        ("int", -1, "u32", 0xFFFF_FFFF),
        ("int", 300, "char", 44),
        ("u32", 0xFFFF_FFFF, "int", -1),
        ("double", 2.9, "int", 2),
        ("int", 3, "double", 3.0),
        ("int", 2, "_Bool", True),
        ("int", -1, "void *", 2**64 - 1),
        ("void *", 0x1_0000_0005, "int", 5),
        ("int *", 8, "struct point *", 8),
        ("int", 2, "enum color", 2),
    ],
)
def test_casts_convert_and_wrap(
    prog: Program, type: str, value: object, target: str, result: object
) -> None:
    made = cast(target, Object(prog, type, value))

    assert made.value_() == result
    assert made.type_ == prog.type(target)


def test_only_scalars_can_be_cast(small: Small, prog: Program) -> None:
    point = small.at("struct point", number(1, 2))

    for target, obj in (("int", point), ("struct point", point.x)):
        with pytest.raises(TypeError, match="cannot cast"):
            cast(target, obj)


def test_reinterpreting_keeps_the_bytes(small: Small, prog: Program) -> None:
    point = small.at("struct point", number(1, 2))

    assert reinterpret("unsigned long", point).value_() == 1 | 2 << 32
    assert reinterpret("unsigned long", point).address_ == point.address_
    assert reinterpret("unsigned long", point.read_()).value_() == 1 | 2 << 32


def test_the_struct_around_a_member(small: Small, prog: Program) -> None:
    line = small.at("struct line", number(1, 2, 3, 4) + bytes(8))

    found = container_of(line.ends[1].y.address_of_(), "struct line", "ends[1].y")

    assert found == line.address_of_() and str(found.type_) == "struct line *"
    assert container_of(found, prog.type("struct line"), "ends") == line.address_of_()
    with pytest.raises(TypeError, match="wants a pointer, not a int"):
        container_of(line.ends[1].y, "struct line", "ends[1].y")


def test_null_and_sizes(prog: Program) -> None:
    null = NULL(prog, "struct point *")

    assert not null and null.value_() == 0
    assert sizeof(null) == 8 and sizeof(prog.type("struct point")) == 8
