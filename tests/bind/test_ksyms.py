"""What libbpf makes of ksyms and what the verifier makes of that (BTF notes, 7.3 to 7.5, 11.4)."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from bpfemu.bind import bind
from bpfemu.bind.upload import upload_btf
from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import LoadImm64
from bpfemu.isa.ops import Pseudo
from bpfemu.object import Extern
from bpfemu.record import replace
from tests.bind.small import KERNEL, image, kinds_of, obj, options

TEXT = "r1 = 0 ll; r0 = *(u32 *)(r1 + 0); exit"
ADDR = 0xFFFF_8881_0000_0000


def by_hand(
    value: int,
    offs: tuple[int, int] = (0, 0),
    *,
    text: str = TEXT,
    section: str = "tp_btf/sched_switch",
    **changes: Any,
) -> ProgramImage:
    """A program whose first wide load has src_reg 3 and these fields."""
    made = obj(text, section=section)
    function = made.functions[0]
    code = list(function.code)
    at = next(i for i, insn in enumerate(code) if isinstance(insn, LoadImm64))
    load = code[at]
    assert isinstance(load, LoadImm64)
    code[at] = LoadImm64(load.dst, value, Pseudo.BTF_ID, offs)
    made = replace(made, functions=(replace(function, code=tuple(code)),))
    changes.setdefault("ksyms", lambda name: ADDR)
    return bind(made, function.name, options(**changes))


def refusal(value: int, offs: tuple[int, int] = (0, 0), **changes: Any) -> BindError:
    with pytest.raises(BindError) as caught:
        by_hand(value, offs, **changes)
    return caught.value


def one_type(add: Any) -> dict[str, Any]:
    """A module whose BTF has what ``add`` adds, and the VAR of that type as fd 1."""
    split = BtfBuilder(KERNEL.btf)
    id = add(split)
    return {"modules": {"mod": split.build("mod")}, "value": 1 << 32 | id}


# ---- the rows of 7.4 ---------------------------------------------------------------------------


def test_fields_of_the_second_slot_must_be_zero() -> None:
    error = refusal(KERNEL.init_task, (0, 1))
    assert error.errno == errno.EINVAL and "invalid bpf_ld_imm64 insn" in str(error)


def test_the_second_immediate_is_the_descriptor_of_a_btf() -> None:
    error = refusal(9 << 32 | KERNEL.init_task)
    assert error.errno == errno.EINVAL
    assert "invalid module BTF object FD specified." in str(error)


def test_a_kernel_without_btf_is_einval() -> None:
    error = refusal(1, kernel_btf=BtfBuilder().build("vmlinux"), section="raw_tp")
    assert error.errno == errno.EINVAL
    assert "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y" in str(error)


def test_an_id_beyond_the_btf_is_enoent() -> None:
    error = refusal(KERNEL.btf.type_count)
    assert error.errno == errno.ENOENT
    assert f"ldimm64 insn specifies invalid btf_id {KERNEL.btf.type_count}." in str(error)


@pytest.mark.parametrize("id", [0, KERNEL.int, KERNEL.task])
def test_only_variables_and_functions_have_addresses(id: int) -> None:
    error = refusal(id)
    assert error.errno == errno.EINVAL
    assert f"pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC" in str(error)


def test_a_name_that_kallsyms_lacks_is_enoent() -> None:
    error = refusal(KERNEL.init_task, ksyms=lambda name: None)
    assert error.errno == errno.ENOENT
    words = "ldimm64 failed to find the address for kernel symbol 'init_task'."
    assert words in str(error)
    func = KERNEL.btf.find("bpf_throw", k.Func) or 0
    assert refusal(func, ksyms=lambda name: None).errno == errno.ENOENT


def test_a_type_without_a_size_is_einval() -> None:
    given = one_type(lambda split: split.var("opaque", split.fwd("nobody_knows")))
    error = refusal(given.pop("value"), **given)
    assert error.errno == errno.EINVAL
    assert "ldimm64 unable to resolve the size of type 'nobody_knows': -22" in str(error)


def test_a_program_refers_to_64_btfs_at_most() -> None:
    split = BtfBuilder(KERNEL.btf)
    id = split.var("count", KERNEL.u64)
    made = split.build("mod")
    modules = {f"mod{number}": made for number in range(70)}

    def program(count: int) -> ProgramImage:
        text = "r1 = 0 ll; " * count + "r0 = 0; exit"
        base = obj(text)
        function = base.functions[0]
        code = list(function.code)
        for number in range(count):
            load = code[2 * number]
            assert isinstance(load, LoadImm64)
            code[2 * number] = LoadImm64(load.dst, number + 1 << 32 | id, Pseudo.BTF_ID)
        base = replace(base, functions=(replace(function, code=tuple(code)),))
        changes = {"modules": modules, "ksyms": lambda name: ADDR}
        return bind(base, function.name, options(**changes))

    assert len({module for _, _, module in program(64).ksyms}) == 64
    with pytest.raises(BindError, match=r"number of btfs per program.*limit of 64") as caught:
        program(65)
    assert caught.value.errno == errno.E2BIG


def test_an_offset_in_the_first_slot_is_refused_where_control_gets_to_it() -> None:
    error = refusal(KERNEL.init_task, (5, 0))
    assert error.errno == errno.EINVAL and "BPF_LD_IMM64 uses reserved fields" in str(error)
    assert "2020 proposal" in str(error) and "BTF id 5 " in str(error)


def test_every_other_row_is_refused_wherever_the_load_stands() -> None:
    dead = "r0 = 0; if r0 == 0 goto +2; r1 = 0 ll; exit"
    assert refusal(KERNEL.int, text=dead).errno == errno.EINVAL
    by_hand(KERNEL.init_task, (5, 0), text=dead)


def test_the_proposals_encoding_is_explained_behind_the_kernels_words() -> None:
    """Low half of an address as an id, 0x9000 and 1 as offsets."""
    error = refusal(0xFFFF_FFFF_8123_4560, (0x9000 - 0x1_0000, 1))
    assert "invalid bpf_ld_imm64 insn; off -28672 and 1" in str(error)
    assert "BTF id 102400" in str(error) and "read id 0xffff9000" in str(error)
    error = refusal(0x8123_4560, (7, 0))
    assert error.errno == errno.ENOENT and "invalid btf_id" in str(error)
    assert "the merged encoding is what runs" in str(error)


# ---- the rows of 7.5 ---------------------------------------------------------------------------


def test_a_function_is_a_number_that_is_never_zero() -> None:
    func = KERNEL.btf.find("bpf_throw", k.Func) or 0
    found = by_hand(func)
    assert kinds_of(found) == ["UNKNOWN"] and found.ksyms == (("bpf_throw", ADDR, ""),)


def test_structs_probe_numbers_do_not_and_per_cpu_is_nowhere() -> None:
    jiffies = KERNEL.btf.find("jiffies", k.Var) or 0
    assert kinds_of(by_hand(KERNEL.init_task)) == ["PROBE"]
    assert kinds_of(by_hand(jiffies)) == ["MEM"]
    assert kinds_of(by_hand(KERNEL.runqueue)) == ["UNKNOWN"]


def test_structs_of_the_kernel_are_for_gpl_programs_numbers_for_all() -> None:
    made, btf = externs(("init_task", False, False), type_="task")
    text = "r1 = &init_task ll; r0 = *(u32 *)(r1 + 0); exit"
    bound = {"ksyms": lambda name: ADDR}
    with pytest.raises(BindError, match="kernel 'struct task_struct' from non-GPL") as caught:
        image(text, externs=made, btf=btf, bound=bound, license="Proprietary")
    assert caught.value.errno == errno.EINVAL and caught.value.slot == 2
    image(text, externs=made, btf=btf, bound=bound)
    made, btf = externs(("jiffies", False, False))
    image(text.replace("init_task", "jiffies"), externs=made, btf=btf, bound=bound, license="MIT")


def test_a_per_cpu_number_is_memory_once_a_cpu_is_chosen() -> None:
    def add(split: BtfBuilder) -> int:
        id = split.var("hits", KERNEL.u64)
        split.datasec(".data..percpu", 8, [(id, 0, 8)])
        return id

    given = one_type(add)
    text = "r1 = 0 ll; r2 = 1; call bpf_per_cpu_ptr; r0 = *(u32 *)(r0 + 0); exit"
    assert kinds_of(by_hand(given["value"], text=text, modules=given["modules"])) == ["MEM"]
    assert kinds_of(by_hand(given["value"], modules=given["modules"])) == ["UNKNOWN"]


def test_a_struct_that_only_a_module_has() -> None:
    def add(split: BtfBuilder) -> int:
        return split.var("own", split.struct("own", 8, [("count", KERNEL.u64, 0)]))

    given = one_type(add)
    assert kinds_of(by_hand(given["value"], modules=given["modules"])) == ["PROBE"]


# ---- resolution (7.3) --------------------------------------------------------------------------


def externs(*rows: tuple[str, bool, bool], type_: str = "int") -> tuple[list[Extern], Btf]:
    """(name, weak, typeless) rows; typed ones are a u64."""
    btf = BtfBuilder()
    word = btf.int_("unsigned long", 8)
    if type_ == "task":
        word = btf.struct("task_struct", 4, [("pid", btf.int_("int", 4), 0)])
    made = []
    for name, weak, typeless in rows:
        id = btf.var(name, 0 if typeless else word, k.Linkage.EXTERN)
        made.append(Extern(name, "ksym", weak, id, typeless))
    return made, btf.build()


def taken(name: str, made: list[Extern], btf: Btf, **changes: Any) -> int:
    found = image(f"r1 = &{name} ll; r0 = 0; exit", externs=made, btf=btf, bound=changes)
    load = found.code[0]
    assert isinstance(load, LoadImm64)
    return load.value


def test_what_users_see_and_what_the_kernel_knows_are_two_things() -> None:
    """Restricted kallsyms shows zeros: a typeless symbol "resolves" to 0, a typed one does not."""
    made, btf = externs(("jiffies", False, False), ("some", False, True))
    views = {"ksyms": lambda name: ADDR, "kallsyms": lambda name: (0,)}
    assert taken("some", made, btf, **views) == 0
    assert taken("jiffies", made, btf, **views) == ADDR


def test_two_addresses_of_one_name_are_ambiguous() -> None:
    made, btf = externs(("some", False, True))
    views = {"ksyms": lambda name: 16, "kallsyms": lambda name: (16, 32)}
    with pytest.raises(BindError, match="resolution is ambiguous: 0x10, 0x20") as caught:
        taken("some", made, btf, **views)
    assert caught.value.errno == errno.EINVAL
    assert taken("some", made, btf, kallsyms=lambda name: (16, 16)) == 16


def test_typed_symbols_do_not_fall_back_to_kallsyms() -> None:
    made, btf = externs(("only_in_kallsyms", False, False))
    with pytest.raises(BindError, match="not found in kernel BTF") as caught:
        taken("only_in_kallsyms", made, btf, ksyms=lambda name: ADDR)
    assert caught.value.errno == errno.EINVAL


def test_a_weak_typed_symbol_that_only_kallsyms_has_is_zero() -> None:
    made, btf = externs(("only_in_kallsyms", True, False))
    assert taken("only_in_kallsyms", made, btf, ksyms=lambda name: ADDR) == 0


def test_beside_a_typeless_extern_it_gets_the_id_zero_and_the_kernel_refuses_it() -> None:
    made, btf = externs(("only_in_kallsyms", True, False), ("other", True, True))
    with pytest.raises(BindError, match="pseudo btf_id 0 in ldimm64 isn't KIND_VAR") as caught:
        taken("only_in_kallsyms", made, btf, ksyms=lambda name: ADDR)
    assert caught.value.errno == errno.EINVAL and caught.value.symbol == "only_in_kallsyms"


def test_the_kernel_comes_before_its_modules() -> None:
    split = BtfBuilder(KERNEL.btf)
    split.var("jiffies", KERNEL.u64)
    made, btf = externs(("jiffies", False, False))
    found = image(
        "r1 = &jiffies ll; r0 = 0; exit",
        externs=made,
        btf=btf,
        bound={"modules": {"mod": split.build("mod")}, "ksyms": lambda name: ADDR},
    )
    assert found.ksyms == (("jiffies", ADDR, ""),)


def test_the_image_names_the_symbols_whose_addresses_it_holds() -> None:
    made, btf = externs(("some", False, True), ("gone", True, True))
    text = "r1 = &some ll; r2 = &gone ll; r0 = 0; exit"
    known = {"some": ADDR}
    found = image(text, externs=made, btf=btf, bound={"ksyms": known.get})
    assert found.ksyms == (("some", ADDR, ""),)


# ---- what is uploaded (7.2) --------------------------------------------------------------------


def uploaded(with_int: bool = True) -> Btf:
    btf = BtfBuilder()
    if with_int:
        btf.int_("int", 4, k.IntEncoding.SIGNED)
    word = btf.int_("unsigned long", 8)
    proto = btf.func_proto(word, [("", word), ("flags", word), ("", 0)])
    first = btf.var("first", word, k.Linkage.EXTERN)
    func = btf.func("bpf_some", proto, k.Linkage.EXTERN)
    second = btf.var("second", 0, k.Linkage.EXTERN)
    btf.datasec(".ksyms", 0, [(first, 0, 8), (func, 0, 0), (second, 0, 0)])
    return upload_btf(btf.build("prog"))


@pytest.mark.parametrize("with_int", [True, False])
def test_the_section_of_ksyms_becomes_ints_that_the_kernel_accepts(with_int: bool) -> None:
    found = uploaded(with_int)
    section = found.type(found.find(".ksyms", k.DataSec) or 0)
    assert isinstance(section, k.DataSec) and section.size == 12
    assert [(entry.offset, entry.size) for entry in section.entries] == [(0, 4), (4, 4), (8, 4)]
    names = []
    for entry in section.entries:
        var = found.type(entry.type)
        assert isinstance(var, k.Var) and var.linkage == k.Linkage.GLOBAL
        plain = found.type(var.type)
        assert isinstance(plain, k.Int) and (plain.name, plain.size) == ("int", 4)
        names.append(var.name)
    assert names == ["first", "dummy_ksym", "second"]


def test_functions_become_global_and_their_parameters_get_names() -> None:
    found = uploaded()
    func = found.type(found.find("bpf_some", k.Func) or 0)
    assert isinstance(func, k.Func) and func.linkage == k.Linkage.GLOBAL
    proto = found.type(func.type)
    assert isinstance(proto, k.FuncProto)
    assert [param.name for param in proto.params] == ["dummy_ksym", "flags", ""]


def test_variables_alone_need_no_dummy_and_other_btf_stays_as_it_is() -> None:
    btf = BtfBuilder()
    word = btf.int_("unsigned long", 8)
    plain = btf.build()
    assert upload_btf(plain) is plain
    btf.datasec(".ksyms", 0, [(btf.var("first", word, k.Linkage.EXTERN), 0, 8)])
    found = upload_btf(btf.build())
    assert found.find("dummy_ksym", k.Var) is None
