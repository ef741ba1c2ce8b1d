"""Machines, frames, stops: the small parts."""

from __future__ import annotations

import pytest

from bpfemu.engine.bare import bare_machine
from bpfemu.machine.frame import FRAME_COUNT, STACK_SIZE, Frame
from bpfemu.machine.gate import ProgramExit, Throw
from bpfemu.machine.machine import CODE_BASE, DEFAULT_BUDGET, code_address
from bpfemu.machine.stop import Fault, FaultKind, Site, Trap


def test_stacks_are_the_kernels() -> None:
    # include/linux/filter.h MAX_BPF_STACK, include/linux/bpf_verifier.h MAX_CALL_FRAMES.
    assert (STACK_SIZE, FRAME_COUNT) == (512, 8)


def test_function_pointers_count_slots_of_8_bytes() -> None:
    assert code_address(0) == CODE_BASE
    assert code_address(3) == CODE_BASE + 24


def test_a_new_machine_has_not_run() -> None:
    machine = bare_machine().machine

    assert (machine.insns, machine.frames, machine.budget) == (0, [], DEFAULT_BUDGET)


def test_frames_do_not_share_their_counters() -> None:
    one, two = Frame(0, -1, 0), Frame(0, -1, 0)

    one.may_goto["x"] = 1

    assert two.may_goto == {}


def test_carriers_bring_what_they_carry() -> None:
    fault = Fault(FaultKind.BAD_CALL, "nobody there")

    assert Trap(fault).fault is fault
    assert str(Trap(fault)) == "nobody there"
    assert Throw(7).cookie == 7
    assert ProgramExit(9).r0 == 9


@pytest.mark.parametrize(
    ("site", "text"),
    [
        (Site(5, "prog", "call bpf_iter_num_new"), "call bpf_iter_num_new at prog+5"),
        (Site(5, "", "call x"), "call x at ?+5"),
        (Site(-1, "", "boot"), "boot at kernel"),
        (Site(-1, "", ""), "kernel"),
        (Site(5, "f", "call x", "a.c:3: y();"), "call x at f+5 (a.c:3: y();)"),
    ],
)
def test_sites_say_where_and_what(site: Site, text: str) -> None:
    assert str(site) == text
