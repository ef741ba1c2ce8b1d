"""bpf_iter_css_task: iterator notes, section 2.10, and rows 11 and 12 of the fault table in 5.4."""

from __future__ import annotations

from errno import EINVAL

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.record import replace
from bpfemu.world.resources import CgroupSpec
from kfuncs.iter_css_task import bpf_iter_css_task
from tests.kfuncs.conftest import WORLD, Lab

TASKS, PROCS, ALL = 0, 1, 3
GARBAGE = b"\xa5" * 8
CLASS = 128  # unit size for 104 bytes and a header
TREE = replace(
    WORLD,
    cgroups=(
        CgroupSpec("/a", procs=(7, 1, 20)),
        CgroupSpec("/d", procs=(10,)),
        CgroupSpec("/d/t", threaded=True, threads=(12,)),
        CgroupSpec("/d/t/u", threaded=True, threads=(13,)),
        CgroupSpec("/lean", controllers=()),
        CgroupSpec("/lean/x"),
    ),
)


class Walk:
    def __init__(self, lab, path="/", controller=""):
        self.lab = lab
        self.it = lab.slot(bpf_iter_css_task)
        self.css = lab.world.cgroups.tree.css(path, controller)

    def new(self, flags):
        return self.lab.call("bpf_iter_css_task_new", self.it, self.css, flags)

    def next(self):
        found = self.lab.call("bpf_iter_css_task_next", self.it)
        return found.pid if found else None

    def destroy(self):
        self.lab.call("bpf_iter_css_task_destroy", self.it)

    def all(self, flags=TASKS):
        assert self.new(flags) == 0
        found = list(iter(self.next, None))
        self.destroy()
        return found


@pytest.fixture
def lab():
    return Lab("6.18.0", world=TREE)


def references(lab, path):
    cgroup = lab.world.cgroups.tree.at(path)
    return lab.world.cgroups.set_of(cgroup).address_of_("refcount").refs.counter


def test_tasks_of_a_cgroup_in_the_order_they_came(lab):
    assert Walk(lab, "/a").all() == [7, 1, 20]
    assert Walk(lab, "/d").all() == [10, 11]
    assert Walk(lab, "/d/t").all() == [12]


def test_the_idle_task_is_in_no_cgroup(lab):
    assert Walk(lab, "/").all() == [2, 3]


def test_leaders_alone(lab):
    assert Walk(lab, "/d").all(PROCS) == [10]
    assert Walk(lab, "/d/t").all(PROCS) == []


def test_threaded_descendants_are_added_to_their_domain(lab):
    lab.world.cgroups.attach_thread(10, "/d/t/u")

    assert Walk(lab, "/d").all(PROCS) == []
    assert Walk(lab, "/d").all(ALL) == [10]
    assert Walk(lab, "/a").all(ALL) == [7, 1, 20]


def test_a_controllers_css_has_the_tasks_below_that_have_none_of_their_own(lab):
    lab.world.cgroups.attach(1, "/lean/x")

    assert Walk(lab, "/", "memory").all() == [2, 3, 1]
    assert Walk(lab, "/a", "memory").all() == [7, 20]
    assert Walk(lab, "/").all() == [2, 3]


@pytest.mark.parametrize("flags", [2, 4, 5, 7, 0x10000, 0xFFFF_FFFF])
def test_bad_flags_leave_an_empty_iterator(lab, flags):
    walk = Walk(lab, "/a")
    units = lab.free_cnt(CLASS)

    assert walk.new(flags) == -EINVAL

    assert walk.it.read_(8) == bytes(8)
    assert walk.next() is None
    walk.destroy()
    assert lab.free_cnt(CLASS) == units


def test_without_memory_it_is_enomem_and_empty(lab):
    lab.cpu.local_irq_save()
    walks = [Walk(lab, "/a") for _ in range(5)]

    assert [walk.new(TASKS) for walk in walks] == [0, 0, 0, 0, -12]

    assert walks[-1].it.read_(8) == bytes(8)
    assert walks[-1].next() is None
    walks[-1].destroy()


def test_null_for_ever_after_the_end(lab):
    walk = Walk(lab, "/a")
    walk.new(TASKS)
    list(iter(walk.next, None))

    assert [walk.next() for _ in range(3)] == [None] * 3
    walk.destroy()


def test_the_task_that_was_handed_out_is_held_until_the_next(lab):
    walk = Walk(lab, "/a")
    walk.new(TASKS)

    assert walk.next() == 7
    assert (lab.usage(7), lab.usage(1)) == ((2, 2), (1, 2))
    assert walk.next() == 1
    assert (lab.usage(7), lab.usage(1)) == ((1, 2), (2, 2))

    walk.destroy()
    assert lab.usage(1) == (1, 2)


def test_css_sets_are_held_while_the_walk_stands_in_them(lab):
    before = references(lab, "/a"), references(lab, "/d")
    walk, domain = Walk(lab, "/a"), Walk(lab, "/d")
    walk.new(TASKS)
    domain.new(ALL)

    # the domain's css_set counts as the current one and as the domain
    assert (references(lab, "/a"), references(lab, "/d")) == (before[0] + 1, before[1] + 2)

    walk.destroy()
    domain.destroy()
    assert (references(lab, "/a"), references(lab, "/d")) == before


def test_the_slot_keeps_the_stale_pointer(lab):
    walk = Walk(lab, "/a")
    walk.new(TASKS)
    slot = walk.it.read_(8)

    walk.destroy()

    assert walk.it.read_(8) == slot != bytes(8)


def test_a_task_that_leaves_pushes_the_walk_forward(lab):
    walk = Walk(lab, "/a")
    walk.new(TASKS)  # stands at 7
    lab.world.cgroups.attach(7, "/d")

    assert [walk.next() for _ in range(3)] == [1, 20, None]
    walk.destroy()


def test_a_task_that_exits_while_it_is_next_is_left_out(lab):
    lab.kernel.rcu.read_lock()
    walk = Walk(lab, "/a")
    walk.new(TASKS)
    assert walk.next() == 7

    lab.world.exit(1)

    assert [walk.next() for _ in range(2)] == [20, None]
    walk.destroy()


def test_a_task_that_exits_while_it_is_handed_out_lives_on(lab):
    walk = Walk(lab, "/a")
    walk.new(TASKS)
    found = lab.call("bpf_iter_css_task_next", walk.it)
    lab.world.exit(7)
    lab.kernel.rcu.end_grace_period()
    assert found.pid == 7

    assert walk.next() == 1
    assert not lab.kernel.memory.contains(int(found))
    walk.destroy()


def test_a_dying_leader_is_seen_while_threads_of_it_live(lab):
    lab.world.exit(10)

    assert Walk(lab, "/d").all(TASKS) == [11]
    assert Walk(lab, "/d").all(PROCS) == [10]


def test_tasks_then_migrating_then_dying(lab):
    cgroups = lab.world.cgroups
    cgroups.attach(10, "/a")  # its threads, too: 7 1 20 10 11 12 13
    lab.world.exit(10)
    cgroups.begin_migration(7)

    assert Walk(lab, "/a").all(PROCS) == [1, 20, 7, 10]
    assert Walk(lab, "/a").all(TASKS) == [1, 20, 11, 12, 13, 7]


def test_a_css_set_goes_with_its_last_task(lab):
    tree, cgroups = lab.world.cgroups.tree, lab.world.cgroups
    cset = cgroups.set_of(tree.at("/a"))
    for pid in (7, 1, 20):
        cgroups.attach(pid, "/")
    lab.kernel.rcu.end_grace_period()

    assert not lab.kernel.memory.contains(int(cset))
    assert Walk(lab, "/a").all() == []
    assert Walk(lab, "/").all() == [2, 3, 7, 1, 20]
    cgroups.remove("/a")


def test_a_threaded_css_set_lets_go_of_its_domain(lab):
    cgroups = lab.world.cgroups
    for pid in (10, 11, 12, 13):
        cgroups.attach_thread(pid, "/d")
    before = references(lab, "/d")
    cgroups.attach_thread(13, "/d/t")
    assert references(lab, "/d") == before  # one task less, one threaded css_set more

    cgroups.attach_thread(13, "/d")

    assert references(lab, "/d") == before


def test_a_lock_that_another_cpu_never_gives_back_is_a_deadlock(lab):
    lab.locks.hold(lab.world.cgroups.css_set_lock)

    with pytest.raises(Trap) as caught:
        Walk(lab, "/a").new(TASKS)
    assert caught.value.fault.kind is FaultKind.LOCK_STATE


def test_what_cannot_be_done_to_cgroups_is_refused(lab):
    cgroups = lab.world.cgroups
    with pytest.raises(InputError, match="another resource domain"):
        cgroups.attach_thread(7, "/d/t")
    for path in ("/a", "/d", "/"):
        with pytest.raises(InputError, match="has tasks or cgroups below it"):
            cgroups.remove(path)
    with pytest.raises(InputError, match="there is no cgroup '/none'; there are /, /a"):
        cgroups.attach(7, "/none")
    with pytest.raises(InputError, match="already"):
        cgroups.create(CgroupSpec("/a"))
    with pytest.raises(InputError, match="id 2 is taken"):
        cgroups.create(CgroupSpec("/new", id=2))
    with pytest.raises(InputError, match="no controller 'dancing'; there are cpuset"):
        cgroups.tree.css("/", "dancing")


def test_a_cgroup_made_later_can_have_tasks(lab):
    lab.world.cgroups.create(CgroupSpec("/late", procs=(7,), id=77))

    assert Walk(lab, "/late").all() == [7]
    assert lab.call("bpf_cgroup_from_id", 77).level == 1


def test_a_program_that_forgets_destroy_leaks_the_iterator(lab):
    outcome = lab.bench.run(
        "r1 = 1; call bpf_cgroup_from_id; r7 = r0; "
        "r1 = r10; r1 += -8; r2 = r7; r3 = 0; call bpf_iter_css_task_new; "
        "r1 = r7; call bpf_cgroup_release; r0 = 0; exit"
    )

    assert {leak.kind for leak in outcome.leaks} >= {"iterator"}
