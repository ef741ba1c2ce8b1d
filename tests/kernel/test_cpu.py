"""Contexts, interrupts and irq_work (iterator notes, sections 4.1 and 4.2)."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError, InternalError
from bpfemu.kernel.cpu import BUSY, CLAIMED, PENDING, Cpus, CpuState, IrqWork


def test_queueing_claims_a_work_and_a_second_time_is_refused() -> None:
    cpu = CpuState(0)
    cpu.enter("irqoff")
    work = IrqWork(lambda: None)

    assert cpu.queue(work)
    assert work.flags == CLAIMED == PENDING | BUSY
    assert work.busy
    assert not cpu.queue(work)
    assert cpu.pending == 1


def test_with_interrupts_on_a_work_runs_before_queueing_returns() -> None:
    cpu = CpuState(0)
    seen: list[tuple[int, bool, bool]] = []
    work = IrqWork(lambda: seen.append((work.flags, cpu.irqs_on, cpu.has("hardirq"))))

    cpu.queue(work)

    assert seen == [(BUSY, False, True)]  # PENDING is cleared first; interrupts are off
    assert work.flags == 0
    assert cpu.irqs_on and not cpu.has("hardirq")


def test_the_newest_work_runs_first() -> None:
    cpu = CpuState(0)
    order: list[int] = []
    flags = cpu.irq_save()
    for number in range(3):
        cpu.queue(IrqWork(lambda n=number: order.append(n)))  # type: ignore[misc]

    cpu.irq_restore(flags)

    assert order == [2, 1, 0]


def test_a_work_may_queue_itself_and_runs_in_the_next_interrupt() -> None:
    cpu = CpuState(0)
    runs: list[int] = []

    def again() -> None:
        runs.append(work.flags)
        if len(runs) < 3:
            assert cpu.queue(work)

    work = IrqWork(again)
    cpu.queue(work)

    assert runs == [BUSY] * 3
    assert work.flags == 0


def test_a_work_that_queued_itself_stays_busy_until_it_has_run_again() -> None:
    cpu = CpuState(0)
    first, second = IrqWork(lambda: None), IrqWork(lambda: None)
    seen: list[int] = []
    first.function = lambda: seen.append(cpu.queue(first)) if not seen else None  # type: ignore
    second.function = lambda: seen.append(first.flags)
    flags = cpu.irq_save()
    cpu.queue(second)  # older: runs after first
    cpu.queue(first)

    cpu.irq_restore(flags)

    assert seen == [True, CLAIMED]
    assert first.flags == 0


@pytest.mark.parametrize(
    ("context", "off", "nmi"),
    [
        ("task", False, False),
        ("softirq", False, False),
        ("irqoff", True, False),
        ("hardirq", True, False),
        ("nmi", True, True),
    ],
)
def test_contexts_and_interrupts(context: str, off: bool, nmi: bool) -> None:
    cpus = Cpus(1)
    ran: list[str] = []
    cpus.here.enter(context)

    assert (cpus.irqs_disabled(), cpus.in_nmi()) == (off, nmi)
    cpus.here.queue(IrqWork(lambda: ran.append("ran")))
    assert bool(ran) == (not off)
    cpus.here.leave()
    assert ran == ["ran"]
    assert not cpus.irqs_disabled()


def test_work_queued_in_an_nmi_waits_until_interrupts_are_on_as_well() -> None:
    cpu = CpuState(0)
    ran: list[str] = []
    flags = cpu.irq_save()
    cpu.enter("nmi")
    cpu.queue(IrqWork(lambda: ran.append("ran")))

    cpu.leave()
    assert ran == []
    cpu.irq_restore(flags)
    assert ran == ["ran"]


def test_restoring_flags_that_had_interrupts_off_runs_nothing() -> None:
    cpus = Cpus(1)
    outer = cpus.local_irq_save()
    inner = cpus.local_irq_save()
    ran: list[str] = []
    cpus.here.queue(IrqWork(lambda: ran.append("ran")))

    cpus.local_irq_restore(inner)
    assert ran == []
    cpus.local_irq_restore(outer)
    assert ran == ["ran"]
    assert outer & 0x200 and not inner & 0x200  # X86_EFLAGS_IF


def test_on_preempt_rt_a_thread_runs_the_work_later() -> None:
    cpus = Cpus(1, preempt_rt=True)
    ran: list[str] = []

    cpus.here.queue(IrqWork(lambda: ran.append("ran")))
    assert ran == []
    cpus.here.run_thread()
    assert ran == ["ran"]


def test_sync_runs_a_pending_work_and_leaves_others_alone() -> None:
    cpu = CpuState(0)
    cpu.enter("irqoff")
    ran: list[str] = []
    first, second = IrqWork(lambda: ran.append("1")), IrqWork(lambda: ran.append("2"))
    cpu.queue(first)
    cpu.queue(second)

    cpu.sync(first)
    cpu.sync(first)

    assert ran == ["1"]
    assert cpu.pending == 1


def test_leaving_a_context_that_was_never_entered_is_our_bug() -> None:
    with pytest.raises(InternalError, match="never entered"):
        CpuState(3).leave()


def test_cpus_are_numbered_and_made_when_touched() -> None:
    cpus = Cpus(4)
    cpus.switch(2)

    assert cpus.id == cpus.current == 2
    assert [cpu.id for cpu in cpus.touched()] == [0, 2]
    with pytest.raises(InputError, match="CPU 4 must be from 0 to 3"):
        cpus.state(4)


def test_preemption_nests_and_stops_at_zero() -> None:
    cpus = Cpus(1)
    cpus.preempt_disable()
    cpus.preempt_disable()
    assert cpus.here.preempt_count == 2
    for _ in range(3):
        cpus.preempt_enable()
    assert cpus.here.preempt_count == 0


def test_migration_nests() -> None:
    cpus = Cpus(1)
    cpus.migrate_disable()
    assert cpus.here.migrate_count == 1
    cpus.migrate_enable()
    assert cpus.here.migrate_count == 0


def test_only_a_sleepable_program_in_open_task_context_may_sleep() -> None:
    cpus = Cpus(1)
    section = False
    cpus.in_rcu_section = lambda: section
    assert not cpus.sleepable()
    cpus.program_sleepable = True
    cpus.here.enter("task")
    assert cpus.sleepable()
    cpus.preempt_disable()
    assert not cpus.sleepable()
    cpus.preempt_enable()
    flags = cpus.local_irq_save()
    assert not cpus.sleepable()
    cpus.local_irq_restore(flags)
    section = True
    assert not cpus.sleepable()
    section = False
    cpus.here.enter("softirq")
    assert not cpus.sleepable()


def test_softirq_hardirq_and_nmi_are_interrupts() -> None:
    for context, interrupt in (
        ("task", False),
        ("irqoff", False),
        ("softirq", True),
        ("hardirq", True),
        ("nmi", True),
    ):
        cpus = Cpus(1)
        cpus.here.enter(context)
        assert cpus.in_interrupt() == interrupt
