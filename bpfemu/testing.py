"""Programs carry their own verdict: BTF decl tags, as the kernel's selftests write them.

=============================  ================================================================
``comment:test_expect_success``  must run to its end, leaving nothing behind
``comment:test_expect_failure``  the kernel refuses it; judged only when it also names a fault
``comment:test_retval=N``        the return value (the low 32 bits of r0)
``comment:test_fault=KIND``      must end in this FaultKind (ours)
``comment:test_leak=KIND``       must end with a leak of this kind (ours)
``comment:test_finding=KIND``    must report this finding (ours)
``comment:test_budget=N``        must still run after N instructions (ours)
``comment:test_kernel=NAME``     needs this kernel profile (ours)
``comment:test_expect_stdout=S`` a printk line must contain S
``comment:test_description=S``   what the test says it is
``comment:test_auxiliary``       not a test by itself
=============================  ================================================================
"""

from __future__ import annotations

from typing import Any

from bpfemu.errors import InputError
from bpfemu.machine.stop import FaultKind, StopKind
from bpfemu.outcome import Outcome, errno_name
from bpfemu.record import dataclass

__all__ = ["Expectation", "Verdict", "judge", "read_expectation"]

PREFIX = "comment:test_"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a program's tags say about it; ``tagged`` is False when they say nothing."""

    tagged: bool = False
    success: bool = False
    failure: bool = False
    retval: int | None = None
    fault: FaultKind | None = None
    leak: str = ""
    finding: FaultKind | None = None
    budget: int | None = None  # instructions
    kernel: str = ""  # profile
    stdout: tuple[str, ...] = ()
    description: str = ""
    auxiliary: bool = False

    @property
    def skip(self) -> str:
        """Why bpfemu cannot judge it; "" when it can."""
        if self.failure and not (self.fault or self.leak or self.finding or self.budget):
            return "the kernel's verifier must refuse it, and bpfemu has no verifier to ask"
        return ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run compares with what the tags say; ``why`` is empty when it passed."""

    passed: bool
    why: str = ""


def read_expectation(tags: tuple[str, ...]) -> Expectation:
    """The expectation in a FUNC's decl tags; InputError names a tag that makes no sense."""
    facts: dict[str, Any] = {}
    stdout: list[str] = []
    for tag in tags:
        if not tag.startswith(PREFIX):
            continue
        name, _, value = tag[len(PREFIX) :].partition("=")
        match name:
            case "expect_success" | "expect_failure":
                facts[name.removeprefix("expect_")] = True
            case "retval" | "budget":
                facts[name] = _number(tag, value)
            case "fault" | "finding":
                facts[name] = _fault(tag, value)
            case "leak" | "description" | "kernel":
                facts[name] = value
            case "auxiliary":
                facts["auxiliary"] = True
            case "expect_stdout":
                stdout.append(value.partition("=")[2] if value[:1].isdigit() else value)
    told = bool(facts) or bool(stdout)
    return Expectation(tagged=told, stdout=tuple(stdout), **facts)


def _number(tag: str, value: str) -> int:
    special = {"POINTER_VALUE": 0xBADCAFE, "TEST_DATA_LEN": 64}
    try:
        return special[value] if value in special else int(value, 0)
    except ValueError:
        raise InputError(f"tag {tag!r}: {value!r} is not a number") from None


def _fault(tag: str, value: str) -> FaultKind:
    try:
        return FaultKind[value]
    except KeyError:
        raise InputError(f"tag {tag!r}: there is no FaultKind {value!r}") from None


def judge(expected: Expectation, outcome: Outcome) -> Verdict:
    """Compare a run with its expectation."""
    for why in (_end(expected, outcome), _leaks(expected, outcome), _details(expected, outcome)):
        if why:
            return Verdict(False, f"{why}\n{outcome}")
    return Verdict(True)


def _end(expected: Expectation, outcome: Outcome) -> str:
    kind = outcome.fault.kind if outcome.fault else None
    if expected.fault is not None:
        return "" if kind is expected.fault else f"expected the fault {expected.fault.name}"
    if outcome.fault is not None:
        return f"fault {outcome.fault.kind.name}: {outcome.fault.detail}"
    spent = outcome.stop.kind is StopKind.BUDGET
    if expected.budget is not None:
        return "" if spent else f"expected more than {expected.budget} instructions"
    if spent:
        return "the budget ran out"
    want = expected.retval
    if want is not None and want & 0xFFFF_FFFF != outcome.retval:
        return f"returned {errno_name(outcome.value)}, expected {errno_name(want)}"
    return ""


def _leaks(expected: Expectation, outcome: Outcome) -> str:
    kinds = [leak.kind for leak in outcome.leaks]
    if expected.leak:
        return "" if expected.leak in kinds else f"expected a leak of kind {expected.leak!r}"
    if kinds and expected.fault is None:
        return f"leaked: {'; '.join(leak.message for leak in outcome.leaks)}"
    return ""


def _details(expected: Expectation, outcome: Outcome) -> str:
    if expected.finding is not None and all(
        finding.kind is not expected.finding for finding in outcome.findings
    ):
        return f"expected the finding {expected.finding.name}"
    for text in expected.stdout:
        if not any(text in line for line in outcome.printk):
            return f"no printk line contains {text!r}"
    return ""
