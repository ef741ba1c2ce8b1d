"""The same programs with interrupts on and off: what section 2 and 3 of the iterator notes say.

With interrupts off the allocator's refill cannot run (4 objects of a small class in stock, 1 of a
big one), profile A unlocks the mmap lock from an irq_work, and profile B does not start at all.
"""

from __future__ import annotations

import pytest

from tests.programs.test_programs import run

EXHAUST = "iters/exhaust.bpf.o"
ENABLED = ("task", "softirq")
DISABLED = ("hardirq", "nmi", "irqoff")
LOCKED, SNAPSHOT = "6.12.0", "6.18.44"  # task_vma's profiles A and B


@pytest.mark.parametrize("kernel", [LOCKED, SNAPSHOT])
@pytest.mark.parametrize("context", ENABLED)
def test_the_stock_is_refilled_while_interrupts_are_on(context, kernel):
    assert run(EXHAUST, "five_small", kernel, context=context) == 5
    assert run(EXHAUST, "two_big", kernel, context=context) == 2


@pytest.mark.parametrize("kernel", [LOCKED, SNAPSHOT])
@pytest.mark.parametrize("context", DISABLED)
def test_the_stock_runs_out_while_they_are_off(context, kernel):
    assert run(EXHAUST, "five_small", kernel, context=context) == 4
    assert run(EXHAUST, "two_big", kernel, context=context) == 1
    assert run(EXHAUST, "fifth_handled", kernel, context=context) == -12  # ENOMEM


@pytest.mark.parametrize("context", DISABLED)
def test_profile_a_walks_once_and_is_busy_the_second_time(context):
    outcome = run(EXHAUST, "vma_two_raw_tp", LOCKED, context=context)

    assert outcome == 1 and outcome.ok
    assert [it.result for it in outcome.iterators] == [0, -16]  # EBUSY


@pytest.mark.parametrize("context", DISABLED)
def test_nested_walks_of_profile_a_lose_a_read_lock(context):
    outcome = run(EXHAUST, "vma_nested_raw_tp", LOCKED, context=context)

    assert outcome == 1
    assert [leak.kind for leak in outcome.leaks] == ["mmap_lock"]


@pytest.mark.parametrize("context", DISABLED)
def test_profile_b_does_not_start(context):
    outcome = run(EXHAUST, "vma_two_raw_tp", SNAPSHOT, context=context)

    assert outcome == 0 and outcome.ok
    assert [it.result for it in outcome.iterators] == [-16, -16]  # EBUSY


@pytest.mark.parametrize("kernel", [LOCKED, SNAPSHOT])
@pytest.mark.parametrize("context", ENABLED)
def test_both_walk_while_interrupts_are_on(context, kernel):
    assert run(EXHAUST, "vma_two_raw_tp", kernel, context=context) == 2
    outcome = run(EXHAUST, "vma_nested_raw_tp", kernel, context=context)
    assert outcome == 1 and outcome.ok
