"""Cgroups, caches, buffers in memory laid out by a real kernel's BTF, and without services."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.objects import PlacedWorld
from bpfemu.kernel.random import RandomStream
from bpfemu.machine.memory import Memory
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.layout import Layouts
from bpfemu.proto.profile import find_profile
from bpfemu.proto.space import Space
from bpfemu.record import replace
from bpfemu.world.resources import CgroupSpec, DmaBufSpec, DsqSpec
from kfuncs.iter_css import bpf_iter_css
from kfuncs.iter_css_task import bpf_iter_css_task
from kfuncs.iter_dmabuf import bpf_iter_dmabuf
from kfuncs.iter_kmem_cache import bpf_iter_kmem_cache
from tests.kfuncs.conftest import LIVE, WORLD, Lab, live_btf

TREE = replace(
    WORLD,
    cgroups=(
        CgroupSpec("/a", (7, 1)),
        CgroupSpec("/a/b", (10,), controllers=("memory",)),
        CgroupSpec("/a/b/t", threads=(12,), threaded=True),
    ),
    dmabufs=(DmaBufSpec(4096), DmaBufSpec(8192)),
)
needs_live = pytest.mark.skipif(not LIVE.exists(), reason="this kernel shows no BTF")


@pytest.fixture(params=["own", pytest.param("live", marks=needs_live)])
def lab(request):
    return Lab("6.18.44", live_btf() if request.param == "live" else None, world=TREE)


def walk(lab, name, cls, *args):
    it = lab.slot(cls)
    assert lab.call(f"bpf_iter_{name}_new", it, *args) == 0
    found = []
    while element := lab.call(f"bpf_iter_{name}_next", it):
        found.append(element)
    lab.call(f"bpf_iter_{name}_destroy", it)
    return found


def test_walks_find_the_same_in_either_layout(lab):
    tree = lab.world.cgroups.tree
    below = walk(lab, "css", bpf_iter_css, tree.css("/"), 2)
    memory = walk(lab, "css", bpf_iter_css, tree.css("/a/b", "memory"), 4)
    tasks = walk(lab, "css_task", bpf_iter_css_task, tree.css("/a/b"), 0)
    caches = walk(lab, "kmem_cache", bpf_iter_kmem_cache)
    buffers = walk(lab, "dmabuf", bpf_iter_dmabuf)

    names = [css.cgroup.kn.name.string_() for css in below]
    assert names == [b"", b"a", b"b", b"t"]
    assert [css.ss.name.string_() for css in memory] == [b"memory"] * 3
    assert [task.pid for task in tasks] == [10, 11, 13]
    assert caches[-1].name.string_() == b"kmem_cache"
    assert [buffer.size for buffer in buffers] == [4096, 8192]


def test_a_css_of_a_controller_knows_its_place(lab):
    tree = lab.world.cgroups.tree
    css = tree.css("/a/b", "memory")

    assert css.parent == tree.css("/a", "memory")
    assert css.cgroup == tree.at("/a/b")
    assert not tree.css("/a/b", "pids")
    assert lab.task(10).cgroups.subsys[int(tree.subsystems["pids"].id)] == tree.css("/a", "pids")
    serials = [tree.css(path).serial_nr for path in ("/a", "/a/b", "/a/b/t")]
    assert serials == sorted(set(serials))


def test_all_domains_below_with_their_threads(lab):
    lab.world.cgroups.attach_thread(10, "/a/b/t")
    css = lab.world.cgroups.tree.css("/", "pids")

    tasks = walk(lab, "css_task", bpf_iter_css_task, css, 3)

    assert sorted(task.pid for task in tasks) == [2, 3, 20]
    css = lab.world.cgroups.tree.css("/a", "pids")
    tasks = walk(lab, "css_task", bpf_iter_css_task, css, 3)
    assert {7, 1, 10} == {task.pid for task in tasks}


@needs_live
def test_a_kernel_without_sched_ext_has_no_queues_to_fill():
    lab = Lab("6.18.44", live_btf(), world=replace(WORLD, dsqs=(DsqSpec(1),)))
    if "scx" in lab.kernel.space.layouts.named("task_struct").fields:
        pytest.skip("this kernel has it")

    with pytest.raises(InputError, match="struct task_struct has no member 'scx"):
        _ = lab.world.scx


def test_without_locks_and_rcu_what_goes_is_freed_at_once():
    structs = Catalog.discover("bpfemu.world").structs
    space = Space(Memory(0xFFFF_8880_0000_0000, 1 << 22), Layouts(None, structs))
    world = PlacedWorld(space, TREE, find_profile("6.18.44"), RandomStream(0, "world"))
    cset, cgroup = world.task(12).cgroups, world.cgroups.tree.at("/a/b/t")

    world.cgroups.attach(10, "/")
    world.cgroups.remove("/a/b/t")

    assert not space.memory.contains(int(cset))
    assert not space.memory.contains(int(cgroup))
    assert set(world.cgroups.tree.subsystems) >= {"cpu", "memory", "pids"}
