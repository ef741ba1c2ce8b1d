"""Type names as people write them."""

import pytest

from bpfemu.objects import Program, TypeKind


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("struct point", "struct point"),
        ("struct point *", "struct point *"),
        ("struct point **", "struct point **"),
        ("struct  point*[4]", "struct point *[4]"),
        ("char [16]", "char [16]"),
        ("char[2][3]", "char [2][3]"),
        ("int []", "int []"),
        ("enum color", "enum color"),
        ("u32", "u32"),
        ("const u32 *", "u32 *"),
        ("struct node __rcu *", "struct node *"),
        ("struct node *__rcu", "struct node *"),
        ("void", "void"),
        ("void *", "void *"),
        ("unsigned long", "unsigned long"),
        ("long unsigned int", "unsigned long"),
        ("unsigned long int *", "unsigned long *"),
        ("unsigned", "unsigned int"),
        ("short", "short"),
        ("signed char", "signed char"),
        ("signed", "int"),
        ("long long", "long long"),
        ("double", "double"),
        ("_Bool", "_Bool"),
        ("float [2]", "float [2]"),
    ],
)
def test_names_are_read_and_written_as_c_has_them(prog: Program, written: str, name: str) -> None:
    found = prog.type(written)

    assert found.type_name() == name
    assert prog.type(name).type_name() == name
    assert repr(found) == f"prog.type({name!r})"


def test_a_name_finds_what_the_btf_has_under_gccs_spelling(prog: Program) -> None:
    found = prog.type("unsigned long")

    assert found.btf is not None and found.name == "long unsigned int"
    assert prog.type("short").btf is not None
    assert prog.type("long long").btf is None


def test_arrays_count_from_the_outside_in(prog: Program) -> None:
    found = prog.type("char[2][3]")

    assert (found.length, found.type.length, found.size) == (2, 3, 6)
    assert prog.type("int *[4]").type.kind is TypeKind.POINTER


@pytest.mark.parametrize(
    "written",
    [
        "",
        "*",
        "struct",
        "struct nowhere",
        "point",
        "long char",
        "unsigned double",
        "int [x]",
        "int [",
        "int [3",
        "int )",
        "int (*)(void)",
        "int [2]*",
        "nowhere_t",
        "long long long",
    ],
)
def test_what_is_no_type_is_a_lookup_error(prog: Program, written: str) -> None:
    with pytest.raises(LookupError):
        prog.type(written)
