"""bpf_iter_task_vma up to 6.18.32: iterator notes, sections 2.2, 2.4, 2.5, rows 13 to 16 of 5.4."""

from __future__ import annotations

from errno import EBUSY, ENOENT, ENOMEM

import pytest

from bpfemu.machine.stop import Trap
from bpfemu.proto.profile import find_profile
from bpfemu.record import replace
from bpfemu.world.spec import TaskSpec, VmaSpec, World
from kfuncs.iter_task_vma import bpf_iter_task_vma
from tests.kfuncs.conftest import PAGE, VMAS, Lab

STARTS = [vma.start for vma in VMAS]
UNIT = {"6.7": 96, "6.12.0": 128, "6.18.0": 128}  # of 88, 96, 112 bytes and the 8-byte header


@pytest.fixture(params=["6.7", "6.12.0", "6.18.0"])
def lab(request):
    return Lab(request.param)


class Walk:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_task_vma)

    def new(self, pid=7, addr=0):
        return self.lab.call("bpf_iter_task_vma_new", self.it, self.lab.task(pid), addr)

    def next(self):
        return self.lab.call("bpf_iter_task_vma_next", self.it)

    def starts(self):
        return [vma.vm_start for vma in iter(self.next, 0)]

    def destroy(self):
        self.lab.call("bpf_iter_task_vma_destroy", self.it)


def resources(lab, pid=7):
    units = lab.services["mem_alloc"].units.live
    return len(units), lab.usage(pid), lab.users(pid), lab.readers(pid)


def test_every_vma_comes_in_address_order_then_null_for_ever(lab):
    walk = Walk(lab)

    assert walk.new() == 0

    assert walk.starts() == STARTS
    assert not walk.next()
    assert not walk.next()


def test_elements_are_the_live_vmas(lab):
    walk = Walk(lab)
    walk.new()

    first = walk.next()

    assert first == lab.world.vma(7, 0x400000)
    assert (first.vm_end, first.vm_flags, first.vm_pgoff) == (0x402000, 0x75, 0)
    assert lab.world.files.path(first.vm_file) == "/usr/bin/cat"


@pytest.mark.parametrize(
    ("addr", "first"),
    [
        (0, 0),
        (STARTS[1], 1),
        (STARTS[1] + 1, 1),
        (VMAS[1].end - 1, 1),
        (VMAS[1].end, 2),
        (VMAS[0].end, 1),
        (VMAS[-1].end, 4),
        ((1 << 64) - 1, 4),
        (0xFFFF_FFFF_FF60_0000, 4),
    ],
)
def test_addr_says_where_the_walk_begins(lab, addr, first):
    walk = Walk(lab)

    assert walk.new(addr=addr) == 0

    assert walk.starts() == STARTS[first:]


def test_between_new_and_destroy_task_lock_and_one_unit_are_held(lab):
    unit = UNIT[lab.kernel.config.profile.name]
    before = resources(lab)
    walk = Walk(lab)
    lab.cpu.local_irq_save()
    free = lab.free_cnt(unit)

    walk.new()

    assert resources(lab) == (1, (2, 2), before[2], 1)
    assert lab.free_cnt(unit) == free - 1
    lab.cpu.local_irq_restore(0x200)
    assert resources(lab)[3] == 1
    data = walk.it.data
    walk.destroy()
    lab.cpu.here.service()
    assert resources(lab) == before
    assert walk.it.data == data  # the slot is not cleared


def test_the_mm_is_not_referenced(lab):
    users = lab.users(7)

    Walk(lab).new()

    assert lab.users(7) == users


def test_without_memory_new_gives_enomem(lab):
    lab.cpu.local_irq_save()
    walks = [Walk(lab) for _ in range(5)]
    assert [walk.new() for walk in walks[:4]] == [0] * 4  # prefill of small classes

    assert walks[4].new() == -ENOMEM

    assert walks[4].it.data == 0
    assert lab.usage(7)[0] == 1 + 4


@pytest.mark.parametrize("pid", [2, 20])
def test_a_task_without_mm_gives_enoent_and_everything_back(lab, pid):
    walk = Walk(lab)

    assert walk.new(pid) == -ENOENT

    assert walk.it.data == 0
    assert lab.usage(pid) == (1, 2)
    assert not lab.services["mem_alloc"].units.live
    assert not walk.next()
    walk.destroy()


def test_a_kernel_thread_with_a_borrowed_mm_is_accepted(lab):
    walk = Walk(lab)

    assert walk.new(3) == 0

    assert walk.starts() == STARTS


@pytest.mark.parametrize("how", ["writer", "waiting writer"])
def test_a_busy_mmap_lock_gives_ebusy_and_everything_back(lab, how):
    mm = lab.task(7).mm
    if how == "writer":
        lab.locks.hold_mmap(mm)
    else:
        lab.locks.queue_writer(mm)
    before = resources(lab)
    walk = Walk(lab)

    assert walk.new() == -EBUSY

    assert walk.it.data == 0
    assert resources(lab) == before
    assert not walk.next()


def test_readers_do_not_disturb_each_other(lab):
    lab.locks.hold_mmap(lab.task(7).mm, write=False)

    assert Walk(lab).new() == 0
    assert lab.readers(7) == 2


def test_nobody_changes_the_mappings_during_the_loop(lab):
    walk = Walk(lab)
    walk.new()

    assert not lab.world.unmap(7, STARTS[1])
    assert not lab.world.map(7, VmaSpec(0x700000, 0x701000))

    walk.destroy()
    assert lab.world.unmap(7, STARTS[1])


# ---- interrupts off (notes 2.4)


def test_with_interrupts_off_the_lock_stays_held_until_they_are_on(lab):
    flags = lab.cpu.local_irq_save()
    walk = Walk(lab)
    assert walk.new() == 0
    walk.destroy()
    assert lab.readers(7) == 1

    lab.cpu.local_irq_restore(flags)

    assert lab.readers(7) == 0


def test_the_second_new_in_one_stretch_is_refused(lab):
    flags = lab.cpu.local_irq_save()
    walk = Walk(lab)
    walk.new()
    walk.destroy()
    before = resources(lab)
    again = Walk(lab)

    assert again.new() == -EBUSY

    assert again.it.data == 0
    assert resources(lab) == before
    lab.cpu.local_irq_restore(flags)
    assert again.new() == 0


def test_of_two_nested_iterators_one_read_lock_is_never_released(lab):
    flags = lab.cpu.local_irq_save()
    outer, inner = Walk(lab), Walk(lab)
    assert (outer.new(), inner.new()) == (0, 0)
    inner.destroy()
    outer.destroy()

    lab.cpu.local_irq_restore(flags)

    assert lab.readers(7) == 1


def test_preempt_rt_refuses_whenever_interrupts_are_off():
    lab = Lab(replace(find_profile("6.18.0"), preempt_rt=True))
    lab.cpu.local_irq_save()
    walk = Walk(lab)

    assert walk.new() == -EBUSY

    assert walk.it.data == 0
    assert lab.readers(7) == 0


# ---- the use after free that these kernels had (CVE-2026-53085)


def test_an_exit_during_the_loop_frees_the_mm_under_the_iterator(lab):
    vmas = (VmaSpec(0x400000, 0x401000), VmaSpec(0x500000, 0x501000))
    lab = Lab(lab.kernel.config.profile.name, world=World((TaskSpec(pid=9, vmas=vmas),)))
    walk = Walk(lab)
    walk.new(9)
    walk.next()

    lab.world.exit(9)

    with pytest.raises(Trap, match="use after free"):
        walk.next()


# ---- through programs


PROGRAM = """
    r1 = 7; call bpf_task_from_pid; r9 = r0; if r0 == 0 goto none
    r1 = r10; r1 += -8; r2 = r9; r3 = 0; call bpf_iter_task_vma_new; r6 = 0; r7 = 0
loop: r1 = r10; r1 += -8; call bpf_iter_task_vma_next; if r0 == 0 goto out
    r1 = *(u64 *)(r0 +{start}); r2 = *(u64 *)(r0 +{end}); r2 -= r1; r6 += r2; r7 += 1; goto loop
out: r1 = r10; r1 += -8; call bpf_iter_task_vma_destroy; r1 = r9; call bpf_task_release
none: r0 = r6; exit
"""


@pytest.mark.parametrize("profile", ["6.7", "6.12.0", "6.18.0", "6.18.44"])
def test_a_program_adds_up_the_address_space(profile):
    lab = Lab(profile)
    layout = lab.kernel.space.layouts.named("vm_area_struct")
    text = PROGRAM.format(
        start=layout.fields["vm_start"].offset, end=layout.fields["vm_end"].offset
    )

    outcome = lab.bench.run(text)

    assert outcome.r0 == sum(vma.end - vma.start for vma in VMAS)
    assert outcome.r0 % PAGE == 0
    assert outcome.ok, outcome
    assert outcome.iterators[0].ended == "drained"
    assert lab.usage(7) == (1, 2)
