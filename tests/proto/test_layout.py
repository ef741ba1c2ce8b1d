"""Layouts from BTF (offsets as written there) and from declarations (x86-64 System V ABI)."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfemu.btf import Btf, BtfBuilder, IntEncoding
from bpfemu.errors import InputError
from bpfemu.proto.ctype import ArrayType, IntType, PtrType, StructType, VoidType
from bpfemu.proto.decl import Array, Bits, char, uint
from bpfemu.proto.layout import Field, Layouts
from bpfemu.proto.types import Ptr, Struct, s32, u8, u16, u32, u64

VMLINUX = Path("/sys/kernel/btf/vmlinux")


class node(Struct):
    """The declared shape; the BTF below has the members elsewhere."""

    next: Ptr[node]
    id: u32


class hidden(Struct, private=True):
    mark: u64
    id: u32


class bpf_iter_odd(Struct, opaque=True):
    cur: u8


class empty(Struct):
    """No members."""


class only_here(Struct):
    a: u8
    b: u64


class bits_and_bytes(Struct):
    lead: u16
    low: Bits[u8, 7]
    over: Bits[u8, 2]
    wide: Bits[u64, 33]
    wider: Bits[u64, 32]


class either(Struct, union=True):
    byte: u8
    words: Array[u32, 3]
    flag: Bits[uint, 1]
    other: Bits[uint, 2]


class crowd(Struct):
    """More members than a message lists."""

    a: u8
    b: u8
    c: u8
    d: u8
    e: u8
    f: u8
    g: u8
    h: u8
    i: u8
    j: u8
    k: u8
    m: u8
    n: u8


DECLARED = {cls.c_name: cls for cls in (node, hidden, bpf_iter_odd, empty, only_here)}


def kernel() -> Btf:
    """C: see the comments; every offset is chosen by hand and differs from the declarations."""
    b = BtfBuilder()
    int_ = b.int_("int", 4, IntEncoding.SIGNED)
    char_ = b.int_("char", 1, IntEncoding.SIGNED)
    u32_ = b.int_("unsigned int", 4)
    u64_ = b.int_("unsigned long", 8)
    bool_ = b.int_("_Bool", 1, IntEncoding.BOOL)
    number = b.typedef("number_t", b.const(u32_))
    # struct node { long pad; number_t id; struct node *next; };  24 bytes
    node_id = b.reserve()
    b.set(node_id, b_struct("node", 24, [("pad", u64_, 0), ("id", number, 64)]))
    node_ptr = b.ptr(node_id)
    b.set(
        node_id,
        b_struct("node", 24, [("pad", u64_, 0), ("id", number, 64), ("next", node_ptr, 128)]),
    )
    # struct hidden { int id; }: the declared one is private, so this one is not looked at
    b.struct("hidden", 4, [("id", int_, 0)])
    # struct mixed { union { int whole; char part[4]; }; int low:3, high:29; bool on; void *any;
    #                struct gone *gone; void (*call)(void); enum e e; };
    inner = b.union("", 4, [("whole", int_, 0), ("part", b.array(char_, u32_, 4), 0)])
    enum = b.enum("e", 4, [("MINUS", -1)], signed=True)
    call = b.ptr(b.func_proto(0, []))
    gone = b.ptr(b.fwd("gone"))
    mixed = [
        ("", inner, 0),
        ("low", int_, 32, 3),
        ("high", int_, 35, 29),
        ("on", bool_, 64),
        ("any", b.ptr(0), 128),
        ("gone", gone, 192),
        ("call", call, 256),
        ("e", enum, 320),
    ]
    b.struct("mixed", 48, mixed)
    # typedef struct { char name[8]; } tagless_t; union pick { … }; typedef int plain_t;
    b.typedef("tagless_t", b.struct("", 8, [("name", b.array(char_, u32_, 8), 0)]))
    b.union("pick", 8, [("a", u64_, 0), ("b", int_, 0)])
    b.typedef("plain_t", int_)
    b.struct("split", 12, [("x", u32_, 0, 20), ("y", u32_, 20, 12), ("z", u32_, 64, 5)])
    return b.build("vmlinux")


def b_struct(name: str, size: int, members: list[tuple[str, int, int]]):  # type: ignore[no-untyped-def]
    from bpfemu.btf import kinds as k

    made = tuple(k.Member(one, kind, at, 0) for one, kind, at in members)
    return k.Struct(name, size, made)


@pytest.fixture
def layouts() -> Layouts:
    return Layouts(kernel(), DECLARED)


# ---- from BTF ---------------------------------------------------------------------------


def test_btf_decides_over_the_declaration(layouts: Layouts) -> None:
    found = layouts.named("node")

    assert {name: field.offset for name, field in found.fields.items()} == {
        "pad": 0,
        "id": 8,
        "next": 16,
    }
    assert (found.size, found.align) == (24, 8)
    assert layouts.of(StructType("node", node)).field("id").offset == 8


def test_modifiers_and_typedefs_are_skipped(layouts: Layouts) -> None:
    assert layouts.named("node").field("id").type == IntType(4, False, "unsigned int")


def test_a_pointer_in_btf_knows_the_struct_it_points_to(layouts: Layouts) -> None:
    target = layouts.named("node").field("next").type

    assert isinstance(target, PtrType) and isinstance(target.target, StructType)
    assert layouts.of(target.target).field("next").offset == 16


def test_private_and_opaque_structs_keep_their_declared_layout(layouts: Layouts) -> None:
    assert layouts.named("hidden").field("id").offset == 8
    assert (layouts.named("bpf_iter_odd").size, layouts.named("bpf_iter_odd").align) == (8, 8)


def test_what_btf_lacks_is_taken_from_the_declaration(layouts: Layouts) -> None:
    assert layouts.named("only_here").fields["b"] == Field(8, IntType(8, False, "u64"))


def test_members_of_every_kind_are_read_from_btf(layouts: Layouts) -> None:
    fields = layouts.named("mixed").fields
    char_ = IntType(1, True, "char")

    assert fields["whole"] == Field(0, IntType(4, True, "int"))
    assert fields["part"] == Field(0, ArrayType(char_, 4))
    assert fields["low"] == Field(4, IntType(4, True, "int", bits=3, shift=0))
    assert fields["high"] == Field(4, IntType(4, True, "int", bits=29, shift=3))
    assert fields["on"] == Field(8, IntType(1, False, "_Bool"))
    assert fields["any"] == Field(16, PtrType(VoidType()))
    assert fields["gone"] == Field(24, PtrType(StructType("gone")))
    assert fields["call"] == Field(32, PtrType(VoidType()))  # functions are not read through
    assert fields["e"] == Field(40, IntType(4, True, "e"))


def test_bit_fields_of_btf_lie_in_the_unit_of_their_type(layouts: Layouts) -> None:
    fields = layouts.named("split").fields

    assert [(f.offset, f.type.shift, f.type.bits) for f in fields.values()] == [
        (0, 0, 20),
        (0, 20, 12),
        (8, 0, 5),
    ]


def test_a_typedef_stands_for_its_struct_and_a_union_is_found_by_tag(layouts: Layouts) -> None:
    assert layouts.named("tagless_t").size == 8
    assert {f.offset for f in layouts.named("pick").fields.values()} == {0}
    assert (layouts.named("pick").size, layouts.named("pick").align) == (8, 8)


@pytest.mark.parametrize("name", ["nowhere", "plain_t", "gone", "int"])
def test_what_is_no_struct_anywhere_is_refused(layouts: Layouts, name: str) -> None:
    with pytest.raises(InputError, match=f"the kernel's BTF has no struct {name}"):
        layouts.named(name)
    assert not layouts.has(name)


@pytest.mark.parametrize("size", [0, 3, 17, 0xFFFF_FFFF])
def test_integers_of_sizes_that_no_kernel_takes_are_refused(size: int) -> None:
    b = BtfBuilder()
    b.struct("one", 8, [("n", b.int_("odd", size, 0, 8), 0, 3)])
    b.struct("two", 8, [("e", b.enum("e", size, [("A", 1)]), 0)])
    layouts = Layouts(b.build("vmlinux"))

    with pytest.raises(InputError, match=f"integer odd has {size} bytes, not 1 to 16"):
        layouts.named("one")
    with pytest.raises(InputError, match=f"integer e has {size} bytes, not 1 to 16"):
        layouts.named("two")


def test_a_missing_member_is_named_with_those_there_are(layouts: Layouts) -> None:
    with pytest.raises(InputError, match=r"struct node has no member 'nxt' .*: pad, id, next\)"):
        layouts.named("node").field("nxt")
    assert layouts.has("node", "next") and not layouts.has("node", "nxt")
    assert layouts.has("node")


def test_a_long_list_of_members_is_cut_off() -> None:
    found = Layouts(None).of(StructType("crowd", crowd))

    with pytest.raises(InputError, match=r"\(members: a, b, c, d, e, f, g, h, i, j, k, m, …\)"):
        found.field("z")


# ---- from declarations ------------------------------------------------------------------


def test_without_btf_the_declaration_counts() -> None:
    found = Layouts(None, DECLARED).named("node")

    assert {name: field.offset for name, field in found.fields.items()} == {"next": 0, "id": 8}
    assert (found.size, found.align) == (16, 8)
    with pytest.raises(InputError, match="no struct mixed"):
        Layouts(None, DECLARED).named("mixed")


def test_a_struct_without_members_has_no_size() -> None:
    assert (Layouts(None).of(StructType("empty", empty)).size) == 0


def test_bit_fields_as_gcc_and_clang_lay_them_out() -> None:
    found = Layouts(None).of(StructType("bits_and_bytes", bits_and_bytes))

    # lead: bytes 0-1; low: bits 0-6 of byte 2; over: 2 bits do not fit byte 2, so byte 3;
    # wide: 8-byte unit 0 has bits 26-63 left, 33 fit; wider: bits 59-63 are too few for 32
    where = {
        name: (field.offset, field.type.shift if field.type.bits else 0)
        for name, field in found.fields.items()
    }
    assert where == {
        "lead": (0, 0),
        "low": (2, 0),
        "over": (3, 0),
        "wide": (0, 26),
        "wider": (8, 0),
    }
    assert (found.size, found.align) == (16, 8)


def test_every_member_of_a_union_starts_at_its_first_bit() -> None:
    found = Layouts(None).of(StructType("either", either))

    assert {f.offset for f in found.fields.values()} == {0}
    assert [found.fields[name].type.shift for name in ("flag", "other")] == [0, 0]
    assert (found.size, found.align) == (12, 4)


@pytest.mark.parametrize(
    ("ctype", "size", "align"),
    [
        (IntType(2), 2, 2),
        (PtrType(VoidType()), 8, 8),
        (ArrayType(IntType(4), 3), 12, 4),
        (ArrayType(ArrayType(IntType(2), 2), 5), 20, 2),
        (StructType("either", either), 12, 4),
        (ArrayType(StructType("only_here", only_here), 2), 32, 8),
        (VoidType(), 1, 1),  # as in GNU C, for pointer arithmetic
    ],
)
def test_sizes_and_alignments(ctype, size: int, align: int) -> None:  # type: ignore[no-untyped-def]
    layouts = Layouts(None, DECLARED)

    assert (layouts.size_of(ctype), layouts.align_of(ctype)) == (size, align)


def test_a_layout_is_made_once(layouts: Layouts) -> None:
    assert layouts.named("mixed") is layouts.named("mixed")


class fits(Struct):
    """Every declared way of an anonymous member, one inside the other."""

    first: u8
    _anon_1: _outer_union
    last: s32


class _inner_struct(Struct, anonymous=True):
    left: u16
    right: Array[char, 6]


class _outer_union(Struct, union=True, anonymous=True):
    whole: u64
    _anon_2: _inner_struct


def test_anonymous_members_are_flattened_at_every_depth() -> None:
    found = Layouts(None).of(StructType("fits", fits))

    assert {name: field.offset for name, field in found.fields.items()} == {
        "first": 0,
        "whole": 8,
        "left": 8,
        "right": 10,
        "last": 16,
    }
    assert (found.size, found.align) == (24, 8)


# ---- a real kernel ----------------------------------------------------------------------


@pytest.mark.skipif(not VMLINUX.exists(), reason="this machine shows no kernel BTF")
def test_a_real_kernel_describes_its_tasks_and_mappings() -> None:
    layouts = Layouts(Btf.open(VMLINUX))
    task, vma = layouts.named("task_struct"), layouts.named("vm_area_struct")

    assert layouts.size_of(task.field("comm").type) == 16  # TASK_COMM_LEN
    assert isinstance(task.field("mm").type, PtrType)
    assert task.field("pid").type.size == 4 and task.field("pid").type.signed
    assert vma.field("vm_end").offset == vma.field("vm_start").offset + 8
    for name in ("list_head", "callback_head", "rb_root_cached"):
        assert layouts.named(name).size == 16
    assert not layouts.has("bpf_emu_no_such_struct")
