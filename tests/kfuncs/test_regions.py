"""Read sections, regions without preemption and without interrupts, casts."""

from __future__ import annotations

import pytest

from bpfemu.machine.memory import RegionKind
from bpfemu.proto.decl import ulong
from tests.kfuncs.conftest import Lab


@pytest.fixture
def lab():
    return Lab("6.18.44")


def test_read_lock_and_unlock_move_an_explicit_section(lab):
    lab.call("bpf_rcu_read_lock")
    assert lab.kernel.rcu.in_section()

    lab.call("bpf_rcu_read_unlock")
    assert not lab.kernel.rcu.in_section()


def test_preempt_disable_nests(lab):
    state = lab.cpu.here
    for name, level in (("disable", 1), ("disable", 2), ("enable", 1), ("enable", 0)):
        lab.call(f"bpf_preempt_{name}")
        assert state.preempt_count == level


def test_irq_save_keeps_the_old_state_in_the_slot(lab):
    region = lab.kernel.memory.allocate(16, RegionKind.STACK, "flags")
    outer = lab.kernel.space.pointer(region.addr, ulong)
    inner = lab.kernel.space.pointer(region.addr + 8, ulong)

    lab.call("bpf_local_irq_save", outer)
    assert lab.cpu.irqs_disabled()
    lab.call("bpf_local_irq_save", inner)
    lab.call("bpf_local_irq_restore", inner)
    assert lab.cpu.irqs_disabled()
    lab.call("bpf_local_irq_restore", outer)

    assert not lab.cpu.irqs_disabled()
    assert outer[0] & 0x200  # X86_EFLAGS_IF
    assert not inner[0] & 0x200


def test_a_read_only_cast_keeps_any_address(lab):
    pointer = lab.kernel.space.pointer(0x1234, "void")

    assert int(lab.call("bpf_rdonly_cast", pointer, 17)) == 0x1234


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("bpf_preempt_disable", "6.12.0"),
        ("bpf_local_irq_save", "6.18.0"),
        ("bpf_task_acquire", "6.7"),
    ],
)
def test_each_kernel_has_what_it_has(name, since):
    order = ["6.7", "6.12.0", "6.18.0", "6.18.44"]
    for profile in order:
        lab = Lab(profile)
        found = lab.kernel.catalog.find_kfunc(name, lab.kernel.config.profile)
        assert (found is not None) == (order.index(profile) >= order.index(since))


def test_a_program_runs_task_vma_in_an_irq_off_region_and_is_refused(lab):
    outcome = lab.bench.run(
        "r1 = 7; call bpf_task_from_pid; r9 = r0; r1 = r10; r1 += -8; call bpf_local_irq_save; "
        "r1 = r10; r1 += -16; r2 = r9; r3 = 0; call bpf_iter_task_vma_new; r6 = r0; "
        "r1 = r10; r1 += -16; call bpf_iter_task_vma_destroy; "
        "r1 = r10; r1 += -8; call bpf_local_irq_restore; r1 = r9; call bpf_task_release; "
        "r0 = r6; exit"
    )

    assert outcome.value == -16
    assert outcome.ok, outcome


# ---- iterators by context (iterator notes, section 4.1)

NUM = """
    r1 = r10; r1 += -8; r2 = 0; r3 = 3; call bpf_iter_num_new; r6 = r0
    r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = r6; exit
"""
TASK_VMA = """
    r1 = 7; call bpf_task_from_pid; r9 = r0
    r1 = r10; r1 += -8; r2 = r9; r3 = 0; call bpf_iter_task_vma_new; r6 = r0
    r1 = r10; r1 += -8; call bpf_iter_task_vma_next
    r1 = r10; r1 += -8; call bpf_iter_task_vma_destroy
    r1 = r9; call bpf_task_release; r0 = r6; exit
"""
BITS = """
    r1 = 5; *(u64 *)(r10 -32) = r1; *(u64 *)(r10 -24) = r1
    r1 = r10; r1 += -16; r2 = r10; r2 += -32; r3 = 2; call bpf_iter_bits_new; r6 = r0
    r1 = r10; r1 += -16; call bpf_iter_bits_destroy; r0 = r6; exit
"""
ANYWHERE = {"task": 0, "softirq": 0, "hardirq": 0, "nmi": 0}


@pytest.mark.parametrize("context", ANYWHERE)
@pytest.mark.parametrize(
    ("profile", "text", "results"),
    [
        ("6.18.44", NUM, ANYWHERE),
        ("6.18.44", BITS, ANYWHERE),
        ("6.18.0", TASK_VMA, ANYWHERE),
        ("6.18.44", TASK_VMA, {**ANYWHERE, "hardirq": -16, "nmi": -16}),
    ],
)
def test_new_in_each_context(context, profile, text, results):
    lab = Lab(profile)

    outcome = lab.bench.run(text, context=context)

    assert outcome.value == results[context]
    assert outcome.ok, outcome
    assert lab.usage(7) == (1, 2)
    assert lab.readers(7) == 0
