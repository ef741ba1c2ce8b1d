"""The kernel's own functions behind the gate: sequences of the notes, and arbitrary arguments."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.image import CallTarget, MapSlot, ProgramImage
from bpfemu.isa.insn import Call, Exit
from bpfemu.kernel.config import KernelConfig, RunOptions
from bpfemu.kernel.kernel import Kernel
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.gate import ProgramExit, Throw
from bpfemu.machine.machine import code_address
from bpfemu.machine.memory import UNINIT, VALID
from bpfemu.machine.stop import Stop, StopKind, Trap
from bpfemu.object import MapDef
from bpfemu.outcome import Outcome
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import find_profile
from bpfemu.record import replace
from tests.kernel.doubles import ARENA_BASE, ARENA_SIZE, Bench


@cache
def catalog() -> Catalog:
    rooms = ("helpers", "maps", "progs")
    found = Catalog.discover(*(f"bpfemu.kernel.{room}" for room in rooms), "bpfemu.world")
    return found.merged(Catalog.discover("kfuncs"))


def lab(profile: str = "6.12.0", **config: Any) -> Bench:
    """A whole kernel: every kfunc and helper, its own BTF, the default world."""
    chosen = find_profile(profile)
    kernel = Kernel(
        catalog(),
        KernelConfig(profile=chosen, **config),
        kernel_btf=vmlinux_btf(catalog(), chosen),
        arena_base=ARENA_BASE,
        arena_size=ARENA_SIZE,
    )
    return Bench(kernel)


# ---- task_vma where it was asked for ------------------------------------------------------------

TASK = "call bpf_get_current_task_btf; r9 = r0"
NEW = "r1 = r10; r1 += {at}; r2 = r9; r3 = 0; call bpf_iter_task_vma_new; r6 = r0"
NEXT = "r1 = r10; r1 += {at}; call bpf_iter_task_vma_next; r8 = r0"
END = "r1 = r10; r1 += {at}; call bpf_iter_task_vma_destroy"


def text(*parts: str, at: int = -8) -> str:
    return "; ".join([TASK, *parts, "r0 = r6; exit"]).format(at=at)


def results(outcome: Outcome) -> list[int]:
    return [report.result for report in outcome.iterators]


@pytest.mark.parametrize("context", ["task", "softirq"])
@pytest.mark.parametrize("profile", ["6.7", "6.12.0", "6.18.0", "6.18.44"])
def test_task_vma_runs_where_interrupts_are_on(profile: str, context: str) -> None:
    outcome = lab(profile).run(text(NEW, NEXT, END, NEW, NEXT, END), context=context)

    assert results(outcome) == [0, 0]
    assert outcome.ok
    assert [report.elements for report in outcome.iterators] == [1, 1]


@pytest.mark.parametrize("context", ["irqoff", "hardirq", "nmi"])
@pytest.mark.parametrize("profile", ["6.7", "6.12.0", "6.18.0"])
def test_up_to_6_18_32_one_pair_works_with_interrupts_off_and_the_second_is_busy(
    profile: str, context: str
) -> None:
    b = lab(profile)
    outcome = b.run(text(NEW, NEXT, END, NEW, END), context=context)

    assert results(outcome) == [0, -16]
    assert outcome.ok
    (stats,) = outcome.allocator  # the second new popped a unit and pushed it back
    assert (stats.allocs, stats.frees, stats.failed) == (2, 2, 0)
    assert b.kernel.locks.mmap(b.kernel.services["tasks"].current.mm).readers == 0


@pytest.mark.parametrize("context", ["irqoff", "hardirq", "nmi"])
def test_since_6_18_33_task_vma_refuses_and_touches_nothing(context: str) -> None:
    b = lab("6.18.44")
    b.run(text(NEW, END))

    outcome = b.run(text(NEW, NEXT, END), context=context)

    assert results(outcome) == [-16]
    assert outcome.allocator == ()
    assert outcome.ok


def test_nested_in_an_nmi_the_fifth_new_runs_out_of_units() -> None:
    nested = [NEW.format(at=-8 * n) for n in range(1, 7)]
    undo = [END.format(at=-8 * n) for n in range(1, 7)]

    outcome = lab("6.12.0").run(text(*nested, *undo), context="nmi")

    assert results(outcome) == [0, 0, 0, 0, -12, -12]
    assert [leak.kind for leak in outcome.leaks] == ["mmap_lock"] * 3  # one work for all four


def test_two_nested_iterators_share_one_unlock_work_and_leak_a_lock() -> None:
    outer, inner = NEW.format(at=-8), NEW.format(at=-16)
    b = lab("6.12.0")

    outcome = b.run(text(outer, inner, END.format(at=-16), END.format(at=-8)), context="nmi")

    assert [leak.kind for leak in outcome.leaks] == ["mmap_lock"]
    assert b.kernel.locks.mmap(b.kernel.services["tasks"].current.mm).readers == 1


@pytest.mark.parametrize("profile", ["6.12.0", "6.18.44"])
def test_a_missing_destroy_names_everything_that_it_kept(profile: str) -> None:
    outcome = lab(profile).run(text(NEW, NEXT))

    kinds = [leak.kind for leak in outcome.leaks]
    assert kinds == (
        ["iterator", "mmap_lock", "object"] if profile == "6.12.0" else ["iterator", "object"]
    )


def test_64_iterators_at_once() -> None:
    nested = [NEW.format(at=-8 * n) for n in range(1, 65)]
    undo = [END.format(at=-8 * n) for n in range(1, 65)]

    outcome = lab("6.18.44").run(text(*nested, *undo))

    assert set(results(outcome)) == {0} and outcome.ok


def test_elements_of_the_snapshot_stand_at_0x48_and_units_come_back_last_first() -> None:
    b = lab("6.18.44")
    addresses = []
    for _ in range(3):
        outcome = b.run(text(NEW, NEXT, END, "r6 = r8"))
        addresses.append(outcome.r0)

    assert [addr & 0x1FF for addr in addresses] == [0x48] * 3
    assert len(set(addresses)) == 1  # the unit just freed is the next one handed out


def test_an_element_read_after_destroy_is_a_use_after_free_that_names_both_calls() -> None:
    fault = lab("6.18.44").run(text(NEW, NEXT, END, "r6 = *(u64 *)(r8 +0)")).fault

    assert fault is not None and fault.allocated_by is not None and fault.freed_by is not None
    assert fault.allocated_by.what == "call bpf_iter_task_vma_new"
    assert fault.freed_by.what == "call bpf_iter_task_vma_destroy"


# ---- arbitrary arguments ------------------------------------------------------------------------

MAPS = (
    MapSlot(MapDef("hash", 1, 4, 8, 8), ARENA_BASE),
    MapSlot(MapDef("array", 2, 4, 8, 8), ARENA_BASE + 0x400),
    MapSlot(MapDef("ring", 27, 0, 0, 4096), ARENA_BASE + 0x800),
)


def everything(b: Bench) -> ProgramImage:
    """An image that can call all there is."""
    specs: list[Any] = [*b.kernel.catalog.helpers.values()]
    specs += b.kernel.catalog.select(b.kernel.config.profile).values()
    calls = tuple(CallTarget(spec.name, spec) for spec in specs)
    image = b.image("r0 = 0; exit", sleepable=True, maps=MAPS)
    code = (*(Call("kfunc", 1, 0, index) for index in range(len(calls))), Exit())
    return replace(image, calls=calls, code=code, lines=(None,) * len(code))


def registers(stack: tuple[int, ...], data: st.DataObject, world: Any) -> list[Any]:
    top = stack[0]
    values = st.one_of(
        st.none(),
        st.sampled_from([0, 1, 2, 4, 8, 16, 64, 511, 512, 1 << 31, (1 << 32) - 1, (1 << 64) - 1]),
        st.integers(top - 520, top + 8),
        st.sampled_from([top - 8, top - 16, top - 24, top - 64]),
        st.sampled_from([slot.addr for slot in MAPS]),
        st.just(int(world.tasks.current)),
        st.just(code_address(0)),
        st.integers(0, (1 << 64) - 1),
    )
    return [None, *(data.draw(values) for _ in range(5)), None, None, None, None, top]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("profile", ["6.12.0", "6.18.44"])
def test_no_argument_makes_a_body_raise(profile: str, data: st.DataObject) -> None:
    b = lab(profile)
    image = everything(b)
    b.kernel.load(image)
    machine, _ = b.kernel.start(image, RunOptions(ctx=bytes(64)))
    top = machine.stack[0]
    b.kernel.memory.set_state(top - 512, 256, UNINIT)
    b.kernel.memory.set_state(top - 256, 256, VALID)

    for _ in range(data.draw(st.integers(1, 12))):
        target = data.draw(st.integers(0, len(image.calls) - 1))
        regs = registers(machine.stack, data, b.kernel.services["world"])
        try:
            upcall = machine.gate.call(target, target, regs)
            for _ in range(3 if upcall is not None else 0):
                assert upcall is not None
                next(upcall)
            if upcall is not None:
                upcall.close()
        except (Trap, Throw, ProgramExit, StopIteration):
            continue
        if upcall is None:
            assert regs[0] is None or 0 <= regs[0] < 1 << 64
            assert regs[1:6] == [None] * 5
    outcome = b.kernel.close(Stop(StopKind.EXIT, 0, 1))
    assert isinstance(outcome, Outcome)


def test_what_a_body_asks_of_btf_that_lacks_it_is_an_input_error() -> None:
    chosen = find_profile("6.12.0")
    kernel = Kernel(
        Catalog.discover("kfuncs"),
        KernelConfig(profile=chosen),
        kernel_btf=None,
        arena_base=ARENA_BASE,
        arena_size=ARENA_SIZE,
    )
    with pytest.raises(InputError):
        kernel.services["world"].tasks  # noqa: B018
