"""should_fail(): sequences worked out by hand from lib/fault-inject.c's order of checks."""

from __future__ import annotations

from typing import Any

import pytest

from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_check import FaultState, Moment, StackFrame

LEAF = StackFrame("bpf_iter_bits_new")
WALK = StackFrame("walk", 7, 31, "x.bpf.c:31: walk")
MAIN = StackFrame("main", 2, 50)
STACK = (LEAF, WALK, MAIN)


def state(seed: int = 0, **attributes: Any) -> FaultState:
    return FaultState("fail_test", FaultAttr(**attributes), seed)


def play(made: FaultState, count: int, **moment: Any) -> list[int]:
    """Which of ``count`` calls fail, from 1."""
    failed = []
    for call in range(1, count + 1):
        if made.should_fail(Moment(call, **moment)):
            made.failed()
            failed.append(call)
    return failed


def test_by_default_nothing_fails():
    assert play(state(), 10) == []


def test_times_is_one_unless_set():
    assert play(state(probability=100), 5) == [1]
    assert play(state(probability=100, times=3), 5) == [1, 2, 3]
    assert play(state(probability=100, times=-1), 5) == [1, 2, 3, 4, 5]
    assert play(state(probability=100, times=0), 5) == []


@pytest.mark.parametrize("interval", [0, 1])
def test_an_interval_of_one_or_none_is_every_call(interval):
    assert play(state(probability=100, times=-1, interval=interval), 4) == [1, 2, 3, 4]


def test_an_interval_of_three_is_every_third_call():
    assert play(state(probability=100, times=-1, interval=3), 10) == [3, 6, 9]


def test_space_is_used_up_while_it_is_larger_than_the_call():
    """100 > 32 → 68 > 32 → 36 > 32 → 4: the fourth call fails, and space stays 4."""
    made = state(probability=100, times=-1, space=100)

    assert play(made, 6, size=32) == [4, 5, 6]
    assert made.space == 4


def test_space_equal_to_the_size_is_not_larger():
    assert play(state(probability=100, space=32), 3, size=32) == [1]


def test_space_is_looked_at_before_the_interval_counts():
    """Calls 1 and 2 use space up (5 → 3 → 1); the interval counts 3, 4, 5, 6."""
    assert play(state(probability=100, times=-1, space=5, interval=2), 6, size=2) == [4, 6]


def test_used_up_times_leave_space_alone():
    made = state(probability=100, times=0, space=10)

    play(made, 3)

    assert made.space == 10


def test_fail_nth_fails_the_nth_and_reads_0_afterwards():
    made = state(fail_nth=3)

    assert play(made, 6) == [3]
    assert made.fail_nth == 0


def test_fail_nth_beats_every_other_knob():
    made = state(fail_nth=2, times=0, task_filter=True, space=1000, interval=7)

    assert play(made, 5) == [2]


def test_before_the_nth_call_the_other_knobs_do_not_count_and_after_it_they_do():
    made = state(fail_nth=3, probability=100, times=2)

    assert play(made, 6) == [3, 4]  # the nth failure counts as one of the times


def test_fail_nth_of_task_context_leaves_other_contexts_to_the_other_knobs():
    made = state(fail_nth=2, contexts="task")

    assert play(made, 4, in_task=False) == []
    assert made.fail_nth == 2
    assert play(made, 4) == [2]


def test_fail_nth_counts_everywhere_unless_told_otherwise():
    assert play(state(fail_nth=2), 4, in_task=False) == [2]


def test_fail_nth_counts_only_calls_whose_stack_fits():
    made = state(fail_nth=1, require=("walk",))

    assert play(made, 2, stack=(LEAF, MAIN)) == []
    assert play(made, 2, stack=STACK) == [1]


@pytest.mark.parametrize(
    ("in_task", "marked", "failed"),
    [(True, True, [1]), (True, False, []), (False, True, [])],
)
def test_the_task_filter_wants_a_marked_task_in_task_context(in_task, marked, failed):
    made = state(probability=100, task_filter=True)

    assert play(made, 2, in_task=in_task, marked=lambda: marked) == failed


@pytest.mark.parametrize(
    ("attributes", "fails"),
    [
        ({}, True),
        ({"require": ("walk",)}, True),
        ({"require": ("walk:31",)}, True),
        ({"require": ("walk:32",)}, False),
        ({"require": ("other",)}, False),
        ({"require": ("other", "main")}, True),
        ({"require": ("bpf_iter_bits_new",)}, True),
        ({"reject": ("walk",)}, False),
        ({"reject": ("other",)}, True),
        ({"require": ("main",), "reject": ("walk",)}, False),
        ({"require": ("main",), "stacktrace_depth": 2}, False),
        ({"reject": ("main",), "stacktrace_depth": 2}, True),
        ({"require": ("walk",), "stacktrace_depth": 0}, False),
        ({"reject": ("walk",), "stacktrace_depth": 0}, True),
    ],
)
def test_stack_filters_look_at_frames_down_to_the_depth(attributes, fails):
    made = state(probability=100, **attributes)

    assert bool(play(made, 1, stack=STACK)) is fails


def test_calls_name_exactly_those_that_fail():
    assert play(state(calls=(2, 5)), 6) == [2, 5]


def test_equal_seeds_roll_equal_dice_and_others_do_not():
    first = play(state(7, probability=50, times=-1), 200)

    assert play(state(7, probability=50, times=-1), 200) == first
    assert play(state(8, probability=50, times=-1), 200) != first


def test_the_dice_fall_as_often_as_the_probability_says():
    """400 throws at 25 percent: 100 expected, standard deviation 8.7; five of them are 43."""
    assert 57 <= len(play(state(probability=25, times=-1), 400)) <= 143


def test_the_log_has_the_kernels_words_and_counts_as_before_the_failure():
    made = state(probability=100, interval=2, space=1, times=3)

    lines = made.log_lines((LEAF, WALK))

    assert lines[:2] == [
        "FAULT_INJECTION: forcing a failure.",
        "name fail_test, interval 2, probability 100, space 1, times 3",
    ]
    assert lines[2:] == ["Call Trace:", " bpf_iter_bits_new", " walk+7 (x.bpf.c:31: walk)"]


@pytest.mark.parametrize(("verbose", "count"), [(0, 0), (1, 2), (2, 5)])
def test_verbose_says_how_much_is_logged(verbose, count):
    assert len(state(verbose=verbose).log_lines((LEAF, WALK))) == count
