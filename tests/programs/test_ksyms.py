"""Programs with kernel symbols on kernels of every sort (BTF notes, section 11.4)."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest

from bpfemu.btf import Btf
from bpfemu.btf.check import check
from bpfemu.errors import BindError, InputError
from bpfemu.isa.insn import LoadImm64
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.variables_btf import module_btfs
from bpfemu.machine.stop import FaultKind
from bpfemu.session import Options, Session, read
from bpfemu.world import KernelVariable, World

KSYMS = Path(__file__).parents[2] / "programs" / "ksyms"
FIRST = {"pid": 77, "tgid": 77, "group_leader": "&first_task"}
TYPED = (
    KernelVariable("first_task", "struct task_struct", FIRST),
    KernelVariable("boot_count", "unsigned long", 12),
    KernelVariable("table", "int[4]", (1, 2, 3)),
    KernelVariable("holder", "struct task_struct *", "&first_task"),
)
MODULE = (
    KernelVariable("module_count", "unsigned long long", 40, module="mod"),
    KernelVariable("module_queue", "struct rq", percpu=({"cpu": 1}, {"cpu": 2}), module="mod"),
)


def session(name: str, *variables: KernelVariable, **options: Any) -> Session:
    """An object on a kernel with further variables."""
    world = World(variables=variables)
    return Session(read(KSYMS / f"{name}.bpf.o"), Options(world=world, **options))


def run(made: Session, program: str, **options: Any) -> Any:
    """Load one program and run it once."""
    made.load([program])
    return made.run(program, RunOptions(**options))


def refusal(made: Session, program: str) -> BindError:
    with pytest.raises(BindError) as caught:
        made.load([program])
    return caught.value


@pytest.mark.parametrize("engine", ["interp"])
@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize(
    ("program", "result"),
    [("of_struct", 77), ("through_pointer", 1), ("of_scalar", 12), ("of_array", 6)],
)
def test_typed_variables_of_the_world_are_read(
    program: str, result: int, seed: int, engine: str
) -> None:
    outcome = run(session("typed", *TYPED, seed=seed, engine=engine), program)
    assert (outcome.r0, outcome.fault) == (result, None)


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("past_scalar", FaultKind.OUT_OF_BOUNDS, "mem_size=8 off=8 size=4"),
        ("write_scalar", FaultKind.READ_ONLY, "R1 cannot write into rdonly_mem"),
        ("write_struct", FaultKind.READ_ONLY, "only read is supported"),
    ],
)
def test_what_the_type_forbids_is_a_fault_in_the_kernels_words(
    program: str, kind: FaultKind, words: str
) -> None:
    fault = run(session("typed", *TYPED), program).fault
    assert fault.kind is kind and words in fault.detail


@pytest.mark.parametrize(
    ("name", "program", "words"),
    [
        ("percpu", "direct", "R1 is ptr_rq access percpu memory: off="),
        ("percpu", "write_struct", "only read is supported"),
        ("percpu", "write_scalar", "R0 cannot write into rdonly_mem"),
        ("percpu", "past_scalar", "invalid access to memory, mem_size=4 off=4 size=4"),
        ("percpu", "untested", "NULL"),
        ("percpu", "not_percpu", "R1 type=scalar expected=percpu_ptr_, percpu_rcu_ptr_"),
        ("functions", "read", "invalid access to memory, mem_size=0 off=0 size=4"),
    ],
)
def test_the_verifiers_words_stand_in_the_report(name: str, program: str, words: str) -> None:
    outcome = run(session(name), program)
    assert outcome.fault is not None and words in outcome.fault.detail
    assert words in outcome.report


def test_a_modules_variables_are_there_with_the_module_and_weak_without() -> None:
    assert run(session("typed", *TYPED), "of_module").r0 == 0xFFFF_FFFF  # int -1
    assert run(session("typed", *TYPED, *MODULE), "of_module").r0 == 42


def test_a_module_is_held_by_a_program_that_refers_to_it() -> None:
    made = session("typed", *TYPED, *MODULE)
    made.load(["of_module"])
    assert made.kernel is not None
    with pytest.raises((OSError, InputError)):
        made.kernel.modules.unload("mod")


def module(made: Session) -> Btf:
    """Split BTF with the two variables of a module."""
    return module_btfs(made.btf, MODULE)["mod"]


def test_a_module_may_bring_its_symbols_itself() -> None:
    made = session("typed", *TYPED, MODULE[1])
    count = (40).to_bytes(8, "little")
    made.boot().modules.unload("mod")
    made.boot().modules.load("mod", module(made), ksyms={"module_count": count})
    assert run(made, "of_module").r0 == 42


def test_a_symbol_of_a_module_that_kallsyms_lacks_is_enoent() -> None:
    made = session("typed", *TYPED)
    made.boot().modules.load("mod", module(made))
    error = refusal(made, "of_module")
    assert error.errno == errno.ENOENT
    assert "failed to find the address for kernel symbol 'module_count'." in str(error)


def test_a_program_waits_for_the_module_to_be_live() -> None:
    """Its init runs a loader: ENXIO, and nothing stays held."""
    made = session("typed", *TYPED)
    kernel = made.boot()
    seen: list[int | None] = []

    def init(loaded: object) -> int:
        with pytest.raises(BindError) as caught:
            kernel.load(made.bind("of_module"))
        seen.append(caught.value.errno)
        return 0

    symbols = {"module_count": bytes(8), "module_queue": bytes(8)}
    kernel.modules.load("mod", module(made), ksyms=symbols, init=init)
    assert seen == [errno.ENXIO]
    kernel.modules.unload("mod")


def test_a_run_of_every_cpu_finds_that_cpus_copy() -> None:
    made = session("percpu", cpus=4)
    made.load(["this_cpu", "each_cpu"])
    for cpu in range(4):
        assert made.run("this_cpu", RunOptions(cpu=cpu)).r0 == 1
        assert made.run("each_cpu", RunOptions(cpu=cpu)).r0 == 0


def test_an_image_is_the_same_before_and_after_there_is_a_kernel() -> None:
    made = session("percpu")
    before = made.bind("this_cpu")
    made.load(["this_cpu"])
    assert made.images["this_cpu"].digest == before.digest


@pytest.mark.parametrize(
    ("program", "number", "words"),
    [
        ("typed", errno.EINVAL, "'no_such_variable': not found in kernel BTF"),
        ("typeless", errno.ESRCH, r"extern 'no_such_symbol' (strong): not resolved"),
        ("mismatch", errno.EINVAL, "'runqueues': incompatible types, expected"),
        ("weak_mismatch", errno.EINVAL, "'bpf_prog_active': incompatible types, expected"),
    ],
)
def test_strong_externs_that_are_missing_or_different_are_refused(
    program: str, number: int, words: str
) -> None:
    error = refusal(session("strong"), program)
    assert error.errno == number and words in str(error)


def test_without_data_in_kallsyms_typed_variables_are_refused_at_load() -> None:
    error = refusal(session("percpu", kallsyms="functions"), "this_cpu")
    assert error.errno == errno.ENOENT
    assert "ldimm64 failed to find the address for kernel symbol 'runqueues'." in str(error)


def test_functions_have_addresses_all_the_same() -> None:
    assert run(session("functions", kallsyms="functions"), "address").r0 == 2


def test_restricted_kallsyms_hides_addresses_of_typeless_symbols_only() -> None:
    assert run(session("percpu", kallsyms="restricted"), "this_cpu").r0 == 1
    outcome = run(session("percpu", kallsyms="restricted"), "each_cpu")
    assert outcome.r0 == 1  # nr_cpu_ids "is" at 0 and reads as nothing
    image = session("percpu", kallsyms="restricted").bind("idle")
    addresses = [insn.value for insn in image.code if isinstance(insn, LoadImm64)]
    assert 0 in addresses


def test_the_kernel_accepts_the_btf_that_is_uploaded() -> None:
    """Extern linkage is what it refuses; the section is made of 4-byte ints."""
    made = session("percpu")
    uploaded = made.uploaded_btf()
    assert uploaded is not None and made.object.btf is not None
    refused = check(made.object.btf.raw)
    assert refused is not None and refused.errno == errno.EINVAL
    assert check(uploaded.raw) is None


def test_a_name_that_a_module_has_too_is_ambiguous_without_a_type() -> None:
    twice = KernelVariable("nr_cpu_ids", "int", module="mod")
    error = refusal(session("percpu", twice), "each_cpu")
    assert error.errno == errno.EINVAL and "resolution is ambiguous" in str(error)


def test_the_guides_example_prints_what_the_guide_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = KSYMS.parents[1]
    guide = (root / "docs/guides/kernel-variables.md").read_text()
    (script,) = re.findall(r"^```python run\n(.*?)^```$", guide, re.M | re.S)
    (output,) = re.findall(r"^```text\n(.*?)^```$", guide, re.M | re.S)
    monkeypatch.chdir(root)
    exec(script, {})
    assert capsys.readouterr().out == output
