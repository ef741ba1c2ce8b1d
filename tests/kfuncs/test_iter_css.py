"""bpf_iter_css: iterator notes, section 2.9, and row 10 of the fault table in 5.4."""

from __future__ import annotations

from errno import EINVAL

import pytest

from bpfemu.machine.stop import FaultKind
from bpfemu.record import replace
from bpfemu.world.resources import CgroupSpec
from kfuncs.iter_css import bpf_iter_css
from tests.kfuncs.conftest import WORLD, Lab

PRE, POST, UP = 2, 3, 4
GARBAGE = b"\xa5" * 8
TREE = replace(
    WORLD,
    cgroups=(
        CgroupSpec("/a"),
        CgroupSpec("/b", controllers=("memory", "pids")),
        CgroupSpec("/a/x"),
        CgroupSpec("/a/y", controllers=()),
        CgroupSpec("/a/x/deep"),
        CgroupSpec("/c"),
    ),
)


class Walk:
    def __init__(self, lab, path="/", controller=""):
        self.lab = lab
        self.it = lab.slot(bpf_iter_css)
        self.css = lab.world.cgroups.tree.css(path, controller)

    def new(self, flags):
        return self.lab.call("bpf_iter_css_new", self.it, self.css, flags)

    def next(self):
        found = self.lab.call("bpf_iter_css_next", self.it)
        return found.cgroup.kn.name.string_().decode() or "/" if found else None

    def all(self, flags):
        assert self.new(flags) == 0
        return list(iter(self.next, None))


@pytest.fixture
def lab():
    return Lab("6.18.0", world=TREE)


def test_parents_come_first(lab):
    assert Walk(lab).all(PRE) == ["/", "a", "x", "deep", "y", "b", "c"]


def test_parents_come_last(lab):
    assert Walk(lab).all(POST) == ["deep", "x", "y", "a", "b", "c", "/"]


def test_the_way_up_ends_with_the_root(lab):
    assert Walk(lab, "/a/x/deep").all(UP) == ["deep", "x", "a", "/"]


@pytest.mark.parametrize(
    ("flags", "names"), [(PRE, ["a", "x", "deep", "y"]), (POST, ["deep", "x", "y", "a"])]
)
def test_a_subtree_is_not_left(lab, flags, names):
    assert Walk(lab, "/a").all(flags) == names


def test_the_css_of_a_controller_are_those_that_have_it(lab):
    assert Walk(lab, "/", "memory").all(PRE) == ["/", "a", "x", "deep", "b", "c"]
    assert Walk(lab, "/", "cpu").all(POST) == ["deep", "x", "a", "c", "/"]
    assert Walk(lab, "/", "perf_event").all(PRE) == ["/", "a", "x", "deep", "y", "b", "c"]


@pytest.mark.parametrize("flags", [PRE, POST, UP])
def test_without_children_it_alternates_with_null(lab, flags):
    walk = Walk(lab, "/c") if flags != UP else Walk(lab, "/")
    walk.new(flags)

    own = "c" if flags != UP else "/"
    assert [walk.next() for _ in range(5)] == [own, None, own, None, own]


@pytest.mark.parametrize("flags", [PRE, POST, UP])
def test_after_the_end_it_begins_anew(lab, flags):
    walk = Walk(lab, "/a/x")
    first = walk.all(flags)

    assert list(iter(walk.next, None)) == first


@pytest.mark.parametrize("flags", [0, 1, 5, 6, 0x10004, 0xFFFF_FFFF])
def test_bad_flags_define_nothing_but_start(lab, flags):
    walk = Walk(lab)

    assert walk.new(flags) == -EINVAL

    assert walk.it.read_(24) == bytes(8) + 2 * GARBAGE
    assert walk.next() is None
    lab.call("bpf_iter_css_destroy", walk.it)
    assert walk.it.read_(24) == bytes(8) + 2 * GARBAGE


def test_destroy_leaves_the_slot_and_nothing_is_referenced(lab):
    walk = Walk(lab, "/a")
    before = lab.world.cgroups.tree.references(walk.css)
    walk.new(PRE)
    walk.next()
    slot = walk.it.read_(24)

    lab.call("bpf_iter_css_destroy", walk.it)

    assert walk.it.read_(24) == slot
    assert int.from_bytes(slot[:8], "little") == int(walk.css)
    assert lab.world.cgroups.tree.references(walk.css) == before


def test_the_successor_of_a_released_one_is_found_by_serial_number(lab):
    lab.kernel.rcu.read_lock()
    walk = Walk(lab)
    walk.new(PRE)
    assert [walk.next() for _ in range(6)] == ["/", "a", "x", "deep", "y", "b"]

    lab.world.cgroups.remove("/b")  # what it stands at
    lab.world.cgroups.remove("/c")  # what that one still points to
    lab.world.cgroups.create(CgroupSpec("/d"))

    assert [walk.next() for _ in range(2)] == ["d", None]


def test_one_that_is_dying_and_referenced_is_still_seen(lab):
    cgroups = lab.world.cgroups
    held = lab.call("bpf_cgroup_from_id", cgroups.tree.at("/b").kn.id)

    cgroups.remove("/b")

    assert "b" in Walk(lab).all(PRE)
    lab.call("bpf_cgroup_release", held)
    assert "b" not in Walk(lab).all(PRE)


def test_a_released_one_is_freed_after_a_grace_period(lab):
    css = lab.world.cgroups.tree.css("/b")
    lab.kernel.rcu.read_lock()
    lab.world.cgroups.remove("/b")
    assert lab.kernel.memory.contains(int(css))

    lab.kernel.rcu.read_unlock()
    lab.kernel.rcu.end_grace_period()

    assert not lab.kernel.memory.contains(int(css))


PROGRAM = """
    r1 = 1; call bpf_cgroup_from_id; r7 = r0
    r1 = r10; r1 += -24; r2 = r7; r3 = {flags}; call bpf_iter_css_new; r6 = 0
    loop: r1 = r10; r1 += -24; call bpf_iter_css_next; if r0 == 0 goto out
        r6 += 1; goto loop
    out: r1 = r10; r1 += -24; call bpf_iter_css_destroy
    r1 = r7; call bpf_cgroup_release; r0 = r6; exit
"""


def test_a_program_counts_cgroups_in_its_rcu_section(lab):
    outcome = lab.bench.run(PROGRAM.format(flags=PRE))

    assert outcome == 7
    assert outcome.ok


def test_a_sleepable_program_outside_of_a_read_section_is_told(lab):
    bench = lab.bench

    outcome = bench.run(bench.image(PROGRAM.format(flags=PRE), sleepable=True))

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.CONTEXT
    assert "bpf_iter_css_new requires RCU critical section" in outcome.fault.detail
