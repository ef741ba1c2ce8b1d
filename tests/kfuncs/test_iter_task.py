"""bpf_iter_task: iterator notes, section 2.8, and row 9 of the fault table in 5.4."""

from __future__ import annotations

from errno import EINVAL

import pytest

from bpfemu.proto.types import NULL
from kfuncs.iter_task import bpf_iter_task
from tests.kfuncs.conftest import Lab

ALL_PROCS, ALL_THREADS, PROC_THREADS = 0, 1, 2
PROCESSES = [0, 7, 1, 2, 3, 10, 20]
GARBAGE = b"\xa5" * 8


@pytest.fixture
def walk():
    return Walk(Lab("6.12.0"))


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_task)

    def new(self, task, flags):
        return self.lab.call("bpf_iter_task_new", self.it, task, flags)

    def next(self):
        found = self.lab.call("bpf_iter_task_next", self.it)
        return found.pid if found else None

    def all(self):
        return list(iter(self.next, None))


def test_processes_start_with_the_idle_task(walk):
    assert walk.new(NULL, ALL_PROCS) == 0

    assert walk.all() == PROCESSES


def test_threads_of_all_processes_come_process_by_process(walk):
    assert walk.new(NULL, ALL_THREADS) == 0

    assert walk.all() == [0, 7, 1, 2, 3, 10, 11, 12, 13, 20]


@pytest.mark.parametrize("flags", [ALL_PROCS, ALL_THREADS])
def test_walks_over_everything_ignore_the_task(walk, flags):
    walk.new(walk.lab.task(12), flags)

    assert walk.next() == 0


@pytest.mark.parametrize(
    ("start", "pids"), [(10, [10, 11, 12, 13]), (12, [12, 13]), (13, [13]), (7, [7])]
)
def test_threads_of_a_process_start_at_the_given_thread(walk, start, pids):
    assert walk.new(walk.lab.task(start), PROC_THREADS) == 0

    assert walk.all() == pids


@pytest.mark.parametrize("flags", [ALL_PROCS, ALL_THREADS, PROC_THREADS])
def test_null_for_ever_after_the_end(walk, flags):
    walk.new(walk.lab.task(7), flags)
    walk.all()

    assert [walk.next() for _ in range(3)] == [None] * 3


@pytest.mark.parametrize(
    ("task", "flags"), [(None, 2), (7, 3), (7, 4), (None, 0xFFFF_FFFF), (7, 0xFFFF_FFFF)]
)
def test_bad_flags_define_nothing_but_pos(walk, task, flags):
    pointer = walk.lab.task(task) if task else NULL

    assert walk.new(pointer, flags) == -EINVAL

    assert walk.it.read_(24) == GARBAGE + bytes(8) + GARBAGE
    assert walk.next() is None
    walk.lab.call("bpf_iter_task_destroy", walk.it)
    assert walk.it.read_(24) == GARBAGE + bytes(8) + GARBAGE


def test_destroy_changes_nothing_and_nothing_is_referenced(walk):
    before = walk.lab.usage(7)
    walk.new(NULL, ALL_PROCS)
    walk.next()
    walk.next()
    slot = walk.it.read_(24)

    walk.lab.call("bpf_iter_task_destroy", walk.it)

    assert walk.it.read_(24) == slot
    assert walk.lab.usage(7) == before


def test_a_task_that_exits_while_it_is_next_still_leads_onward(walk):
    walk.lab.kernel.rcu.read_lock()
    walk.new(NULL, ALL_PROCS)
    assert [walk.next() for _ in range(2)] == [0, 7]  # pos is init by now

    walk.lab.world.exit(1)

    assert walk.all() == [1, 2, 3, 10, 20]
    again = Walk(walk.lab)
    again.new(NULL, ALL_PROCS)
    assert again.all() == [0, 7, 2, 3, 10, 20]


def test_a_program_counts_processes_in_its_rcu_section():
    text = """
        r1 = r10; r1 += -24; r2 = 0; r3 = 0; call bpf_iter_task_new; r6 = 0
    loop: r1 = r10; r1 += -24; call bpf_iter_task_next; if r0 == 0 goto out
        r6 += 1; goto loop
    out: r1 = r10; r1 += -24; call bpf_iter_task_destroy; r0 = r6; exit
    """

    outcome = Lab("6.18.0").bench.run(text)

    assert outcome == len(PROCESSES)
    assert outcome.ok
