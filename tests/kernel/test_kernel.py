"""Loading, starting and closing: contexts, leaks, many runs on one kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bpfemu.errors import BodyError, InputError, InternalError
from bpfemu.image import MapSlot, ProgramImage, Segment
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.kernel import Kernel
from bpfemu.machine.memory import FREED, KERNEL, READ, READ_ONLY, VALID, RegionKind
from bpfemu.machine.stop import FaultKind, Stop, StopKind
from bpfemu.object import MapDef
from bpfemu.outcome import Outcome
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT, KF_RET_NULL
from bpfemu.proto.marks import kfunc, prog_type
from bpfemu.proto.services import Cpu, Locks, ProbeRead, RunInfo, Tasks, UnlockWork
from bpfemu.proto.types import NULL, Ptr, Struct, s32, s64, u64
from bpfemu.record import replace
from tests.kernel.doubles import ARENA_BASE, ARENA_SIZE, CATALOG, Bench, bench

MM = 0x5000


@kfunc()
def bpf_where(what: u64, *, cpu: Cpu, run: RunInfo) -> s64:
    """What the tests ask about the context of a run."""
    match what:
        case 0:
            return s64(cpu.id)
        case 1:
            return s64(cpu.irqs_disabled())
        case 2:
            return s64(cpu.in_nmi())
        case 3:
            return s64(cpu.sleepable())
        case 4:
            return s64(len(run.name))
        case 5:
            return s64(run.prog_type)
    return s64(run.ctx)


@kfunc()
def bpf_spin(lock: u64, *, locks: Locks) -> s64:
    return s64(locks.spin_trylock(Ptr(lock)))


class bpf_iter_vm(Struct, opaque=True):
    """Holds the mmap lock, as task_vma did up to 6.18.32."""

    work: u64


@kfunc(KF_ITER_NEW)
def bpf_iter_vm_new(
    it: Ptr[bpf_iter_vm], mm: u64, *, locks: Locks, unlock_work: UnlockWork, cpu: Cpu
) -> s32:
    work, busy = unlock_work.get()
    it.work = 0
    if busy or not locks.mmap_read_trylock(Ptr(mm)):
        return s32(-16)
    it.work = 1 if work is None else 2
    return s32(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_vm_next(it: Ptr[bpf_iter_vm]) -> Ptr[u64]:
    return NULL


@kfunc(KF_ITER_DESTROY)
def bpf_iter_vm_destroy(it: Ptr[bpf_iter_vm], *, unlock_work: UnlockWork, cpu: Cpu) -> None:
    if it.work:
        unlock_work.unlock(unlock_work.of(cpu.id) if it.work == 2 else None, Ptr(MM))


@prog_type(77)
class Counter:
    """A program type whose context is one number."""

    name = "counter"

    @staticmethod
    def place(env: Any, image: ProgramImage, options: RunOptions) -> Any:
        region = env.memory.allocate(8, RegionKind.CTX, "counter")
        env.memory.write_int(region.addr, 8, int(options.ctx["count"]))  # type: ignore

        class Placed:
            addr = region.addr
            packet = None

            @staticmethod
            def ctx_out() -> bytes:
                return bytes(env.memory.read(region.addr, 8))

            @staticmethod
            def data_out() -> bytes:
                return b"data"

        return Placed


def world(**config: Any) -> Bench:
    mine = (bpf_where, bpf_spin, bpf_iter_vm_new, bpf_iter_vm_next, bpf_iter_vm_destroy, Counter)
    return bench(catalog=CATALOG.merged(Catalog.of(*mine)), **config)


def ask(what: int, **options: Any) -> int:
    b = world(cpus=4)
    sleepable = options.pop("sleepable", False)
    image = b.image(f"r1 = {what}; call bpf_where; exit", sleepable=sleepable, name="asker")
    return b.run(image, **options).value


# ---- contexts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "irqs_off", "nmi"),
    [
        ("task", 0, 0),
        ("softirq", 0, 0),
        ("hardirq", 1, 0),
        ("irqoff", 1, 0),
        ("nmi", 1, 1),
    ],
)
def test_a_program_can_be_started_in_any_context(context: str, irqs_off: int, nmi: int) -> None:
    assert ask(1, context=context) == irqs_off
    assert ask(2, context=context) == nmi


def test_a_program_runs_on_the_cpu_it_is_told() -> None:
    assert ask(0, cpu=3) == 3
    with pytest.raises(InputError, match="CPU 9 must be from 0 to 3"):
        ask(0, cpu=9)


def test_only_sleepable_programs_may_sleep_and_only_in_task_context() -> None:
    assert ask(3) == 0
    assert ask(3, sleepable=True) == 1
    with pytest.raises(InputError, match="asker is sleepable: it runs in task context, not in nmi"):
        ask(3, sleepable=True, context="nmi")


def test_a_run_knows_its_program() -> None:
    assert ask(4) == len("asker")
    assert ask(5) == 0
    assert ask(6) == 0


def test_after_a_run_everything_is_as_before() -> None:
    b = world()
    for context in ("task", "nmi", "softirq"):
        b.run("r0 = 0; exit", context=context)
    here = b.kernel.cpus.here

    assert here.contexts == [] and here.irqs_on
    assert (here.migrate_count, here.preempt_count) == (0, 0)
    assert (b.kernel.rcu.explicit, b.kernel.rcu.implicit, b.kernel.rcu.trace) == (0, 0, 0)
    with pytest.raises(InternalError, match="no program is running"):
        _ = b.kernel.running.now


def test_a_non_sleepable_program_is_in_an_rcu_section_a_sleepable_one_in_tasks_trace() -> None:
    b = world()
    b.enter(b.image("r0 = 0; exit"))
    assert (b.kernel.rcu.implicit, b.kernel.rcu.trace) == (1, 0)
    assert b.kernel.cpus.here.migrate_count == 1
    b.kernel.close(Stop(StopKind.EXIT, 0, 1))
    b.enter(b.image("r0 = 0; exit", sleepable=True))
    assert (b.kernel.rcu.implicit, b.kernel.rcu.trace) == (0, 1)


# ---- the context block --------------------------------------------------------------------------


def test_plain_bytes_are_a_context_that_comes_back() -> None:
    outcome = world().run(
        "r2 = *(u32 *)(r1 +4); r2 += 1; *(u32 *)(r1 +4) = r2; r0 = 0; exit",
        ctx=b"\1\0\0\0\2\0\0\0",
    )

    assert outcome.ctx_out == b"\1\0\0\0\3\0\0\0"


def test_without_a_context_r1_is_null() -> None:
    assert world().run("r0 = r1; exit") == 0


def test_fields_need_a_program_type_that_knows_them() -> None:
    with pytest.raises(InputError, match="prog: the context must be bytes"):
        world().run("r0 = 0; exit", ctx={"count": 3})


def test_a_program_type_places_its_own_context() -> None:
    b = world()
    image = b.image("r0 = *(u64 *)(r1 +0); r0 += 1; *(u64 *)(r1 +0) = r0; exit", prog_type=77)

    outcome = b.run(image, ctx={"count": 41})

    assert outcome == 42
    assert outcome.ctx_out == (42).to_bytes(8, "little")
    assert outcome.data_out == b"data"


# ---- stacks -------------------------------------------------------------------------------------


def test_there_are_eight_stacks_of_512_bytes_the_outermost_on_top() -> None:
    b = world()
    machine = b.enter(b.image("r0 = 0; exit"))

    assert len(machine.stack) == 8
    assert list(machine.stack) == sorted(machine.stack, reverse=True)
    assert all(top % 8 == 0 for top in machine.stack)
    for top in machine.stack:
        assert {b.kernel.memory.state_of(top - at) for at in (1, 512)} == {KERNEL}
        assert not b.kernel.memory.state_of(top) & READ
        assert not b.kernel.memory.state_of(top - 513) & READ


def test_stacks_are_used_again() -> None:
    b = world()
    first = b.enter(b.image("r0 = 0; exit")).stack
    b.kernel.close(Stop(StopKind.EXIT, 0, 1))

    assert b.enter(b.image("r0 = 0; exit")).stack == first


# ---- leaks --------------------------------------------------------------------------------------

NUM = "r1 = r10; r1 += -8; r2 = 0; r3 = 5; call bpf_iter_num_new"
SAVE = "r1 = r10; r1 += -16; call bpf_local_irq_save"


def kinds(outcome: Outcome) -> list[str]:
    return [leak.kind for leak in outcome.leaks]


def test_an_iterator_that_was_never_destroyed_leaks() -> None:
    outcome = world().run(f"{NUM}; r0 = 0; exit")

    (leak,) = outcome.leaks
    assert leak.kind == "iterator"
    assert leak.what == "bpf_iter_num at fp-8"
    assert leak.message == (
        "Unreleased reference id=1 alloc_insn=4; "
        "BPF_EXIT instruction in main prog would lead to reference leak"
    )
    assert leak.site is not None and leak.site.line == "x.bpf.c:5: line 4;"
    assert outcome.iterators[0].ended == "never destroyed"
    assert not outcome.ok


def test_sections_that_were_not_left_come_in_the_verifiers_order() -> None:
    text = f"call bpf_preempt_disable; call bpf_rcu_read_lock; {SAVE}; {NUM}; r0 = 0; exit"
    b = world()

    outcome = b.run(text)

    assert kinds(outcome) == ["iterator", "irq", "rcu", "preempt"]
    prefix = "BPF_EXIT instruction in main prog cannot be used inside "
    assert [leak.message for leak in outcome.leaks[1:]] == [
        f"{prefix}bpf_local_irq_save-ed region",
        f"{prefix}bpf_rcu_read_lock-ed region",
        f"{prefix}bpf_preempt_disable-ed region",
    ]
    assert not b.kernel.cpus.irqs_disabled()
    assert b.kernel.cpus.here.preempt_count == 0
    assert b.run("r0 = 0; exit").ok


def test_a_spin_lock_that_is_kept_leaks_first() -> None:
    b = world()
    outcome = b.run(f"{NUM}; r1 = 4096; call bpf_spin; r0 = 0; exit")

    assert kinds(outcome) == ["lock", "iterator"]
    assert outcome.leaks[0].message == (
        "BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region"
    )
    assert not b.kernel.locks.is_held(4096)


def test_what_an_iterator_allocated_leaks_with_it() -> None:
    outcome = world().run("r1 = r10; r1 += -8; r2 = 80; call bpf_iter_buf_new; r0 = 0; exit")

    assert kinds(outcome) == ["iterator", "object"]
    assert outcome.leaks[1].message == "88 bytes were never freed"


def test_a_throw_names_itself_and_a_fault_names_no_leaks() -> None:
    b = world()
    machine = b.enter(b.image(f"{NUM}; exit"))
    top = machine.stack[0]
    b.kernel.memory.set_state(top - 512, 512, VALID)
    machine.gate.call(0, 4, [0, top - 8, 0, 3, 0, 0, 0, 0, 0, 0, top])
    outcome = b.kernel.close(Stop(StopKind.THROW, 77, 5))

    assert outcome.leaks[0].message.endswith("bpf_throw would lead to reference leak")
    faulted = b.run(f"{NUM}; r1 = 0; r0 = *(u64 *)(r1 +0); exit")
    assert faulted.leaks == ()
    assert faulted.iterators[0].ended == "still open"


# ---- mmap_lock and irq_work ---------------------------------------------------------------------

VM = "r1 = r10; r1 += {}; r2 = 20480; call bpf_iter_vm_new; r6 = r0"
VM_END = "r1 = r10; r1 += {}; call bpf_iter_vm_destroy"


def test_an_mmap_lock_is_released_when_the_nmi_has_returned() -> None:
    b = world()

    outcome = b.run(f"{VM.format(-8)}; {VM_END.format(-8)}; r0 = r6; exit", context="nmi")

    assert outcome == 0 and outcome.ok
    assert b.kernel.locks.mmap(MM).readers == 0


def test_a_second_iterator_in_one_nmi_is_busy() -> None:
    pair = f"{VM.format(-8)}; {VM_END.format(-8)}"

    outcome = world().run(f"{pair}; {pair}; r0 = r6; exit", context="nmi")

    assert outcome.value == -16
    assert [report.result for report in outcome.iterators] == [0, -16]


def test_two_nested_iterators_in_an_nmi_leak_a_read_lock() -> None:
    b = world()
    text = f"{VM.format(-8)}; {VM.format(-16)}; {VM_END.format(-16)}; {VM_END.format(-8)}"

    outcome = b.run(f"{text}; r0 = 0; exit", context="nmi")

    (leak,) = outcome.leaks
    assert leak.kind == "mmap_lock"
    assert "still read-held at the end of the program" in leak.message
    assert b.kernel.locks.mmap(MM).readers == 1  # for ever, as in the kernel
    assert b.run("r0 = 0; exit").ok  # and reported once


def test_after_a_fault_the_mmap_lock_is_released() -> None:
    b = world()

    outcome = b.run(f"{VM.format(-8)}; r1 = 0; r0 = *(u64 *)(r1 +0); exit")

    assert outcome.fault is not None and outcome.leaks == ()
    assert b.kernel.locks.mmap(MM).readers == 0


# ---- the allocator ------------------------------------------------------------------------------

BUF = "r1 = r10; r1 += {at}; r2 = {size}; call bpf_iter_buf_new"
BUF_END = "r1 = r10; r1 += {at}; call bpf_iter_buf_destroy"


def pairs(sizes: Sequence[int]) -> str:
    return "; ".join(f"{BUF.format(at=-8, size=size)}; {BUF_END.format(at=-8)}" for size in sizes)


def test_an_outcome_has_the_classes_that_its_own_run_touched() -> None:
    b = world()
    b.run(f"{pairs([80])}; r0 = 0; exit")

    outcome = b.run(f"{pairs([320, 320])}; r0 = 0; exit", cpu=1)

    (stats,) = outcome.allocator
    assert (stats.cpu, stats.unit_size, stats.allocs, stats.frees) == (1, 512, 2, 2)


def test_a_program_that_allocates_nothing_has_no_allocator() -> None:
    b = world()
    outcome = b.run("r0 = 0; exit")

    assert outcome.allocator == ()
    assert "mem_alloc" not in b.kernel.services


def test_in_an_nmi_four_small_allocations_succeed_and_the_refill_comes_afterwards() -> None:
    b = world()
    news = "; ".join(BUF.format(at=-8 * n, size=80) for n in range(1, 7))
    ends = "; ".join(BUF_END.format(at=-8 * n) for n in range(1, 7))

    outcome = b.run(f"{news}; {ends}; r0 = 0; exit", context="nmi")

    assert [report.result for report in outcome.iterators] == [0, 0, 0, 0, -12, -12]
    (stats,) = outcome.allocator
    assert (stats.failed, stats.refills, stats.free_cnt) == (2, 1, 52)
    assert outcome.ok


def test_reading_what_a_destroyed_iterator_held_is_a_use_after_free() -> None:
    text = f"{BUF.format(at=-8, size=80)}; r1 = r10; r1 += -8; call bpf_iter_buf_next"
    text += f"; r6 = *(u64 *)(r0 +0); {BUF_END.format(at=-8)}; r0 = *(u64 *)(r6 +0); exit"

    outcome = world().run(text)

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.USE_AFTER_FREE
    assert outcome.fault.allocated_by is not None and outcome.fault.freed_by is not None
    assert outcome.fault.allocated_by.what == "call bpf_iter_buf_new"
    assert outcome.fault.freed_by.what == "call bpf_iter_buf_destroy"
    stale = world(stale_units=True).run(text)
    assert stale == 0 and stale.ok


def test_grace_periods_end_with_a_run_unless_told_otherwise() -> None:
    for grace_periods, waiting in (True, (0, 0)), (False, (1, 0)):
        b = world(grace_periods=grace_periods)
        b.kernel.rcu.call_rcu(lambda: None)
        b.run("r0 = 0; exit")
        assert b.kernel.rcu.waiting == waiting


def test_on_preempt_rt_irq_work_runs_when_the_program_is_over() -> None:
    from bpfemu.kernel.config import KernelConfig
    from bpfemu.proto.profile import find_profile

    profile = replace(find_profile("6.12.0"), preempt_rt=True)
    catalog = world().kernel.catalog
    kernel = Kernel(
        catalog,
        KernelConfig(profile=profile),
        kernel_btf=None,
        arena_base=ARENA_BASE,
        arena_size=ARENA_SIZE,
    )
    b = Bench(kernel)
    news = "; ".join(BUF.format(at=-8 * n, size=80) for n in range(1, 7))
    ends = "; ".join(BUF_END.format(at=-8 * n) for n in range(1, 7))

    outcome = b.run(f"{news}; {ends}; r0 = 0; exit")

    assert [report.result for report in outcome.iterators] == [0, 0, 0, 0, -12, -12]
    assert outcome.allocator[0].refills == 1


# ---- nesting ------------------------------------------------------------------------------------


def test_a_run_may_interrupt_another_and_has_its_own_stack_and_ledger() -> None:
    b = world()
    outer = b.image(f"{NUM}; r0 = 0; exit", name="outer")
    machine, _ = b.kernel.start(outer, RunOptions(cpu=1))
    b.kernel.memory.set_state(machine.stack[0] - 512, 512, VALID)
    regs: list[Any] = [0, machine.stack[0] - 8, 0, 3, 0, 0, 0, 0, 0, 0, machine.stack[0]]
    machine.gate.call(0, 4, regs)

    inner = b.run("r1 = 0; call bpf_where; exit", context="nmi")
    outcome = b.kernel.close(Stop(StopKind.EXIT, 0, 6))

    assert inner == 1 and inner.ok  # on the CPU that it interrupted
    assert kinds(outcome) == ["iterator"]
    assert b.kernel.cpus.here.contexts == []


def test_the_interrupted_program_goes_on_with_its_own_ledger() -> None:
    b = world()
    image = b.image("call bpf_iter_num_new; call bpf_iter_num_destroy; exit")
    machine = b.enter(image)
    top = machine.stack[0]
    b.kernel.memory.set_state(top - 512, 512, VALID)
    machine.gate.call(0, 0, [0, top - 8, 0, 3, 0, 0, 0, 0, 0, 0, top])
    nested = b.kernel.start(image, RunOptions(context="nmi"))[0]
    assert nested.stack != machine.stack
    b.kernel.close(Stop(StopKind.EXIT, 0, 1))

    machine.gate.call(1, 1, [0, top - 8, 0, 0, 0, 0, 0, 0, 0, 0, top])

    assert b.kernel.close(Stop(StopKind.EXIT, 0, 2)).ok


def test_a_run_that_an_exception_ended_is_left_behind() -> None:
    b = world()
    image = b.image("call bpf_preempt_disable; r1 = 0; r2 = 0; call bpf_broken; exit")
    with pytest.raises(BodyError):
        b.run(image, context="softirq")

    b.kernel.abort()

    here = b.kernel.cpus.here
    assert (here.contexts, here.preempt_count, here.migrate_count) == ([], 0, 0)
    assert b.run("r0 = 7; exit") == 7
    b.kernel.abort()  # nothing is open: nothing happens


def test_a_context_that_cannot_be_placed_leaves_the_current_task_alone() -> None:
    b = populated()
    with pytest.raises(InputError, match="must be bytes"):
        b.run("r0 = 0; exit", task=20, ctx={"a": 1})

    assert b.run("call bpf_current_pid; exit") == 10


# ---- loading ------------------------------------------------------------------------------------

HANDLE = ARENA_BASE
VALUES = ARENA_BASE + 0x1000
DATA = ARENA_BASE + 0x2000


def array_slot(name: str = "numbers", value_size: int = 12) -> MapSlot:
    return MapSlot(MapDef(name, 2, 4, value_size, 3), HANDLE, VALUES)


class Table(list[Any]):
    """A map table that remembers what it was told to create."""

    def create(self, slot: MapSlot, btf: Any) -> None:
        self.append(slot)

    def at(self, addr: int) -> Any:
        return next(slot for slot in self if slot.addr == addr)


def loaded(**more: Any) -> tuple[Bench, ProgramImage, Table]:
    b = world()
    table = b.kernel.services["maps"] = Table()
    segments = (
        Segment(".data", "x.data", DATA, b"abcd", True),
        Segment(".rodata", "x.rodata", DATA + 0x100, b"efgh", False),
    )
    image = b.image("r0 = 0; exit", maps=(array_slot(),), segments=segments)
    b.kernel.load(image)
    return b, image, table


def test_loading_claims_handles_values_and_data_where_the_image_wants_them() -> None:
    b, _, table = loaded()
    memory = b.kernel.memory

    assert [slot.definition.name for slot in table] == ["numbers"]
    assert memory.state_of(HANDLE) == memory.state_of(HANDLE + 511) == KERNEL
    values = memory.find_region(VALUES)
    assert values is not None and values.kind is RegionKind.VALUE
    assert values.size == 16 * 3  # elements rounded up to 8
    assert memory.read(DATA, 4) == b"abcd" and memory.state_of(DATA) == VALID
    assert memory.read(DATA + 0x100, 4) == b"efgh" and memory.state_of(DATA + 0x100) == READ_ONLY


def test_a_map_without_fixed_values_claims_its_handle_alone() -> None:
    b = world()
    table = b.kernel.services["maps"] = Table()
    slot = MapSlot(MapDef("h", 1, 4, 8, 16), HANDLE)
    b.kernel.load(b.image("r0 = 0; exit", maps=(slot,)))

    assert list(table) == [slot]
    assert len(b.kernel.memory.regions()) == 1


def test_what_is_allocated_later_lies_behind_it() -> None:
    b, _, _ = loaded()

    assert b.kernel.memory.allocate(8, RegionKind.MEMORY, "x").addr > DATA + 0x104


def test_another_program_of_the_object_places_nothing_twice() -> None:
    b, image, table = loaded()
    b.kernel.memory.write(DATA, b"zzzz")

    b.kernel.load(replace(image, name="other"))

    assert len(table) == 1
    assert b.kernel.memory.read(DATA, 4) == b"zzzz"


def test_two_objects_cannot_want_one_address() -> None:
    b, image, _ = loaded()
    other = replace(image, maps=(array_slot("letters"),))

    with pytest.raises(InputError, match="'letters' wants 0xffff888000000000, where 'numbers'"):
        b.kernel.load(other)


def test_an_image_for_another_arena_is_refused() -> None:
    b, image, _ = loaded()

    with pytest.raises(InputError, match="bound for an arena at 0x1000"):
        b.kernel.load(replace(image, arena_base=0x1000))


def test_real_maps_are_created_and_found_by_name() -> None:
    catalog = Catalog.discover("bpfemu.kernel.maps")
    b = bench(catalog=CATALOG.merged(catalog))
    image = b.image("r0 = 0; exit", maps=(array_slot(),))

    b.kernel.load(image)

    found = b.kernel.find_map("numbers")
    assert found.addr == HANDLE and found.max_entries == 3
    assert found.user_update(b"\1\0\0\0", b"x" * 12) == 0
    assert b.kernel.memory.read(VALUES + 16, 12) == b"x" * 12
    with pytest.raises(InputError, match="no map 'letters' is loaded; there are numbers"):
        b.kernel.find_map("letters")
    assert b.run(image).records == ()


def test_records_reach_the_outcome() -> None:
    class Ring:
        name = "events"
        queue = [b"one", b"two"]

        def drain(self) -> list[bytes]:
            taken, self.queue = self.queue, []
            return taken

    b = world()
    b.kernel.services["maps"] = [Ring()]

    records = b.run("r0 = 0; exit").records

    assert [(record.map, record.data) for record in records] == [
        ("events", b"one"),
        ("events", b"two"),
    ]
    assert b.run("r0 = 0; exit").records == ()


def test_an_arena_map_belongs_to_the_run() -> None:
    b = world()
    slot = MapSlot(MapDef("arena", 33, 0, 0, 4), HANDLE)
    b.kernel.services["maps"] = Table([slot])

    b.enter(b.image("r0 = 0; exit", maps=(slot,)))

    assert b.kernel.running.now.arena is slot


# ---- outcomes -----------------------------------------------------------------------------------


def test_an_outcome_names_profile_seed_context_and_program() -> None:
    b = world(seed=5)

    outcome = b.run(b.image("r0 = 0; exit", name="hello"), context="softirq")

    assert str(outcome) == ("hello: returned 0; 2 insns, kernel 6.12.0, softirq context, seed 5")
    assert outcome.memory_used > 8 * 512


def test_equal_seeds_give_equal_histories() -> None:
    def history(seed: int) -> Outcome:
        b = world(seed=seed)
        text = f"call bpf_get_prandom_u32; r6 = r0; {pairs([80, 320])}; r0 = r6; exit"
        return b.run(text)

    assert history(3) == history(3)
    assert history(3).r0 != history(4).r0


def test_a_budget_belongs_to_the_kernel_or_to_one_run() -> None:
    b = world(budget=10)
    loop = "loop: r0 = 0; goto loop"

    assert b.run(loop).insns == 10
    outcome = b.run(loop, budget=20)
    assert (outcome.insns, outcome.stop.kind) == (20, StopKind.BUDGET)
    assert not outcome.ok and outcome.leaks == ()


def test_an_unknown_service_is_an_input_error() -> None:
    with pytest.raises(InputError, match="this kernel has no service 'teapot'"):
        world().kernel.services["teapot"]


def test_services_are_made_once_and_only_when_asked_for() -> None:
    services = world().kernel.services

    assert "unlock_work" not in services
    assert services["unlock_work"] is services["unlock_work"]
    for name in ("rcu", "locks", "profile", "space", "memory", "clock", "printk", "run", "cpu"):
        assert services[name] is services[name]


def test_the_running_program_is_a_service() -> None:
    b = world()
    image = b.image("r0 = 0; exit", name="hello")
    b.enter(image, ctx=b"abcd")
    run = b.kernel.services["run"]

    assert run.image is image and run.packet is None
    assert b.kernel.memory.read(run.ctx, 4) == b"abcd"
    addr = run.ctx
    b.kernel.close(Stop(StopKind.EXIT, 0, 1))
    assert b.kernel.memory.state_of(addr) == FREED


# ---- the world ----------------------------------------------------------------------------------


@kfunc()
def bpf_current_pid(*, tasks: Tasks) -> s64:
    return s64(tasks.current.pid)


@kfunc()
def bpf_read_user(addr: u64, *, probe_read: ProbeRead) -> s64:
    data = probe_read.user(addr, 4)
    return s64(data if isinstance(data, int) else int.from_bytes(data, "little"))


def populated() -> Bench:
    from bpfemu.world.spec import TaskSpec, VmaSpec, World

    vma = VmaSpec(0x40_0000, 0x40_1000, content=b"\x2a\0\0\0")
    tasks = (TaskSpec(pid=10, comm="one"), TaskSpec(pid=20, comm="two", vmas=(vma,)))
    catalog = Catalog.discover("bpfemu.world").merged(Catalog.of(bpf_current_pid, bpf_read_user))
    return bench(catalog=CATALOG.merged(catalog), world=World(tasks=tasks, current=10))


def test_a_run_can_be_that_of_another_task() -> None:
    b = populated()
    text = "call bpf_current_pid; exit"

    assert b.run(text) == 10
    assert b.run(text, task=20) == 20
    assert b.run(text) == 10
    with pytest.raises(InputError, match="99"):
        b.run(text, task=99)
    assert b.run(text) == 10


def test_user_memory_is_that_of_the_current_task() -> None:
    b = populated()
    text = "r1 = 4194304; call bpf_read_user; exit"

    assert b.run(text, task=20) == 42
    assert b.run(text).value == -14


def test_an_nmi_sees_the_task_that_it_interrupts() -> None:
    b = populated()
    b.enter(b.image("r0 = 0; exit"), task=20)

    assert b.run("call bpf_current_pid; exit", context="nmi") == 20
    b.kernel.close(Stop(StopKind.EXIT, 0, 1))
    assert b.run("call bpf_current_pid; exit") == 10
