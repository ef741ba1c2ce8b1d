"""C text, as drgn writes it."""

import pytest

from bpfemu.errors import FaultError
from bpfemu.objects import Object, Program
from tests.objects.small import Small, number


@pytest.mark.parametrize(
    ("type", "value", "text"),
    [
        ("int", -5, "(int)-5"),
        ("u32", 5, "(u32)5"),
        ("unsigned long", 5, "(unsigned long)5"),
        ("_Bool", True, "(_Bool)1"),
        ("double", 1.5, "(double)1.5"),
        ("enum color", 2, "(enum color)BLUE"),
        ("enum color", 1, "(enum color)1"),
        ("char", 65, "(char)65"),
        ("char [8]", b'a"b\n\xff', '(char [8])"a\\"b\\n\\xff"'),
        ("int [3]", [1, 2, 0], "(int [3]){ 1, 2 }"),
        ("int [3]", [0, 0, 3], "(int [3]){ 0, 0, 3 }"),
        ("int [3]", [], "(int [3]){}"),
        ("struct point *", 0, "(struct point *)0x0"),
        ("void *", 16, "(void *)0x10"),
        ("struct empty", {}, "(struct empty){}"),
        ("struct point", {"x": 1}, "(struct point){\n\t.x = (int)1,\n\t.y = (int)0,\n}"),
        (
            "struct mixed",
            {"left": 1, "tail": 3},
            "(struct mixed){\n"
            "\t.left = (int)1,\n\t.right = (int)0,\n\t.both = (unsigned long)1,\n"
            "\t.tail = (const int)3,\n}",
        ),
        ("struct point [1]", [{"x": 1}], "(struct point [1]){\n\t{\n\t\t.x = (int)1,\n"
         "\t\t.y = (int)0,\n\t},\n}"),
    ],
)  # fmt: skip
def test_values(prog: Program, type: str, value: object, text: str) -> None:
    assert str(Object(prog, type, value)) == text


def test_pointers_show_what_they_point_to(small: Small) -> None:
    point = small.at("struct point", number(1, 2))
    pointer = point.address_of_()
    where = f"{point.address_:#x}"

    assert str(pointer) == (f"*(struct point *){where} = {{\n\t.x = (int)1,\n\t.y = (int)2,\n}}")
    assert pointer.format_(dereference=False) == f"(struct point *){where}"
    assert pointer.format_(type_name=False, members_same_line=True, member_type_names=False) == (
        f"*{where} = {{ .x = 1, .y = 2 }}"
    )
    assert str(pointer.x.address_of_()) == f"*(int *){where} = 1"


def test_pointers_that_lead_nowhere_are_only_addresses(prog: Program) -> None:
    assert str(Object(prog, "struct point *", 0x99)) == "(struct point *)0x99"
    assert str(Object(prog, "char *", 0x99)) == "(char *)0x99"
    assert str(Object(prog, "struct all", {"far": 8}).far) == "(struct far *)0x8"


def test_text_behind_a_pointer(small: Small, prog: Program) -> None:
    where = small.put(b"hello\0")
    line = small.at("struct line", bytes(16) + number(where, size=8))

    assert str(line.name) == f'(char *){where:#x} = "hello"'
    assert f'\t.name = (char *){where:#x} = "hello",\n' in str(line)
    assert line.name.format_(string=False) == f"*(char *){where:#x} = 104"


def test_members_inside_members_are_indented(small: Small) -> None:
    line = small.at("struct line", number(1, 2) + bytes(16))

    assert str(line) == (
        "(struct line){\n"
        "\t.ends = (struct point [2]){\n"
        "\t\t{\n"
        "\t\t\t.x = (int)1,\n"
        "\t\t\t.y = (int)2,\n"
        "\t\t},\n"
        "\t},\n"
        "\t.name = (char *)0x0,\n"
        "}"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"type_name": False}, "{ 1, 0, 16 }"),
        ({"integer_base": 16}, "(int [4]){ 0x1, 0x0, 0x10 }"),
        ({"integer_base": 8}, "(int [4]){ 01, 00, 020 }"),
        ({"implicit_elements": True}, "(int [4]){ 1, 0, 16, 0 }"),
        ({"element_indices": True}, "(int [4]){ [0] = 1, [2] = 16 }"),
        ({"element_type_names": True}, "(int [4]){ (int)1, (int)0, (int)16 }"),
        ({"elements_same_line": False}, "(int [4]){\n\t1,\n\t0,\n\t16,\n}"),
    ],
)
def test_options_of_arrays(prog: Program, options: dict, text: str) -> None:
    assert Object(prog, "int [4]", [1, 0, 16]).format_(**options) == text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"implicit_members": False}, "(struct point){\n\t.y = (int)-7,\n}"),
        ({"member_names": False, "members_same_line": True}, "(struct point){ (int)0, (int)-7 }"),
        (
            {"integer_base": 16, "members_same_line": True, "member_type_names": False},
            "(struct point){ .x = 0x0, .y = -0x7 }",
        ),
    ],
)
def test_options_of_structs(prog: Program, options: dict, text: str) -> None:
    assert Object(prog, "struct point", {"y": -7}).format_(**options) == text


def test_a_struct_that_is_only_declared_is_empty(small: Small, prog: Program) -> None:
    far = prog.type("struct all").member("far").type.type

    assert str(Object(prog, far, address=small.put(b"x"))) == "(struct far){}"


def test_characters(prog: Program) -> None:
    assert Object(prog, "char", 39).format_(char=True) == r"(char)'\''"
    assert Object(prog, "char", 10).format_(char=True) == r"(char)'\n'"
    text = Object(prog, "char [2]", b"a").format_(string=False, char=True)
    assert text == "(char [2]){ 'a' }"


def test_unknown_options_and_memory_that_is_not_there(prog: Program) -> None:
    with pytest.raises(TypeError):
        Object(prog, "int", 1).format_(colour=True)
    with pytest.raises(ValueError, match="integer_base is 3, must be 8, 10 or 16"):
        Object(prog, "int", 1).format_(integer_base=3)
    with pytest.raises(FaultError):
        str(Object(prog, "int", address=8))
