"""Every object in programs/, judged by its own tags and by what a real kernel did with it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bpfemu.elf import read_object
from bpfemu.errors import BindError
from bpfemu.machine.stop import StopKind
from bpfemu.skeleton import open_object
from bpfemu.testing import Expectation, judge, read_expectation
from tests.programs.recorded import KERNEL, RECORDED

PROGRAMS = Path(__file__).parents[2] / "programs"
OBJECTS = sorted(str(path.relative_to(PROGRAMS)) for path in PROGRAMS.glob("*/*.bpf.o"))
PROFILES = (
    "6.12.0",
    "6.18.0",
    "6.18.44",
)  # one of each design of the task_vma iterator, and between

ELSEWHERE = {
    "contexts/typed.bpf.o:answer": "test_contexts.py gives it the context it wants",
    "faults/no_kfunc.bpf.o:needs_kfunc": "it cannot be loaded, as tested here",
    **{
        f"iters/testmod_seq.bpf.o:testmod_seq_{name}": "tests/modules loads the module it needs"
        for name in ("sum", "empty", "bad", "getter")
    },
    **dict.fromkeys(
        (
            f"ksyms/strong.bpf.o:{name}"
            for name in ("typed", "typeless", "mismatch", "weak_mismatch")
        ),
        "test_ksyms.py: it cannot be loaded",
    ),
    **{
        f"ksyms/typed.bpf.o:{name}": "test_ksyms.py gives it the kernel it wants"
        for name in (
            "of_struct",
            "through_pointer",
            "of_scalar",
            "of_array",
            "past_scalar",
            "write_scalar",
            "write_struct",
            "of_module",
        )
    },
}
"""Programs that are not judged by their tags, and why."""


@cache
def tagged(name: str) -> dict[str, Expectation]:
    """The expectations of an object's programs."""
    functions = read_object(PROGRAMS / name).functions
    return {f.name: read_expectation(f.tags) for f in functions if f.section != ".text"}


def cases() -> Iterator[tuple[str, str]]:
    """(object, program) of everything that tags judge."""
    for name in OBJECTS:
        for program in tagged(name):
            if f"{name}:{program}" not in ELSEWHERE:
                yield name, program


def run(name: str, program: str, kernel: str, **options: Any) -> Any:
    """Run one program alone, as its tags want it."""
    expected = tagged(name)[program]
    with open_object(PROGRAMS / name, kernel=expected.kernel or kernel) as skel:
        for prog in skel.progs:
            prog.autoload = prog.name == program
        return skel.progs[program].run(budget=expected.budget, **options)


def test_there_are_programs_of_every_kind():
    folders = {name.split("/")[0] for name in OBJECTS}

    assert folders >= {"iters", "maps", "helpers", "subprogs", "atomics", "faults", "packets"}
    assert len(list(cases())) > 300


def test_every_program_carries_an_expectation_that_can_fail():
    for name, program in cases():
        expected = tagged(name)[program]
        promise = expected.success, expected.fault, expected.leak, expected.budget, expected.retval
        assert any(fact is not None and fact is not False and fact != "" for fact in promise)
        assert not expected.skip and expected.description, f"{name}:{program}"


@pytest.mark.parametrize("kernel", PROFILES)
@pytest.mark.parametrize("name", OBJECTS)
def test_programs_do_what_their_tags_say(name, kernel):
    for program, expected in tagged(name).items():
        if f"{name}:{program}" not in ELSEWHERE:
            verdict = judge(expected, run(name, program, kernel))
            assert verdict.passed, f"{name}:{program}: {verdict.why}"


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_programs_do_what_linux_did_with_them(name):
    for program, did in RECORDED[name].items():
        outcome = run(name, program, KERNEL)
        if isinstance(did, int):
            assert outcome.stop.kind is StopKind.EXIT, f"{name}:{program}: {outcome}"
            assert outcome.value == did, f"{name}:{program}: {outcome}"
            assert not outcome.leaks
        else:
            assert not outcome.ok, f"Linux refused {name}:{program} with -{did}: {outcome}"


def test_the_record_names_programs_that_exist():
    for name, programs in RECORDED.items():
        assert programs.keys() <= tagged(name).keys(), name


def test_a_kfunc_that_nobody_has_is_named_before_anything_runs():
    with (
        open_object(PROGRAMS / "faults/no_kfunc.bpf.o") as skel,
        pytest.raises(BindError, match="bpf_no_such_kfunc") as caught,
    ):
        skel.load()
    assert caught.value.program == "needs_kfunc"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_results_do_not_hang_on_the_seed(seed):
    for program in ("num_sum", "num_reused", "num_element_is_live"):
        with open_object(PROGRAMS / "iters/num_basics.bpf.o", seed=seed) as skel:
            outcome = skel.progs[program].run()
        assert judge(tagged("iters/num_basics.bpf.o")[program], outcome).passed
