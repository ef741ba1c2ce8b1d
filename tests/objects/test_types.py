"""What a type says of itself."""

import pytest

from bpfemu.errors import InputError
from bpfemu.objects import Program, Type, TypeKind, alignof, offsetof, sizeof


@pytest.mark.parametrize(
    ("name", "kind", "size", "align"),
    [
        ("int", TypeKind.INT, 4, 4),
        ("_Bool", TypeKind.BOOL, 1, 1),
        ("double", TypeKind.FLOAT, 8, 8),
        ("float", TypeKind.FLOAT, 4, 4),
        ("struct point", TypeKind.STRUCT, 8, 4),
        ("point_t", TypeKind.TYPEDEF, 8, 4),
        ("u32", TypeKind.TYPEDEF, 4, 4),
        ("enum color", TypeKind.ENUM, 4, 4),
        ("enum big", TypeKind.ENUM, 8, 8),
        ("struct point *", TypeKind.POINTER, 8, 8),
        ("struct point [3]", TypeKind.ARRAY, 24, 4),
        ("struct point *[3]", TypeKind.ARRAY, 24, 8),
        ("long long", TypeKind.INT, 8, 8),
        ("struct line", TypeKind.STRUCT, 24, 8),
    ],
)
def test_kinds_sizes_and_alignments(
    prog: Program, name: str, kind: TypeKind, size: int, align: int
) -> None:
    found = prog.type(name)

    assert found.kind is kind
    assert sizeof(found) == found.size == size
    assert alignof(found) == align
    assert found.is_complete


def test_members_of_btf_have_the_types_that_btf_has(prog: Program) -> None:
    every = prog.type("struct all")

    shown = {member.name: str(member.type) for member in every.members}
    assert shown == {
        "text": "char [8]",
        "on": "_Bool",
        "of": "enum color",
        "ratio": "double",
        "at": "struct point *",
        "fn": "int (*)(struct point *p)",
        "nothing": "void *",
        "far": "struct far *",
        "more": "char [0]",
    }
    assert every.member("fn").type.type.kind is TypeKind.FUNCTION
    assert every.member("at").type.type.tag == "point"
    assert every.member("text").type.length == 8
    assert every.member("more").type.length is None


def test_names_and_tags(prog: Program) -> None:
    assert prog.type("u32").name == "u32" and prog.type("u32").tag is None
    assert prog.type("u32").type.name == "unsigned int"
    assert prog.type("struct point").tag == "point" and prog.type("struct point").name is None
    assert prog.type("struct point *").tag is None and prog.type("int *").name is None
    assert prog.type("struct mixed").members[0].type.tag is None
    assert str(prog.type("struct mixed").members[0].type) == "union <anonymous>"


def test_signs(prog: Program) -> None:
    signed = {name: prog.type(name).is_signed for name in ("int", "u32", "int *", "enum color")}

    assert signed == {"int": True, "u32": False, "int *": False, "enum color": False}


def test_anonymous_members_are_one_member_and_their_members_are_found(prog: Program) -> None:
    mixed = prog.type("struct mixed")

    assert [member.name for member in mixed.members] == [None, "tail"]
    assert [m.name for m in mixed.flat_members] == ["left", "right", "both", "tail"]
    assert mixed.member("right").offset == 4
    assert mixed.has_member("both") and not mixed.has_member("middle")


def test_bit_fields_have_their_size(prog: Program) -> None:
    rows = [(m.name, m.bit_offset, m.bit_field_size) for m in prog.type("struct bits").members]

    assert rows == [("low", 0, 3), ("mid", 3, 5), ("high", 8, 24)]
    assert prog.type("struct point").member("y").bit_field_size is None


def test_enumerators(prog: Program) -> None:
    found = prog.type("enum color").enumerators

    assert [(one.name, one.value) for one in found] == [("RED", 0), ("BLUE", 2)]


def test_incomplete_types_have_no_size(prog: Program) -> None:
    far = prog.type("struct all").member("far").type.type
    function = prog.type("struct all").member("fn").type.type

    for incomplete in (far, function, prog.type("void"), Type(None, 0)):
        assert not incomplete.is_complete
        with pytest.raises(TypeError, match="has no size"):
            _ = incomplete.size
    assert not prog.type("int []").is_complete and prog.type("int []").size == 0
    assert not prog.type("void").array_of(2).is_complete
    assert far.kind is TypeKind.STRUCT and far.tag == "far"
    assert str(Type(None, 0)) == "void"


def test_questions_that_a_type_has_no_answer_to(prog: Program) -> None:
    for question in ("type", "length", "enumerators"):
        with pytest.raises(AttributeError):
            getattr(prog.type("int"), question)
    for name in ("int", "struct point *", "long long"):
        with pytest.raises(TypeError, match="is not a struct or union"):
            _ = prog.type(name).members
    with pytest.raises(LookupError, match="struct point has no member 'z'"):
        prog.type("struct point").member("z")
    with pytest.raises(InputError, match="array of -1"):
        prog.array_type("int", -1)


def test_offsets_of_paths(prog: Program) -> None:
    line = prog.type("struct line")

    assert offsetof(line, "ends[1].y") == 12
    assert offsetof(prog.type("struct mixed"), "right") == 4
    assert offsetof(line, "name") == 16
    for wrong in ("ends[x]", "ends[", "name[1]", "no", "ends.x"):
        with pytest.raises((LookupError, TypeError)):
            offsetof(line, wrong)
    with pytest.raises(ValueError, match="bit field"):
        offsetof(prog.type("struct bits"), "mid")


def test_types_are_equal_when_they_are_the_same(prog: Program) -> None:
    assert prog.type("struct point *") == prog.pointer_type("struct point")
    assert prog.type("int") != prog.type("u32")
    assert prog.type("struct point [2]") == prog.array_type("struct point", 2)
