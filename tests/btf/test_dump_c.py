"""The C header: it compiles, and a compiler gives it the layouts that BTF has."""

import shutil
import subprocess

import pytest

from bpfemu.btf import (
    Btf,
    BtfBuilder,
    FuncProto,
    IntEncoding,
    Member,
    Param,
    Ptr,
    Struct,
    Typedef,
    Union,
)
from bpfemu.btf.render import dump_c
from bpfemu.errors import ObjectError
from tests.btf.samples import Sample
from tests.btf.test_types import VMLINUX, needs_vmlinux

COMPILER = shutil.which("clang") or shutil.which("gcc") or shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler is installed")

CHECK_BITS = """
extern int printf(const char *, ...);
static int wrong;
static void check_bits(unsigned char *p, unsigned size, unsigned at, unsigned bits, const char *m)
{
    for (unsigned i = 0; i < 8 * size; i++)
        if ((p[i / 8] >> i % 8 & 1) != (i >= at && i < at + bits)) {
            wrong++;
            printf("%s: bit %u\\n", m, i);
            return;
        }
}
"""


def compile_and_run(tmp_path, source: str) -> None:
    (tmp_path / "x.c").write_text(source)
    command = [COMPILER, "-w", "-O0", "-o", str(tmp_path / "x"), str(tmp_path / "x.c")]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[:4000]
    ran = subprocess.run([tmp_path / "x"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[:4000]


def layout_program(btf: Btf, header: str, ids: list[int]) -> str:
    """The header, an assertion per size and offset, and a run-time check per bitfield."""
    asserts, checks = [], []
    for id in ids:
        found = btf.type(id)
        assert isinstance(found, Struct | Union)
        tag = f"{'struct' if isinstance(found, Struct) else 'union'} {found.name}"
        asserts.append(f"_Static_assert(sizeof({tag}) == {found.size}, {tag!r});".replace("'", '"'))
        for member in {member.name: member for member in btf.members(id)}.values():
            where = f"{tag}.{member.name}"
            if member.bit_size:
                value = 1 if member.bit_size == 1 else -1
                args = f"&x, sizeof(x), {member.bit_offset}, {member.bit_size}, {where!r}"
                body = f"__builtin_memset(&x, 0, sizeof(x)); x.{member.name} = {value};"
                checks.append(f"{{ {tag} x; {body} check_bits({args}); }}".replace("'", '"'))
            else:
                offset = f"__builtin_offsetof({tag}, {member.name})"
                asserts.append(f'_Static_assert({offset} == {member.offset}, "{where}");')
    main = "int main(void)\n{\n" + "\n".join(checks) + "\nreturn wrong != 0;\n}\n"
    return "\n".join([header, *asserts, CHECK_BITS, main])


def all_named(btf: Btf) -> list[int]:
    return [id for id, t in btf.types() if isinstance(t, Struct | Union) and t.name]


def tricky_layouts() -> Btf:
    s = Sample()
    b = s.b
    small = b.struct("small", 2, [("a", s.char, 0), ("b", s.char, 8)])
    plain = b.struct("plain", 16, [("a", s.char, 0), ("b", s.u64, 64)])
    b.struct("empty", 0, [])
    b.struct("opaque", 16, [])
    b.struct("packed_offset", 13, [("a", s.char, 0), ("b", s.u64, 8), ("c", s.int, 72)])
    b.struct("packed_size", 9, [("a", s.u64, 0), ("b", s.char, 64)])
    b.struct("packed_inside", 17, [("a", s.char, 0), ("b", plain, 8)])
    b.struct("hole", 64, [("a", s.char, 0), ("b", s.int, 13 * 32)])
    b.struct("long_hole", 4096, [("a", s.char, 0), ("b", s.u32, 8, 3), ("c", s.int, 8 * 2048)])
    b.struct("tail", 64, [("a", s.int, 0)])
    b.struct("odd_hole", 24, [("a", s.char, 0), ("b", s.char, 88), ("c", small, 96)])
    b.struct("bits", 4, [("a", s.u32, 0, 3), ("b", s.u32, 3, 29)])
    b.struct("bits_hole", 8, [("a", s.u32, 0, 3), ("b", s.u32, 21, 4), ("c", s.u32, 32, 32)])
    b.struct("bits_after", 8, [("a", s.char, 0), ("b", s.u32, 8, 10), ("c", s.u8, 24)])
    b.struct("bits_split", 8, [("a", s.u32, 0, 20), ("b", s.u32, 32, 20)])
    b.struct("bits_packed", 5, [("a", s.u32, 0, 20), ("b", s.u32, 20, 20)])
    b.struct("bits_mixed", 8, [("a", s.u8, 0, 4), ("b", s.u32, 4, 20), ("c", s.u64, 24, 40)])
    b.struct("bits_64", 16, [("a", s.u64, 0, 60), ("b", s.u64, 64, 33), ("c", s.u64, 97, 31)])
    b.struct("bits_bool", 4, [("a", s.bool, 0, 1), ("b", s.bool, 1, 1), ("c", s.u32, 2, 9)])
    old = b.int_("unsigned int", 4, 0, bits=5, bit_offset=3)
    b.struct("bits_old", 4, [("a", old, 0), ("b", old, 8)])
    b.union("loose", 64, [("a", s.int, 0), ("b", s.u64, 0)])
    b.union("packed_union", 9, [("a", b.array(s.char, s.u32, 9), 0), ("b", s.u64, 0)])
    b.struct("with_flex", 8, [("n", s.u64, 0), ("tail", b.array(s.int, s.u32, 0), 64)])
    wide = b.int_("__int128", 16, IntEncoding.SIGNED)
    b.struct("wide", 32, [("a", s.char, 0), ("b", wide, 128)])
    b.struct("wide_packed", 24, [("a", s.u64, 0), ("b", wide, 64)])
    tiny = b.enum("tiny", 1, [("T0", 0)])
    half = b.enum("half", 2, [("H0", -1)], signed=True)
    forced = b.enum("forced", 8, [("F0", 0)])
    natural = b.enum64("natural", 8, [("N0", 1 << 40)])
    shrunk = b.enum64("shrunk", 8, [("S0", 1)])
    top = b.enum("top", 4, [("M0", (1 << 32) - 1)])
    enums = [(tiny, 0), (half, 16), (forced, 64), (natural, 128), (shrunk, 192), (top, 256)]
    b.struct("enums", 40, [(f"e{at}", id, at) for id, at in enums])
    b.struct("enum_bits", 4, [("a", top, 0, 3), ("b", tiny, 3, 2)])
    inner = b.struct("", 8, [("x", s.char, 0), ("y", s.int, 32)])
    either = b.union("", 8, [("", inner, 0), ("both", s.u64, 0)])
    b.struct("nested", 24, [("a", s.int, 0), ("", either, 64), ("named", inner, 128)])
    packed_inner = b.struct("", 5, [("x", s.char, 0), ("y", s.int, 8)])
    b.struct("nested_packed", 12, [("a", s.int, 0), ("in", packed_inner, 32)])
    double, ld = b.float_("double", 8), b.float_("long double", 16)
    b.struct("floats", 48, [("a", double, 0), ("b", ld, 128), ("c", double, 256)])
    return b.build()


@needs_compiler
def test_a_compiler_gives_every_tricky_struct_its_layout(tmp_path):
    btf = tricky_layouts()

    compile_and_run(tmp_path, layout_program(btf, dump_c(btf), all_named(btf)))


@needs_compiler
@needs_vmlinux
def test_a_compiler_gives_structs_of_a_real_kernel_their_layout(tmp_path):
    btf = Btf.open(VMLINUX)
    names = ("task_struct", "mm_struct", "vm_area_struct", "file", "sk_buff", "bpf_prog", "bio")
    ids = [id for name in names if (id := btf.find(name, Struct)) is not None]

    compile_and_run(tmp_path, layout_program(btf, dump_c(btf, ids), ids))


def test_a_header_has_its_guard_and_preserves_access_indices():
    s = Sample()
    s.b.struct("pair", 8, [("a", s.int, 0), ("b", s.int, 32)])

    assert dump_c(s.b.build(), guard="__MY_H__") == (
        "#ifndef __MY_H__\n"
        "#define __MY_H__\n"
        "\n"
        "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
        "#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)\n"
        "#endif\n"
        "\n"
        "struct pair {\n"
        "\tint a;\n"
        "\tint b;\n"
        "};\n"
        "\n"
        "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n"
        "#pragma clang attribute pop\n"
        "#endif\n"
        "\n"
        "#endif /* __MY_H__ */\n"
    )


def cyclic() -> Btf:
    """Structs, typedefs and function pointers that need each other."""
    s = Sample()
    b = s.b
    node = b.reserve()
    node_t = b.add(Typedef("node_t", node))
    callback = b.reserve()
    callback_t = b.add(Typedef("callback_t", b.add(Ptr(callback))))
    b.set(callback, FuncProto(s.int, (Param("n", b.ptr(node_t)), Param("p", b.ptr(b.fwd("far"))))))
    b.set(
        node,
        Struct(
            "node",
            24,
            (
                Member("next", b.ptr(node), 0),
                Member("call", callback_t, 64),
                Member("other", b.ptr(b.fwd("either", True)), 128),
            ),
        ),
    )
    grid_t = b.typedef("grid_t", b.array(node_t, s.u32, 2))
    b.struct("holder", 48, [("grid", grid_t, 0)])
    b.typedef("anon_t", b.struct("", 8, [("self", b.ptr(node), 0)]))
    b.typedef("color_t", b.enum("", 4, [("RED", 0)]))
    b.enum("", 4, [("LONELY", 1)])
    b.struct("by_pointer", 8, [("p", b.ptr(b.array(node_t, s.u32, 4)), 0)])
    b.struct("tagged", 8, [("p", b.ptr(b.type_tag('a"b', node)), 0)])
    b.struct("spaced", 8, [("p", b.ptr(b.type_tag("address_space(0)", node, True)), 0)])
    b.struct("qualified", 8, [("p", b.restrict(b.volatile(b.const(b.ptr(node)))), 0)])
    b.fwd("far")
    b.struct("later", 8, [("p", b.ptr(b.enum("hue", 4, [("H", 0)])), 0)])
    return b.build()


@needs_compiler
def test_types_that_need_each_other_are_declared_in_an_order_that_compiles(tmp_path):
    btf = cyclic()
    header = dump_c(btf)

    assert "LONELY" in header
    assert 'btf_type_tag("a\\"b")' in header
    assert "__attribute__((address_space(0)))" in header
    compile_and_run(tmp_path, layout_program(btf, header, all_named(btf)))


@needs_compiler
def test_names_that_c_would_refuse_are_changed_and_kept_apart(tmp_path):
    s = Sample()
    b = s.b
    first = b.struct("twin", 4, [("a", s.int, 0)])
    second = b.struct("twin", 8, [("a", s.u64, 0)])
    b.struct("both", 16, [("a", first, 0), ("b", second, 64)])
    b.union("twin", 4, [("a", s.int, 0)])
    b.fwd("twin")
    b.fwd("twin", True)
    b.typedef("name", s.int)
    b.typedef("name", s.u64)
    b.enum("one", 4, [("SAME", 0)])
    b.enum("two", 4, [("SAME", 1)])
    b.enum("hollow", 4, [])
    b.struct("class.member", 4, [("int", s.int, 0), ("1st", s.int, 0)])
    odd = [
        b.int_("__ARRAY_SIZE_TYPE__", 4),
        b.int_("tri", 1, IntEncoding.BOOL),
        b.int_("huge", 16),
        b.int_("huge_signed", 16, IntEncoding.SIGNED),
        b.int_("mine", 8, IntEncoding.SIGNED),
        b.float_("real", 4),
        b.float_("strange", 3),
        b.typedef("__builtin_va_list", b.array(s.u64, s.u32, 3)),
    ]
    for at, id in enumerate(odd):
        b.struct(f"user{at}", 8, [("p", b.ptr(id), 0)])
    header = dump_c(b.build())

    for text in ("struct twin___2 {", "typedef unsigned long name___2;", "SAME___2 = 1", "_int"):
        assert text in header
    for text in ("struct class_member {", "_1st", "hollow__none = 0", "typedef _Bool tri;"):
        assert text in header
    for text in ("typedef unsigned __int128 huge;", "typedef long mine;", "typedef float real;"):
        assert text in header
    assert "twin___3" in header
    assert "__builtin_va_list;" not in header
    compile_and_run(tmp_path, header + "int main(void) { return 0; }\n")


def test_a_struct_that_contains_itself_is_an_error():
    b = BtfBuilder()
    b.add(Struct("loop", 8, (Member("again", 1, 0),)))

    with pytest.raises(ObjectError, match="contains itself"):
        dump_c(b.build())


def test_an_anonymous_struct_that_contains_itself_is_an_error():
    b = BtfBuilder()
    b.add(Struct("", 8, (Member("again", 1, 0),)))
    b.typedef("t", 1)

    with pytest.raises(ObjectError, match="contains itself"):
        dump_c(b.build())


def test_anonymous_structs_that_unfold_without_end_are_an_error():
    s = Sample()
    inner = s.b.struct("", 8, [("x", s.u64, 0)])
    for _ in range(20):
        inner = s.b.union("", 8, [("a", inner, 0), ("b", inner, 0)])
    s.b.typedef("t", inner)

    with pytest.raises(ObjectError, match="its C text has no end"):
        dump_c(s.b.build())


def test_a_member_that_has_no_name_in_c_is_an_error():
    s = Sample()
    s.b.struct("odd", 8, [("x", s.b.typedef("", s.int), 0)])

    with pytest.raises(ObjectError, match="a TYPEDEF without a name"):
        dump_c(s.b.build())
