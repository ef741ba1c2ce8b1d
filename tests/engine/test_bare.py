"""Machines with nothing around them."""

from __future__ import annotations

import pytest

from bpfemu.engine.bare import BARE_BASE, BareGate, bare_image, bare_machine
from bpfemu.engine.interp import InterpEngine
from bpfemu.isa.insn import LoadImm64
from bpfemu.machine.gate import UNSET, ProgramExit
from bpfemu.machine.machine import CODE_BASE
from bpfemu.machine.memory import UNINIT
from bpfemu.machine.stop import FaultKind, Trap
from tests.builders.asm import prog


def test_r1_points_at_the_memory_and_r2_is_its_length() -> None:
    bare = bare_machine(b"\x05\x06\x07")
    code = InterpEngine().prepare(bare_image(prog("r0 = *(u8 *)(r1 + 2); r0 += r2; exit")))

    assert code.run(bare.machine, bare.args).r0 == 7 + 3
    assert bare.addr > BARE_BASE


def test_without_memory_r1_and_r2_are_zero() -> None:
    assert bare_machine().args == (0, 0)


def test_there_are_eight_stacks_that_nobody_has_written() -> None:
    bare = bare_machine()

    assert len(set(bare.machine.stack)) == 8
    for top in bare.machine.stack:
        assert {bare.machine.memory.state_of(top - 1 - at) for at in range(512)} == {UNINIT}
        assert top % 8 == 0


def test_subprograms_are_found_and_named_by_their_slots() -> None:
    image = bare_image(prog("call f; exit; f: r0 = 1; exit"), name="main")

    assert [(sub.name, sub.start, sub.end) for sub in image.subprogs] == [
        ("main", 0, 2),
        ("main_2", 2, 4),
    ]


def test_function_pointers_get_their_address() -> None:
    image = bare_image(prog("r2 = func(f) ll; r0 = 0; exit; f: r0 = 1; exit"))

    assert image.code[0] == LoadImm64(image.code[0].dst, CODE_BASE + 8 * 4)  # type: ignore[union-attr]


def test_every_call_is_a_fault() -> None:
    with pytest.raises(Trap) as caught:
        BareGate().call(0, 0, [UNSET] * 11)

    assert caught.value.fault.kind is FaultKind.BAD_CALL


def test_packet_loads_read_the_packet_in_network_order() -> None:
    regs = [UNSET] * 11

    BareGate(b"\x01\x02\x03\x04").packet_load(2, 1, 0, regs)

    assert regs[0] == 0x0203


@pytest.mark.parametrize(("size", "offset"), [(1, 4), (4, 1), (1, -1)])
def test_a_packet_load_out_of_bounds_ends_the_program(size: int, offset: int) -> None:
    with pytest.raises(ProgramExit) as caught:
        BareGate(b"\x01\x02\x03\x04").packet_load(size, offset, 0, [UNSET] * 11)

    assert caught.value.r0 == 0


def test_may_goto_jumps_after_8388608_rounds() -> None:
    # kernel/bpf/verifier.c, BPF_MAX_LOOPS: what JITs without timed may_goto count.
    counters = {"may_goto": 8_388_606}

    assert [BareGate().may_goto(counters) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("addr", "slot"), [(CODE_BASE, 0), (CODE_BASE + 16, 2), (CODE_BASE + 4, None), (0, None)]
)
def test_function_pointers_are_code_addresses(addr: int, slot: int | None) -> None:
    assert BareGate().code_slot(addr) == slot
