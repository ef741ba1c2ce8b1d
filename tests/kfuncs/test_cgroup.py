"""References on cgroups: kfunc notes, section 9, and kernel/bpf/helpers.c."""

from __future__ import annotations

import pytest

from bpfemu.record import replace
from bpfemu.world.resources import CgroupSpec
from tests.kfuncs.conftest import WORLD, Lab

TREE = replace(
    WORLD,
    cgroups=(
        CgroupSpec("/a", procs=(7,)),
        CgroupSpec("/a/b", procs=(10,), id=99),
        CgroupSpec("/c"),
    ),
)


@pytest.fixture
def lab():
    return Lab("6.18.44", world=TREE)


def references(lab, path):
    return lab.world.cgroups.tree.references(lab.world.cgroups.tree.css(path))


def test_from_id_finds_and_references(lab):
    found = lab.call("bpf_cgroup_from_id", 99)

    assert found == lab.world.cgroups.tree.at("/a/b")
    assert references(lab, "/a/b") == 2
    lab.call("bpf_cgroup_release", found)
    assert references(lab, "/a/b") == 1


def test_the_root_has_id_1_and_the_others_follow(lab):
    assert lab.call("bpf_cgroup_from_id", 1) == lab.world.cgroups.tree.root
    assert lab.call("bpf_cgroup_from_id", 2) == lab.world.cgroups.tree.at("/a")
    assert lab.call("bpf_cgroup_from_id", 3) == lab.world.cgroups.tree.at("/c")
    assert not lab.call("bpf_cgroup_from_id", 4)
    assert not lab.call("bpf_cgroup_from_id", 0)


@pytest.mark.parametrize(("level", "path"), [(0, "/"), (1, "/a"), (2, "/a/b")])
def test_ancestors_by_level(lab, level, path):
    cgroup = lab.world.cgroups.tree.at("/a/b")
    before = references(lab, path)

    assert lab.call("bpf_cgroup_ancestor", cgroup, level) == lab.world.cgroups.tree.at(path)
    assert references(lab, path) == before + 1


@pytest.mark.parametrize("level", [-1, 3, 1 << 30])
def test_levels_that_are_not_above_give_null(lab, level):
    assert not lab.call("bpf_cgroup_ancestor", lab.world.cgroups.tree.at("/a/b"), level)


def test_a_reference_keeps_a_removed_cgroup(lab):
    held = lab.call("bpf_cgroup_from_id", 3)
    lab.world.cgroups.remove("/c")
    lab.kernel.rcu.end_grace_period()

    assert lab.kernel.memory.contains(int(held))
    assert lab.call("bpf_cgroup_acquire", held) == held
    lab.call("bpf_cgroup_release", held)
    lab.call("bpf_cgroup_release", held)
    assert not lab.call("bpf_cgroup_acquire", held)
    lab.kernel.rcu.end_grace_period()
    assert not lab.kernel.memory.contains(int(held))


def test_removing_counts_descendants(lab):
    tree = lab.world.cgroups.tree
    assert tree.root.nr_descendants == 3

    lab.world.cgroups.remove("/c")

    assert tree.root.nr_descendants == 2
    assert tree.at("/a").nr_descendants == 1


@pytest.mark.parametrize(
    ("pid", "path", "under"),
    [(7, "/", 1), (7, "/a", 1), (7, "/a/b", 0), (11, "/a", 1), (11, "/c", 0), (1, "/a", 0)],
)
def test_task_under_cgroup(lab, pid, path, under):
    cgroup = lab.world.cgroups.tree.at(path)

    assert lab.call("bpf_task_under_cgroup", lab.task(pid), cgroup) == under


def test_a_program_that_forgets_its_reference_leaks_it(lab):
    outcome = lab.bench.run("r1 = 99; call bpf_cgroup_from_id; r0 = 0; exit")

    assert [leak.kind for leak in outcome.leaks] == ["reference"]


def test_helpers_see_the_same_tree(lab):
    outcome = lab.bench.run("r1 = 1; call bpf_get_current_ancestor_cgroup_id; exit", task=10)

    assert outcome == 2
