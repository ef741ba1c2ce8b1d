"""Fault attributes: the kernel's defaults, its boot string, and what is refused."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import (
    FaultAttr,
    FrameFilter,
    parse_filter,
    parse_retval,
    parse_spec,
)


def test_the_defaults_are_those_of_linux():
    """FAULT_ATTR_INITIALIZER: interval 1, times 1, verbose 2, stacktrace depth 32, all else 0."""
    attr = FaultAttr()

    assert (attr.probability, attr.interval, attr.times, attr.space) == (0, 1, 1, 0)
    assert (attr.verbose, attr.stacktrace_depth, attr.task_filter) == (2, 32, False)
    assert (attr.fail_nth, attr.require, attr.reject) == (0, (), ())


def test_the_boot_string_is_interval_probability_space_times():
    attr = FaultAttr.parse("10,50,4096,-1")

    assert attr == FaultAttr(interval=10, probability=50, space=4096, times=-1)


def test_names_set_what_the_boot_string_cannot():
    text = "fail-nth=3,contexts=task,task_filter=Y,verbose=0,retval=-ENOMEM,stacktrace_depth=4"
    attr = FaultAttr.parse(text)

    assert attr.fail_nth == 3 and attr.contexts == "task" and attr.task_filter
    assert (attr.verbose, attr.retval, attr.stacktrace_depth) == (0, -12, 4)


def test_lists_are_joined_by_plus():
    attr = FaultAttr.parse("calls=1+4,require=walk:3-9+main,reject=leaf")

    assert attr.calls == (1, 4)
    assert attr.require == ("walk:3-9", "main") and attr.reject == ("leaf",)


@pytest.mark.parametrize(("text", "value"), [("N", False), ("0", False), ("1", True), ("Y", True)])
def test_the_task_filter_is_written_as_debugfs_shows_it(text, value):
    assert parse_spec(f"task_filter={text}") == {"task_filter": value}


@pytest.mark.parametrize(
    ("text", "value"), [("-12", -12), ("-ENOMEM", -12), ("NULL", 0), ("0", 0), ("-EOPNOTSUPP", -95)]
)
def test_a_return_value_is_a_number_an_errno_or_null(text, value):
    assert parse_retval(text) == value


@pytest.mark.parametrize("text", ["ENOMEM", "-ENOSUCH", "", "-"])
def test_other_return_values_are_refused(text):
    with pytest.raises(InputError, match="retval"):
        parse_retval(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3", "must be <interval>,<probability>,<space>,<times>"),
        ("1,2,3,4,5", "must be <interval>,<probability>,<space>,<times>"),
        ("", "must be <interval>,<probability>,<space>,<times>"),
        ("a,100,0,1", "interval is 'a', must be a number"),
        ("1,101,0,1", "probability is 101, must be a number from 0 to 100"),
        ("1,100,0,-2", "times is -2, must be a number from -1"),
        ("1,100,-1,1", "space is -1"),
        ("odds=5", "have no 'odds=5'"),
        ("times=1,wat", "have no 'wat'"),
        ("task_filter=maybe", "task_filter is 'maybe'"),
        ("contexts=nmi", "contexts is 'nmi', must be 'all' or 'task'"),
        ("calls=0", "calls has 0"),
        ("verbose=3", "verbose is 3, must be a number from 0 to 2"),
        ("stacktrace_depth=33", "stacktrace_depth is 33"),
        ("fail_nth=-1", "fail_nth is -1"),
        ("require=walk:", "stack filter 'walk:'"),
    ],
)
def test_a_wrong_specification_is_refused_by_name_value_and_rule(text, said):
    with pytest.raises(InputError) as caught:
        FaultAttr.parse(text)

    assert said in str(caught.value)


def test_a_field_of_the_wrong_type_is_refused():
    with pytest.raises(InputError, match="interval is 'x'"):
        FaultAttr(interval="x")  # type: ignore[arg-type]


def test_a_filter_names_a_function_and_maybe_lines():
    assert parse_filter("walk") == FrameFilter("walk")
    assert parse_filter("walk:31") == FrameFilter("walk", 31, 31)
    assert parse_filter("walk:20-31") == FrameFilter("walk", 20, 31)


@pytest.mark.parametrize("text", ["", ":3", "walk:", "walk:x", "walk:3-", "walk:9-3", "walk:-3"])
def test_other_filters_are_refused(text):
    with pytest.raises(InputError, match="must be FUNCTION"):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "function", "line", "fits"),
    [
        ("walk", "walk", 0, True),
        ("walk", "main", 0, False),
        ("walk:20-31", "walk", 20, True),
        ("walk:20-31", "walk", 31, True),
        ("walk:20-31", "walk", 32, False),
        ("walk:20-31", "walk", 19, False),
    ],
)
def test_ranges_of_lines_include_both_ends(text, function, line, fits):
    assert parse_filter(text).matches(function, line) is fits
