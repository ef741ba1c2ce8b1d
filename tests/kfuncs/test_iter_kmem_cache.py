"""bpf_iter_kmem_cache: iterator notes, sections 2.11 and 2.15, row 27 of the table in 5.4."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.stop import FaultKind
from bpfemu.record import replace
from bpfemu.world.resources import KmemCacheSpec
from kfuncs.iter_kmem_cache import bpf_iter_kmem_cache
from tests.kfuncs.conftest import WORLD, Lab

CACHES = (
    KmemCacheSpec("first", 64),
    KmemCacheSpec("merged", 128, refcount=3),
    KmemCacheSpec("boot", 256, refcount=-1),
    KmemCacheSpec("last", 512),
)


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_kmem_cache)
        assert lab.call("bpf_iter_kmem_cache_new", self.it) == 0

    def next(self):
        found = self.lab.call("bpf_iter_kmem_cache_next", self.it)
        return found.name.string_().decode() if found else None

    def destroy(self):
        self.lab.call("bpf_iter_kmem_cache_destroy", self.it)


@pytest.fixture
def lab():
    return Lab("6.18.0", world=replace(WORLD, slabs=CACHES))


def counts(lab):
    return [cache.refcount for cache in lab.world.slabs.all()]


def test_every_cache_in_list_order_then_null_for_ever(lab):
    walk = Walk(lab)

    assert [walk.next() for _ in range(7)] == ["first", "merged", "boot", "last", *3 * [None]]
    walk.destroy()


def test_new_writes_the_sentinel_and_destroy_leaves_it(lab):
    walk = Walk(lab)
    assert walk.it.read_(8) == (1).to_bytes(8, "little")

    walk.destroy()

    assert walk.it.read_(8) == (1).to_bytes(8, "little")
    assert counts(lab) == [1, 3, -1, 1]


def test_one_reference_on_the_current_cache_and_none_on_boot_caches(lab):
    walk = Walk(lab)
    seen = []
    while walk.next():
        seen.append(counts(lab))

    assert seen == [[2, 3, -1, 1], [1, 4, -1, 1], [1, 3, -1, 1], [1, 3, -1, 2]]
    assert counts(lab) == [1, 3, -1, 1]


def test_destroy_drops_the_current_one_and_the_slot_keeps_it(lab):
    walk = Walk(lab)
    walk.next()
    slot = walk.it.read_(8)

    walk.destroy()

    assert counts(lab) == [1, 3, -1, 1]
    assert walk.it.read_(8) == slot


@pytest.mark.parametrize("leave", ["next", "destroy"])
def test_a_cache_destroyed_meanwhile_goes_with_our_reference(lab, leave):
    walk = Walk(lab)
    walk.next()
    first = lab.world.slabs.at("first")
    lab.world.slabs.destroy(first)
    assert counts(lab) == [1, 3, -1, 1]  # that one is ours now

    getattr(walk, leave)()

    assert lab.world.slabs.all()[0].name.string_() == b"merged"
    assert not lab.kernel.memory.contains(int(first))


def test_the_way_onward_from_a_cache_that_is_destroyed_is_found(lab):
    walk = Walk(lab)
    walk.next()
    lab.world.slabs.destroy(lab.world.slabs.at("first"))

    assert [walk.next() for _ in range(4)] == ["merged", "boot", "last", None]


def test_an_empty_list_leaves_it_before_the_start():
    lab = Lab("6.18.0", world=replace(WORLD, slabs=()))
    walk = Walk(lab)
    assert [walk.next(), walk.next()] == [None, None]

    lab.world.slabs.create(KmemCacheSpec("late", 32))

    assert [walk.next(), walk.next(), walk.next()] == ["late", None, None]


def test_a_new_cache_is_the_first_of_the_list(lab):
    lab.world.slabs.create(KmemCacheSpec("new", 96, 80, 16, 42, 2, 0x2000))

    new = lab.world.slabs.at("new")
    assert (new.size, new.object_size, new.align, new.flags) == (96, 80, 16, 0x2000)
    assert new.address_of_("oo").x == 1 << 16 | 42  # order and objects
    assert Walk(lab).next() == "new"


def test_an_unknown_cache_is_named_with_those_there_are(lab):
    with pytest.raises(InputError, match="no slab cache 'x'; there are first, merged, boot, last"):
        lab.world.slabs.at("x")


PROGRAM = """
    r1 = r10; r1 += -8; call bpf_iter_kmem_cache_new; r6 = 0
    loop: r1 = r10; r1 += -8; call bpf_iter_kmem_cache_next; if r0 == 0 goto out
        r6 += 1; goto loop
    out: r1 = r10; r1 += -8; call bpf_iter_kmem_cache_destroy; r0 = r6; exit
"""


def test_a_program_counts_them_when_it_may_sleep(lab):
    bench = lab.bench

    outcome = bench.run(bench.image(PROGRAM, sleepable=True))

    assert outcome == 4
    assert outcome.ok


def test_a_program_that_may_not_sleep_is_told(lab):
    outcome = lab.bench.run(PROGRAM)

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.CONTEXT
    assert "must be sleepable to call sleepable kfunc bpf_iter_kmem_cache_new" in (
        outcome.fault.detail
    )


def test_it_came_with_6_13():
    lab = Lab("6.12.0")

    found = lab.kernel.catalog.find_kfunc("bpf_iter_kmem_cache_new", lab.kernel.config.profile)
    assert found is None
