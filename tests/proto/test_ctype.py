"""Annotations become C types; declared structs get C's layout (x86-64 System V ABI)."""

from __future__ import annotations

import pytest

from bpfemu.errors import DeclarationError
from bpfemu.proto.ctype import ArrayType, IntType, PtrType, StructType, VoidType, ctype_of
from bpfemu.proto.decl import Array, Bits, Const, Enumeration, char, int_, uint, ulong
from bpfemu.proto.layout import Layouts
from bpfemu.proto.types import Ptr, Struct, bool_, s16, u8, u16, u32, u64, void

SCOPE = dict(globals())


class pid_t(int_):
    """A typedef."""


class color(Enumeration):
    RED = 0
    __MAX = 1


class level(Enumeration, name="", size=8):
    LOW = -1


class Outer(Struct):
    __state: uint
    from_: u8
    from_above_: u8


@pytest.mark.parametrize(
    ("annotation", "ctype"),
    [
        (u16, IntType(2, False, "u16")),
        (bool_, IntType(1, False, "bool")),
        (pid_t, IntType(4, True, "pid_t")),
        (color, IntType(4, False, "color")),
        (level, IntType(8, True, "")),
        (Outer, StructType("Outer", Outer)),
        (Ptr[void], PtrType(VoidType())),
        (Ptr[Const[char]], PtrType(IntType(1, True, "char"))),
        (Const[char], IntType(1, True, "char")),
        (Array[char, 16], ArrayType(IntType(1, True, "char"), 16)),
        ((u8, 4), ArrayType(IntType(1, False, "u8"), 4)),
        (Bits[uint, 3], IntType(4, False, "unsigned int", bits=3)),
        ("u64", IntType(8, False, "u64")),
        ("Ptr[Array[u64, 2]]", PtrType(ArrayType(IntType(8, False, "u64"), 2))),
        ("Ptr[nowhere]", PtrType(StructType("nowhere"))),
        ("nowhere", StructType("nowhere")),
        (None, VoidType()),
    ],
)
def test_annotations(annotation, ctype):
    assert ctype_of(annotation, SCOPE) == ctype


def test_const_is_remembered_but_not_compared():
    assert ctype_of(Ptr[Const[char]], SCOPE).const
    assert ctype_of(Ptr[Const[char]], SCOPE) == ctype_of(Ptr[char], SCOPE)


@pytest.mark.parametrize(
    ("annotation", "rule"),
    [
        (3, "is not a C type"),
        (str, "is not a C type"),
        ("u64 +", "is not a C type"),
        ("u64.real", "is not a C type"),
        ("u64[3]", "is not a C type"),
        (Bits[uint, 0], "does not fit"),
        (Bits[uint, 33], "does not fit"),
        (Bits[Outer, 3], "does not fit"),
    ],
)
def test_what_is_no_c_type_is_refused(annotation, rule):
    with pytest.raises(DeclarationError, match=rule):
        ctype_of(annotation, SCOPE)


def test_names_that_python_cannot_write_down():
    assert list(Outer.c_members()) == ["__state", "from", "from_above_"]
    assert color.enumerators() == {"RED": 0, "__MAX": 1}


class Packed(Struct):
    a: Bits[u8, 3]
    b: Bits[u8, 5]
    c: Bits[u8, 1]
    d: u8
    e: Bits[uint, 20]
    f: Bits[uint, 13]
    g: s16


class Inner(Struct, anonymous=True, union=True):
    whole: u64
    half: u32


class Around(Struct):
    head: u8
    _anon1: Inner
    tail: Array[u16, 3]


class around_t(Around):
    """A typedef of a struct."""


class Aligned(Struct, align=64):
    a: u64


class Big(Struct, size=40):
    a: u64


class TooSmall(Struct, size=4):
    a: u64


def layout(cls):
    return Layouts(None).of(StructType(cls.c_name, cls))


def test_bit_fields_share_units_and_never_straddle_one():
    found = layout(Packed)

    where = {
        name: (f.offset, f.type.shift if f.type.bits else 0) for name, f in found.fields.items()
    }
    assert where == {
        "a": (0, 0),
        "b": (0, 3),
        "c": (1, 0),
        "d": (2, 0),
        "e": (4, 0),
        "f": (8, 0),
        "g": (10, 0),
    }
    assert (found.size, found.align) == (12, 4)


def test_members_of_anonymous_unions_are_reached_directly():
    found = layout(Around)

    assert {name: f.offset for name, f in found.fields.items()} == {
        "head": 0,
        "whole": 8,
        "half": 8,
        "tail": 16,
    }
    assert (found.size, found.align) == (24, 8)


def test_a_typedef_has_the_layout_of_its_struct():
    assert layout(around_t).fields == layout(Around).fields


def test_alignment_and_size_can_be_said():
    assert (layout(Aligned).size, layout(Aligned).align) == (64, 64)
    assert layout(Big).size == 40
    with pytest.raises(DeclarationError, match="members need 8 bytes, size says 4"):
        layout(TooSmall)


def test_longs_have_64_bits():
    assert ctype_of(ulong).size == 8


def test_types_say_what_they_are():
    texts = [str(ctype_of(note, SCOPE)) for note in ("Ptr[Outer]", "Array[char, 4]", "Ptr[void]")]

    assert texts == ["struct Outer *", "char[4]", "void *"]
    assert str(IntType(2, True)) == "s16"
