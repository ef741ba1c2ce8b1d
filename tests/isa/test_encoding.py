"""Bytes to instructions and back, against RFC 9669 and the kernel's rules."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpfemu.errors import DecodeError, InputError
from bpfemu.isa.encoding import check_targets, decode, encode, opcode_of
from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Call,
    CallSub,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    PacketLoad,
    Reg,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo, SwapOp
from tests.builders.insns import codes
from tests.isa.forms import FORMS

R1, R2 = Reg(1), Reg(2)
EXIT = "9500000000000000"


def _is_known(opcode: int) -> bool:
    try:
        decode(bytes([opcode]) + bytes(15), raw=True)
    except DecodeError as error:
        return f"unknown opcode {opcode:02x}" not in str(error)
    return True


KNOWN_OPCODES = [opcode for opcode in range(256) if opcode and _is_known(opcode)]


@pytest.mark.parametrize(("code", "insn", "text"), FORMS, ids=[text for _, _, text in FORMS])
def test_every_form_decodes_to_its_meaning_and_back(code: str, insn: Insn, text: str) -> None:
    data = bytes.fromhex(code + EXIT)

    insns = decode(data)

    assert insns == (insn, Exit())
    assert encode(insns) == data
    assert opcode_of(insn) == data[0]


@pytest.mark.parametrize("pseudo", Pseudo)
def test_every_64_bit_immediate_is_followed_by_its_tail(pseudo: Pseudo) -> None:
    words = struct.pack("<BBhiBBhi", 0x18, pseudo << 4 | 1, 0, 7, 0, 0, 0, 0)

    insns = decode(words, raw=True)

    assert insns == (LoadImm64(R1, 7, pseudo), Tail())
    assert encode(insns) == words


def test_the_low_word_of_a_64_bit_immediate_comes_first() -> None:
    insns = decode(bytes.fromhex("1801000088776655 0000000044332291"))

    assert insns[0] == LoadImm64(R1, 0x9122334455667788)
    assert encode(insns) == bytes.fromhex("1801000088776655 0000000044332291")


def test_both_offsets_of_a_64_bit_immediate_survive_when_raw() -> None:
    code = bytes.fromhex("1831030005000000 0000feff00000000")

    insns = decode(code, raw=True)

    assert insns[0] == LoadImm64(R1, 5, Pseudo.BTF_ID, (3, -2))
    assert encode(insns) == code


def test_the_opcodes_of_the_specification_exist_and_no_others() -> None:
    # RFC 9669 appendix A and Linux 6.15, by class: 12 arithmetic operations in two forms and NEG,
    # in two widths; three byte swaps; 11 conditional jumps in two forms and widths; goto, gotol,
    # may_goto, call, callx, exit; 6 packet loads, ld_imm64; 4 + 3 loads, 8 stores, 4 atomics.
    assert len(KNOWN_OPCODES) == 2 * (2 * 12 + 1) + 3 + 2 * 2 * 11 + 6 + 7 + 7 + 8 + 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0711000000000000", "add64: src_reg is 1, must be 0"),
        ("0701010000000000", "add64: off is 1, must be 0"),
        ("0f21000001000000", "add64: imm is 1, must be 0"),
        ("3f21020000000000", "div64: off is 2, must be 0 or 1"),
        ("3401ffff00000000", "div32: off is -1, must be 0 or 1"),
        ("bf21090000000000", "mov64: off is 9, must be 0, 1, 8, 16 or 32"),
        ("bc21200000000000", "mov32: off is 32, must be 0, 8 or 16"),
        ("bc21010000000000", "mov32: off is 1, must be 0, 8 or 16"),
        ("b701080000000000", "mov64: off is 8, must be 0"),
        ("8711000000000000", "neg64: src_reg is 1, must be 0"),
        ("8701010000000000", "neg64: off is 1, must be 0"),
        ("8401000001000000", "neg32: imm is 1, must be 0"),
        ("d411000010000000", "le: src_reg is 1, must be 0"),
        ("dc01010010000000", "be: off is 1, must be 0"),
        ("d701000008000000", "bswap: imm is 8, must be 16, 32 or 64"),
        ("0501000000000000", "goto: dst_reg is 1, must be 0"),
        ("0510000000000000", "goto: src_reg is 1, must be 0"),
        ("0500000001000000", "goto: imm is 1, must be 0"),
        ("0600010000000000", "gotol: off is 1, must be 0"),
        ("1511000000000000", "jeq64: src_reg is 1, must be 0"),
        ("1e11000001000000", "jeq32: imm is 1, must be 0"),
        ("e510000000000000", "may_goto: src_reg is 1, must be 0"),
        ("e500000005000000", "may_goto: imm is 5, must be 0"),
        ("8501000000000000", "call: dst_reg is 1, must be 0"),
        ("8500010000000000", "call: off is 1, must be 0"),
        ("8510010000000000", "call: off is 1, must be 0"),
        ("8530000000000000", "call: src_reg is 3, must be 0, 1 or 2"),
        ("8d00000001000000", "callx: imm is 1, must be 0"),
        ("8d01010000000000", "callx: off is 1, must be 0"),
        ("9510000000000000", "exit: src_reg is 1, must be 0"),
        ("9500010000000000", "exit: off is 1, must be 0"),
        ("9500000001000000", "exit: imm is 1, must be 0"),
        ("7121040001000000", "ldx8: imm is 1, must be 0"),
        ("8121040001000000", "ldxs32: imm is 1, must be 0"),
        ("7211000000000000", "st8: src_reg is 1, must be 0"),
        ("7b11000001000000", "stx64: imm is 1, must be 0"),
        ("db21000002000000", "atomic64: imm is 2, must be one of 0x0, 0x40, 0x50, 0xa0, 0x1"),
        ("d321000000000000", "atomic8: imm is 0, must be one of 0x100, 0x110"),
        ("2001000000000000", "ld_abs32: dst_reg is 1, must be 0"),
        ("2010000000000000", "ld_abs32: src_reg is 1, must be 0"),
        ("4001000000000000", "ld_ind32: dst_reg is 1, must be 0"),
        ("5020010000000000", "ld_ind8: off is 1, must be 0"),
        ("9921000000000000", "unknown opcode 99"),
        ("9600000000000000", "unknown opcode 96"),
        ("8f21000000000000", "unknown opcode 8f"),
        ("3820000000000000", "unknown opcode 38"),
        ("0000000000000000", "unknown opcode 00"),
        ("b70b000000000000", "R11 is invalid"),
        ("bfc1000000000000", "R12 is invalid"),
        ("1800000000000000", "invalid bpf_ld_imm64 insn: no second slot"),
    ],
)
def test_what_is_no_instruction_is_refused_in_words(text: str, message: str) -> None:
    code = bytes.fromhex("b700000000000000" + text)

    with pytest.raises(DecodeError) as refused:
        decode(code, start=7, raw=True)

    assert str(refused.value).startswith(f"insn 8: {message}")
    assert (refused.value.slot, refused.value.errno) == (8, 22)


@pytest.mark.parametrize(
    ("text", "slot", "message"),
    [
        ("1870000000000000 0000000000000000", 0, "src_reg is 7, must be 0 to 6"),
        ("1810000000000000 0000000001000000", 0, "second imm is 1, must be 0"),
        ("1850000000000000 0000000001000000", 0, "second imm is 1, must be 0"),
        ("1800000000000000 0100000000000000", 1, "second slot: opcode is 1, must be 0"),
        ("1800000000000000 0001000000000000", 1, "second slot: registers is 1, must be 0"),
        ("1800020000000000 0000000000000000", 0, "ld_imm64: off is 2, must be 0"),
        ("1800000000000000 0000020000000000", 1, "ld_imm64: off is 2, must be 0"),
    ],
)
def test_a_malformed_64_bit_immediate_is_refused(text: str, slot: int, message: str) -> None:
    with pytest.raises(DecodeError, match=message) as refused:
        decode(bytes.fromhex(text))

    assert refused.value.slot == slot


def test_a_map_value_load_keeps_its_offset_in_the_high_word() -> None:
    insns = decode(bytes.fromhex("1821000005000000 0000000008000000"))

    assert insns[0] == LoadImm64(R1, 8 << 32 | 5, Pseudo.MAP_VALUE)


def test_code_that_is_not_a_whole_number_of_slots_is_refused() -> None:
    with pytest.raises(DecodeError, match="code of 12 bytes is not a whole number of 8-byte slots"):
        decode(bytes(12))


def test_no_code_is_no_instructions() -> None:
    assert decode(b"") == ()
    assert encode(()) == b""


def test_targets_are_absolute_from_the_start_slot() -> None:
    insns = decode(bytes.fromhex("0500010000000000" + EXIT * 2), start=100)

    assert insns[0] == Jump(JmpOp.JA, 64, Reg(0), Imm(0), 102)
    assert encode(insns, first=100)[2:4] == b"\x01\x00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0500050000000000", "insn 3: jump out of range from insn 3 to 9"),
        ("0500fbff00000000", "insn 3: jump out of range from insn 3 to -1"),
        ("06000000ffffff7f", "insn 3: jump out of range from insn 3 to 2147483651"),
        ("e500050000000000", "insn 3: jump out of range from insn 3 to 9"),
        ("8510000005000000", "insn 3: call to invalid destination 9"),
        ("1840000005000000 0000000000000000", "insn 3: call to invalid destination 9"),
        ("0500fdff00000000", "insn 3: jump into the middle of ldimm64 insn 0"),
        ("85100000fdffffff", "insn 3: jump into the middle of ldimm64 insn 0"),
    ],
)
def test_targets_that_are_no_instruction_are_refused_unless_raw(text: str, message: str) -> None:
    code = bytes.fromhex("1800000000000000 0000000000000000" + EXIT + text + EXIT)

    raw = decode(code, raw=True)

    with pytest.raises(DecodeError) as refused:
        decode(code)
    assert str(refused.value) == message
    with pytest.raises(DecodeError):
        check_targets(raw)


def test_a_call_that_awaits_relocation_decodes_raw() -> None:
    code = bytes.fromhex("85100000ffffffff" + EXIT)

    assert decode(code, raw=True)[0] == CallSub(0)


@pytest.mark.parametrize(
    "insn",
    [
        Alu(AluOp.MOVSX32, 32, R1, R2),
        Alu(AluOp.MOVSX8, 64, R1, Imm(1)),
        Alu(AluOp.NEG, 64, R1, R2),
        Alu(AluOp.ADD, 16, R1, R2),
        Alu(AluOp.ADD, 64, Reg(11), R2),
        Alu(AluOp.ADD, 64, R1, Reg(-1)),
        Swap(SwapOp.LE, 8, R1),
        AddrSpaceCast(R1, R2, 0x10000, 0),
        AddrSpaceCast(R1, R2, 0, -1),
        Load(8, True, R1, R2, 0),
        Load(3, False, R1, R2, 0),
        Store(16, R1, 0, R2),
        Atomic(AtomicOp.ADD, 2, R1, 0, R2),
        Atomic(AtomicOp.LOAD_ACQ, 3, R1, 0, R2),
        PacketLoad(8, 0, None),
        Jump(JmpOp.JEQ, 16, R1, R2, 1),
        Call("syscall", 1),
        Call("helper", 1, 1),
        LoadImm64(R1, -1),
        LoadImm64(R1, 2**64),
    ],
)
def test_an_instruction_that_does_not_exist_is_not_encoded(insn: Insn) -> None:
    with pytest.raises(InputError, match=r"insn 4: .* has no encoding"):
        encode([insn], first=4)


@pytest.mark.parametrize(
    "insn",
    [
        Alu(AluOp.ADD, 64, R1, Imm(2**31)),
        Load(8, False, R1, R2, 2**15),
        Jump(JmpOp.JEQ, 64, R1, R2, 2**15 + 5),
        Jump(JmpOp.JA, 32, Reg(0), Imm(0), 2**31 + 5),
        CallSub(2**31 + 5),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_not_encoded(insn: Insn) -> None:
    with pytest.raises(InputError, match=r"insn 4: .* does not fit"):
        encode([insn], first=4)


def test_a_64_bit_immediate_without_its_tail_is_not_encoded() -> None:
    with pytest.raises(InputError, match="insn 0: LoadImm64 has no Tail"):
        encode([LoadImm64(R1, 1)])
    with pytest.raises(InputError, match="insn 1: LoadImm64 and Tail must stand together"):
        encode([LoadImm64(R1, 1), Exit()])
    with pytest.raises(InputError, match="insn 0: LoadImm64 and Tail must stand together"):
        encode([Tail()])


def test_a_tail_has_opcode_zero() -> None:
    assert opcode_of(Tail()) == 0


def test_a_helper_called_by_btf_id_is_written_with_source_2() -> None:
    assert encode([Call("helper_btf", 9)]) == bytes.fromhex("8520000009000000")


@given(codes())
def test_decode_undoes_encode(code: tuple[Insn, ...]) -> None:
    assert decode(encode(code), raw=True) == code


@given(codes(start=1000))
def test_decode_undoes_encode_from_any_slot(code: tuple[Insn, ...]) -> None:
    assert decode(encode(code, first=1000), start=1000, raw=True) == code


@st.composite
def _near_code(draw: st.DrawFn) -> bytes:
    """Bytes that are often an instruction: valid opcodes, small fields."""
    slot = st.tuples(
        st.sampled_from([*KNOWN_OPCODES, 0]),
        st.integers(0, 255),
        st.sampled_from([0, 0, 1, 8, -1]),
        st.sampled_from([0, 0, 1, 16, 64, 0x100, -1]),
    )
    slots = draw(st.lists(slot, max_size=6))
    return b"".join(struct.pack("<BBhi", *fields) for fields in slots)


@given(_near_code() | st.binary(max_size=64), st.booleans())
def test_any_bytes_are_code_or_a_decode_error(data: bytes, raw: bool) -> None:
    try:
        code = decode(data, raw=raw)
    except DecodeError as error:
        assert 0 <= error.slot <= len(data) // 8
    else:
        assert encode(code) == data
