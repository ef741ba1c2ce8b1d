"""The call gate: steps in order, faults in the verifier's words (verifier notes 2.3 and 3.5)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from bpfemu.errors import BodyError
from bpfemu.image import ProgramImage
from bpfemu.machine.gate import ProgramExit
from bpfemu.machine.machine import CODE_BASE
from bpfemu.machine.memory import RegionKind
from bpfemu.machine.stop import FaultKind, StopKind
from bpfemu.outcome import Outcome
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import KF_ACQUIRE, KF_RCU, KF_RELEASE, KF_TRUSTED_ARGS
from bpfemu.proto.marks import helper, kfunc
from bpfemu.proto.services import Maps
from bpfemu.proto.types import Callback, MapPtr, Ptr, bool_, s32, s64, u32, u64, void
from tests.kernel.doubles import CATALOG, Bench, bench, bpf_iter_num, thing

SUM = """
    r1 = r10; r1 += -8; r2 = 0; r3 = 5; call bpf_iter_num_new; r6 = 0
loop: r1 = r10; r1 += -8; call bpf_iter_num_next; if r0 == 0 goto out
    r1 = *(u32 *)(r0 +0); r6 += r1; goto loop
out: r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = r6; exit
"""


def fault_of(outcome: Outcome) -> tuple[FaultKind, str]:
    assert outcome.fault is not None, outcome
    return outcome.fault.kind, outcome.fault.detail


def run(text: str, *, sleepable: bool = False, **options: Any) -> Outcome:
    b = bench()
    return b.run(b.image(text, sleepable=sleepable), **options)


def test_a_num_loop_runs_through_the_gate_and_leaves_nothing() -> None:
    outcome = run(SUM)

    assert outcome == 0 + 1 + 2 + 3 + 4
    assert outcome.ok
    (report,) = outcome.iterators
    assert (report.type, report.elements, report.ended, report.pc) == ("num", 5, "drained", 4)


# ---- 1 who --------------------------------------------------------------------------------------


def test_an_unresolved_weak_function_may_not_be_called() -> None:
    b = bench()
    image = b.image("call bpf_no_such_thing; r0 = 0; exit", poisoned="bpf_no_such_thing")

    kind, detail = fault_of(b.run(image))

    assert kind is FaultKind.BAD_CALL
    assert detail == "calling kernel function bpf_no_such_thing is not allowed"


# ---- 2 may it -----------------------------------------------------------------------------------


def test_a_sleepable_kfunc_needs_a_sleepable_program() -> None:
    assert fault_of(run("call bpf_thing_sleep; exit")) == (
        FaultKind.CONTEXT,
        "program must be sleepable to call sleepable kfunc bpf_thing_sleep",
    )
    assert run("call bpf_thing_sleep; exit", sleepable=True).value == -5


@pytest.mark.parametrize(
    ("enter", "region"),
    [
        ("call bpf_rcu_read_lock", "rcu_read_lock"),
        ("call bpf_preempt_disable", "non-preemptible"),
        ("r1 = r10; r1 += -8; call bpf_local_irq_save", "IRQ-disabled"),
    ],
)
def test_no_sleep_within_a_region(enter: str, region: str) -> None:
    outcome = run(f"{enter}; call bpf_thing_sleep; exit", sleepable=True)

    assert fault_of(outcome) == (
        FaultKind.CONTEXT,
        f"kernel func bpf_thing_sleep is sleepable within {region} region",
    )


def test_a_helper_that_may_sleep_is_checked_too() -> None:
    call = "r1 = 0; r2 = 0; call bpf_copy; exit"

    @helper(148, sleepable=True)
    def bpf_copy(dst: u64, size: u64) -> s64:
        return s64(0)

    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_copy)))
    assert fault_of(b.run(b.image(call))) == (
        FaultKind.CONTEXT,
        "helper call might sleep in a non-sleepable prog",
    )
    locked = f"call bpf_rcu_read_lock; {call}"
    assert fault_of(b.run(b.image(locked, sleepable=True))) == (
        FaultKind.CONTEXT,
        "sleepable helper bpf_copy#148 in rcu_read_lock region",
    )
    assert b.run(b.image(call, sleepable=True)) == 0


def test_an_rcu_protected_kfunc_needs_a_section() -> None:
    call = "call bpf_thing_rcu; r6 = r0"
    assert run(f"{call}; r0 = r6; exit") == 1  # a program that cannot sleep is in one
    assert fault_of(run(f"{call}; r0 = r6; exit", sleepable=True)) == (
        FaultKind.CONTEXT,
        "kernel func bpf_thing_rcu requires RCU critical section protection",
    )
    locked = f"call bpf_rcu_read_lock; {call}; call bpf_rcu_read_unlock; r0 = r6; exit"
    assert run(locked, sleepable=True) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "call bpf_rcu_read_lock; call bpf_rcu_read_lock; exit",
            "nested rcu read lock (kernel function bpf_rcu_read_lock)",
        ),
        (
            "call bpf_rcu_read_unlock; exit",
            "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)",
        ),
        (
            "call bpf_preempt_enable; exit",
            "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)",
        ),
    ],
)
def test_pairs_are_checked(text: str, words: str) -> None:
    assert fault_of(run(text)) == (FaultKind.LOCK_STATE, words)


def test_preemption_nests_and_comes_back() -> None:
    text = "call bpf_preempt_disable; call bpf_preempt_disable;"
    text += "call bpf_preempt_enable; call bpf_preempt_enable; r0 = 3; exit"
    b = bench()

    assert b.run(text) == 3
    assert b.kernel.cpus.here.preempt_count == 0


def test_while_a_spin_lock_is_held_only_a_few_functions_may_be_called() -> None:
    b = bench()
    image = b.image("call bpf_get_prandom_u32; exit")
    b.kernel.start(image)
    b.kernel.locks.spin_lock(0x1000)
    gate = b.kernel.running.now.gate
    assert gate is not None
    regs: list[Any] = [None] * 11

    with pytest.raises(Exception, match="function calls are not allowed while holding a lock"):
        gate.call(0, 0, regs)
    b.kernel.locks.spin_unlock(0x1000)
    gate.call(0, 0, regs)
    assert 0 <= regs[0] < 1 << 32


def test_num_iterators_may_run_under_a_spin_lock() -> None:
    b = bench()
    image = b.image("call bpf_iter_num_new; exit")
    machine = b.enter(image)
    b.kernel.locks.spin_lock(0x1000)
    top = machine.stack[0]
    b.kernel.memory.set_state(top - 512, 512, 6)  # UNINIT, as the engine leaves a new frame

    machine.gate.call(0, 0, [0, top - 8, 0, 3, 0, 0, 0, 0, 0, 0, top])

    assert len(b.kernel.running.now.ledger.iterators) == 1


# ---- 3 state: iterators -------------------------------------------------------------------------

NEW = "r1 = r10; r1 += {at}; r2 = 0; r3 = 5; call bpf_iter_num_new"
NEXT = "r1 = r10; r1 += {at}; call bpf_iter_num_next"
DESTROY = "r1 = r10; r1 += {at}; call bpf_iter_num_destroy"
END = "r0 = 0; exit"


def program(*parts: str, at: int = -8) -> str:
    return "; ".join([*parts, END]).format(at=at)


INITIALISED = (FaultKind.ITERATOR_STATE, "expected an initialized iter_num as arg #0")
UNINITIALISED = (FaultKind.ITERATOR_STATE, "expected uninitialized iter_num as arg #0")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((NEXT,), INITIALISED),
        ((DESTROY,), INITIALISED),
        ((NEW, DESTROY, NEXT), INITIALISED),
        ((NEW, DESTROY, DESTROY), INITIALISED),
        ((NEW, NEW), UNINITIALISED),
        ((NEW, "r1 = 0; *(u8 *)(r10 -8) = r1", NEXT), INITIALISED),
        ((NEW, "r1 = 0; *(u8 *)(r10 -1) = r1", DESTROY), INITIALISED),
    ],
)
def test_iterators_are_used_in_their_states(parts: tuple[str, ...], expected: Any) -> None:
    assert fault_of(run(program(*parts))) == expected


def test_a_slot_can_be_used_again_after_destroy() -> None:
    assert run(program(NEW, DESTROY, NEW, NEXT, DESTROY)).ok


def test_next_of_another_type_is_refused_with_the_kfuncs_type() -> None:
    text = program(NEW, "r1 = r10; r1 += -8; call bpf_iter_buf_next")

    assert fault_of(run(text)) == (
        FaultKind.ITERATOR_STATE,
        "expected an initialized iter_buf as arg #0",
    )


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (-12, "cannot pass in iter at an offset=-12; expected uninitialized iter_num as arg #0"),
        (-4, "cannot pass in iter at an offset=-4; expected uninitialized iter_num as arg #0"),
        (0, "invalid write to stack R1 off=0 size=8"),
        (-520, "invalid write to stack R1 off=-520 size=8"),
    ],
)
def test_an_iterator_needs_aligned_slots_of_the_frame(at: int, words: str) -> None:
    outcome = run(program(NEW, at=at))

    assert outcome.fault is not None
    assert outcome.fault.detail == words


def test_next_at_an_odd_offset_is_refused_too() -> None:
    assert fault_of(run(program(NEXT, at=-12))) == (
        FaultKind.ITERATOR_STATE,
        "cannot pass in iter at an offset=-12; expected an initialized iter_num as arg #0",
    )


def test_three_slots_do_not_fit_at_the_frames_end() -> None:
    outcome = run("r1 = r10; r1 += -16; call bpf_iter_rcu_new; exit")

    assert outcome.fault is not None
    assert outcome.fault.detail.startswith("cannot pass in iter at an offset=-16")


@pytest.mark.parametrize("call", ["new", "next", "destroy"])
@pytest.mark.parametrize("value", ["r1 = 0", "r1 = 4096 ll", ""])
def test_an_iterator_lives_on_the_stack(call: str, value: str) -> None:
    b = bench()
    machine = b.enter(b.image(f"call bpf_iter_num_{call}; exit"))
    addr = {"r1 = 0": 0, "r1 = 4096 ll": 4096, "": None}[value]
    regs: list[Any] = [None, addr, 0, 0, None, None, None, None, None, None, machine.stack[0]]

    with pytest.raises(Exception, match="arg#0 expected pointer to an iterator on stack"):
        machine.gate.call(0, 0, regs)


def test_an_iterator_cannot_lie_in_a_frame_that_is_not_open() -> None:
    b = bench()
    machine = b.enter(b.image("call bpf_iter_num_new; exit"))

    with pytest.raises(Exception, match="write of 8 bytes"):
        machine.gate.call(0, 0, [None, machine.stack[3] - 8, 0, 0] + [None] * 7)  # type: ignore


def test_a_callee_may_use_its_callers_iterator() -> None:
    text = f"""
        {NEW.format(at=-8)}
        r1 = r10; r1 += -8; call sub; r6 = r0
        {DESTROY.format(at=-8)}
        r0 = r6; exit
    sub: call bpf_iter_num_next; r0 = *(u32 *)(r0 +0); r0 += 7; exit
    """

    assert run(text) == 7


def test_an_iterator_left_in_a_subprogram_leaks_and_its_slot_is_free_again() -> None:
    text = f"call sub; call sub; r0 = 0; exit; sub: {NEW.format(at=-8)}; r0 = 0; exit"

    outcome = run(text)

    assert outcome == 0 and not outcome.ok
    assert [leak.kind for leak in outcome.leaks] == ["iterator", "iterator"]
    assert [report.ended for report in outcome.iterators] == ["overwritten", "overwritten"]


def test_an_iterators_bytes_cannot_be_read_from_the_stack() -> None:
    from bpfemu.machine.memory import LoadKind

    b = bench()
    text = program(NEW, "r1 = *(u64 *)(r10 -8)")
    slot = next(i for i, insn in enumerate(b.image(text).code) if type(insn).__name__ == "Load")
    outcome = b.run(b.image(text, loads={slot: LoadKind.STACK}))

    assert fault_of(outcome) == (
        FaultKind.ITERATOR_STATE,
        "invalid read from stack off -8+0 size 8",
    )


def test_after_destroy_the_slot_is_plain_stack_with_nothing_in_it() -> None:
    outcome = run(program(NEW, DESTROY, "r1 = *(u64 *)(r10 -8)"))

    assert outcome == 0
    assert [finding.kind for finding in outcome.findings] == [FaultKind.UNINITIALISED]


def test_an_rcu_iterator_dies_with_its_section() -> None:
    new = "r1 = r10; r1 += -24; call bpf_iter_rcu_new"
    for call in ("next", "destroy"):
        text = f"call bpf_rcu_read_lock; {new}; call bpf_rcu_read_unlock; call bpf_rcu_read_lock;"
        text += f"r1 = r10; r1 += -24; call bpf_iter_rcu_{call}; r0 = 0; exit"
        assert fault_of(run(text, sleepable=True)) == (
            FaultKind.ITERATOR_STATE,
            f"expected an RCU CS when using bpf_iter_rcu_{call}",
        )


def test_a_num_iterator_survives_the_end_of_a_section() -> None:
    text = program("call bpf_rcu_read_lock", NEW, "call bpf_rcu_read_unlock", NEXT, DESTROY)

    assert run(text).ok


def test_a_failed_new_still_leaves_an_iterator_to_destroy() -> None:
    new = "r1 = r10; r1 += -8; r2 = 5; r3 = 2; call bpf_iter_num_new; r6 = r0"
    outcome = run(f"{new}; {NEXT}; r7 = r0; {DESTROY}; r0 = r6; exit".format(at=-8))

    assert outcome.r0 == 0xFFFF_FFEA  # zero-extended, as x86-64 leaves it
    assert outcome.value == -22
    (report,) = outcome.iterators
    assert (report.result, report.elements, report.ended) == (-22, 0, "new failed (-22)")


def test_leaving_early_is_told_from_draining() -> None:
    (report,) = run(program(NEW, NEXT, NEXT, DESTROY)).iterators

    assert (report.elements, report.ended) == (2, "left early")


# ---- 3 state: references ------------------------------------------------------------------------


def test_acquire_and_release_balance() -> None:
    assert run("r1 = 4096; call bpf_thing_get; r1 = r0; call bpf_thing_put; r0 = 0; exit").ok
    assert run("r1 = 0; call bpf_thing_get; r0 = 0; exit").ok  # NULL: nothing was acquired


def test_a_reference_that_is_kept_leaks() -> None:
    outcome = run("r1 = 4096; call bpf_thing_get; r1 = 8192; call bpf_thing_get; r0 = 0; exit")

    assert [leak.message for leak in outcome.leaks] == [
        "Unreleased reference id=1 alloc_insn=1",
        "Unreleased reference id=2 alloc_insn=3; "
        "BPF_EXIT instruction in main prog would lead to reference leak",
    ]
    assert outcome.leaks[0].kind == "reference"
    assert outcome.leaks[0].what == "thing at 0x1000"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "r1 = 4096; call bpf_thing_put; exit",
            "release kernel function bpf_thing_put expects refcounted PTR_TO_BTF_ID",
        ),
        (
            "r1 = 4096; call bpf_thing_get; r6 = r0; r1 = r6; call bpf_thing_put; r1 = r6;"
            "call bpf_thing_put; exit",
            "kfunc bpf_thing_put#1001 reference has not been acquired before",
        ),
        ("r1 = 0; call bpf_thing_put; exit", "Possibly NULL pointer passed to trusted arg0"),
    ],
)
def test_releases_are_checked(text: str, words: str) -> None:
    outcome = run(text)

    assert outcome.fault is not None
    assert outcome.fault.detail == words


def test_helpers_acquire_and_release_by_number() -> None:
    assert run("r1 = 4096; call bpf_sk_lookup_tcp; r1 = r0; call bpf_sk_release; r0 = 0; exit").ok
    leak = run("r1 = 4096; call bpf_sk_lookup_tcp; r0 = 0; exit").leaks[0]
    assert leak.what == "sock at 0x1000"
    assert fault_of(run("r1 = 4096; call bpf_sk_release; exit")) == (
        FaultKind.REFERENCE_STATE,
        "R1 must be referenced when passed to release function",
    )
    twice = "r1 = 4096; call bpf_sk_lookup_tcp; r6 = r0; r1 = r6; call bpf_sk_release; r1 = r6;"
    assert fault_of(run(f"{twice} call bpf_sk_release; exit")) == (
        FaultKind.REFERENCE_STATE,
        "func sk_release#86 reference has not been acquired before",
    )
    assert fault_of(run("r1 = 0; call bpf_sk_release; exit"))[1] == (
        "Possibly NULL pointer passed to helper arg1"
    )
    assert fault_of(run("r1 = 0; call bpf_get_prandom_u32; call bpf_sk_release; exit")) == (
        FaultKind.UNINITIALISED,
        "R1 !read_ok",
    )


def test_a_dynptr_is_owned_even_when_reserving_failed() -> None:
    reserve = "r1 = 0; r2 = 8; r3 = 0; r4 = r10; r4 += -16; call bpf_ringbuf_reserve_dynptr"
    discard = "r1 = r10; r1 += -16; r2 = 0; call bpf_ringbuf_discard_dynptr"

    assert run(f"{reserve}; r0 = 0; exit").leaks[0].what.startswith("ringbuf dynptr")
    assert run(f"{reserve}; {discard}; r0 = 0; exit", sleepable=True).ok


def test_kptr_xchg_takes_one_reference_and_gives_another() -> None:
    text = "r1 = 4096; call bpf_thing_get; r2 = r0; r1 = {old}; call bpf_kptr_xchg; r0 = 0; exit"

    assert run(text.format(old=0)).ok
    assert [leak.what for leak in run(text.format(old=8192)).leaks] == ["kptr at 0x2000"]
    assert run("r1 = 0; r2 = 0; call bpf_kptr_xchg; r0 = 0; exit").ok


def test_no_tail_call_with_something_open() -> None:
    tail = "r1 = 0; r2 = 0; r3 = 0; call bpf_tail_call"
    assert run(program(tail)).ok
    assert fault_of(run(program(NEW, tail))) == (
        FaultKind.REFERENCE_STATE,
        "tail_call would lead to reference leak",
    )
    assert run(program(NEW, DESTROY, tail)).ok


# ---- 3 state: interrupt flags -------------------------------------------------------------------

SAVE = "r1 = r10; r1 += {at}; call bpf_local_irq_save"
RESTORE = "r1 = r10; r1 += {at}; call bpf_local_irq_restore"


def test_interrupts_are_saved_and_restored() -> None:
    b = bench()

    assert b.run(program(SAVE, RESTORE)).ok
    assert not b.kernel.cpus.irqs_disabled()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((RESTORE,), "expected an initialized irq flag as arg#0"),
        ((SAVE, SAVE), "expected uninitialized irq flag as arg#0"),
        ((SAVE, RESTORE, RESTORE), "expected an initialized irq flag as arg#0"),
        (
            (SAVE, "r1 = 0; *(u64 *)(r10 -8) = r1", RESTORE),
            "expected an initialized irq flag as arg#0",
        ),
        (("r1 = 0; call bpf_local_irq_save",), "arg#0 doesn't point to an irq flag on stack"),
        (
            ("r1 = r10; r1 += -12; call bpf_local_irq_save",),
            "arg#0 doesn't point to an irq flag on stack",
        ),
        (
            (SAVE, "r1 = r10; r1 += -16; call bpf_local_irq_save", RESTORE),
            "cannot restore irq state out of order, expected id=2 acquired at insn_idx=5",
        ),
    ],
)
def test_interrupt_flags_are_used_in_order(parts: tuple[str, ...], words: str) -> None:
    assert fault_of(run(program(*parts))) == (FaultKind.LOCK_STATE, words)


# ---- 4 convert ----------------------------------------------------------------------------------


@helper(90)
def bpf_echo(a: u32, b: bool_, c: s64, d: Ptr[void]) -> s64:
    return s64(a + 10 * b + 100 * c + int(d))


@helper(91)
def bpf_map_size(m: MapPtr, *, maps: Maps) -> s64:
    return s64(m.max_entries)


def echo_bench() -> Bench:
    return bench(catalog=CATALOG.merged(Catalog.of(bpf_echo, bpf_map_size)))


def test_registers_are_cut_to_the_parameters_width() -> None:
    b = echo_bench()
    image = b.image("call bpf_echo; exit")
    machine = b.enter(image)
    regs: list[Any] = [None, (7 << 32) + 3, 0x2_00, (1 << 64) - 2, 5000, 1, 2, 3, 4, 5, 6]

    assert machine.gate.call(0, 0, regs) is None

    # u32 3, bool of the lowest byte (0), s64 -2, pointer 5000
    assert regs[0] == 3 + 0 - 200 + 5000
    assert regs[1:6] == [None] * 5
    assert regs[6:] == [2, 3, 4, 5, 6][0:5]


def test_a_register_that_nobody_wrote_cannot_be_an_argument() -> None:
    b = echo_bench()
    assert fault_of(b.run("r1 = 0; call bpf_get_prandom_u32; call bpf_echo; exit")) == (
        FaultKind.UNINITIALISED,
        "R1 !read_ok",
    )
    text = "r1 = r10; r1 += -8; call bpf_get_prandom_u32; r1 = r10; r1 += -8; call {}; exit"
    assert fault_of(b.run(text.format("bpf_iter_num_new"))) == (
        FaultKind.UNINITIALISED,
        "R2 is not a scalar",
    )
    assert fault_of(b.run("call bpf_get_prandom_u32; call bpf_thing_use; exit")) == (
        FaultKind.UNINITIALISED,
        "R1 !read_ok",
    )


def test_ignored_arguments_are_not_checked() -> None:
    assert run("call bpf_get_prandom_u32; call bpf_ignores; exit") == 0
    assert run("r1 = 1; r2 = 77; call bpf_ignores; exit") == 77


def test_null_is_no_trusted_argument_unless_it_says_so() -> None:
    assert fault_of(run("r1 = 0; r2 = 0; call bpf_thing_use; exit")) == (
        FaultKind.BAD_CALL,
        "Possibly NULL pointer passed to trusted arg0",
    )
    assert with_thing("r2 = 0; call bpf_thing_use; exit").r0 == 0xFFFF_FFFB


@pytest.mark.parametrize("where", ["r1 = 4096", "r1 = r10; r1 += -8"])
def test_a_trusted_argument_is_a_kernel_object(where: str) -> None:
    assert fault_of(run(f"{where}; r2 = 0; call bpf_thing_use; exit")) == (
        FaultKind.BAD_CALL,
        "R1 must be referenced or trusted",
    )
    assert fault_of(with_thing("r2 = 4096; call bpf_thing_use; exit")) == (
        FaultKind.BAD_CALL,
        "R2 must be referenced or trusted",
    )
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_thing_look)))
    assert fault_of(b.run(f"{where}; call bpf_thing_look; exit")) == (
        FaultKind.BAD_CALL,
        "R1 must be a rcu pointer",
    )


@kfunc(KF_RCU)
def bpf_thing_look(it: Ptr[thing]) -> s64:
    return s64(it.value)


def with_thing(text: str, **config: Any) -> Outcome:
    """Run with a kernel object in r1."""
    b = bench(**config)
    addr = b.kernel.memory.allocate(8, RegionKind.OBJECT, "thing").addr
    return b.run(f"r1 = {addr:#x} ll; {text}")


def test_a_map_argument_must_be_a_map() -> None:
    class Table:
        def at(self, addr: int) -> Any:
            class Map:
                max_entries = 12

            return Map if addr == 4096 else None

        def __iter__(self) -> Any:
            return iter(())

    b = echo_bench()
    b.kernel.services["maps"] = Table()

    assert b.run("r1 = 4096; call bpf_map_size; exit") == 12
    assert fault_of(b.run("r1 = 8192; call bpf_map_size; exit")) == (
        FaultKind.BAD_CALL,
        "pointer in R1 isn't map pointer",
    )
    assert fault_of(b.run("r1 = 0; call bpf_get_prandom_u32; call bpf_map_size; exit")) == (
        FaultKind.BAD_CALL,
        "pointer in R1 isn't map pointer",
    )


# ---- 5 run --------------------------------------------------------------------------------------


def test_what_a_body_raises_is_its_authors_error() -> None:
    with pytest.raises(BodyError, match="bpf_broken: its body raised ZeroDivisionError") as error:
        run("r1 = 0; r2 = 0; call bpf_broken; exit")
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_a_pointer_that_a_body_follows_for_the_program_is_the_programs_fault() -> None:
    outcome = run("r1 = 2; r2 = 64; call bpf_broken; exit")

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.NULL_DEREF
    assert outcome.fault.pc == 2


def test_a_body_may_see_all_five_registers() -> None:
    text = "r1 = 8192; r2 = 6; r3 = 33; r4 = 0; r5 = 0; call bpf_trace_printk; exit"
    outcome = run(text)

    assert outcome == 5
    assert outcome.printk == ("6 33",)


def loop(count: int, body: str) -> tuple[Bench, ProgramImage]:
    b = bench()
    text = f"r1 = {count}; r2 = func(callback) ll; r3 = r10; r4 = 0; call bpf_loop; exit;"
    image = b.image(f"{text} callback: {body}")
    return b, _final_addresses(image)


def _final_addresses(image: ProgramImage) -> ProgramImage:
    """As bind does: a function pointer's value is the address of its slot."""
    from bpfemu.isa.insn import LoadImm64
    from bpfemu.isa.ops import Pseudo
    from bpfemu.machine.machine import code_address
    from bpfemu.record import replace

    code = list(image.code)
    for slot, insn in enumerate(code):
        if isinstance(insn, LoadImm64) and insn.pseudo is Pseudo.FUNC:
            code[slot] = LoadImm64(insn.dst, code_address(slot + 1 + (insn.value & 0xFFFF_FFFF)))
    return replace(image, code=tuple(code))


def test_a_callback_runs_in_the_program_and_its_result_comes_back() -> None:
    b, image = loop(5, "r0 = 0; if r1 < 2 goto +1; r0 = 1; exit")

    outcome = b.run(image)

    assert outcome == 3  # index 2 was the first to stop it


def test_allocations_of_a_callback_are_not_the_loops() -> None:
    new = "r1 = r10; r1 += -8; r2 = 80; call bpf_iter_buf_new"
    b, image = loop(1, f"{new}; r0 = 0; exit")

    outcome = b.run(image)

    objects = [leak for leak in outcome.leaks if leak.kind == "object"]
    assert objects[0].site is not None
    assert objects[0].site.what == "call bpf_iter_buf_new"


def test_a_fault_in_a_callback_ends_the_run_and_the_loop_with_it() -> None:
    b, image = loop(3, "r1 = *(u64 *)(r10 +8); r0 = 0; exit")

    outcome = b.run(image)

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.OUT_OF_BOUNDS
    assert b.kernel.memory.site is None


def test_a_callback_must_be_code_of_the_program() -> None:
    assert fault_of(run("r1 = 1; r2 = 64; r3 = 0; r4 = 0; call bpf_loop; exit")) == (
        FaultKind.BAD_CALL,
        "arg1 expected pointer to func",
    )


@helper(92)
def bpf_bad(cb: Callback, how: u64) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    yield from cb(1)
    if how == 0:
        raise KeyError("on purpose")
    return None  # type: ignore[return-value]


@pytest.mark.parametrize(("how", "cause"), [(0, "KeyError"), (1, "InputError")])
def test_what_a_generator_body_does_wrong_is_its_authors_error(how: int, cause: str) -> None:
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_bad)))
    text = f"r1 = func(callback) ll; r2 = {how}; call bpf_bad; exit; callback: r0 = 0; exit"

    with pytest.raises(BodyError, match=f"bpf_bad: its body raised {cause}"):
        b.run(_final_addresses(b.image(text)))
    assert b.kernel.memory.site is None


def test_a_body_that_returns_nothing_where_it_promised_something_is_wrong() -> None:
    with pytest.raises(BodyError, match="bpf_broken: its body raised InputError"):
        run("r1 = 1; r2 = 0; call bpf_broken; exit")


# ---- 6 back -------------------------------------------------------------------------------------


def test_r0_is_nobodys_after_a_void_function() -> None:
    outcome = run("call bpf_rcu_read_lock; call bpf_rcu_read_unlock; exit")

    assert outcome.fault is not None
    assert outcome.fault.detail == "R0 !read_ok"


def test_the_upper_half_after_a_32_bit_kfunc_can_come_from_the_seed() -> None:
    text = "r2 = 0; call bpf_thing_use; exit"
    plain = with_thing(text)
    filled = [with_thing(text, r0_garbage=True, seed=seed).r0 for seed in (1, 1, 2)]

    assert plain.r0 == 0xFFFF_FFFB
    assert filled[0] == filled[1] != filled[2]
    assert {value & 0xFFFF_FFFF for value in filled} == {0xFFFF_FFFB}
    assert filled[0] >> 32


def test_helpers_return_64_bits_whatever_the_option_says() -> None:
    text = "r1 = 0; r2 = 0; r3 = 0; call bpf_tail_call; exit"

    assert bench(r0_garbage=True).run(text).r0 == (1 << 64) - 2


# ---- the other doors ----------------------------------------------------------------------------


def test_function_pointers_are_slots_of_this_program() -> None:
    b = bench()
    gate = b.enter(b.image("r0 = 0; exit")).gate

    assert gate.code_slot(CODE_BASE + 8) == 1
    assert gate.code_slot(CODE_BASE + 4) is None
    assert gate.code_slot(CODE_BASE + 16) is None
    assert gate.code_slot(0) is None


def test_a_packet_load_without_a_packet_ends_the_program_with_0() -> None:
    outcome = run("r6 = r1; r0 = *(u16 *)skb[12]; r0 = 7; exit")

    assert outcome == 0
    assert outcome.stop.kind is StopKind.EXIT


def test_a_packet_load_is_big_endian_and_refused_with_something_open() -> None:
    from bpfemu.kernel.packet import Packet

    b = bench()
    machine = b.enter(b.image(program(NEW)))
    region = b.kernel.memory.allocate(8, RegionKind.PACKET, "packet")
    b.kernel.memory.write(region.addr, bytes(range(8)))
    b.kernel.running.now.packet = Packet(region.addr, 8)
    regs: list[Any] = [0] * 11

    machine.gate.packet_load(2, 2, 0, regs)
    assert regs[0] == 0x0203 and regs[1:6] == [None] * 5
    with pytest.raises(ProgramExit):
        machine.gate.packet_load(4, 6, 0, regs)
    b.kernel.running.now.ledger.acquire("x", 8, b.kernel._gate(b.kernel.running.image).site(0))
    with pytest.raises(Exception, match=r"BPF_LD_\[ABS\|IND\] would lead to reference leak"):
        machine.gate.packet_load(2, 2, 0, regs)


def test_may_goto_is_timed_since_6_15() -> None:
    text = "r0 = 0; loop: r0 += 1; may_goto out; goto loop; out: exit"
    b = bench("6.18.0", insn_ns=2000)

    outcome = b.run(text)

    # 250 ms at 2 us an instruction are 125,000; each look comes after 65,535 rounds of three.
    assert outcome.r0 % 65535 == 1
    assert outcome.r0 == 65535 * 2 + 1 or outcome.r0 == 65535 * 3 + 1
    machine = bench("6.12.0").enter(b.image("r0 = 0; exit"))
    counters = {"count": 1}
    assert [machine.gate.may_goto(counters) for _ in range(2)] == [False, True]


def test_without_an_arena_a_cast_keeps_the_low_half() -> None:
    b = bench()
    gate = b.enter(b.image("r0 = 0; exit")).gate
    assert gate.arena_cast(0x1234_5678_9ABC, 0, 1) == 0x5678_9ABC

    class Arena:
        def cast(self, addr: int, to_space: int, from_space: int) -> int:
            return addr + to_space + 10 * from_space

    b.kernel.running.now.arena = Arena()
    assert gate.arena_cast(100, 0, 1) == 110


def test_time_passes_with_instructions_and_calls() -> None:
    b = bench(insn_ns=3, call_ns=50)

    outcome = b.run("call bpf_get_prandom_u32; r0 = 0; exit")

    assert outcome.duration == 3 * 3 + 50


# ---- rules for functions that are rare ----------------------------------------------------------


@kfunc()
def bpf_iter_peek(it__iter: Ptr[bpf_iter_num]) -> s64:
    return s64(it__iter.cur)


@kfunc(KF_ACQUIRE)
def bpf_number_get() -> u64:
    return u64(4096)


@kfunc()
def bpf_res_spin_lock_irqsave(lock: u64, flags__irq_flag: Ptr[u64]) -> s32:
    return s32(-110 if lock else 0)


@kfunc()
def bpf_res_spin_unlock_irqrestore(lock: u64, flags__irq_flag: Ptr[u64]) -> None:
    return None


@kfunc(KF_TRUSTED_ARGS)
def bpf_fill(buf: Ptr[void], buf__sz: u32) -> s64:
    return s64(int(buf))


@kfunc(KF_ACQUIRE | KF_RELEASE)
def bpf_thing_swap(it: Ptr[thing], other: u64) -> Ptr[thing]:
    return Ptr(other)


def test_one_function_may_release_and_acquire() -> None:
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_thing_swap)))
    text = "r1 = 4096; call bpf_thing_get; r1 = r0; r2 = 8192; call bpf_thing_swap; r0 = 0; exit"

    assert [leak.what for leak in b.run(text).leaks] == ["thing at 0x2000"]


def rare() -> Bench:
    mine = (
        bpf_iter_peek,
        bpf_number_get,
        bpf_res_spin_lock_irqsave,
        bpf_res_spin_unlock_irqrestore,
        bpf_fill,
    )
    return bench(catalog=CATALOG.merged(Catalog.of(*mine)))


def test_a_live_iterator_can_be_an_argument_of_another_function() -> None:
    peek = "r1 = r10; r1 += -8; call bpf_iter_peek; r6 = r0"
    text = f"{NEW}; {NEXT}; {peek}; {DESTROY}; r0 = r6; exit".format(at=-8)

    assert rare().run(text) == 0
    assert fault_of(rare().run(f"{peek}; exit")) == INITIALISED


def test_what_is_acquired_need_not_be_a_struct() -> None:
    outcome = rare().run("call bpf_number_get; r0 = 0; exit")

    assert outcome.leaks[0].what == "object at 0x1000"


def test_a_lock_that_saves_interrupts_holds_its_flag_only_when_taken() -> None:
    lock = "r1 = {}; r2 = r10; r2 += -8; call bpf_res_spin_lock_irqsave"
    unlock = "r1 = 0; r2 = r10; r2 += -8; call bpf_res_spin_unlock_irqrestore"

    assert rare().run(f"{lock.format(1)}; r0 = 0; exit").ok
    assert [leak.kind for leak in rare().run(f"{lock.format(0)}; r0 = 0; exit").leaks] == ["irq"]
    assert rare().run(f"{lock.format(0)}; {unlock}; r0 = 0; exit").ok
    mixed = "r1 = r10; r1 += -8; call bpf_local_irq_restore"
    assert fault_of(rare().run(f"{lock.format(0)}; {mixed}; exit")) == (
        FaultKind.LOCK_STATE,
        "irq flag acquired by lock kfuncs cannot be restored with native kfuncs",
    )


def test_a_buffer_with_a_size_may_be_null() -> None:
    assert rare().run("r1 = 0; r2 = 0; call bpf_fill; exit") == 0


def test_releasing_another_reference_than_the_newest_is_fine() -> None:
    get = "r1 = {}; call bpf_thing_get; r{} = r0"
    text = f"{get.format(4096, 6)}; {get.format(8192, 7)}; r1 = r6; call bpf_thing_put;"

    assert run(f"{text} r1 = r7; call bpf_thing_put; r0 = 0; exit").ok


def test_registers_of_release_must_be_written() -> None:
    assert fault_of(run("call bpf_get_prandom_u32; call bpf_thing_put; exit")) == (
        FaultKind.UNINITIALISED,
        "R1 !read_ok",
    )


def test_a_raw_generator_sees_all_registers() -> None:
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_raw_loop)))
    text = "r1 = func(callback) ll; r2 = 0; r3 = 0; r4 = 0; r5 = 9; call bpf_raw_loop; exit;"

    assert b.run(_final_addresses(b.image(f"{text} callback: r0 = 1; exit"))) == 10


@helper(93)
def bpf_raw_loop(
    cb: Callback, *, args: list[int]
) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    first = yield from cb()
    return s64(first + args[4])


def test_checks_and_traps_of_a_generator_are_the_programs() -> None:
    b, image = loop(1, "r0 = 0; exit")
    machine = b.enter(image)
    b.kernel.locks.spin_lock(0x1000)
    upcall = machine.gate.call(0, 5, [None, 1, CODE_BASE, 0, 0] + [None] * 6)  # type: ignore
    assert upcall is not None
    with pytest.raises(Exception, match="function calls are not allowed"):
        next(upcall)


def test_a_trap_inside_a_generator_body_is_the_programs_fault() -> None:
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_follow)))
    text = "r1 = func(callback) ll; r2 = 64; call bpf_follow; exit; callback: r0 = 0; exit"

    outcome = b.run(_final_addresses(b.image(text)))

    assert fault_of(outcome)[0] is FaultKind.NULL_DEREF


@helper(94)
def bpf_follow(cb: Callback, at: Ptr[u64]) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    yield from cb()
    return s64(at[0])


def test_the_bpf_spin_unlock_helper_may_be_called_under_a_lock() -> None:
    b = bench(catalog=CATALOG.merged(Catalog.of(bpf_follow)))  # number 94 is spin_unlock
    from bpfemu.kernel.context_checks import lock_rule

    assert lock_rule(b.kernel.catalog.helpers[94], b.kernel.locks) is None
