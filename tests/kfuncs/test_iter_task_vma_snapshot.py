"""bpf_iter_task_vma from 6.18.33 on: iterator notes, section 2.3, rows 17 to 23 of 5.4."""

from __future__ import annotations

from errno import EBUSY, ENOENT, ENOMEM, EOPNOTSUPP

import pytest

from bpfemu.machine.memory import READ
from bpfemu.proto.profile import find_profile
from bpfemu.record import replace
from bpfemu.world.spec import VmaSpec
from kfuncs.iter_task_vma_snapshot import _Data, _data_size
from tests.kfuncs.conftest import LIVE, VMAS, Lab, live_btf
from tests.kfuncs.test_iter_task_vma import Walk, resources

STARTS = [vma.start for vma in VMAS]


needs_live = pytest.mark.skipif(not LIVE.exists(), reason="this kernel shows no BTF")


@pytest.fixture(params=["own", pytest.param("live", marks=needs_live)])
def lab(request):
    return Lab("6.18.44", live_btf() if request.param == "live" else None)


@needs_live
def test_with_a_vma_of_192_bytes_the_object_has_320_and_next_addr_stands_at_256():
    lab = Lab("6.18.44", live_btf())
    if lab.kernel.space.layouts.named("vm_area_struct").size != 192:
        pytest.skip("another configuration")
    walk = Walk(lab)
    walk.new(addr=0x123000)

    assert lab.kernel.memory.read_int(walk.it.data + 256, 8) == 0x123000
    assert _data_size(lab.kernel.space, lab.kernel.config.profile) == 320


def data_of(walk):
    return _Data(walk.it.data, walk.lab.kernel.space)


def test_every_vma_comes_in_address_order_then_null(lab):
    walk = Walk(lab)

    assert walk.new() == 0

    assert walk.starts() == STARTS
    assert not walk.next()


@pytest.mark.parametrize(
    ("addr", "first"),
    [
        (0, 0),
        (STARTS[1], 1),
        (STARTS[1] + 1, 1),
        (VMAS[1].end - 1, 1),
        (VMAS[1].end, 2),
        (VMAS[-1].end, 4),
        ((1 << 64) - 1, 4),
        (0xFFFF_FFFF_FF60_0000, 4),
    ],
)
def test_addr_says_where_the_walk_begins(lab, addr, first):
    walk = Walk(lab)

    assert walk.new(addr=addr) == 0

    assert walk.starts() == STARTS[first:]


def test_each_next_returns_the_same_buffer_in_the_heap_object(lab):
    walk = Walk(lab)
    walk.new()

    elements = [walk.next() for _ in STARTS]

    assert {int(vma) for vma in elements} == {walk.it.data + 64}
    assert int(elements[0]) & 0x1FF == 0x048  # unit + 72 of a 512-aligned unit
    assert elements[0].vm_start == STARTS[-1]  # an old pointer reads the new VMA
    assert elements[0] != lab.world.vma(7, STARTS[-1])


def test_the_program_may_read_the_snapshot_and_nothing_else_of_the_object(lab):
    walk = Walk(lab)
    walk.new()
    memory, data = lab.kernel.memory, data_of(walk)

    assert memory.state_of(int(data.snapshot)) & READ
    assert memory.state_of(int(data.snapshot) + data.vma_size - 1) & READ
    assert not memory.state_of(int(data.snapshot) - 1) & READ
    assert not memory.state_of(int(data.snapshot) + data.vma_size) & READ


def test_the_snapshot_is_a_copy_taken_under_the_vma_lock(lab):
    walk = Walk(lab)
    walk.new()

    copy, live = walk.next(), lab.world.vma(7, STARTS[0])

    assert (copy.vm_end, copy.vm_flags, copy.vm_mm) == (live.vm_end, live.vm_flags, live.vm_mm)
    assert copy.vm_refcnt.refs.counter == 2  # attached, and one reader
    assert live.vm_refcnt.refs.counter == 1


def test_files_are_referenced_while_their_vma_is_in_the_snapshot(lab):
    walk = Walk(lab)
    walk.new()
    file = lab.world.vma(7, STARTS[0]).vm_file
    count = lab.world.files.count(file)

    seen = []
    while walk.next():
        seen.append(lab.world.files.count(file) - count)

    assert seen == [1, 1, 0, 0]
    assert lab.world.files.count(file) == count


def test_between_new_and_destroy_task_mm_and_one_unit_of_512_are_held(lab):
    before = resources(lab)
    walk = Walk(lab)

    walk.new()
    walk.next()

    assert resources(lab) == (1, (2, 2), before[2] + 1, 0)
    assert lab.services["mem_alloc"].cache(512).free_cnt >= 0
    data = walk.it.data
    walk.destroy()
    assert resources(lab) == before
    assert walk.it.data == data


def test_destroy_drops_the_file_of_the_last_snapshot(lab):
    walk = Walk(lab)
    walk.new()
    file = walk.next().vm_file
    count = lab.world.files.count(file)

    walk.destroy()

    assert lab.world.files.count(file) == count - 1


def test_a_stale_element_keeps_the_last_vma_where_units_stay_readable():
    lab = Lab("6.18.44", stale_units=True)
    walk = Walk(lab)
    walk.new()
    vma = walk.next()

    walk.destroy()

    assert vma.vm_start == STARTS[0]
    assert lab.kernel.memory.state_of(int(vma)) & READ


# ---- new that fails


def test_without_per_vma_locks_there_is_no_such_iterator():
    lab = Lab(replace(find_profile("6.18.44"), per_vma_lock=False))
    walk = Walk(lab)
    lab.cpu.local_irq_save()

    assert walk.new() == -EOPNOTSUPP

    assert walk.it.data == 0


def test_with_interrupts_off_nothing_is_even_allocated(lab):
    lab.cpu.local_irq_save()
    cache = lab.services["mem_alloc"].cache(512)
    before = resources(lab), cache.free_cnt
    walk = Walk(lab)

    assert walk.new() == -EBUSY

    assert walk.it.data == 0
    assert (resources(lab), cache.free_cnt) == before


def test_preempt_off_and_rcu_regions_are_fine(lab):
    lab.cpu.preempt_disable()
    lab.kernel.rcu.read_lock()

    assert Walk(lab).new() == 0


def test_without_memory_new_gives_enomem(lab):
    allocator = lab.services["mem_alloc"]
    allocator.units.slab_fails = lambda size: True
    walks = []
    while (walk := Walk(lab)).new() == 0:
        walks.append(walk)

    assert walk.new() == -ENOMEM

    assert walk.it.data == 0
    assert len(walks) == 1  # prefill of class 512
    assert lab.usage(7)[0] == 1 + len(walks)


def test_a_held_alloc_lock_gives_ebusy_and_everything_back(lab):
    lab.locks.hold(lab.task(7).address_of_("alloc_lock"))
    before = resources(lab)
    walk = Walk(lab)

    assert walk.new() == -EBUSY

    assert walk.it.data == 0
    assert resources(lab) == before
    assert not walk.next()


@pytest.mark.parametrize("pid", [2, 3, 20])
def test_kernel_threads_and_tasks_without_mm_give_enoent(lab, pid):
    walk = Walk(lab)

    assert walk.new(pid) == -ENOENT  # 3 has borrowed an mm: older kernels accepted that

    assert walk.it.data == 0
    assert lab.usage(pid) == (1, 2)
    assert not lab.services["mem_alloc"].units.live
    assert not lab.locks.is_held(lab.task(pid).address_of_("alloc_lock"))
    assert not walk.next()
    walk.destroy()


def test_a_busy_mmap_lock_does_not_matter(lab):
    lab.locks.hold_mmap(lab.task(7).mm)
    walk = Walk(lab)

    assert walk.new() == 0

    assert walk.starts() == STARTS


# ---- a changing address space (2.3.3)


def test_a_vma_that_is_being_changed_is_left_out(lab):
    lab.locks.hold_vma(lab.world.vma(7, STARTS[1]))
    walk = Walk(lab)
    walk.new()

    assert walk.starts() == [STARTS[0], *STARTS[2:]]


def test_a_skipped_vma_moves_next_addr_to_its_end(lab):
    lab.locks.hold_vma(lab.world.vma(7, STARTS[-1]))
    walk = Walk(lab)
    walk.new()
    walk.starts()

    assert data_of(walk).next_addr == VMAS[-1].end


def test_next_addr_stays_when_there_is_no_vma(lab):
    walk = Walk(lab)
    walk.new()
    walk.starts()

    assert not walk.next()

    assert data_of(walk).next_addr == VMAS[-1].end
    assert not data_of(walk).snapshot.vm_file


def test_what_is_mapped_above_next_addr_after_the_end_is_found(lab):
    walk = Walk(lab)
    walk.new(addr=0x500000)
    assert walk.next().vm_start == 0x500000
    lab.world.unmap(7, STARTS[-1])
    assert not walk.next()

    assert lab.world.map(7, VmaSpec(0x700000, 0x701000))

    assert walk.next().vm_start == 0x700000
    assert not walk.next()


def test_what_is_mapped_below_next_addr_is_not_seen(lab):
    walk = Walk(lab)
    walk.new()
    walk.next()

    lab.world.map(7, VmaSpec(0x100000, 0x101000))

    assert walk.starts() == STARTS[1:]


def test_a_vma_that_grew_after_it_was_returned_comes_again(lab):
    walk = Walk(lab)
    walk.new(addr=0x500000)
    walk.next()

    lab.world.grow(7, 0x500000, 0x601000)

    again = walk.next()
    assert (again.vm_start, again.vm_end) == (0x500000, 0x601000)
    assert data_of(walk).next_addr == 0x601000


def test_unmapping_proceeds_while_the_loop_runs(lab):
    walk = Walk(lab)
    walk.new()
    walk.next()

    assert lab.world.unmap(7, STARTS[1])

    assert walk.starts() == STARTS[2:]


class Racy:
    """VMAs that shrink between being found and being locked."""

    def __init__(self, vmas, end):
        self._vmas = vmas
        self._end = end

    def find(self, mm, addr):
        return self._vmas.find(mm, addr)

    def read_lock(self, mm, addr):
        found = self._vmas.read_lock(mm, addr)
        if found and found.vm_start == STARTS[2]:
            self._vmas.of(mm).grow(STARTS[2], self._end)
        return found

    def read_unlock(self, vma):
        self._vmas.read_unlock(vma)


def test_a_vma_that_shrank_below_next_addr_is_unlocked_and_passed_by_pages(lab):
    walk = Walk(lab)
    walk.new(addr=0x5FF000)  # in the heap's last page
    lab.services["vmas"] = Racy(lab.services["vmas"], 0x501000)

    found = walk.next()

    assert found.vm_start == STARTS[-1]
    assert lab.world.vma(7, STARTS[2]).vm_refcnt.refs.counter == 1


def test_a_vma_that_cannot_be_locked_again_moves_on_by_one_page(lab):
    class Gone(Racy):
        def read_lock(self, mm, addr):
            if addr == STARTS[2]:
                self._vmas.of(mm).find(STARTS[2]).vm_end = 0x500000  # as raced: end <= next_addr
            return self._vmas.read_lock(mm, addr) if addr != STARTS[2] else 0

    walk = Walk(lab)
    walk.new(addr=0x500000)
    lab.world.vma(7, STARTS[2]).vm_end = 0x500000
    lab.services["vmas"] = Gone(lab.services["vmas"], 0)

    assert walk.next().vm_start == STARTS[-1]


# ---- lifetimes


def test_the_mm_outlives_the_task_until_destroy(lab):
    walk = Walk(lab)
    walk.new(10)
    mm = data_of(walk).head.mm

    for pid in (11, 12, 13, 10):
        lab.world.exit(pid)

    assert lab.world.vmas.users(mm) == 1
    assert not walk.next()  # it has no VMA
    walk.destroy()
    assert not lab.kernel.memory.contains(int(mm))
