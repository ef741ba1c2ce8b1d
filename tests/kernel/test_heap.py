"""The view of the heap: lists with identities, counters, owners; as text and as data."""

from __future__ import annotations

import json

from tests.kernel.test_scenarios import END, NEW, lab, text

OPEN = text(NEW)  # an iterator that is never destroyed


def test_the_view_names_every_list_counter_and_owner():
    """Class 128 starts with 4 units; one is taken, and 48 come with the refill."""
    b = lab("6.12.0")
    b.run(OPEN)

    heap = b.kernel.heap()

    [cache] = heap.caches
    assert (heap.name, cache.cpu, cache.unit_size) == ("bpf_global_ma", 0, 128)
    assert (cache.free_cnt, len(cache.lists["free_llist"])) == (51, 51)
    [unit] = heap.live
    assert (unit.size, unit.serial, unit.payload) == (128, 1, unit.addr + 8)
    assert unit.owner is not None and unit.owner.what == "call bpf_iter_task_vma_new"
    assert unit.addr not in cache.lists["free_llist"]


def test_as_data_it_goes_through_json():
    b = lab("6.12.0")
    b.run(OPEN)

    data = json.loads(json.dumps(b.kernel.heap().data()))

    [cache], [unit] = data["caches"], data["live"]
    assert (cache["unit_size"], cache["free_cnt"], cache["low"]) == (128, 51, 32)
    assert cache["lists"]["free_llist_extra"] == []
    assert unit["payload"] == unit["addr"] + 8
    assert unit["owner"].startswith("call bpf_iter_task_vma_new at prog+6 (x.bpf.c:7")


def test_as_text_it_has_a_line_for_each_cache_list_and_owner():
    b = lab("6.12.0")
    b.kernel.pressure.free_count(128, 3)
    with b.kernel.pressure.held_irq_work(), b.kernel.pressure.inside(512):
        b.run(OPEN)
        heap = b.kernel.heap()

    big, small = sorted(heap.caches, key=lambda c: -c.unit_size)
    first, second = small.lists["free_llist"]
    assert str(heap).splitlines() == [
        "bpf_global_ma",
        f"  cpu 0 class 128 at {small.addr:#x}: free_cnt 2 (low 32, high 96, batch 48), "
        "refill pending",
        f"    free_llist            {first:#x} {second:#x}",
        f"  cpu 0 class 512 at {big.addr:#x}: free_cnt 1 (low 16, high 48, batch 24), active 1",
        f"    free_llist            {big.lists['free_llist'][0]:#x}",
        f"  allocated {heap.live[0].addr:#x}, 128 bytes: {heap.live[0].owner}",
    ]


def test_what_no_program_allocated_says_so():
    b = lab("6.12.0")
    b.kernel.services["mem_alloc"].alloc(100)

    [unit] = b.kernel.heap().live
    assert unit.owner is None and unit.size == 128
    assert str(b.kernel.heap()).endswith("128 bytes: outside any program")
    assert b.kernel.heap().data()["live"][0]["owner"] is None


def test_at_rest_after_a_balanced_run_nobody_owns_anything():
    b = lab("6.12.0")
    b.run(text(NEW, END))

    assert b.kernel.heap().live == ()
