"""References on tasks: kfunc notes, section 9.1."""

from __future__ import annotations

import pytest

from bpfemu.machine.stop import FaultKind
from bpfemu.world.spec import TaskSpec, World
from tests.kfuncs.conftest import Lab


@pytest.fixture
def lab():
    return Lab("6.18.44")


def test_from_pid_finds_any_thread_and_references_it(lab):
    task = lab.call("bpf_task_from_pid", 12)

    assert (task.pid, task.tgid) == (12, 10)
    assert lab.usage(12) == (1, 3)


@pytest.mark.parametrize("pid", [0, -1, 999_999, -(1 << 31)])
def test_from_pid_gives_null_for_numbers_nobody_has(lab, pid):
    assert not lab.call("bpf_task_from_pid", pid)


def test_acquire_and_release_count_rcu_users(lab):
    task = lab.task(7)

    assert lab.call("bpf_task_acquire", task) == task
    assert lab.usage(7) == (1, 3)

    lab.call("bpf_task_release", task)
    assert lab.usage(7) == (1, 2)


def test_a_task_that_is_being_freed_cannot_be_acquired(lab):
    lab.kernel.rcu.read_lock()
    task = lab.task(1)
    lab.world.exit(1)

    assert not lab.call("bpf_task_acquire", task)


def test_a_reference_keeps_a_task_that_has_exited(lab):
    task = lab.call("bpf_task_from_pid", 1)

    lab.world.exit(1)
    lab.kernel.rcu.end_grace_period()

    assert task.pid == 1
    assert not lab.call("bpf_task_from_pid", 1)
    lab.call("bpf_task_release", task)
    lab.kernel.rcu.end_grace_period()
    assert not lab.kernel.memory.contains(int(task))


def test_from_vpid_looks_in_the_pid_namespace_of_the_current_task():
    world = World((TaskSpec(pid=100, vpid=1), TaskSpec(pid=101, vpid=2), TaskSpec(pid=2)))
    lab = Lab("6.18.44", world=world)

    assert lab.call("bpf_task_from_vpid", 2).pid == 101
    assert not lab.call("bpf_task_from_vpid", 100)

    lab.world.set_current(2)
    assert lab.call("bpf_task_from_vpid", 2).pid == 2
    assert not lab.call("bpf_task_from_vpid", 1)


def test_from_vpid_came_with_6_13():
    lab = Lab("6.12.0")

    assert lab.kernel.catalog.find_kfunc("bpf_task_from_vpid", lab.kernel.config.profile) is None


def test_a_program_that_forgets_its_reference_leaks_it(lab):
    outcome = lab.bench.run("r1 = 7; call bpf_task_from_pid; r0 = 0; exit")

    assert [leak.kind for leak in outcome.leaks] == ["reference"]


def test_a_program_that_releases_twice_faults(lab):
    outcome = lab.bench.run(
        "r1 = 7; call bpf_task_from_pid; r6 = r0; r1 = r6; call bpf_task_release; "
        "r1 = r6; call bpf_task_release; r0 = 0; exit"
    )

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.REFERENCE_STATE
