"""bpf_loop."""

from __future__ import annotations

from errno import E2BIG, EINVAL

from tests.kernel.helpers.env import HelperBench, callback

LOOP = "bpf_loop"


def test_the_callback_gets_the_index_and_the_context() -> None:
    seen = []

    def show(index: int, context: int) -> int:
        seen.append((index, context))
        return 0

    assert HelperBench().call(LOOP, 3, callback(show), 0x1234, 0) == 3
    assert seen == [(0, 0x1234), (1, 0x1234), (2, 0x1234)]


def test_any_other_result_than_zero_ends_it_and_that_call_counts() -> None:
    assert HelperBench().call(LOOP, 10, callback(lambda index, context: index == 4), 0, 0) == 5


def test_no_loops_no_calls() -> None:
    assert HelperBench().call(LOOP, 0, callback(lambda *args: 1 // 0), 0, 0) == 0


def test_flags_come_before_the_limit() -> None:
    never = callback(lambda *args: 1 // 0)

    assert HelperBench().call(LOOP, (8 << 20) + 1, never, 0, 1) == -EINVAL
    assert HelperBench().call(LOOP, (8 << 20) + 1, never, 0, 0) == -E2BIG
    assert HelperBench().call(LOOP, 8 << 20, callback(lambda *args: 1), 0, 0) == 1
