"""Read sections and grace periods (iterator notes, sections 3.7 and 4.3)."""

from __future__ import annotations

from bpfemu.kernel.rcu import ReadCopyUpdate


def test_a_section_is_explicit_or_that_of_a_program_that_cannot_sleep() -> None:
    rcu = ReadCopyUpdate()
    assert not rcu.in_section()
    rcu.read_lock()
    assert rcu.in_section()
    rcu.read_unlock()
    rcu.implicit += 1
    assert rcu.in_section()


def test_sections_nest_and_stop_at_none() -> None:
    rcu = ReadCopyUpdate()
    rcu.read_lock()
    rcu.read_lock()
    rcu.read_unlock()
    assert rcu.in_section()
    rcu.read_unlock()
    rcu.read_unlock()
    assert rcu.explicit == 0 and not rcu.in_section()


def test_a_grace_period_waits_for_readers() -> None:
    rcu = ReadCopyUpdate()
    called: list[str] = []
    rcu.call_rcu(lambda: called.append("rcu"))
    rcu.read_lock()
    assert rcu.end_grace_period() == 0 and called == []
    rcu.read_unlock()
    assert rcu.end_grace_period() == 1 and called == ["rcu"]
    assert rcu.waiting == (0, 0)


def test_a_sleepable_program_holds_up_tasks_trace_but_not_normal_rcu() -> None:
    rcu = ReadCopyUpdate()
    called: list[str] = []
    rcu.call_rcu(lambda: called.append("rcu"))
    rcu.call_rcu_tasks_trace(lambda: called.append("trace"))
    rcu.trace += 1

    assert rcu.barrier() == 1
    assert called == ["rcu"]
    rcu.trace -= 1
    assert rcu.barrier() == 1
    assert called == ["rcu", "trace"]


def test_a_tasks_trace_grace_period_covers_normal_readers_too() -> None:
    rcu = ReadCopyUpdate()
    called: list[str] = []
    rcu.call_rcu_tasks_trace(lambda: called.append("trace"))
    rcu.implicit += 1

    assert rcu.end_trace_grace_period() == 0
    assert called == []


def test_a_barrier_also_waits_for_what_callbacks_start() -> None:
    rcu = ReadCopyUpdate()
    called: list[str] = []
    rcu.call_rcu(lambda: rcu.call_rcu_tasks_trace(lambda: rcu.call_rcu(lambda: called.append("3"))))

    assert rcu.barrier() == 3
    assert called == ["3"]
