"""Expectations in decl tags, and how runs are judged by them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.stop import Fault, FaultKind, Finding, Stop, StopKind
from bpfemu.outcome import Leak, Outcome
from bpfemu.testing import Expectation, judge, read_expectation


def outcome(r0: int = 0, fault: FaultKind | None = None, **more: Any) -> Outcome:
    kind = more.pop("kind", StopKind.FAULT if fault else StopKind.EXIT)
    detail = Fault(fault, "read of 8 bytes", pc=3) if fault else None
    stop = Stop(kind, r0, 10, fault=detail)
    return Outcome("p", stop, "6.12.0", 0, fault=detail, **more)


def expect(*tags: str) -> Expectation:
    return read_expectation(tuple(f"comment:test_{tag}" for tag in tags))


def test_functions_without_test_tags_are_no_tests() -> None:
    assert not read_expectation(()).tagged
    assert not read_expectation(("bpf_kfunc", "arg:nullable", "comment:other")).tagged


def test_tags_say_success_value_description_and_output() -> None:
    found = expect("expect_success", "retval=0x2d", "description=d", "expect_stdout=1=hello")

    assert found == Expectation(
        tagged=True, success=True, retval=45, description="d", stdout=("hello",)
    )
    assert expect("auxiliary").auxiliary
    assert expect("retval=POINTER_VALUE").retval == 0xBADCAFE


@pytest.mark.parametrize(
    ("tag", "message"),
    [("retval=many", "'many' is not a number"), ("fault=OOPS", "no FaultKind 'OOPS'")],
)
def test_senseless_tags_are_refused_by_name(tag: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        expect(tag)


def test_what_only_the_verifier_can_judge_is_skipped_unless_a_fault_is_named() -> None:
    assert "no verifier" in expect("expect_failure").skip
    assert expect("expect_failure", "fault=OUT_OF_BOUNDS").skip == ""
    assert expect("expect_success").skip == ""


@pytest.mark.parametrize(
    ("tags", "run"),
    [
        (["expect_success", "retval=-22"], outcome(0xFFFFFFEA)),
        (["expect_success"], outcome(7)),
        (["fault=NULL_DEREF"], outcome(fault=FaultKind.NULL_DEREF)),
        (["leak=iterator"], outcome(leaks=(Leak("iterator", "it", "Unreleased"),))),
        (["finding=UNINITIALISED"], outcome(findings=(Finding(FaultKind.UNINITIALISED, "", 1),))),
        (["expect_stdout=ell"], outcome(printk=("hello",))),
    ],
)
def test_a_run_that_does_what_its_tags_say_passes(tags: list[str], run: Outcome) -> None:
    assert judge(expect(*tags), run).passed


@pytest.mark.parametrize(
    ("tags", "run", "why"),
    [
        (["retval=1"], outcome(0xFFFFFFEA), r"returned -22 \(-EINVAL\), expected 1"),
        (["expect_success"], outcome(fault=FaultKind.READ_ONLY), "fault READ_ONLY"),
        (["fault=NULL_DEREF"], outcome(), "expected the fault NULL_DEREF"),
        (["expect_success"], outcome(kind=StopKind.BUDGET), "the budget ran out"),
        (["expect_success"], outcome(leaks=(Leak("lock", "l", "held"),)), "leaked: held"),
        (["leak=iterator"], outcome(), "expected a leak of kind 'iterator'"),
        (["finding=UNINITIALISED"], outcome(), "expected the finding UNINITIALISED"),
        (["expect_stdout=x"], outcome(printk=("hello",)), "no printk line contains 'x'"),
    ],
)
def test_a_run_that_does_not_fails_with_the_reason(tags: list[str], run: Outcome, why: str) -> None:
    verdict = judge(expect(*tags), run)

    assert not verdict.passed
    assert re.search(why, verdict.why), verdict.why


def test_outcomes_compare_with_numbers_as_c_ints_and_as_registers() -> None:
    run = outcome(0xFFFFFFEA)

    assert run == -22 and run == 0xFFFFFFEA and run != 0
    assert outcome(fault=FaultKind.NULL_DEREF) != 0
    assert (run.value, run.retval, int(run)) == (-22, 0xFFFFFFEA, -22)
    assert "returned -22 (-EINVAL)" in str(run) and "seed 0" in str(run)
    assert outcome(1) == outcome(1) and outcome(1) != outcome(2)


def test_a_budget_is_met_by_programs_that_run_on() -> None:
    endless = expect("expect_failure", "budget=1000")

    assert endless.budget == 1000 and not endless.skip
    assert judge(endless, outcome(kind=StopKind.BUDGET)).passed
    assert "expected more than 1000 instructions" in judge(endless, outcome()).why


def test_a_kernel_is_named_by_its_profile() -> None:
    assert expect("expect_success", "kernel=6.18.44").kernel == "6.18.44"
