"""Marks describe and do nothing else; signatures are read into specs."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from bpfemu.errors import DeclarationError
from bpfemu.proto import services
from bpfemu.proto.ctype import IntType, PtrType, StructType, VoidType
from bpfemu.proto.decl import Array, Const, char, int_
from bpfemu.proto.flags import KF_ACQUIRE, KF_RCU, KF_RET_NULL
from bpfemu.proto.marks import HelperMark, KfuncMark, helper, kfunc, map_type, prog_type
from bpfemu.proto.services import MemAlloc
from bpfemu.proto.spec import read_helper, read_kfunc
from bpfemu.proto.types import Callback, MapPtr, Ptr, Struct, s32, u8, u32, u64, void


class task(Struct):
    pid: int_


# ---- marks ------------------------------------------------------------------------------


def test_a_marked_function_is_the_function_itself() -> None:
    def body() -> s32:
        return s32(7)

    assert kfunc(KF_RCU)(body) is body and body() == 7
    assert body.__bpf_mark__ == KfuncMark(KF_RCU, (0,), None, None, ("common",))


def test_a_kfunc_mark_says_where_and_when_it_is() -> None:
    @kfunc(0, since=(6, 4), until=(6, 18, 33), feature="f", hooks=("tc", "xdp"))
    def body() -> None: ...

    assert body.__bpf_mark__ == KfuncMark(0, (6, 4), (6, 18, 33), "f", ("tc", "xdp"))


def test_a_helper_mark_says_number_and_rules() -> None:
    @helper(6, gpl=True, sleepable=True, progs=("tracing",))
    def body() -> None: ...

    assert body.__bpf_mark__ == HelperMark(6, True, True, ("tracing",))


def test_classes_are_marked_with_their_number() -> None:
    @map_type(2)
    class array: ...

    @prog_type(6)
    class xdp: ...

    assert (array.__bpf_mark__.number, xdp.__bpf_mark__.number) == (2, 6)


# ---- what is read off a signature -------------------------------------------------------


@kfunc(KF_ACQUIRE | KF_RET_NULL)
def bpf_sample(
    p: Ptr[task], name: Ptr[Const[char]], flags: u64, n__k: u32, *, mem_alloc: MemAlloc
) -> Ptr[task]:
    """What it does."""


def test_positional_parameters_are_the_prototype_and_the_others_services() -> None:
    spec = read_kfunc(bpf_sample)

    assert [(p.name, p.ctype, p.role, p.suffix) for p in spec.params] == [
        ("p", PtrType(StructType("task", task)), "ptr", ""),
        ("name", PtrType(IntType(1, True, "char")), "ptr", ""),
        ("flags", IntType(8, False, "u64"), "scalar", ""),
        ("n__k", IntType(4, False, "u32"), "scalar", "__k"),
    ]
    assert spec.returns == PtrType(StructType("task", task))
    assert spec.services == ("mem_alloc",)
    assert (spec.name, spec.flags, spec.doc) == ("bpf_sample", 1 | 4, "What it does.")
    assert spec.file == __file__ and spec.body is bpf_sample and not spec.generator


@helper(164)
def bpf_each(
    m: MapPtr, callback_fn: Callback, ctx: Ptr[void], flags: u64
) -> Generator[int, int, int_]:
    """A body that calls back into the program."""
    yield 0
    return int_(0)


def test_maps_and_callbacks_have_roles_of_their_own() -> None:
    spec = read_helper(bpf_each)

    assert [p.role for p in spec.params] == ["map", "callback", "ptr", "scalar"]
    assert spec.params[0].ctype == PtrType(StructType("bpf_map"))
    assert spec.params[1].ctype == PtrType(VoidType())
    assert spec.number == 164 and spec.doc == "A body that calls back into the program."


def test_a_body_that_calls_back_returns_what_its_generator_returns() -> None:
    spec = read_helper(bpf_each)

    assert spec.generator and spec.returns == IntType(4, True, "int")


def returns_void() -> void: ...
def returns_none() -> None: ...
def returns_nothing_written_out() -> type(None): ...


@pytest.mark.parametrize("body", [returns_void, returns_none, returns_nothing_written_out])
def test_void_has_three_spellings(body) -> None:  # type: ignore[no-untyped-def]
    assert read_kfunc(kfunc()(body)).returns is None


# btf-loading notes, section 9.5: what the verifier reads off a parameter's name
@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("mem__sz", "__sz"),
        ("mem__szk", "__szk"),
        ("n__k", "__k"),
        ("p__nullable", "__nullable"),
        ("p__ign", "__ign"),
        ("p__refcounted_kptr", "__refcounted_kptr"),
        ("s__str", "__str"),
        ("m__map", "__map"),
        ("it__iter", "__iter"),
        ("f__irq_flag", "__irq_flag"),
        ("d__uninit", "__uninit"),
        ("o__alloc", "__alloc"),
        ("b__opt", "__opt"),
        ("unsafe_ptr__ign", "__ign"),
        ("plain", ""),
        ("p_sz", ""),
        ("__sz", ""),  # a suffix needs a name before it
    ],
)
def test_a_suffix_is_read_off_the_name(name: str, suffix: str) -> None:
    scope = {"u64": u64, "__name__": __name__}
    exec(f"def body({name}: u64) -> u64: ...", scope)

    assert read_kfunc(kfunc()(scope["body"])).params[0].suffix == suffix


# ---- what is refused --------------------------------------------------------------------


def six(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> None: ...
def variadic(*args: u64) -> None: ...
def keywords(**kwargs: u64) -> None: ...
def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
def no_result(a: u64): ...  # type: ignore[no-untyped-def]
def stranger(a: u64, *, teapot: MemAlloc) -> None: ...
def by_value(a: task) -> None: ...
def array_by_value(a: Array[u8, 4]) -> None: ...
def python_type(a: str) -> None: ...
def python_result() -> str: ...
def misspelt(a: Ptr[tsak]) -> None: ...  # noqa: F821 the mistake
def misspelt_result() -> u46: ...  # noqa: F821 the mistake


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (six, "six: has 6 > 5 parameters"),
        (variadic, "variadic: takes *args or **kwargs; a kernel prototype has neither"),
        (keywords, "keywords: takes *args or **kwargs; a kernel prototype has neither"),
        (untyped, "untyped: a has no type"),
        (no_result, "no_result: return has no type"),
        (stranger, "stranger: asks for 'teapot', which is not a kernel service"),
        (by_value, "by_value: a: struct task cannot be passed in a register"),
        (array_by_value, "array_by_value: a: u8[4] cannot be passed in a register"),
        (python_type, "python_type: a: str is not a C type that bpfemu knows"),
        (python_result, "python_result: return: str is not a C type that bpfemu knows"),
        (misspelt, "misspelt: a: 'Ptr[tsak]' is not a type: name 'tsak' is not defined"),
        (
            misspelt_result,
            "misspelt_result: return: 'u46' is not a type: name 'u46' is not defined",
        ),
    ],
)
def test_a_broken_signature_is_refused_by_rule(body, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeclarationError) as caught:
        read_kfunc(kfunc()(body))
    assert str(caught.value) == message


def test_annotations_that_are_not_text_are_read_as_well() -> None:
    def body(a, m):  # type: ignore[no-untyped-def]
        """Annotated by hand."""

    body.__annotations__ = {"a": Ptr[u8], "m": MapPtr, "return": u32}

    spec = read_kfunc(kfunc()(body))

    assert [p.role for p in spec.params] == ["ptr", "map"]
    assert spec.returns == IntType(4, False, "u32")


# ---- services ---------------------------------------------------------------------------


def test_every_service_protocol_can_be_asked_for_by_its_name() -> None:
    protocols = {name.lower() for name in services.__all__} - {"services"}
    asked = {name.replace("_", "") for name in services.SERVICES}

    # RunInfo is the service "run"; the others have no protocol: they are classes of their own
    assert protocols - {"runinfo"} <= asked
    assert asked - protocols == {"profile", "space", "memory", "run", "args"}


def test_the_table_in_the_documentation_lists_every_service() -> None:
    lines = (services.__doc__ or "").splitlines()
    listed = {line.split("``")[1] for line in lines if line.startswith("``")}

    assert listed | {"args"} == services.SERVICES
