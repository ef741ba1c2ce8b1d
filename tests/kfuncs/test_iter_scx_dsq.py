"""bpf_iter_scx_dsq: iterator notes, sections 2.13 and 2.15, row 24 of the table in 5.4."""

from __future__ import annotations

from errno import EINVAL, ENODEV, ENOENT

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.record import replace
from bpfemu.world.resources import DsqSpec
from kfuncs.iter_scx_dsq import bpf_iter_scx_dsq
from tests.kfuncs.conftest import WORLD, Lab

REV = 1 << 16
QUEUES = replace(WORLD, dsqs=(DsqSpec(5, (7, 1, 10, 2)), DsqSpec(6)))
GARBAGE = b"\xa5" * 8


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_scx_dsq)

    def new(self, id=5, flags=0):
        return self.lab.call("bpf_iter_scx_dsq_new", self.it, id, flags)

    def next(self):
        found = self.lab.call("bpf_iter_scx_dsq_next", self.it)
        return found.pid if found else None

    def some(self, count):
        return [self.next() for _ in range(count)]

    def destroy(self):
        self.lab.call("bpf_iter_scx_dsq_destroy", self.it)


@pytest.fixture
def lab():
    return Lab("6.18.0", world=QUEUES)


@pytest.fixture
def walk(lab):
    return Walk(lab)


def test_it_has_six_slots(walk):
    assert walk.lab.kernel.space.layout(walk.it).size == 48


@pytest.mark.parametrize(("flags", "pids"), [(0, [7, 1, 10, 2]), (REV, [2, 10, 1, 7])])
def test_tasks_in_order_and_again_after_the_end(walk, flags, pids):
    assert walk.new(5, flags) == 0

    assert walk.some(10) == [*pids, None, *pids, None]
    walk.destroy()


def test_an_empty_queue_gives_null(walk):
    assert walk.new(6) == 0

    assert walk.some(2) == [None, None]
    walk.destroy()


@pytest.mark.parametrize(
    ("id", "flags", "result"),
    [
        *((5, flags, -EINVAL) for flags in (1, 1 << 30, 1 << 31, 1 << 32)),
        *((9, 0, -ENOENT), (9, 2, -EINVAL), (1 << 63, 0, -ENOENT)),
    ],
)
def test_failures_leave_an_empty_iterator(walk, id, flags, result):
    assert walk.new(id, flags) == result

    assert walk.it.read_(48) == 3 * GARBAGE + bytes(8) + 2 * GARBAGE
    assert walk.next() is None
    walk.destroy()
    assert walk.it.read_(48) == 3 * GARBAGE + bytes(8) + 2 * GARBAGE


@pytest.mark.parametrize(("profile", "result"), [("6.12.0", -EINVAL), ("6.18.0", -ENODEV)])
def test_without_a_scheduler(profile, result):
    walk = Walk(Lab(profile))

    assert walk.new(5, 1) == result
    assert walk.next() is None


@pytest.mark.parametrize("flags", [0, REV])
def test_tasks_queued_after_new_are_left_out(walk, flags):
    walk.new(5, flags)
    walk.lab.world.scx.dispatch(3, 5)

    found = [pid for pid in iter(walk.next, None)]

    assert sorted(found) == [1, 2, 7, 10]
    walk.destroy()
    walk.new()
    assert walk.some(6) == [7, 1, 10, 2, 3, None]
    walk.destroy()


def test_sequence_numbers_wrap(lab):
    dsq = lab.world.scx.at(6)
    lab.kernel.memory.write(int(dsq.address_of_("seq")), b"\xff" * 4)
    lab.world.scx.dispatch(3, 6)  # its number is 0
    walk = Walk(lab)
    walk.new(6)
    lab.world.scx.dispatch(20, 6)

    assert walk.some(2) == [3, None]
    walk.destroy()


def test_other_walks_and_tasks_that_leave_do_not_disturb(lab):
    one, two = Walk(lab), Walk(lab)
    one.new()
    two.new(5, REV)
    assert (one.some(2), two.some(2)) == ([7, 1], [2, 10])

    lab.world.scx.remove(1)
    lab.world.scx.remove(10)

    assert (one.some(2), two.some(2)) == ([2, None], [7, None])
    one.destroy()
    two.destroy()


def test_a_task_that_exits_leaves_its_queue(lab):
    walk = Walk(lab)
    walk.new()
    lab.world.exit(1)
    lab.world.exit(3)  # in none

    assert walk.some(4) == [7, 10, 2, None]
    assert lab.world.scx.at(5).nr == 3
    walk.destroy()


def test_destroy_takes_the_cursor_out_of_the_queue(lab):
    walk = Walk(lab)
    walk.new()
    walk.next()
    head = lab.world.scx.at(5).address_of_("list")
    first = lab.task(7).address_of_("scx.dsq_list.node")
    assert first.next == walk.it

    walk.destroy()

    assert head.next == first
    assert first.next == lab.task(1).address_of_("scx.dsq_list.node")
    assert not walk.it.dsq
    walk.destroy()


def test_a_queue_whose_lock_is_held_for_ever_is_a_deadlock(lab):
    walk = Walk(lab)
    walk.new()
    lab.locks.hold(lab.world.scx.at(5).address_of_("lock"))

    with pytest.raises(Trap) as caught:
        walk.next()
    assert caught.value.fault.kind is FaultKind.LOCK_STATE


def test_what_cannot_be_done_to_queues_is_refused(lab):
    scx = lab.world.scx
    for act, rule in (
        (lambda: scx.create(5), "a dispatch queue 5 already"),
        (lambda: scx.dispatch(7, 6), "task 7 is in a dispatch queue already"),
        (lambda: scx.remove(3), "task 3 is in no dispatch queue"),
        (lambda: scx.dispatch(3, 8), "no dispatch queue 8; there are 5, 6"),
    ):
        with pytest.raises(InputError, match=rule):
            act()


def test_a_program_counts_tasks(lab):
    outcome = lab.bench.run(
        """
        r1 = r10; r1 += -48; r2 = 5; r3 = 0; call bpf_iter_scx_dsq_new; r6 = 0
        loop: r1 = r10; r1 += -48; call bpf_iter_scx_dsq_next; if r0 == 0 goto out
            r6 += 1; goto loop
        out: r1 = r10; r1 += -48; call bpf_iter_scx_dsq_destroy; r0 = r6; exit
        """
    )

    assert outcome == 4
    assert outcome.ok
    assert lab.world.scx.at(5).nr == 4
