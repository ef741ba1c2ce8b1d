"""Types and declarations in C."""

import pytest

from bpfemu.btf import Array, BtfBuilder, FuncProto, Param, Ptr
from bpfemu.btf.render import declaration, prototype, type_name
from bpfemu.errors import ObjectError
from tests.btf.samples import Sample


def spellings(s: Sample) -> dict[int, tuple[str, str]]:
    """Ids with their spelling as a cast and as a declaration of x."""
    b = s.b
    task = b.struct("task_struct", 8, [])
    task_ptr = b.ptr(task)
    proto = b.func_proto(s.int, [("", s.void_ptr)])
    handler = b.ptr(proto)
    const_char = b.const(s.char)
    dots = b.ptr(b.func_proto(0, [("fmt", b.ptr(const_char)), ("", 0)]))
    none = b.func_proto(0)
    getter = b.ptr(b.func_proto(handler, [("n", s.int)]))
    grid = b.array(b.array(s.int, s.u32, 3), s.u32, 2)
    return {
        0: ("void", "void x"),
        s.u64: ("unsigned long", "unsigned long x"),
        task_ptr: ("struct task_struct *", "struct task_struct *x"),
        b.ptr(task_ptr): ("struct task_struct **", "struct task_struct **x"),
        b.ptr(const_char): ("const char *", "const char *x"),
        b.const(b.ptr(s.char)): ("char *const", "char *const x"),
        b.ptr(b.const(b.ptr(s.char))): ("char *const *", "char *const *x"),
        b.restrict(b.ptr(0)): ("void *restrict", "void *restrict x"),
        b.const(b.const(b.volatile(s.int))): ("const volatile int", "const volatile int x"),
        b.array(s.char, s.u32, 16): ("char[16]", "char x[16]"),
        b.array(s.char, s.u32, 0): ("char[0]", "char x[0]"),
        grid: ("int[2][3]", "int x[2][3]"),
        b.ptr(grid): ("int (*)[2][3]", "int (*x)[2][3]"),
        b.array(b.ptr(grid), s.u32, 4): ("int (*[4])[2][3]", "int (*x[4])[2][3]"),
        handler: ("int (*)(void *)", "int (*x)(void *)"),
        b.array(handler, s.u32, 2): ("int (*[2])(void *)", "int (*x[2])(void *)"),
        proto: ("int (void *)", "int x(void *)"),
        none: ("void (void)", "void x(void)"),
        dots: ("void (*)(const char *fmt, ...)", "void (*x)(const char *fmt, ...)"),
        getter: ("int (*(*)(int n))(void *)", "int (*(*x)(int n))(void *)"),
        b.typedef("u32", s.u32): ("u32", "u32 x"),
        b.union("either", 4, []): ("union either", "union either x"),
        b.enum("color", 4, []): ("enum color", "enum color x"),
        b.enum64("wide", 8, []): ("enum wide", "enum wide x"),
        b.fwd("far"): ("struct far", "struct far x"),
        b.fwd("far", True): ("union far", "union far x"),
        b.float_("double", 8): ("double", "double x"),
        b.struct("", 8, []): ("struct {...}", "struct {...} x"),
        b.ptr(b.type_tag("rcu", task)): (
            "struct task_struct __rcu *",
            "struct task_struct __rcu *x",
        ),
        b.ptr(b.type_tag("user", task_ptr)): (
            "struct task_struct *__user *",
            "struct task_struct *__user *x",
        ),
    }


def test_every_shape_of_type_is_spelled_as_c_spells_it():
    s = Sample()
    wanted = spellings(s)
    btf = s.b.build()

    assert {id: (type_name(btf, id), declaration(btf, id, "x")) for id in wanted} == wanted


def test_a_prototype_has_its_names():
    s = Sample()
    it = s.b.ptr(s.b.struct("bpf_iter_num", 8, []))
    proto = s.b.func_proto(s.int, [("it", it), ("start", s.int), ("end", s.int)])
    func = s.b.func("bpf_iter_num_new", proto)
    btf = s.b.build()

    text = "int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)"
    assert prototype(btf, func) == text
    with pytest.raises(ObjectError, match="is a FUNC_PROTO, not a FUNC"):
        prototype(btf, proto)


def test_what_is_not_a_type_of_c_is_an_error():
    s = Sample()
    func = s.b.func("f", s.b.func_proto(0))
    btf = s.b.build()

    with pytest.raises(ObjectError, match="a BTF FUNC is not a type of C"):
        type_name(btf, func)


@pytest.mark.parametrize(
    "loop", [Ptr(1), Array(1, 1, 2), FuncProto(1, ()), FuncProto(0, (Param("f", 1),))]
)
def test_types_that_refer_to_themselves_are_an_error(loop):
    b = BtfBuilder()
    b.add(loop)

    with pytest.raises(ObjectError, match="declaration has no end"):
        type_name(b.build(), 1)


def test_a_long_name_used_often_is_an_error():
    b = BtfBuilder()
    name = b.typedef("n" * 100_000, 0)
    proto = b.func_proto(0, [("x", name)] * 100)

    with pytest.raises(ObjectError, match="declaration has no end"):
        type_name(b.build(), proto)
