"""The fault table of the iterator notes (5.4), row by row, through programs: result and residue.

Row 24 (scx_dsq) needs sched_ext, which no profile has.
"""

from __future__ import annotations

from errno import E2BIG, EBUSY, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP, ERANGE
from typing import Any

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.machine.memory import VALID
from bpfemu.outcome import Outcome
from bpfemu.proto.profile import find_profile
from bpfemu.record import replace
from tests.kernel.doubles import Bench
from tests.kernel.test_scenarios import lab as lab_of
from tests.kfuncs.conftest import VMAS, WORLD, Lab

ALWAYS = FaultAttr(probability=100, times=-1)
STARTS = [vma.start for vma in VMAS]
LOCKED = ["6.7", "6.12.0", "6.18.0"]  # rows of profile A
UNIT = {"6.7": 96, "6.12.0": 128, "6.18.0": 128, "6.18.44": 512}

GARBAGE = "r1 = -1; *(u64 *)(r10 -24) = r1; *(u64 *)(r10 -16) = r1; *(u64 *)(r10 -8) = r1"
SLOT = {"num": -8, "bits": -16, "task": -24, "css": -24}  # where the iterator begins, else -8


def lab(profile: str = "6.12.0", **config: Any) -> Bench:
    return lab_of(profile, world=WORLD, **config)


def slot_of(kind: str) -> int:
    return SLOT.get(kind, -8)


def new_text(kind: str, *args: str) -> str:
    """new with these arguments in r2…; its result is kept in r6."""
    given = "; ".join(f"r{number} = {arg}" for number, arg in enumerate(args, 2))
    parts = ["r1 = r10", f"r1 += {slot_of(kind)}", given, f"call bpf_iter_{kind}_new", "r6 = r0"]
    return "; ".join(part for part in parts if part)


def step(kind: str, what: str) -> str:
    return f"r1 = r10; r1 += {slot_of(kind)}; call bpf_iter_{kind}_{what}"


def failing(kind: str, *args: str, before: str = "", after: str = "r0 = 0") -> str:
    """new that fails, next, destroy; r0: new's result, or 1000 when next gave something."""
    parts = [GARBAGE, before, new_text(kind, *args), step(kind, "next"), "r8 = r0"]
    parts += [step(kind, "destroy"), after, "r0 = 1000; if r8 != 0 goto +1; r0 = r6; exit"]
    return "; ".join(part for part in parts if part)


def residue(b: Bench, kind: str, *args: str, before: str = "", **options: Any) -> bytes:
    """The slot after a ``new`` that failed and nothing else; it began as garbage."""
    parts = [GARBAGE, before, new_text(kind, *args), "r0 = r6; exit"]
    b.run("; ".join(part for part in parts if part), **options)
    top = b.kernel._stack(0)[0]
    return b.kernel.memory.read(top + slot_of(kind), -slot_of(kind))


def balanced(b: Bench, outcome: Outcome) -> None:
    """Nothing leaked, no unit is out, no task or mm is referenced, no lock is held."""
    world = b.kernel.services["world"]
    assert outcome.ok, outcome
    assert not b.kernel.services["mem_alloc"].units.live
    for pid in (7, 20, 2, 3):
        assert world.tasks.usage(world.task(pid)) == (1, 2)
    assert b.kernel.locks.mmap(world.task(7).mm).readers == 0
    assert world.vmas.users(world.task(7).mm) == 2  # 3 has borrowed it
    assert not b.kernel.locks.own


TASK = "call bpf_get_current_task_btf; r9 = r0"
VMA = ("r9", "0")


# ---- num and bits


@pytest.mark.parametrize(
    ("start", "end", "error"), [("5", "3", EINVAL), ("0", "8388609", E2BIG)], ids=["row1", "row2"]
)
def test_rows_1_and_2_a_range_that_is_none_or_too_long(start, end, error):
    b = lab()

    outcome = b.run(failing("num", start, end))

    assert outcome == -error and outcome.ok
    assert residue(b, "num", start, end) == bytes(8)


EMPTY_BITS = (0).to_bytes(8, "little") + (0).to_bytes(4, "little") + b"\xff" * 4


@pytest.mark.parametrize(
    ("address", "words", "error"),
    [
        ("0", "1", EINVAL),
        ("r10", "0", EINVAL),
        ("r10", "512", E2BIG),
        ("4096", "1", EFAULT),
        ("-4095", "1", EFAULT),
    ],
    ids=["row3-null", "row3-none", "row4", "row5-user", "row5-kernel"],
)
def test_rows_3_to_5_bits_that_cannot_be_copied(address, words, error):
    b = lab()

    outcome = b.run(failing("bits", address, words))

    assert outcome == -error and outcome.ok
    assert residue(b, "bits", address, words) == EMPTY_BITS


@pytest.mark.parametrize("how", ["injected", "empty", "busy"])
def test_row_6_bits_without_memory(how):
    b = lab()
    words = "r1 = 0; *(u64 *)(r10 -40) = r1; *(u64 *)(r10 -32) = r1; r7 = r10; r7 += -40"
    with b.kernel.pressure.held_irq_work():
        with without_memory(b, 32, how):
            assert b.run(failing("bits", "r7", "2", before=words)) == -ENOMEM
            assert residue(b, "bits", "r7", "2", before=words) == EMPTY_BITS
        assert refill_queued(b, 32)
    assert b.kernel.services["mem_alloc"].cache(32).free_cnt >= 32  # it ran once it could


def without_memory(b: Bench, unit_size: int, how: str) -> Any:
    """A context in which the class gives nothing: by injection, used up, or interrupted."""
    from contextlib import nullcontext

    if how == "busy":
        return b.kernel.pressure.inside(unit_size)
    if how == "empty":
        b.kernel.pressure.free_count(unit_size, 0)
    else:
        b.kernel.faults.set(f"fail_bpf_mem_alloc/{unit_size}", ALWAYS)
    return nullcontext()


def refill_queued(b: Bench, unit_size: int) -> bool:
    return any(c.pending for c in b.kernel.heap().caches if c.unit_size == unit_size)


@pytest.mark.parametrize(
    ("address", "error"), [("4096", ERANGE), ("-4095", EFAULT)], ids=["row7", "row8"]
)
def test_rows_7_and_8_words_that_cannot_be_read_leave_a_dangling_pointer(address, error):
    b = lab()

    outcome = b.run(failing("bits", address, "2"))

    assert outcome == -error
    balanced(b, outcome)  # the buffer is free again
    slot = residue(b, "bits", address, "2")
    assert slot[:8] != bytes(8) and slot[8:] == EMPTY_BITS[8:]
    newest = b.kernel.heap().caches[0].lists["free_llist"][0]
    assert int.from_bytes(slot[:8], "little") == newest + 8


# ---- task


@pytest.mark.parametrize("flags", ["3", "2"], ids=["bad-flag", "threads-of-null"])
def test_row_9_a_task_walk_with_bad_flags(flags):
    b = lab()

    outcome = b.run(failing("task", "0", flags))

    assert outcome == -EINVAL and outcome.ok
    slot = residue(b, "task", "0", flags)
    assert slot[8:16] == bytes(8)  # pos; the others are not written
    assert slot[:8] == slot[16:] == b"\xff" * 8


# ---- css and css_task

ROOT = "r1 = 1; call bpf_cgroup_from_id; r9 = r0"  # the root cgroup begins with its css
DROP = "r1 = r9; call bpf_cgroup_release"


@pytest.mark.parametrize("flags", ["0", "1", "5"])
def test_row_10_a_css_walk_with_bad_flags(flags):
    b = lab("6.18.0")

    outcome = b.run(failing("css", "r9", flags, before=ROOT, after=DROP))

    assert outcome == -EINVAL and outcome.ok
    slot = residue(b, "css", "r9", flags, before=ROOT)
    assert slot == bytes(8) + b"\xff" * 16  # start; the others are not written


@pytest.mark.parametrize("flags", ["2", "4", "7"])
def test_row_11_a_walk_over_a_css_s_tasks_with_bad_flags(flags):
    b = lab("6.18.0")

    outcome = b.run(failing("css_task", "r9", flags, before=ROOT, after=DROP))

    assert outcome == -EINVAL and outcome.allocator == () and outcome.ok
    assert residue(b, "css_task", "r9", flags, before=ROOT) == bytes(8)


@pytest.mark.parametrize("how", ["injected", "empty", "busy"])
def test_row_12_a_walk_over_a_css_s_tasks_without_memory(how):
    b = lab("6.18.0")
    with b.kernel.pressure.held_irq_work():
        with without_memory(b, 128, how):
            outcome = b.run(failing("css_task", "r9", "0", before=ROOT, after=DROP))
            assert outcome == -ENOMEM
            balanced(b, outcome)
            assert residue(b, "css_task", "r9", "0", before=ROOT) == bytes(8)
        assert refill_queued(b, 128)


@pytest.mark.parametrize("kind", ["kmem_cache", "dmabuf"])
def test_row_27_walks_that_always_begin(kind):
    b = lab("6.18.0")
    b.kernel.faults.watch()
    walk = f"{new_text(kind)}; {step(kind, 'destroy')}; r0 = r6; exit"

    outcome = b.run(b.image(walk, sleepable=True))

    assert outcome == 0 and outcome.ok
    assert [met.point for met in b.kernel.faults.met] == [f"fail_kfunc/bpf_iter_{kind}_new"]


# ---- task_vma, lock held (A)


@pytest.mark.parametrize("how", ["injected", "empty", "busy"])
@pytest.mark.parametrize("profile", [*LOCKED, "6.18.44"])
def test_rows_13_and_19_a_vma_walk_without_memory(profile, how):
    b = lab(profile)
    unit = UNIT[profile] if profile != "6.18.44" else snapshot_unit(b)
    with b.kernel.pressure.held_irq_work():
        with without_memory(b, unit, how):
            outcome = b.run(failing("task_vma", *VMA, before=TASK))
            assert outcome == -ENOMEM
            balanced(b, outcome)
            assert residue(b, "task_vma", *VMA, before=TASK) == bytes(8)
        assert refill_queued(b, unit)
        stats = b.kernel.services["mem_alloc"].stats()
        assert [(s.unit_size, s.failed) for s in stats] == [(unit, 2)]


def snapshot_unit(b: Bench) -> int:
    """The class of the snapshot's object: 512 where a VMA has its full size."""
    b.kernel.faults.watch("fail_bpf_mem_alloc")
    b.run("; ".join([TASK, new_text("task_vma", *VMA), step("task_vma", "destroy"), "r0=0; exit"]))
    [met] = b.kernel.faults.met
    b.kernel.faults.clear()
    cache = b.kernel.services["mem_alloc"].cache(int(met.point.partition("/")[2]))
    cache.allocs = cache.frees = cache.failed = cache.refills = 0
    return cache.unit_size


@pytest.mark.parametrize("profile", LOCKED)
def test_row_14_a_task_without_an_mm(profile):
    b = lab(profile)

    outcome = b.run(failing("task_vma", *VMA, before=TASK), task=20)

    assert outcome == -ENOENT
    balanced(b, outcome)
    [stats] = outcome.allocator
    assert (stats.allocs, stats.frees) == (1, 1)  # the unit was taken and given back
    assert residue(b, "task_vma", *VMA, before=TASK, task=20) == bytes(8)


@pytest.mark.parametrize("context", ["irqoff", "hardirq", "nmi"])
@pytest.mark.parametrize("profile", LOCKED)
def test_row_15_interrupts_off_while_the_unlock_work_is_busy(profile, context):
    b = lab(profile)
    first = "; ".join([TASK, new_text("task_vma", *VMA), step("task_vma", "destroy")])

    outcome = b.run(failing("task_vma", *VMA, before=first), context=context)

    assert outcome == -EBUSY
    balanced(b, outcome)
    slot = residue(b, "task_vma", *VMA, before=first, context=context)
    assert slot == bytes(8)


def test_row_15_on_preempt_rt_interrupts_off_are_enough():
    b = Lab(replace(find_profile("6.12.0"), preempt_rt=True)).bench

    outcome = b.run(failing("task_vma", *VMA, before=TASK), context="irqoff")

    assert outcome == -EBUSY
    balanced(b, outcome)


@pytest.mark.parametrize("profile", LOCKED)
def test_row_16_the_mmap_lock_cannot_be_taken(profile):
    b = lab(profile)
    b.kernel.faults.set("fail_lock/mmap_lock", ALWAYS)

    outcome = b.run(failing("task_vma", *VMA, before=TASK))

    assert outcome == -EBUSY
    balanced(b, outcome)
    assert residue(b, "task_vma", *VMA, before=TASK) == bytes(8)


# ---- task_vma, snapshots (B)


def test_row_17_without_per_vma_locks_there_is_no_such_walk():
    b = Lab(replace(find_profile("6.18.44"), per_vma_lock=False)).bench

    outcome = b.run(failing("task_vma", *VMA, before=TASK), context="irqoff")

    assert outcome == -EOPNOTSUPP and outcome.allocator == ()
    assert residue(b, "task_vma", *VMA, before=TASK) == bytes(8)


@pytest.mark.parametrize("context", ["irqoff", "hardirq", "nmi"])
def test_row_18_with_interrupts_off_nothing_is_allocated(context):
    b = lab("6.18.44")

    outcome = b.run(failing("task_vma", *VMA, before=TASK), context=context)

    assert outcome == -EBUSY and outcome.allocator == ()
    balanced(b, outcome)
    assert residue(b, "task_vma", *VMA, before=TASK, context=context) == bytes(8)


def test_row_20_the_alloc_lock_is_held():
    b = lab("6.18.44")
    b.kernel.faults.set("fail_lock/alloc_lock", ALWAYS)

    outcome = b.run(failing("task_vma", *VMA, before=TASK))

    assert outcome == -EBUSY
    balanced(b, outcome)
    [stats] = outcome.allocator
    assert (stats.allocs, stats.frees) == (1, 1)
    assert residue(b, "task_vma", *VMA, before=TASK) == bytes(8)


@pytest.mark.parametrize("pid", [20, 2, 3], ids=["mm-null", "kthread", "kthread-with-mm"])
def test_row_21_a_task_without_an_mm_of_its_own(pid):
    b = lab("6.18.44")

    outcome = b.run(failing("task_vma", *VMA, before=TASK), task=pid)

    assert outcome == -ENOENT
    balanced(b, outcome)
    assert residue(b, "task_vma", *VMA, before=TASK, task=pid) == bytes(8)


def test_row_22_a_vma_that_cannot_be_locked_is_left_out():
    """The second trylock fails: the walk goes on behind that VMA's end."""
    b = lab("6.18.44")
    b.kernel.faults.fail_nth(2, "fail_lock/vma_lock")
    element = f"{step('task_vma', 'next')}; r8 = *(u64 *)(r0 +0)"
    text = [TASK, new_text("task_vma", *VMA), element, element, step("task_vma", "destroy")]

    outcome = b.run("; ".join([*text, "r0 = r8; exit"]))

    assert outcome.r0 == STARTS[2]
    balanced(b, outcome)


def test_row_23_next_after_a_failed_new_is_null():
    """``failing`` returns 1000 if it were not; here the failure is the kfunc's own."""
    for profile in (*LOCKED, "6.18.44"):
        b = lab(profile)
        b.kernel.faults.function("bpf_iter_task_vma_new", retval=-EBUSY)

        outcome = b.run(failing("task_vma", *VMA, before=TASK))

        assert outcome == -EBUSY
        balanced(b, outcome)


# ---- the allocator itself


@pytest.mark.parametrize("units", [0, 1, 7])
def test_row_25_a_refill_that_runs_dry_adds_what_it_got_and_is_not_repeated(units):
    """Class 128 starts with 4; one allocation asks for a batch of 48."""
    b = lab("6.12.0")
    b.kernel.faults.fail_nth(units + 1, "failslab/128")
    walk = "; ".join([TASK, new_text("task_vma", *VMA), step("task_vma", "destroy"), "r0=0; exit"])

    [stats] = b.run(walk).allocator

    assert (stats.refills, stats.free_cnt) == (1, 4 + units)
    assert b.kernel.faults.nth("failslab/128") == 0
    [stats] = b.run(walk).allocator  # the next allocation asks again, and is served
    assert (stats.refills, stats.free_cnt) == (1, 4 + units + 48)


def test_row_25_space_lets_so_many_bytes_of_units_through():
    """Above 3 * 128 bytes: 385 > 128, 257 > 128, 129 > 128, then 1 is not: three units."""
    b = lab("6.12.0")
    b.kernel.faults.set("failslab", FaultAttr(probability=100, times=-1, space=385))
    walk = "; ".join([TASK, new_text("task_vma", *VMA), step("task_vma", "destroy"), "r0=0; exit"])

    [stats] = b.run(walk).allocator

    assert stats.free_cnt == 4 + 3


def test_row_26_a_free_while_the_lists_are_busy_parks_the_unit():
    """An NMI struck inside the class: the unit is on the extra list, and free_cnt is as before."""
    b = lab("6.12.0")
    machine = b.enter(b.image("call bpf_iter_bits_new; call bpf_iter_bits_destroy; exit"))
    slot = machine.stack[0] - 16
    b.kernel.memory.set_state(slot, 16, VALID)
    machine.gate.call(0, 0, registers(slot, b.kernel.memory.base, 2))
    [before] = b.kernel.heap().caches
    [unit] = b.kernel.heap().live

    with b.kernel.pressure.inside(32):
        machine.gate.call(1, 1, registers(slot))

    [after] = b.kernel.heap().caches
    assert after.lists["free_llist_extra"] == (unit.addr,)
    assert (after.free_cnt, after.pending) == (before.free_cnt, False)
    assert b.kernel.heap().live == ()
    b.kernel.abort()


def registers(*args: int) -> list[Any]:
    """r0 to r10 with the arguments in r1…"""
    return [None, *args, *[None] * (10 - len(args))]


def test_row_28_a_next_can_only_say_null():
    b = lab("6.12.0")
    with pytest.raises(InputError, match="fails with NULL"):
        b.kernel.faults.function("bpf_iter_num_next", retval=-EINVAL)
    b.kernel.faults.function("bpf_iter_num_next")

    outcome = b.run(
        "; ".join(
            [
                new_text("num", "0", "5"),
                step("num", "next"),
                "r7 = r0",
                step("num", "destroy"),
                "r0 = r7; exit",
            ]
        )
    )

    assert outcome.r0 == 0 and outcome.ok
