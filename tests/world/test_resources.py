"""Cgroups, slab caches, DMA buffers, dispatch queues as data: what is refused, in which words."""

from __future__ import annotations

import pickle

import pytest

from bpfemu.errors import InputError
from bpfemu.world import build
from bpfemu.world.resources import (
    DEFAULT_SLABS,
    CgroupSpec,
    DmaBufSpec,
    DsqSpec,
    KmemCacheSpec,
)
from bpfemu.world.spec import TaskSpec, World

TASKS = (TaskSpec(pid=1), TaskSpec(pid=10, threads=(11,)), TaskSpec(pid=12, tgid=10))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: CgroupSpec(""), "cgroup.path is ''"),
        (lambda: CgroupSpec("a"), "cgroup.path is 'a'"),
        (lambda: CgroupSpec("/a//b"), "cgroup.path"),
        (lambda: CgroupSpec("/a/"), "cgroup.path"),
        (lambda: CgroupSpec("/a/.."), "cgroup.path"),
        (lambda: CgroupSpec("/a\0"), "cgroup.path"),
        (lambda: CgroupSpec("/" + 256 * "x"), "at most 255 bytes"),
        (lambda: CgroupSpec(129 * "/x"), "path is 129, levels, at most 128 fit"),
        (lambda: CgroupSpec("/a", id=-1), "cgroup /a: id is -1, must fit 64 bits"),
        (lambda: CgroupSpec("/a", controllers=("net_cls",)), "controllers is 'net_cls'"),
        (lambda: CgroupSpec("/a", threads=(1,)), "but the cgroup is not threaded"),
        (lambda: CgroupSpec("/", threaded=True), "but it is the root"),
        (lambda: KmemCacheSpec("", 8), "slab.name"),
        (lambda: KmemCacheSpec("x", 0), "slab x: size is 0"),
        (lambda: KmemCacheSpec("x", 1 << 32), "slab x: size"),
        (lambda: KmemCacheSpec("x", 8, 9), "object_size is 9, must be 0 to 8"),
        (lambda: KmemCacheSpec("x", 8, align=3), "align is 3, must be a power of two"),
        (lambda: KmemCacheSpec("x", 8, objects_per_slab=0), "objects_per_slab is 0"),
        (lambda: KmemCacheSpec("x", 8, pages_per_slab=3), "pages_per_slab is 3"),
        (lambda: KmemCacheSpec("x", 8, flags=1 << 32), "flags"),
        (lambda: KmemCacheSpec("x", 8, refcount=0), "refcount is 0"),
        (lambda: DmaBufSpec(-1), "dmabuf.size is -1"),
        (lambda: DmaBufSpec(1, "a\0"), "dmabuf.exp_name"),
        (lambda: DmaBufSpec(1, name=32 * "x"), "dmabuf.name .* must be at most 31 bytes"),
        (lambda: DmaBufSpec(1, inode=1 << 64), "dmabuf.inode"),
        (lambda: DmaBufSpec(1, references=-1), "dmabuf.references is -1"),
        (lambda: DsqSpec(1 << 63), "dsq.id"),
        (lambda: DsqSpec(1, (2, 2)), r"dsq 1: pids is \(2, 2\), must be there once"),
    ],
)
def test_nonsense_is_refused_with_field_value_and_rule(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


@pytest.mark.parametrize(
    ("cgroups", "rule"),
    [
        ([CgroupSpec("/a"), CgroupSpec("/a")], "path is '/a', must be there once"),
        ([CgroupSpec("/a"), CgroupSpec("/")], "must be there once, '/' first"),
        ([CgroupSpec("/a/b")], "cgroup /a/b: parent is '/a', must stand before it"),
        (
            [CgroupSpec("/a", controllers=()), CgroupSpec("/a/b", controllers=("cpu",))],
            "controllers is .* must be its parent's, too",
        ),
        (
            [
                CgroupSpec("/a", controllers=("cpu",)),
                CgroupSpec("/a/b"),
                CgroupSpec("/a/b/c", controllers=("io",)),
            ],
            "must be its parent's, too",
        ),
        ([CgroupSpec("/a", id=5), CgroupSpec("/b", id=5)], "id is 5"),
        ([CgroupSpec("/a", id=1)], "1 is the root's"),
        ([CgroupSpec("/a", (2,))], "procs is 2, must be the pid of a process"),
        ([CgroupSpec("/a", (11,))], "procs is 11, must be the pid of a process"),
        ([CgroupSpec("/a", threads=(9,), threaded=True)], "threads is 9"),
        ([CgroupSpec("/a", (1,)), CgroupSpec("/b", (1,))], "pid is 1, must be in one cgroup"),
    ],
)
def test_a_tree_must_fit_itself_and_the_tasks(cgroups, rule):
    with pytest.raises(InputError, match=rule):
        World(TASKS, cgroups=tuple(cgroups))


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"slabs": (KmemCacheSpec("x", 8),) * 2}, "world.slabs: name is 'x'"),
        ({"dmabufs": (DmaBufSpec(1, inode=3),) * 2}, "world.dmabufs: inode is 3"),
        ({"dsqs": (DsqSpec(1), DsqSpec(1))}, "world.dsqs: id is 1"),
        ({"dsqs": (DsqSpec(1, (99,)),)}, "dsq 1: pids is 99, must be the pid of a task"),
        ({"dsqs": (DsqSpec(1, (1,)), DsqSpec(2, (1,)))}, "dsq 2: pids is 1, must be in one queue"),
    ],
)
def test_what_is_there_once_is_there_once(values, rule):
    with pytest.raises(InputError, match=rule):
        World(TASKS, **values)


def test_a_world_with_everything_can_be_pickled():
    world = World(
        TASKS,
        cgroups=(
            CgroupSpec("/", (1,)),
            CgroupSpec("/t", (10,), id=7),
            CgroupSpec("/t/u", threads=(12,), threaded=True),
        ),
        dmabufs=(DmaBufSpec(4096), DmaBufSpec(4096)),
        dsqs=(DsqSpec(0, (10, 1)),),
    )

    assert pickle.loads(pickle.dumps(world)) == world
    assert [cgroup.parent for cgroup in world.cgroups] == ["", "/", "/t"]


def test_builders_make_the_same_and_name_what_they_do_not_know():
    made = build.world(
        *TASKS,
        cgroups=(build.cgroup(path="/a", procs=(1,)),),
        slabs=(build.slab(name="x", size=8),),
        dmabufs=(build.dmabuf(size=4096),),
        dsqs=(build.dsq(id=1, pids=(10,)),),
    )

    assert made == World(
        TASKS,
        cgroups=(CgroupSpec("/a", (1,)),),
        slabs=(KmemCacheSpec("x", 8),),
        dmabufs=(DmaBufSpec(4096),),
        dsqs=(DsqSpec(1, (10,)),),
    )
    for make, rule in (
        (lambda: build.cgroup(path="/a", pids=(1,)), "cgroup has no field 'pids'"),
        (lambda: build.slab(name="x"), "slab needs 'size'"),
        (lambda: build.world(cgroup=()), "world has no field 'cgroup'; there are tasks, current"),
    ):
        with pytest.raises(InputError, match=rule):
            make()


def test_a_world_that_says_nothing_has_the_caches_of_a_small_kernel():
    names = [slab.name for slab in DEFAULT_SLABS]

    assert World().slabs is None
    assert names[-2:] == ["kmem_cache_node", "kmem_cache"]  # as in /proc/slabinfo
    assert "task_struct" in names
