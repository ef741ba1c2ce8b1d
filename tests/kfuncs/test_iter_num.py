"""bpf_iter_num: the table measured on Linux 6.18.44 (iterator notes, section 2.1)."""

from __future__ import annotations

from errno import E2BIG, EINVAL

import pytest

from kfuncs.iter_num import (
    bpf_iter_num,
    bpf_iter_num_destroy,
    bpf_iter_num_new,
    bpf_iter_num_next,
)
from tests.kfuncs.conftest import Lab

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
MAX_LOOPS = 8388608


@pytest.fixture
def slot():
    return Lab("6.12.0").slot


RANGES = [
    (0, 3, 0, [0, 1, 2]),
    (3, 3, 0, []),
    (5, 2, -EINVAL, []),
    (0, 8388609, -E2BIG, []),
    (INT_MIN, INT_MIN, 0, []),
    (INT_MIN, INT_MIN + 2, 0, [INT_MIN, INT_MIN + 1]),
    (INT_MAX - 1, INT_MAX, 0, [INT_MAX - 1]),
    (INT_MAX, INT_MAX, 0, []),
    (INT_MIN, INT_MAX, -E2BIG, []),
    (INT_MAX, INT_MIN, -EINVAL, []),
    (-1, 1, 0, [-1, 0]),
]


@pytest.mark.parametrize(("start", "end", "result", "elements"), RANGES)
def test_ranges_give_what_the_kernel_gave(slot, start, end, result, elements):
    it = slot(bpf_iter_num)

    assert bpf_iter_num_new(it, start, end) == result

    assert [int(bpf_iter_num_next(it)[0]) for _ in elements] == elements
    assert not bpf_iter_num_next(it)
    assert not bpf_iter_num_next(it)


def test_the_largest_range_is_accepted_and_ends_after_max_loops_elements(slot):
    it = slot(bpf_iter_num)
    assert bpf_iter_num_new(it, 0, MAX_LOOPS) == 0

    it.cur = MAX_LOOPS - 2  # as after MAX_LOOPS - 1 elements

    assert bpf_iter_num_next(it)[0] == MAX_LOOPS - 1
    assert not bpf_iter_num_next(it)


def test_new_leaves_an_empty_range_behind_when_it_fails(slot):
    it = slot(bpf_iter_num)

    bpf_iter_num_new(it, 1, 0)

    assert it.read_(8) == bytes(8)


def test_elements_live_in_the_first_four_bytes_of_the_slot(slot):
    it = slot(bpf_iter_num)
    bpf_iter_num_new(it, 7, 9)

    first, second = bpf_iter_num_next(it), bpf_iter_num_next(it)

    assert int(first) == int(second) == int(it)
    assert first[0] == 8  # an old element pointer reads the current value
    assert not bpf_iter_num_next(it)
    assert first[0] == 0


def test_destroy_empties_the_slot(slot):
    it = slot(bpf_iter_num)
    bpf_iter_num_new(it, 0, 10)

    bpf_iter_num_destroy(it)

    assert it.read_(8) == bytes(8)
    assert not bpf_iter_num_next(it)


def test_the_slot_can_be_used_again_after_destroy(slot):
    it = slot(bpf_iter_num)
    for first in (3, 4):
        assert bpf_iter_num_new(it, first, 10) == 0
        assert bpf_iter_num_next(it)[0] == first
        bpf_iter_num_destroy(it)


# ---- through programs

LOOP = """
    r1 = r10; r1 += -8; r2 = {start}; r3 = {end}; call bpf_iter_num_new; r7 = r0; r6 = 0; r8 = 0
loop: r1 = r10; r1 += -8; call bpf_iter_num_next; if r0 == 0 goto out
    r1 = *(u32 *)(r0 +0); r6 += r1; r8 += 1; goto loop
out: r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = {result}; exit
"""


@pytest.mark.parametrize(("start", "end", "result", "elements"), RANGES)
def test_a_program_sees_the_same_ranges(start, end, result, elements):
    def run(register):
        text = LOOP.format(start=start, end=end, result=register)
        return Lab("6.18.44").bench.run(text)

    assert run("r7").r0 == result & 0xFFFF_FFFF  # an int is zero-extended
    assert run("r8").r0 == len(elements)
    outcome = run("r6")
    assert outcome.r0 == sum(value & 0xFFFF_FFFF for value in elements)
    assert outcome.ok
    assert outcome.iterators[0].elements == len(elements)


@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_sums_and_early_breaks_leave_nothing_open(count):
    text = f"""
        r1 = r10; r1 += -8; r2 = 0; r3 = 100; call bpf_iter_num_new; r6 = 0
    loop: if r6 == {count} goto out; r1 = r10; r1 += -8; call bpf_iter_num_next
        if r0 == 0 goto out; r6 += 1; goto loop
    out: r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = r6; exit
    """

    outcome = Lab("6.7").bench.run(text)

    assert outcome == count
    assert outcome.ok
