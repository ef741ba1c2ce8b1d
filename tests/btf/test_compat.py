"""The rules of CO-RE, as section 10 of the format's users state them: libbpf's relo_core.c."""

import pytest

from bpfemu.btf import Btf, Member, Struct
from bpfemu.btf.compat import (
    candidates,
    essential_name,
    fields_are_compat,
    prototypes_match,
    types_are_compat,
    types_match,
)
from bpfemu.errors import InputError
from tests.btf.samples import Sample


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("task_struct", "task_struct"),
        ("task_struct___old", "task_struct"),
        ("a___b___c", "a___b"),
        ("a____b", "a____b"),  # four underscores separate nothing
        ("___b", "___b"),
        ("a___", "a___"),
        ("a___b", "a"),
        ("", ""),
    ],
)
def test_a_flavour_is_cut_at_the_last_three_underscores(name, wanted):
    assert essential_name(name) == wanted


def test_candidates_are_all_flavours_of_one_kind():
    s = Sample()
    plain = s.b.struct("foo", 4, [])
    flavour = s.b.struct("foo___v2", 4, [])
    s.b.struct("foo_bar", 4, [])
    s.b.struct("foo___a___b", 4, [])
    s.b.struct("foo____no", 4, [])
    typedef = s.b.typedef("foo", s.int)
    btf = s.b.build()

    assert candidates(btf, "foo", Struct) == [plain, flavour]
    assert candidates(btf, "foo___mine", Struct) == [plain, flavour]
    assert candidates(btf, "foo") == [plain, flavour, typedef]


class Kinds:
    """A type of every kind, to be compared with each other."""

    def __init__(self) -> None:
        s = self.s = Sample()
        b = s.b
        self.void = 0
        self.int, self.u64 = s.int, s.u64
        self.odd_int = b.int_("odd", 4, 0, bits=3, bit_offset=5)
        self.struct = b.struct("s", 4, [("a", s.int, 0)])
        self.other_struct = b.struct("other", 4, [])
        self.union = b.union("s", 4, [("a", s.int, 0)])
        self.fwd = b.fwd("s")
        self.fwd_union = b.fwd("s", True)
        self.fwd_flavour = b.fwd("s___x")
        self.fwd_other = b.fwd("t")
        self.enum = b.enum("e", 4, [("A", 0)])
        self.enum_flavour = b.enum("e___x", 4, [("A", 1), ("B", 2)])
        self.enum_other = b.enum("f", 4, [("A", 0)])
        self.enum_anon = b.enum("", 4, [("A", 0)])
        self.enum_wide = b.enum("e", 8, [("A", 0)])
        self.enum64 = b.enum64("e", 4, [("A", 0)])
        self.float, self.double = b.float_("float", 4), b.float_("double", 8)
        self.ptr_struct, self.ptr_int = b.ptr(self.struct), b.ptr(s.int)
        self.ptr_union, self.ptr_fwd = b.ptr(self.union), b.ptr(self.fwd)
        self.ptr_fwd_union = b.ptr(self.fwd_union)
        self.array3, self.array4 = b.array(s.int, s.u32, 3), b.array(s.int, s.u32, 4)
        self.array_struct = b.array(self.struct, s.u32, 3)
        self.proto = b.func_proto(s.int, [("x", s.int)])
        self.proto_u64 = b.func_proto(s.int, [("x", s.u64)])
        self.proto_ptr = b.func_proto(s.int, [("x", s.void_ptr)])
        self.proto_two = b.func_proto(s.int, [("x", s.int), ("y", s.int)])
        self.proto_void = b.func_proto(0, [("x", s.int)])
        self.const_int = b.const(b.typedef("t", s.int))
        self.var = b.var("v", s.int)
        self.btf = b.build()


K = Kinds()


def check(function, rows):
    for local, target, wanted in rows:
        ids = getattr(K, local), getattr(K, target)
        assert function(K.btf, ids[0], K.btf, ids[1]) is wanted, (local, target)


def test_fields_are_compatible_by_their_shape():
    check(
        fields_are_compat,
        [
            ("int", "u64", True),
            ("const_int", "u64", True),
            ("int", "odd_int", False),
            ("odd_int", "int", False),
            ("struct", "other_struct", True),
            ("struct", "union", True),
            ("struct", "int", False),
            ("ptr_int", "ptr_struct", True),
            ("float", "double", True),
            ("fwd", "fwd_flavour", True),
            ("fwd", "fwd_other", False),
            ("enum", "enum_flavour", True),
            ("enum", "enum_other", False),
            ("enum", "enum_anon", True),
            ("enum_anon", "enum_other", True),
            ("enum", "enum64", True),
            ("array3", "array4", True),
            ("array3", "array_struct", False),
            ("proto", "proto", False),
            ("void", "void", False),
        ],
    )


def test_types_are_compatible_by_kind():
    check(
        types_are_compat,
        [
            ("void", "void", True),
            ("int", "u64", True),
            ("const_int", "int", False),  # the roots' own kinds differ
            ("int", "odd_int", False),
            ("struct", "other_struct", True),
            ("struct", "union", False),
            ("fwd", "fwd_other", True),
            ("enum", "enum_other", True),
            ("enum", "enum64", True),
            ("ptr_struct", "ptr_int", False),
            ("array3", "array4", True),
            ("array3", "array_struct", False),
            ("proto", "proto_u64", True),
            ("proto", "proto_ptr", False),
            ("proto", "proto_two", False),
            ("proto", "proto_void", False),
            ("float", "float", False),
            ("var", "var", False),
        ],
    )


def test_types_match_name_by_name():
    check(
        types_match,
        [
            ("void", "void", True),
            ("void", "ptr_int", False),
            ("int", "int", True),
            ("int", "u64", False),
            ("const_int", "int", True),
            ("struct", "struct", True),
            ("struct", "other_struct", False),
            ("struct", "union", False),
            ("fwd", "fwd_flavour", True),
            ("fwd", "fwd_union", False),
            ("fwd", "fwd_other", False),
            ("fwd", "struct", False),
            ("struct", "fwd", False),
            ("enum", "enum_flavour", True),
            ("enum_flavour", "enum", False),
            ("enum", "enum_other", False),
            ("enum", "enum_wide", False),
            ("enum", "enum64", True),
            ("ptr_struct", "ptr_fwd", True),
            ("ptr_fwd", "ptr_struct", True),
            ("ptr_fwd", "ptr_fwd", True),
            ("ptr_struct", "ptr_fwd_union", False),
            ("ptr_struct", "ptr_struct", True),
            ("ptr_struct", "ptr_union", False),
            ("ptr_struct", "ptr_int", False),
            ("array3", "array3", True),
            ("array3", "array4", False),
            ("proto", "proto", True),
            ("proto", "proto_u64", False),
            ("proto", "proto_two", False),
            ("proto", "proto_void", False),
            ("float", "float", False),
        ],
    )


def test_parameters_of_one_type_are_compared_once_and_agree():
    s = Sample()
    two = s.b.func_proto(s.int, [("x", s.int), ("y", s.int)])
    other = s.b.func_proto(s.int, [("x", s.u64), ("y", s.u64)])
    btf = s.b.build()

    assert types_are_compat(btf, two, btf, other)
    assert not types_match(btf, two, btf, other)
    assert types_match(btf, two, btf, two)


def test_every_local_member_must_exist_in_the_target():
    s = Sample()
    full = s.b.struct("s", 12, [("a", s.int, 0), ("b", s.int, 32), ("a", s.u64, 64)])
    part = s.b.struct("s", 4, [("b", s.int, 0)])
    flavoured = s.b.struct("s", 4, [("a___x", s.u64, 0)])
    other = s.b.struct("s", 4, [("b", s.u64, 0)])
    missing = s.b.struct("s", 4, [("c", s.int, 0)])
    btf = s.b.build()

    results = [types_match(btf, id, btf, full) for id in (part, flavoured, other, missing)]
    assert results == [True, True, False, False]
    assert not types_match(btf, full, btf, part)


def chain_of_pointers(count: int) -> tuple[Btf, int]:
    s = Sample()
    last = s.int
    for _ in range(count):
        last = s.b.ptr(last)
    return s.b.build(), last


@pytest.mark.parametrize("function", [types_are_compat, types_match])
def test_31_pointers_in_a_row_are_followed_and_32_are_refused(function):
    btf, short = chain_of_pointers(31)
    assert function(btf, short, btf, short)

    btf, long = chain_of_pointers(32)
    with pytest.raises(InputError, match="nested deeper than 32") as caught:
        function(btf, long, btf, long)
    assert caught.value.errno == 22


def test_arrays_in_a_row_are_refused_for_fields_too():
    s = Sample()
    last = s.int
    for _ in range(32):
        last = s.b.array(last, s.u32, 1)
    btf = s.b.build()

    with pytest.raises(InputError, match="nested deeper than 32"):
        fields_are_compat(btf, last, btf, last)


def test_the_kernels_level_of_two_refuses_deeper_prototypes():
    s = Sample()
    last = s.int
    for _ in range(3):
        last = s.b.func_proto(0, [("f", last)])
    btf = s.b.build()

    assert types_are_compat(btf, last, btf, last)
    with pytest.raises(InputError):
        types_are_compat(btf, last, btf, last, level=2)


def test_the_kernels_level_of_two_refuses_structs_in_structs():
    s = Sample()
    inner = s.b.struct("inner", 4, [("a", s.int, 0)])
    outer = s.b.struct("outer", 4, [("inner", inner, 0)])
    btf = s.b.build()

    assert types_match(btf, outer, btf, outer)
    assert types_match(btf, inner, btf, inner, level=2)
    with pytest.raises(InputError):
        types_match(btf, outer, btf, outer, level=2)


def test_structs_that_branch_without_end_are_compared_in_bounded_time():
    s = Sample()
    ids = [s.b.struct("s", 8, [("leaf", s.int, 0)])]
    for _ in range(30):
        ids.append(s.b.struct("s", 8, [("a", ids[-1], 0), ("b", ids[-1], 0)]))
    btf = s.b.build()
    loop = Sample()
    again = loop.b.reserve()
    loop.b.set(again, Struct("s", 8, (Member("a", again, 0), Member("b", again, 0))))
    loops = loop.b.build()

    assert types_match(btf, ids[-1], btf, ids[-1])
    with pytest.raises(InputError):
        types_match(loops, again, loops, again)


def test_prototypes_are_compared_as_libbpf_does():
    s = Sample()
    task = s.b.ptr(s.b.struct("task_struct", 8, []))
    other = s.b.ptr(s.b.struct("other", 8, []))
    mine = s.b.func("f", s.b.func_proto(s.int, [("a", task), ("b", s.int)]))
    kernels = {
        "same": s.b.func("f", s.b.func_proto(s.u64, [("x", other), ("y", s.u64)])),
        "short": s.b.func("f", s.b.func_proto(s.int, [("a", task)])),
        "param": s.b.func("f", s.b.func_proto(s.int, [("a", task), ("b", s.void_ptr)])),
        "void": s.b.func("f", s.b.func_proto(0, [("a", task), ("b", s.int)])),
    }
    btf = s.b.build()

    answers = {name: prototypes_match(btf, mine, btf, id) for name, id in kernels.items()}
    assert answers == {
        "same": None,
        "short": "it takes 2 parameters, the kernel's 1",
        "param": "parameter 2 is 'int', the kernel's is 'void *'",
        "void": "the return type is 'int', the kernel's is 'void'",
    }
