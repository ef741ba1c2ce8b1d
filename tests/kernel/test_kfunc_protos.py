"""What the kernel wants of a kfunc's BTF, at registration (5.1) and at a call (9.3)."""

import pytest

from bpfemu.btf import BtfBuilder, IntEncoding, Linkage
from bpfemu.kernel.kfunc_protos import call_problem, destructor_problem, registration_problem
from bpfemu.proto.flags import KF_ACQUIRE, KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT


class Types(BtfBuilder):
    """A builder with the types that prototypes here are made of."""

    def __init__(self):
        super().__init__()
        self.int = self.int_("int", 4, IntEncoding.SIGNED)
        self.u64 = self.int_("u64", 8)
        self.it = self.ptr(self.struct("bpf_iter_x", 16, [("a", self.u64, 0)]))

    def function(self, name, ret=0, *params):
        return self.func(name, self.func_proto(ret, [(f"p{n}", p) for n, p in enumerate(params)]))


def problem(make, flags=0, check=registration_problem):
    """What ``check`` says of the function that ``make`` adds."""
    types = Types()
    id = make(types)
    btf = types.build()
    return check(btf, id, flags) if check is registration_problem else check(btf, id)


def test_a_plain_function_may_be_registered():
    assert problem(lambda t: t.function("f", t.int, t.it)) is None
    assert problem(lambda t: t.function("f"), KF_ACQUIRE) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.int,
        lambda t: 0,
        lambda t: 99,
        lambda t: t.func_proto(0),
        lambda t: t.func("", t.func_proto(0)),
    ],
    ids=["int", "void", "no type", "a prototype", "nameless"],
)
def test_an_id_that_is_not_a_named_function_is_refused(make):
    assert "is not a function" in problem(make)


@pytest.mark.parametrize("proto", [lambda t: t.int, lambda t: 99])
def test_a_function_without_a_prototype_is_refused(proto):
    assert problem(lambda t: t.func("f", proto(t))) == "function f has no prototype"


GOOD = {
    KF_ITER_NEW: lambda t: t.function("bpf_iter_x_new", t.int, t.it, t.int),
    KF_ITER_NEXT: lambda t: t.function("bpf_iter_x_next", t.ptr(t.int), t.it),
    KF_ITER_DESTROY: lambda t: t.function("bpf_iter_x_destroy", 0, t.it),
}


@pytest.mark.parametrize("flags", GOOD)
def test_the_three_functions_of_an_iterator_may_be_registered(flags):
    assert problem(GOOD[flags], flags) is None
    assert problem(GOOD[flags], flags | KF_ACQUIRE) is None


def with_struct(name, size):
    def make(t):
        struct = t.struct(name, size, [])
        return t.function(f"{name}_new", t.int, t.ptr(struct))

    return make


@pytest.mark.parametrize(
    ("flags", "make", "rule"),
    [
        (KF_ITER_NEW | KF_ITER_NEXT, GOOD[KF_ITER_NEW], "more than one"),
        (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY, GOOD[KF_ITER_NEW], "more than one"),
        (KF_ITER_NEW, lambda t: t.function("bpf_iter_x_new", t.int), "first argument"),
        (KF_ITER_NEW, lambda t: t.function("bpf_iter_x_new", 0, t.int), "first argument"),
        (KF_ITER_NEW, lambda t: t.function("bpf_iter_x_new", 0, t.ptr(t.int)), "first argument"),
        (KF_ITER_NEW, with_struct("my_iter_x", 16), "first argument"),
        (KF_ITER_NEW, with_struct("bpf_iter_y", 0), "has 0 bytes"),
        (KF_ITER_NEW, with_struct("bpf_iter_y", 12), "has 12 bytes"),
        (KF_ITER_NEW, lambda t: t.function("bpf_iter_y_new", t.int, t.it), "bpf_iter_x_new"),
        (KF_ITER_NEXT, GOOD[KF_ITER_NEW], "must be named bpf_iter_x_next"),
        (
            KF_ITER_NEXT,
            lambda t: t.function("bpf_iter_x_next", t.ptr(t.int), t.it, t.int),
            "nothing but the iterator",
        ),
        (
            KF_ITER_DESTROY,
            lambda t: t.function("bpf_iter_x_destroy", 0, t.it, t.int),
            "nothing but the iterator",
        ),
        (
            KF_ITER_NEXT,
            lambda t: t.function("bpf_iter_x_next", t.int, t.it),
            "must return a pointer",
        ),
        (
            KF_ITER_DESTROY,
            lambda t: t.function("bpf_iter_x_destroy", t.int, t.it),
            "must return nothing",
        ),
    ],
)
def test_an_iterator_function_that_breaks_a_rule_is_refused(flags, make, rule):
    assert rule in problem(make, flags)


def test_the_iterators_pointer_may_be_qualified_and_typedefd():
    def make(t):
        struct = t.struct("bpf_iter_y", 8, [])
        pointer = t.typedef("y_ptr", t.const(t.ptr(t.const(struct))))
        return t.function("bpf_iter_y_new", t.int, pointer)

    assert problem(make, KF_ITER_NEW) is None


def test_rules_do_not_bind_functions_without_iterator_flags():
    assert problem(lambda t: t.function("bpf_iter_y_new", t.int)) is None


def test_a_destructor_is_void_f_of_one_pointer():
    assert problem(lambda t: t.function("f", 0, t.it), check=destructor_problem) is None
    for make in (
        lambda t: t.function("f", t.int, t.it),
        lambda t: t.function("f", 0, t.it, t.it),
        lambda t: t.function("f", 0),
        lambda t: t.function("f", 0, t.int),
    ):
        assert "must be void f(pointer)" in problem(make, check=destructor_problem)
    assert "is not a function" in problem(lambda t: t.int, check=destructor_problem)


def variadic(t):
    return t.func("f", t.func_proto(0, [("a", t.int), ("", 0)]))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda t: t.function("f", t.int, *[t.it] * 12), None),
        (lambda t: t.function("f", t.it, t.union("u", 16, [])), None),
        (lambda t: t.function("f", t.enum("e", 4, []), t.enum64("e64", 8, [])), None),
        (lambda t: t.int, "kernel btf_id 1 is not a function"),
        (lambda t: 99, "kernel btf_id 99 is not a function"),
        (
            lambda t: t.func("f", t.int, Linkage.STATIC),
            "kernel function btf_id 5 does not have a valid func_proto",
        ),
        (
            lambda t: t.function("f", 0, *[t.int] * 13),
            "The function f has 13 arguments. Too many.",
        ),
        (variadic, "The function f with variable args is unsupported."),
        (
            lambda t: t.function("f", t.struct("s", 8, [])),
            "The function f return type struct s is unsupported.",
        ),
        (
            lambda t: t.function("f", t.float_("double", 8)),
            "The function f return type double is unsupported.",
        ),
        (
            lambda t: t.function("f", 0, t.struct("s", 17, [])),
            "The function f arg0 type struct s is unsupported.",
        ),
        (
            lambda t: t.function("f", 0, t.int, t.fwd("w")),
            "The function f arg1 type struct w is unsupported.",
        ),
        (
            lambda t: t.function("f", 0, t.struct("s", 0, [])),
            "The function f has malformed void argument.",
        ),
    ],
)
def test_the_prototype_of_a_function_that_is_called(make, text):
    assert problem(make, check=call_problem) == text


def test_types_without_an_end_are_a_problem_and_not_an_error():
    """Nothing looks for loops in the BTF of modules."""

    def loop(t):
        one, two = t.reserve(), t.reserve()
        from bpfemu.btf import kinds

        t.set(one, kinds.Const(two))
        t.set(two, kinds.Const(one))
        return one

    for check in (registration_problem, destructor_problem, call_problem):
        text = problem(lambda t: t.function("bpf_iter_x_new", 0, loop(t)), KF_ITER_NEW, check)
        assert "modifiers in a row" in text
