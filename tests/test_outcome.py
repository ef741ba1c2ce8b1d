"""Outcomes: the return value's three readings, comparison, and what they say in a line."""

from __future__ import annotations

import pickle

import pytest

from bpfemu.machine.stop import Fault, FaultKind, Site, Stop, StopKind
from bpfemu.outcome import Leak, Outcome, Record, errno_name
from bpfemu.record import replace

LEAK = Leak("reference", "task_struct pid 7", "Unreleased reference id=1 alloc_insn=3")


def outcome(r0: int = 0, kind: StopKind = StopKind.EXIT, **more: object) -> Outcome:
    """One run of ``prog``: 9 instructions."""
    stop = Stop(kind, r0, 9)
    return Outcome(program="prog", stop=stop, profile="6.12.0", seed=3, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("r0", "retval", "value"),
    [
        (0, 0, 0),
        (45, 45, 45),
        (0xFFFF_FFEA, 0xFFFF_FFEA, -22),  # an int-returning kfunc's -EINVAL in r0
        (0xFFFF_FFFF_FFFF_FFEA, 0xFFFF_FFEA, -22),  # a 64-bit -EINVAL
        (0x1_0000_0005, 5, 5),
        (0x7FFF_FFFF, 0x7FFF_FFFF, 0x7FFF_FFFF),
        (0x8000_0000, 0x8000_0000, -0x8000_0000),
    ],
)
def test_r0_is_read_as_register_as_test_run_and_as_int(r0: int, retval: int, value: int) -> None:
    found = outcome(r0)

    assert (found.r0, found.retval, found.value, int(found)) == (r0, retval, value, value)
    assert found == r0 and found == retval and found == value
    assert found != value + 1


def test_a_run_that_did_not_end_by_itself_equals_no_number() -> None:
    for kind in (StopKind.FAULT, StopKind.BUDGET, StopKind.BREAKPOINT):
        assert outcome(5, kind) != 5
    assert outcome(5, StopKind.THROW) == 5  # bpf_throw's cookie


def test_outcomes_are_equal_when_everything_is() -> None:
    assert outcome(5) == outcome(5)
    for other in (
        outcome(6),
        outcome(5, printk=("x",)),
        outcome(5, leaks=(LEAK,)),
        outcome(5, records=(Record("rb", b"\1"),)),
        replace(outcome(5), seed=4),
        replace(outcome(5), trail=("0: r0 = 5",)),
    ):
        assert outcome(5) != other
    assert outcome(5) != "5"


@pytest.mark.parametrize(
    ("kind", "leaks", "ok"),
    [
        (StopKind.EXIT, (), True),
        (StopKind.THROW, (), True),
        (StopKind.EXIT, (LEAK,), False),
        (StopKind.FAULT, (), False),
        (StopKind.BUDGET, (), False),
        (StopKind.BREAKPOINT, (), False),
    ],
)
def test_ok_is_an_end_by_itself_with_nothing_left_behind(
    kind: StopKind, leaks: tuple[Leak, ...], ok: bool
) -> None:
    assert outcome(0, kind, leaks=leaks).ok is ok


TAIL = "9 insns, kernel 6.12.0, task context, seed 3"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (outcome(45), f"prog: returned 45; {TAIL}"),
        (outcome(0xFFFF_FFF4), f"prog: returned -12 (-ENOMEM); {TAIL}"),
        (outcome(0, leaks=(LEAK, LEAK)), f"prog: returned 0, 2 leaked; {TAIL}"),
        (outcome(16, StopKind.BUDGET), f"prog: budget (r0 0x10); {TAIL}"),
        (outcome(16, StopKind.THROW), f"prog: throw (r0 0x10); {TAIL}"),
        (
            outcome(0, StopKind.FAULT, fault=Fault(FaultKind.NULL_DEREF, "reads address 0x8")),
            f"prog: fault: NULL dereference: reads address 0x8; {TAIL}",
        ),
        (
            outcome(0, context="nmi"),
            "prog: returned 0; 9 insns, kernel 6.12.0, nmi context, seed 3",
        ),
    ],
)
def test_an_outcome_says_in_a_line_what_happened_and_how_to_do_it_again(
    found: Outcome, text: str
) -> None:
    assert str(found) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (-1, "-1 (-EPERM)"),
        (-22, "-22 (-EINVAL)"),
        (-524, "-524 (-ENOTSUPP)"),  # the kernel's own, not in any C library
        (-4095, "-4095"),  # MAX_ERRNO, but nobody's
        (-4096, "-4096"),
        (-(1 << 31), "-2147483648"),
    ],
)
def test_negative_errno_get_their_names(value: int, text: str) -> None:
    assert errno_name(value) == text


def test_a_site_says_who_where_and_from_which_line() -> None:
    assert str(Site(-1, "", "boot")) == "boot at kernel"
    assert str(Site(4, "", "")) == "?+4"
    assert str(Site(4, "main", "call bpf_x", "a.c:3: x();")) == (
        "call bpf_x at main+4 (a.c:3: x();)"
    )


def test_an_outcome_survives_being_sent_to_another_process() -> None:
    found = outcome(7, printk=("hello",), leaks=(LEAK,))

    assert pickle.loads(pickle.dumps(found)) == found
