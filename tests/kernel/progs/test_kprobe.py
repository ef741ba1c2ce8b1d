"""kprobe contexts: struct pt_regs of x86-64 (offsets: arch/x86/include/asm/ptrace.h)."""

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.progs.kprobe import Kprobe
from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.progs.places import image, load, place

DI, SI, DX, CX, R8, R9, AX, SS = 112, 104, 96, 88, 72, 64, 80, 160


def test_arguments_go_where_the_calling_convention_has_them():
    ctx = place(Kprobe, image(2), ctx=[1, 2, 3, 4, 5, 6])

    assert [load(ctx, at, 8) for at in (DI, SI, DX, CX, R8, R9)] == [1, 2, 3, 4, 5, 6]


def test_registers_can_be_set_by_name():
    ctx = place(Kprobe, image(2), ctx={"ax": -22, "ip": 0xFFFF_FFFF_8100_0000})

    assert load(ctx, AX, 8) == 2**64 - 22
    assert load(ctx, 128, 8) == 0xFFFF_FFFF_8100_0000


def test_all_registers_are_zero_by_default_and_end_after_168_bytes():
    ctx = place(Kprobe, image(2))

    assert {load(ctx, at, 8) for at in range(0, 168, 8)} == {0}
    with pytest.raises(Trap):
        load(ctx, 168, 8)


def test_bytes_must_be_all_of_them():
    raw = bytes(range(168))

    assert load(place(Kprobe, image(2), ctx=raw), SS, 8) == int.from_bytes(raw[160:], "little")
    with pytest.raises(InputError, match="167 bytes, struct pt_regs has 168"):
        place(Kprobe, image(2), ctx=raw[:-1])


def test_an_unknown_register_is_named():
    with pytest.raises(InputError, match="'rax' is no field of struct pt_regs; there are r15, r14"):
        place(Kprobe, image(2), ctx={"rax": 1})


def test_a_seventh_argument_is_on_the_stack_and_refused():
    with pytest.raises(InputError, match="7 arguments are given, registers hold 6"):
        place(Kprobe, image(2), ctx=range(7))


def test_registers_are_read_only():
    ctx = place(Kprobe, image(2))

    with pytest.raises(Trap) as caught:
        ctx.memory.store(ctx.addr + AX, 8, 1)
    assert caught.value.fault.kind is FaultKind.READ_ONLY


def test_a_packet_is_refused():
    with pytest.raises(InputError, match="kprobe programs take no packet"):
        place(Kprobe, image(2), data_in=b"x" * 20)
