"""Pressure without injected faults: what bpf_mem_alloc does when its surroundings are busy."""

from __future__ import annotations

from errno import ENOMEM

import pytest

from bpfemu.errors import InputError
from tests.kernel.test_scenarios import END, NEW, lab, results, text

ONE = text(NEW, END)


def nested(count: int) -> str:
    """So many walks at once, then undone."""
    slots = [-8 * n for n in range(1, count + 1)]
    return text(*[NEW.format(at=at) for at in slots], *[END.format(at=at) for at in slots])


def test_a_used_up_class_gives_nothing_and_is_refilled_behind_the_failure():
    """Note 3.4: the failing call queues the refill, which runs as interrupts come on again."""
    b = lab("6.12.0")
    b.kernel.pressure.free_count(128, 0)

    outcomes = [results(b.run(ONE)) for _ in range(2)]

    assert outcomes == [[-ENOMEM], [0]]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_with_irq_work_held_there_are_as_many_as_the_free_list_holds(count):
    """Note 3.8 A and B, in task context."""
    b = lab("6.12.0")
    b.kernel.pressure.free_count(128, count)
    with b.kernel.pressure.held_irq_work():
        outcome = b.run(nested(4))

    assert results(outcome) == [0] * count + [-ENOMEM] * (4 - count)
    assert outcome.ok


def test_held_irq_work_waits_over_runs_and_runs_at_the_end():
    b = lab("6.12.0")
    with b.kernel.pressure.held_irq_work():
        first, second = (b.run(ONE).allocator[0] for _ in range(2))

    assert (first.refills, second.refills) == (0, 0)
    assert b.kernel.services["mem_alloc"].cache(128).refills == 1
    assert b.kernel.services["mem_alloc"].cache(128).free_cnt == 4 + 48


def test_held_irq_work_leaves_mmap_locks_held_too():
    """The unlock work of profile A waits with the rest: note 2.4."""
    b = lab("6.12.0")
    mm = b.kernel.services["tasks"].current.mm
    with b.kernel.pressure.held_irq_work():
        b.run(ONE, context="irqoff")
        held = b.kernel.locks.mmap(mm).readers

    assert (held, b.kernel.locks.mmap(mm).readers) == (1, 0)


def test_on_preempt_rt_the_thread_waits_as_well():
    from bpfemu.kernel.cpu import CpuState, IrqWork

    ran: list[int] = []
    cpu = CpuState(0, threaded=True)
    cpu.held = True
    cpu.queue(IrqWork(lambda: ran.append(1)))
    cpu.run_thread()
    waited = list(ran)
    cpu.held = False
    cpu.run_thread()

    assert (waited, ran) == ([], [1])


def test_an_nmi_inside_the_class_finds_it_closed_and_another_class_open():
    """Note 3.8 G: NULL though free units are there; the other class is served."""
    b = lab("6.12.0")
    b.run(ONE)
    with b.kernel.pressure.inside(128):
        inside = results(b.run(ONE, context="nmi"))
    with b.kernel.pressure.inside(512):
        beside = results(b.run(ONE, context="nmi"))

    assert (inside, beside) == ([-ENOMEM], [0])


def test_units_freed_on_another_cpu_stay_there():
    """Note 3.5: into the current CPU's cache, whoever allocated."""
    b = lab("6.12.0", cpus=2)
    allocator = b.kernel.services["mem_alloc"]

    with b.kernel.pressure.held_irq_work(0), b.kernel.pressure.held_irq_work(1):
        passed = b.kernel.pressure.pass_units(128, 6, 0, 1)
        counts = [allocator.cache(128, cpu).free_cnt for cpu in (0, 1)]

    assert (passed, counts) == (4, [0, 8])  # 4 to start with on each
    assert allocator.cache(128, 1).tgt is allocator.cache(128, 0)
    assert b.kernel.cpus.current == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: p.free_count(128, -1),
        lambda p: p.free_count(100, 1),
        lambda p: p.free_count(128, 1, cpu=9),
        lambda p: p.pass_units(100, 1, 0, 1),
        lambda p: p.inside(100).__enter__(),
        lambda p: p.held_irq_work(9).__enter__(),
    ],
)
def test_what_there_is_not_is_refused(wrong):
    with pytest.raises(InputError):
        wrong(lab("6.12.0").kernel.pressure)
