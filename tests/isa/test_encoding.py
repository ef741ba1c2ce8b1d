"""Bytes to instructions and back, against RFC 9669 and the kernel's rules."""

from __future__ import annotations

import pytest

from bpfemu.errors import DecodeError, InputError
from bpfemu.isa.encoding import decode, encode
from bpfemu.isa.insn import Alu, Exit, Imm, LoadImm64, Reg, Tail
from bpfemu.isa.ops import AluOp


def test_two_instructions_decode_and_encode_to_the_same_bytes() -> None:
    code = bytes.fromhex("b701000005000000 9500000000000000")

    insns = decode(code)

    assert insns == (Alu(AluOp.MOV, 64, Reg(1), Imm(5)), Exit())
    assert encode(insns) == code


def test_a_wide_load_is_followed_by_its_tail() -> None:
    insns = decode(bytes.fromhex("1801000088776655 0000000044332211"))

    assert insns == (LoadImm64(Reg(1), 0x1122334455667788), Tail())


def test_a_reserved_field_is_refused_with_slot_field_and_value() -> None:
    code = bytes.fromhex("b700000000000000" * 3 + "9502000000000000")

    with pytest.raises(DecodeError) as refused:
        decode(code)

    assert str(refused.value) == "insn 3: exit: dst_reg is 2, must be 0"


def test_an_instruction_that_does_not_exist_is_not_encoded() -> None:
    with pytest.raises(InputError, match="no encoding"):
        encode([Alu(AluOp.MOVSX32, 32, Reg(0), Reg(1))])
