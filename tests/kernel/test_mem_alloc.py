"""bpf_mem_alloc: classes, watermarks, the measured sequences (iterator notes, section 3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError, InternalError
from bpfemu.kernel.mem_alloc import SIZES, BpfMemAlloc, class_index
from bpfemu.kernel.mem_cache import prefill_of, watermarks
from bpfemu.kernel.mem_units import natural_align
from bpfemu.machine.memory import FREED, KERNEL, READ_ONLY, VALID, RegionKind
from bpfemu.machine.stop import FaultKind, Site, Trap
from tests.kernel.conftest import Parts, make_parts

SMALL = (16, 32, 64, 96, 128, 192, 256)
LARGE = (512, 1024, 2048, 4096)
CLASSES = tuple(sorted(SIZES))


def payload(unit_size: int) -> int:
    """The largest payload of a class."""
    return unit_size - 8


# ---- tables 3.2 and 3.3 -------------------------------------------------------------------------


def test_classes_stand_in_the_kernels_order() -> None:
    assert SIZES == (96, 192, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


@pytest.mark.parametrize(
    ("low", "high", "unit"),
    [
        (1, 8, 16),
        (9, 24, 32),
        (25, 56, 64),
        (57, 88, 96),
        (89, 120, 128),
        (121, 184, 192),
        (185, 248, 256),
        (249, 504, 512),
        (505, 1016, 1024),
        (1017, 2040, 2048),
        (2041, 4088, 4096),
    ],
)
def test_a_payload_gets_the_class_of_its_row(low: int, high: int, unit: int) -> None:
    assert SIZES[class_index(low + 8)] == unit
    assert SIZES[class_index(high + 8)] == unit


def test_nothing_and_more_than_4096_bytes_have_no_class() -> None:
    assert class_index(0) == -1
    assert class_index(4097) == -1
    assert class_index(-8) == -1


@pytest.mark.parametrize(
    ("unit", "low", "high", "batch", "prefill"),
    [
        *((unit, 32, 96, 48, 4) for unit in SMALL),
        (512, 16, 48, 24, 1),
        (1024, 8, 24, 12, 1),
        (2048, 4, 12, 6, 1),
        (4096, 2, 6, 3, 1),
    ],
)
def test_watermarks_batch_and_prefill(
    unit: int, low: int, high: int, batch: int, prefill: int
) -> None:
    assert watermarks(unit, percpu=False) == (low, high, batch)
    assert prefill_of(unit, percpu=False) == prefill


@pytest.mark.parametrize("unit", CLASSES)
def test_percpu_caches_are_small(unit: int) -> None:
    assert watermarks(unit, percpu=True) == (1, 3, 1)
    assert prefill_of(unit, percpu=True) == 1


def test_a_fixed_size_cache_uses_the_same_formulas_with_its_own_size(parts: Parts) -> None:
    allocator = parts.allocator(292)  # + 8: 300 bytes, no class

    cache = allocator.cache(300)

    assert (cache.low, cache.high, cache.batch) == (27, 81, 39)  # 8192/300, 24576/300, 54/4*3
    assert cache.free_cnt == 1


@pytest.mark.parametrize(
    ("size", "align"),
    [(8, 8), (16, 16), (24, 32), (72, 32), (96, 32), (97, 128), (160, 64), (192, 64), (200, 256)],
)
def test_units_are_aligned_as_kmalloc_aligns_them(size: int, align: int) -> None:
    assert natural_align(size) == align


def test_large_units_are_aligned_to_pages() -> None:
    assert natural_align(4096) == 4096
    assert natural_align(8193) == 4096


# ---- 3.4: alloc ---------------------------------------------------------------------------------


def test_sizes_out_of_range_give_null_and_touch_no_cache(parts: Parts) -> None:
    allocator = parts.allocator()

    assert [allocator.alloc(size) for size in (0, -1, 4089)] == [0, 0, 0]
    assert allocator.heap_view() == ()


def test_a_pristine_allocator_costs_nothing(parts: Parts) -> None:
    used = parts.memory.used

    parts.allocator()

    assert parts.memory.used == used


def test_the_header_names_the_cache_while_allocated(parts: Parts) -> None:
    allocator = parts.allocator()

    addr = allocator.alloc(320)

    assert parts.memory.read_int(addr - 8, 8) == allocator.cache(512).addr


def test_units_of_class_512_put_the_payload_at_8_mod_512(parts: Parts) -> None:
    addrs = [parts.allocator().alloc(320) for _ in range(3)]

    assert [addr % 512 for addr in addrs] == [8, 8, 8]
    assert [(addr + 64) & 0x1FF for addr in addrs] == [0x48] * 3  # the element of task_vma


def test_header_and_payload_are_the_kernels_own(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)

    states = {parts.memory.state_of(at) for at in range(addr - 8, addr + 88)}

    assert states == {KERNEL}


def test_a_freed_payload_faults_and_names_who_allocated_and_who_freed(parts: Parts) -> None:
    allocator = parts.allocator()
    parts.memory.site = Site(3, "prog", "call new")
    addr = allocator.alloc(80)
    parts.memory.set_state(addr, 80, VALID)
    parts.memory.site = Site(9, "prog", "call destroy")
    allocator.free(addr)

    with pytest.raises(Trap) as trap:
        parts.memory.load(addr + 16, 8)

    fault = trap.value.fault
    assert fault.kind is FaultKind.USE_AFTER_FREE
    assert fault.allocated_by == Site(3, "prog", "call new")
    assert fault.freed_by == Site(9, "prog", "call destroy")
    assert parts.memory.state_of(addr - 8) == KERNEL


def test_a_recycled_unit_keeps_its_old_payload(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    assert parts.memory.read(addr, 80) == bytes(80)  # fresh from the slab: zeroed
    parts.memory.write(addr, b"stale" * 16)
    allocator.free(addr)

    assert allocator.alloc(80) == addr
    assert parts.memory.read(addr, 80) == b"stale" * 16


def test_stale_units_stay_readable_where_that_is_asked_for(parts: Parts) -> None:
    allocator = BpfMemAlloc(parts.memory, parts.cpus, parts.rcu, freed_state=READ_ONLY)
    addr = allocator.alloc(80)
    parts.memory.set_state(addr, 80, READ_ONLY)
    parts.memory.write(addr, b"12345678")

    allocator.free(addr)

    assert parts.memory.load(addr, 8) == int.from_bytes(b"12345678", "little")


def test_with_interrupts_on_the_refill_has_run_before_alloc_returns(parts: Parts) -> None:
    allocator = parts.allocator()

    allocator.alloc(80)

    (view,) = allocator.heap_view()
    assert view.free_cnt == 4 - 1 + 48
    assert not view.pending


# ---- 3.8 A to J ---------------------------------------------------------------------------------


def burst(allocator: BpfMemAlloc, size: int, count: int) -> list[int]:
    return [allocator.alloc(size) for _ in range(count)]


@pytest.mark.parametrize("cpu", [0, 1])
@pytest.mark.parametrize(
    ("unit", "successes"), [*((unit, 4) for unit in SMALL), *((unit, 1) for unit in LARGE)]
)
def test_a_pristine_cpu_with_interrupts_off(
    parts: Parts, unit: int, successes: int, cpu: int
) -> None:
    allocator = parts.allocator()
    parts.cpus.switch(cpu)
    parts.cpus.here.enter("irqoff")

    results = burst(allocator, payload(unit), 30)

    assert [bool(addr) for addr in results] == [True] * successes + [False] * (30 - successes)


def test_b_in_nmi_exactly_free_cnt_allocations_succeed(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.free(allocator.alloc(80))
    at_rest = allocator.cache(96).free_cnt
    parts.cpus.here.enter("nmi")

    results = burst(allocator, 80, 200)

    assert sum(map(bool, results)) == at_rest == 52
    assert allocator.cache(96).free_cnt == 0


ROUNDS = {
    16: [4, 30, 30, 30, 30],
    96: [4, 30, 30, 30, 30],
    256: [4, 30, 30, 30, 30],
    512: [1, 25, 30, 30, 30, 30],
    1024: [1, 13, 16, 19, 22, 16, 19, 22, 16],
    2048: [1, 7, 8, 9, 10, 11, 12, 8, 9, 10, 11, 12, 8],
    4096: [1, 4, 4, 4, 4],
}
FREE_COUNTS = {16: [52, 67, 67], 256: [52, 67, 67], 512: [25, 32, 39, 46, 46]}


@pytest.mark.parametrize("unit", sorted(ROUNDS))
def test_c_burst_cycles(parts: Parts, unit: int) -> None:
    allocator = parts.allocator()
    successes, counts = [], []

    for _ in ROUNDS[unit]:
        flags = parts.cpus.local_irq_save()
        got = [addr for addr in burst(allocator, payload(unit), 30) if addr]
        parts.cpus.local_irq_restore(flags)
        for addr in got:
            allocator.free(addr)
        successes.append(len(got))
        counts.append(allocator.cache(unit).free_cnt)

    assert successes == ROUNDS[unit]
    if unit in FREE_COUNTS:
        assert counts[: len(FREE_COUNTS[unit])] == FREE_COUNTS[unit]


def test_c_the_seventh_free_of_round_two_trims_class_2048_to_8(parts: Parts) -> None:
    allocator = parts.allocator()
    cache = allocator.cache(2048)
    cache.force_free_count(7)
    flags = parts.cpus.local_irq_save()
    got = [addr for addr in burst(allocator, 2040, 30) if addr]
    assert cache.free_cnt == 0
    parts.cpus.local_irq_restore(flags)
    assert cache.free_cnt == 6

    counts = []
    for addr in got:
        allocator.free(addr)
        counts.append(cache.free_cnt)

    assert counts == [7, 8, 9, 10, 11, 12, 8]


def test_d_with_interrupts_on_nested_allocations_never_fail(parts: Parts) -> None:
    allocator = parts.allocator()
    cache = allocator.cache(4096)
    cache.force_free_count(4)
    counts, got = [], []

    for _ in range(30):
        got.append(allocator.alloc(4000))
        counts.append(cache.free_cnt)

    assert all(got) and len(set(got)) == 30
    assert counts[:6] == [3, 2, 4, 3, 2, 4]  # at 1 the refill adds 3


@pytest.mark.parametrize("size", [320, 1000, 2000, 4000])
def test_d_the_large_classes_serve_64_at_once(parts: Parts, size: int) -> None:
    assert all(burst(parts.allocator(), size, 64))


def test_e_a_freed_unit_is_reused_at_once(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.cache(4096).force_free_count(4)
    parts.cpus.here.enter("irqoff")

    got = burst(allocator, 4000, 8)
    allocator.free(got[1])
    again = burst(allocator, 4000, 2)

    assert [bool(addr) for addr in got] == [True] * 4 + [False] * 4
    assert again == [got[1], 0]


def test_f_the_last_freed_comes_first(parts: Parts) -> None:
    allocator = parts.allocator()
    got = burst(allocator, 80, 8)
    for addr in got:
        allocator.free(addr)

    assert burst(allocator, 80, 8) == got[::-1]


def test_g_inside_the_window_the_lists_are_closed(parts: Parts) -> None:
    allocator = parts.allocator()
    held = allocator.alloc(80)
    cache = allocator.cache(96)
    cache.force_free_count(90)
    parts.cpus.here.enter("nmi")

    with allocator.inside(96):
        refused = allocator.alloc(80)
        other_class = allocator.alloc(320)
        allocator.free(held)

    assert refused == 0 and other_class
    assert cache.free_cnt == 90
    (view,) = [view for view in allocator.heap_view() if view.unit_size == 96]
    assert view.lists["free_llist_extra"] == (held - 8,)
    assert view.pending
    parts.cpus.here.leave()
    assert cache.free_cnt == 90  # the handler found free_cnt above low: nothing added
    assert not cache.work.flags


def test_g_a_free_inside_the_window_raises_no_irq_work(parts: Parts) -> None:
    allocator = parts.allocator()
    held = allocator.alloc(80)
    parts.cpus.here.enter("nmi")

    with allocator.inside(96):
        allocator.free(held)

    assert parts.cpus.here.pending == 0


def test_h_a_count_stays_exact_when_something_pops_between_two_pushes(parts: Parts) -> None:
    allocator = parts.allocator()
    cache = allocator.cache(96)
    popped: list[int] = []

    def strike(size: int) -> bool:
        if len(popped) < 5:  # an NMI between two pushes: active is 0, the lists are open
            parts.cpus.here.enter("nmi")
            popped.append(allocator.alloc(80))
            parts.cpus.here.leave()
        return False

    allocator.units.slab_fails = strike
    first = allocator.alloc(80)

    assert all(popped) and len({first, *popped}) == 6
    assert cache.free_cnt == len(cache.free_llist) == 4 - 1 + 48 - 5


def test_j_a_failing_slab_adds_what_it_gave_and_is_not_asked_again(parts: Parts) -> None:
    allocator = parts.allocator()
    cache = allocator.cache(96)
    given = 0

    def after_seven(size: int) -> bool:
        nonlocal given
        given += 1
        return given > 7

    allocator.units.slab_fails = after_seven

    assert allocator.alloc(80)
    assert cache.free_cnt == 3 + 7
    assert given == 8


def test_j_with_an_empty_list_every_alloc_fails_and_tries_again(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.units.slab_fails = lambda size: True

    results = burst(allocator, 80, 10)

    assert [bool(addr) for addr in results] == [True] * 4 + [False] * 6
    (stats,) = allocator.stats()
    assert (stats.allocs, stats.failed, stats.refills) == (4, 6, 10)


# ---- the reference model of 3.8 -----------------------------------------------------------------


class Model:
    """Twenty lines that were compared with the real kernel (C, D, E)."""

    def __init__(self, unit: int) -> None:
        self.low, self.high, self.batch = watermarks(unit, percpu=False)
        self.free_cnt = prefill_of(unit, percpu=False)
        self.pending = False
        self.irqs_on = True

    def alloc(self) -> bool:
        ok = self.free_cnt > 0
        self.free_cnt -= ok
        if (self.free_cnt if ok else 0) < self.low:
            self.pending = True
        self.run()
        return ok

    def free(self) -> None:
        self.free_cnt += 1
        if self.free_cnt > self.high:
            self.pending = True
        self.run()

    def irqs(self, on: bool) -> None:
        self.irqs_on = on
        self.run()

    def run(self) -> None:
        if not self.pending or not self.irqs_on:
            return
        self.pending = False
        if self.free_cnt < self.low:
            self.free_cnt += self.batch
        elif self.free_cnt > self.high:
            self.free_cnt -= 1
            while self.free_cnt > (self.high + self.low) // 2:
                self.free_cnt -= 1


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CLASSES),
    st.lists(st.tuples(st.sampled_from(["alloc", "free", "on", "off"]), st.integers(1, 40))),
)
def test_the_allocator_is_the_reference_model(unit: int, steps: list[tuple[str, int]]) -> None:
    parts, model = make_parts(), Model(unit)
    allocator = parts.allocator()
    cache = allocator.cache(unit)
    held: list[int] = []

    for action, count in steps:
        for _ in range(count if action in ("alloc", "free") else 1):
            if action == "alloc":
                addr = allocator.alloc(payload(unit))
                assert bool(addr) == model.alloc()
                held += [addr] if addr else []
            elif action == "free" and held:
                allocator.free(held.pop())
                model.free()
            elif action in ("on", "off"):
                parts.cpus.here.irq_restore(action == "on")
                model.irqs(action == "on")
            assert cache.free_cnt == model.free_cnt == len(cache.free_llist)
            assert bool(cache.work.flags & 1) == model.pending
    assert len(set(held)) == len(held)
    assert not set(held) & {unit + 8 for unit in cache.free_llist.view()}


# ---- 3.5 and 3.7: free paths --------------------------------------------------------------------


def test_freeing_null_does_nothing(parts: Parts) -> None:
    allocator = parts.allocator()

    allocator.free(0)
    allocator.free_rcu(0)
    allocator.raw_free(0)

    assert allocator.heap_view() == ()


def test_a_unit_goes_to_the_cpu_that_frees_it_and_is_remembered_as_the_allocators(
    parts: Parts,
) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    here, there = allocator.cache(96, 0), allocator.cache(96, 1)
    parts.cpus.switch(1)
    before = here.free_cnt, there.free_cnt

    allocator.free(addr)

    assert (here.free_cnt, there.free_cnt) == (before[0], before[1] + 1)
    assert there.tgt is here
    assert there.free_llist.view()[0] == addr - 8


def test_trimmed_units_wait_at_the_allocating_cache(parts: Parts) -> None:
    allocator = parts.allocator()
    got = burst(allocator, 80, 97)
    there = allocator.cache(96, 1)
    parts.cpus.switch(1)
    there.force_free_count(0)

    for addr in got:
        allocator.free(addr)

    home = allocator.cache(96, 0)
    assert there.free_cnt == 64  # 97 > 96: trimmed to the middle
    assert len(home.waiting_for_gp_ttrace) == 97 - 64
    assert home.call_rcu_ttrace_in_progress
    parts.rcu.barrier()
    assert not home.waiting_for_gp_ttrace
    assert not home.call_rcu_ttrace_in_progress


def test_a_refill_takes_back_what_waits_for_a_grace_period(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    cache = allocator.cache(96)
    cache.force_free_count(96)
    allocator.free(addr)  # 97 > 96: down to 64
    assert len(cache.waiting_for_gp_ttrace) == 33
    asked = 0

    def ask(size: int) -> bool:
        nonlocal asked
        asked += 1
        return False

    allocator.units.slab_fails = ask
    while cache.waiting_for_gp_ttrace:
        assert allocator.alloc(80)

    assert not cache.waiting_for_gp_ttrace and not cache.free_by_rcu_ttrace
    assert asked == 48 - 33


def test_a_second_trim_waits_until_the_first_grace_period_is_over(parts: Parts) -> None:
    allocator = parts.allocator()
    got = burst(allocator, 80, 400)
    cache = allocator.cache(96)
    for addr in got:
        allocator.free(addr)

    assert cache.free_by_rcu_ttrace and cache.waiting_for_gp_ttrace
    assert parts.rcu.waiting == (0, 1)


def test_units_parked_while_busy_leave_with_the_next_trim(parts: Parts) -> None:
    allocator = parts.allocator()
    got = burst(allocator, 4000, 8)
    with allocator.inside(4096):
        allocator.free(got.pop())
    cache = allocator.cache(4096)
    assert len(cache.free_llist_extra) == 1
    cache.force_free_count(6)

    allocator.free(got.pop())

    assert cache.free_cnt == 4
    assert not cache.free_llist_extra
    assert len(cache.waiting_for_gp_ttrace) == 3 + 1


def test_a_trim_finds_a_list_that_an_nmi_has_emptied(parts: Parts) -> None:
    allocator = parts.allocator()
    cache = allocator.cache(4096)
    with allocator.inside(4096):
        parked = cache.units.hand_out(cache.units.take(4096, may_fail=False))
        parts.memory.write_int(parked - 8, 8, cache.addr)
        allocator.free(parked)
    cache.free_cnt = cache.high + 1  # what the handler read before the NMI popped everything
    cache.free_llist.take_all()

    cache.refill()

    assert cache.waiting_for_gp_ttrace.view() == (parked - 8,)


def test_a_grace_period_for_units_that_a_drain_took_does_nothing(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.free_rcu(allocator.alloc(80))
    cache = allocator.cache(96)
    cache.drain()

    assert parts.rcu.barrier() == 1
    assert not cache.call_rcu_in_progress


def test_free_rcu_is_reusable_only_after_a_normal_grace_period(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    parts.memory.set_state(addr, 80, VALID)
    cache = allocator.cache(96)

    allocator.free_rcu(addr)

    assert cache.waiting_for_gp.view() == (addr - 8,)
    assert parts.memory.load(addr, 8) == 0  # readers may still look at it
    assert parts.rcu.end_grace_period() == 1
    assert cache.waiting_for_gp_ttrace.view() == (addr - 8,)
    assert parts.memory.state_of(addr) == FREED
    assert parts.rcu.end_trace_grace_period() == 1
    assert addr - 8 not in allocator.units.regions


def test_free_rcu_while_busy_goes_the_long_way(parts: Parts) -> None:
    allocator = parts.allocator()
    addr, other = allocator.alloc(80), allocator.alloc(80)
    cache = allocator.cache(96)
    parts.cpus.here.enter("nmi")
    with allocator.inside(96):
        allocator.free_rcu(addr)
        assert cache.free_llist_extra_rcu.view() == (addr - 8,)
    parts.cpus.here.leave()

    assert cache.waiting_for_gp.view() == (addr - 8,)
    allocator.free_rcu(other)  # a callback is in progress: it has to wait its turn
    assert cache.free_by_rcu.view() == (other - 8,)
    assert parts.cpus.here.pending == 0


def test_freeing_twice_is_a_double_free_with_both_sites(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    parts.memory.site = Site(9, "prog", "call destroy")
    allocator.free(addr)

    with pytest.raises(Trap) as trap:
        allocator.free(addr)

    assert trap.value.fault.kind is FaultKind.DOUBLE_FREE
    assert trap.value.fault.freed_by == Site(9, "prog", "call destroy")


def test_freeing_what_was_never_allocated_is_a_bad_call(parts: Parts) -> None:
    with pytest.raises(Trap) as trap:
        parts.allocator().free(0x1234)

    assert trap.value.fault.kind is FaultKind.BAD_CALL
    assert "never allocated" in trap.value.fault.detail


def test_a_header_that_names_no_cache_is_our_bug(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    parts.memory.write_int(addr - 8, 8, 42)

    with pytest.raises(InternalError, match="names no cache"):
        allocator.free(addr)


# ---- 3.9: the other entry points ----------------------------------------------------------------


def test_a_fixed_size_allocator_deals_in_one_size(parts: Parts) -> None:
    allocator = parts.allocator(64)

    addr = allocator.cache_alloc()
    allocator.cache_free(addr)

    (view,) = allocator.heap_view()
    assert view.unit_size == 72
    assert view.addr == parts.memory.read_int(allocator.cache_alloc() - 8, 8)


def test_a_sleepable_caller_falls_back_to_the_slab(parts: Parts) -> None:
    allocator = parts.allocator(4000)
    parts.cpus.here.enter("irqoff")

    first, second = allocator.cache_alloc_sleepable(), allocator.cache_alloc_sleepable()

    assert first and second and first != second
    assert allocator.cache_alloc() == 0
    allocator.free(second)
    assert allocator.cache_alloc() == second


def test_raw_free_bypasses_the_lists(parts: Parts) -> None:
    allocator = parts.allocator(64)
    addr = allocator.cache_alloc()
    free_cnt = allocator.cache(72).free_cnt

    allocator.raw_free(addr)

    assert allocator.cache(72).free_cnt == free_cnt
    assert addr - 8 not in allocator.units.regions


@pytest.mark.parametrize(("percpu", "limit"), [(False, 4088), (True, 4096)])
def test_check_size_knows_the_limit(parts: Parts, percpu: bool, limit: int) -> None:
    allocator = parts.allocator(percpu=percpu)

    assert allocator.check_size(limit) == 0
    assert allocator.check_size(limit + 1) == -7  # -E2BIG


def test_a_percpu_unit_holds_the_address_of_one_area_per_cpu(parts: Parts) -> None:
    allocator = parts.allocator(20, percpu=True)

    addr = allocator.cache_alloc()

    areas = [allocator.area(addr, cpu) for cpu in range(2)]
    assert areas[1] - areas[0] == 24  # 20 rounded up to 8
    assert parts.memory.read_int(addr, 8) == areas[0]
    region = parts.memory.find_region(areas[1])
    assert region is not None and region.kind is RegionKind.PERCPU
    assert parts.memory.state_of(areas[1]) == KERNEL
    allocator.cache_free(addr)
    assert parts.memory.state_of(areas[1]) == FREED


def test_a_percpu_allocator_of_every_class_takes_sizes_without_a_header(parts: Parts) -> None:
    allocator = parts.allocator(percpu=True)

    assert allocator.alloc(4096)
    assert [view.unit_size for view in allocator.heap_view()] == [4096]


def test_percpu_caches_trim_and_return_both_parts(parts: Parts) -> None:
    allocator = parts.allocator(16, percpu=True)
    got = [allocator.cache_alloc() for _ in range(8)]
    areas = [allocator.area(addr, 0) for addr in got]
    for addr in got:
        allocator.cache_free(addr)
    parts.rcu.barrier()

    gone = [area for area in areas if area not in {r.addr for r in allocator.units.areas.values()}]
    # Frees bring the list from 1 to 4 > 3, which is trimmed to 2: three times, 6 units in all.
    # The first two had their grace period, the others wait for the next one.
    assert len(gone) == 2
    assert len(allocator.cache(16).free_by_rcu_ttrace) == 4
    regions = [parts.memory.find_region(area) for area in gone]
    assert all(region is not None and region.freed_by is not None for region in regions)


def test_an_allocation_that_was_told_to_fail_leaves_the_list_alone(parts: Parts) -> None:
    allocator = parts.allocator()
    sizes: list[int] = []

    def fails(size: int) -> bool:
        sizes.append(size)
        return len(sizes) > 1

    allocator.alloc_fails = fails

    assert allocator.alloc(320)
    before = allocator.cache(512).free_cnt
    assert allocator.alloc(320) == 0
    assert sizes == [320, 320]
    assert allocator.cache(512).free_cnt == before


def test_a_full_arena_is_a_slab_that_has_nothing(parts: Parts) -> None:
    allocator = parts.allocator()
    got = []

    while addr := allocator.alloc(4000):
        got.append(addr)

    assert len(got) > 500
    allocator.free(got[-1])
    assert allocator.alloc(4000) == got[-1]


# ---- 3.11: the end ------------------------------------------------------------------------------


def test_destroy_returns_every_unit_to_the_slab(parts: Parts) -> None:
    allocator = parts.allocator(64)
    got = [allocator.cache_alloc() for _ in range(150)]
    for addr in got[:140]:
        allocator.cache_free(addr)
    for addr in got[140:]:
        allocator.free_rcu(addr)

    allocator.destroy()
    parts.rcu.barrier()

    assert allocator.units.regions == {}
    assert parts.rcu.waiting == (0, 0)
    with pytest.raises(InternalError, match="after its destruction"):
        parts.cpus.switch(1)
        allocator.cache_alloc()


def test_destroy_runs_the_pending_work_first(parts: Parts) -> None:
    allocator = parts.allocator(64)
    parts.cpus.here.enter("irqoff")
    addr = allocator.cache_alloc()
    allocator.free_rcu(addr)
    assert parts.cpus.here.pending == 1

    allocator.destroy()

    assert parts.cpus.here.pending == 0
    assert allocator.units.regions == {}


def test_units_found_after_destruction_are_our_bug(parts: Parts) -> None:
    allocator = parts.allocator(64)
    got = [allocator.cache_alloc() for _ in range(150)]
    for addr in got:
        allocator.cache_free(addr)
    allocator.destroy()
    cache = allocator.cache(72)
    cache.free_llist.push(allocator.units.take(72, may_fail=False))

    with pytest.raises(InternalError, match="free_llist holds 1 units"):
        parts.rcu.barrier()


def test_a_trim_at_a_draining_cache_frees_at_once(parts: Parts) -> None:
    allocator = parts.allocator(4000)
    got = [allocator.cache_alloc() for _ in range(20)]
    cache = allocator.cache(4008)
    cache.draining = True
    for addr in got[:7]:
        allocator.cache_free(addr)
    assert not cache.call_rcu_ttrace_in_progress

    cache.draining = False
    for addr in got[7:14]:
        allocator.cache_free(addr)
    cache.draining = True
    for addr in got[14:]:
        allocator.cache_free(addr)

    assert not cache.free_by_rcu_ttrace


# ---- views --------------------------------------------------------------------------------------


def test_stats_count_since_a_snapshot_and_leave_out_idle_caches(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.alloc(80)
    before = allocator.snapshot()
    addr = allocator.alloc(320)
    allocator.free(addr)

    (stats,) = allocator.stats(before)

    assert (stats.cpu, stats.unit_size, stats.allocs, stats.frees, stats.failed) == (
        0,
        512,
        1,
        1,
        0,
    )
    assert (stats.low_watermark, stats.high_watermark, stats.refills) == (16, 48, 1)
    assert stats.free_cnt == 25
    assert [s.unit_size for s in allocator.stats()] == [96, 512]


def test_allocated_since_names_what_is_still_out(parts: Parts) -> None:
    allocator = parts.allocator()
    allocator.alloc(80)
    serial = allocator.units.serial
    parts.memory.site = Site(5, "prog", "call new")
    first, second = allocator.alloc(80), allocator.alloc(320)
    allocator.free(first)

    assert allocator.allocated_since(serial) == [(second, 504, Site(5, "prog", "call new"))]


def test_the_heap_view_lists_identities_head_first(parts: Parts) -> None:
    allocator = parts.allocator()
    addr = allocator.alloc(80)
    allocator.free(addr)

    (view,) = allocator.heap_view()

    assert view.lists["free_llist"][0] == addr - 8
    assert len(view.lists["free_llist"]) == view.free_cnt == 52
    assert parts.memory.read_int(addr - 8, 8) == view.lists["free_llist"][1]  # linked by headers
    assert (view.low, view.high, view.batch, view.active) == (32, 96, 48, 0)


def test_an_unknown_class_is_an_input_error(parts: Parts) -> None:
    with pytest.raises(InputError, match="no class of 100 bytes"):
        parts.allocator().cache(100)
    with pytest.raises(InputError, match="no class of 64 bytes"):
        parts.allocator(64).cache(64)


def test_a_free_count_can_be_forced_both_ways(parts: Parts) -> None:
    cache = parts.allocator().cache(64)

    cache.force_free_count(9)
    assert cache.free_cnt == len(cache.free_llist) == 9
    cache.force_free_count(0)
    assert cache.free_cnt == len(cache.free_llist) == 0
