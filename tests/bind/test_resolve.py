"""Externs against the kernel: kfuncs, symbols (notes, sections 7.3, 7.5 and 9.2)."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import LoadImm64
from bpfemu.object import Extern
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import s32
from tests.bind.small import CATALOG, KERNEL, image, kinds_of, options


def symbol(
    name: str, *, weak: bool = False, btf: Btf | None = None, id: int = 0, **bound: Any
) -> ProgramImage:
    """A program that takes the address of a ksym and reads through it."""
    extern = Extern(name, "ksym", weak, id, typeless=btf is None)
    text = f"r1 = &{name} ll; r0 = *(u32 *)(r1 + 0); exit"
    return image(text, externs=[extern], btf=btf, bound=bound)


def address(found: ProgramImage) -> int:
    load = found.code[0]
    assert isinstance(load, LoadImm64)
    return load.value


def declared(name: str, type_: str) -> tuple[Btf, int]:
    """A program's own idea of a kernel variable."""
    btf = BtfBuilder()
    types = {
        "task": lambda: btf.struct("task_struct", 4, [("pid", btf.int_("int", 4), 0)]),
        "int": lambda: btf.int_("unsigned long", 8),
        "ptr": lambda: btf.ptr(0),
    }
    id = btf.var(name, types[type_](), k.Linkage.EXTERN)
    return btf.build(), id


def ksyms(**known: int) -> Any:
    return known.get


# ---- symbols -----------------------------------------------------------------------------------


def test_a_typeless_symbol_is_its_address() -> None:
    assert address(symbol("some", ksyms=ksyms(some=0xFFFF_FFFF_8123_4567))) == 0xFFFF_FFFF_8123_4567


def test_a_missing_weak_symbol_is_zero() -> None:
    assert address(symbol("some", weak=True)) == 0
    btf, id = declared("some", "int")
    assert address(symbol("some", weak=True, btf=btf, id=id)) == 0


def test_a_missing_strong_typeless_symbol_is_esrch() -> None:
    with pytest.raises(BindError, match=r"extern 'some' \(strong\): not resolved") as caught:
        symbol("some")
    assert caught.value.errno == errno.ESRCH and caught.value.symbol == "some"


def test_a_missing_strong_typed_symbol_is_einval() -> None:
    btf, id = declared("some", "int")
    with pytest.raises(BindError, match="'some': not found in kernel BTF") as caught:
        symbol("some", btf=btf, id=id)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("name", "type_", "kind"),
    [("init_task", "task", "PROBE"), ("jiffies", "int", "MEM"), ("runqueue", "task", "UNKNOWN")],
)
def test_a_typed_symbol_is_a_plain_pointer_or_memory(name: str, type_: str, kind: str) -> None:
    btf, id = declared(name, type_)
    found = symbol(name, btf=btf, id=id, ksyms=ksyms(**{name: 0xFFFF_FFFF_8200_0000}))
    assert address(found) == 0xFFFF_FFFF_8200_0000 and kinds_of(found) == [kind]


def test_a_typed_symbol_that_kallsyms_lacks_is_enoent() -> None:
    btf, id = declared("init_task", "task")
    with pytest.raises(BindError, match="failed to find the address for kernel symbol") as caught:
        symbol("init_task", btf=btf, id=id)
    assert caught.value.errno == errno.ENOENT


@pytest.mark.parametrize("weak", [False, True])
def test_a_symbol_of_another_type_is_einval_even_if_weak(weak: bool) -> None:
    btf, id = declared("init_task", "ptr")
    with pytest.raises(BindError, match="incompatible types, expected") as caught:
        symbol("init_task", weak=weak, btf=btf, id=id, ksyms=ksyms(init_task=1))
    assert caught.value.errno == errno.EINVAL


def test_a_per_cpu_symbol_becomes_this_or_another_cpus_copy() -> None:
    btf, id = declared("runqueue", "task")
    extern = Extern("runqueue", "ksym", False, id)
    text = "r1 = &runqueue ll; r2 = 1; call bpf_per_cpu_ptr; r0 = *(u32 *)(r0 + 0); exit"
    found = image(text, externs=[extern], btf=btf, bound={"ksyms": ksyms(runqueue=64)})
    assert kinds_of(found) == ["PROBE"]
    plain = "r1 = r10; r2 = 1; call bpf_per_cpu_ptr; r0 = *(u32 *)(r0 + 0); exit"
    assert kinds_of(image(plain)) == ["MEM"]


def test_modules_are_searched_after_the_kernel() -> None:
    split = BtfBuilder(KERNEL.btf)
    split.var("mod_count", KERNEL.u64)
    btf, id = declared("mod_count", "int")
    modules = {"mod": split.build("mod")}
    found = symbol("mod_count", btf=btf, id=id, modules=modules, ksyms=ksyms(mod_count=4096))
    assert address(found) == 4096


# ---- kfuncs ------------------------------------------------------------------------------------

CALL = "r1 = r10; call bpf_iter_num_next; r0 = 0; exit"


def test_a_call_is_bound_to_the_kernels_function() -> None:
    found = image(CALL)
    (target,) = found.calls
    assert (target.name, target.poisoned, target.module) == ("bpf_iter_num_next", False, "")
    assert target.btf_id == KERNEL.btf.find("bpf_iter_num_next", k.Func)
    assert target.spec == CATALOG.kfuncs["bpf_iter_num_next"][0]
    assert getattr(found.code[1], "imm", 0) == target.btf_id


def test_equal_calls_share_one_target() -> None:
    text = "r1 = r10; call bpf_iter_num_next; r1 = r10; call bpf_iter_num_next"
    text += "; call bpf_ktime_get_ns; exit"
    assert [target.name for target in image(text).calls] == [
        "bpf_iter_num_next",
        "bpf_ktime_get_ns",
    ]


def test_a_flavour_binds_to_the_name_before_it() -> None:
    extern = Extern("bpf_iter_num_next___v1", "kfunc", False, 0)
    found = image("r1 = r10; call bpf_iter_num_next___v1; exit", externs=[extern])
    assert found.calls[0].name == "bpf_iter_num_next"


def missing(
    *, weak: bool, text: str = "call bpf_not_there; r0 = 0; exit", **keywords: Any
) -> ProgramImage:
    return image(text, externs=[Extern("bpf_not_there", "kfunc", weak, 0)], **keywords)


def test_a_missing_strong_kfunc_names_itself_the_program_and_the_slot() -> None:
    with pytest.raises(BindError, match="'bpf_not_there': not found in kernel or module") as caught:
        missing(weak=False)
    error = caught.value
    assert (error.errno, error.program, error.symbol, error.slot) == (
        22,
        "main",
        "bpf_not_there",
        0,
    )


def test_a_missing_strong_kfunc_in_dead_code_is_no_mistake() -> None:
    found = missing(weak=False, text="r0 = 0; if r0 == 0 goto out; call bpf_not_there; out: exit")
    assert found.calls[0].poisoned


def test_a_missing_weak_kfunc_is_poisoned_with_the_reason() -> None:
    (target,) = missing(weak=True).calls
    assert target.poisoned and target.spec is None
    assert target.why.startswith(
        "<invalid kfunc call> kfunc 'bpf_not_there' is referenced but wasn't"
    )


def test_the_address_of_a_kfunc_tells_whether_it_is_there() -> None:
    absent = Extern("bpf_not_there", "kfunc", True, 0)
    text = "r1 = &bpf_not_there ll; r0 = 0; exit"
    assert address(image(text, externs=[absent])) == 0
    present = Extern("bpf_throw", "kfunc", True, 0)
    there = image("r1 = &bpf_throw ll; r0 = 0; exit", externs=[present])
    assert address(there) > 0xFFFF_FFFF_8000_0000
    named = image(
        "r1 = &bpf_throw ll; r0 = 0; exit", externs=[present], bound={"ksyms": ksyms(bpf_throw=77)}
    )
    assert address(named) == 77


def test_the_address_of_a_missing_strong_kfunc_is_refused() -> None:
    with pytest.raises(BindError, match="not found in kernel or module BTFs"):
        missing(weak=False, text="r1 = &bpf_not_there ll; r0 = 0; exit")


def prototype(params: list[str]) -> tuple[Btf, int]:
    btf = BtfBuilder()
    number = btf.int_("int", 4, k.IntEncoding.SIGNED)
    types = {"int": number, "ptr": btf.ptr(btf.struct("bpf_iter_num", 8, []))}
    func = btf.func(
        "bpf_iter_num_new",
        btf.func_proto(number, [(f"p{n}", types[t]) for n, t in enumerate(params)]),
        k.Linkage.EXTERN,
    )
    return btf.build(), func


NEW = "r1 = r10; r2 = 0; r3 = 0; call bpf_iter_num_new; exit"


def test_an_equal_prototype_is_welcome() -> None:
    btf, id = prototype(["ptr", "int", "int"])
    extern = Extern("bpf_iter_num_new", "kfunc", False, id)
    assert not image(NEW, externs=[extern], btf=btf).calls[0].poisoned


def test_another_prototype_is_einval_in_libbpfs_words() -> None:
    btf, id = prototype(["ptr", "ptr", "int"])
    extern = Extern("bpf_iter_num_new", "kfunc", False, id)
    with pytest.raises(
        BindError, match=r"func_proto \[\d+\] incompatible with bpf_iter_num_new \[\d+\]"
    ):
        image(NEW, externs=[extern], btf=btf)


def test_another_prototype_leaves_a_weak_kfunc_unresolved() -> None:
    btf, id = prototype(["ptr"])
    extern = Extern("bpf_iter_num_new", "kfunc", True, id)
    (target,) = image(NEW, externs=[extern], btf=btf).calls
    assert target.poisoned and "it takes 1 parameters, the kernel's 3" in target.why


def test_a_kfunc_that_the_profile_lacks_is_missing() -> None:
    @kfunc(since=(6, 18))
    def bpf_throw(cookie: s32) -> None: ...

    catalog = CATALOG.merged(Catalog.of(bpf_throw))
    with pytest.raises(BindError, match=r"kernel 6\.12\.0 has no kfunc 'bpf_throw'"):
        image("r1 = 0; call bpf_throw; exit", bound={"catalog": catalog})


def test_a_kfunc_of_a_module_says_which() -> None:
    split = BtfBuilder(KERNEL.btf)
    split.func("bpf_mod_func", split.func_proto(KERNEL.int))

    @kfunc()
    def bpf_mod_func() -> s32: ...

    extern = Extern("bpf_mod_func", "kfunc", False, 0)
    bound = {
        "catalog": CATALOG.merged(Catalog.of(bpf_mod_func)),
        "modules": {"mod": split.build("mod")},
    }
    (target,) = image("call bpf_mod_func; exit", externs=[extern], bound=bound).calls
    assert target.module == "mod" and not target.poisoned


def test_options_know_no_symbols_by_themselves() -> None:
    assert options().ksyms("anything") is None
