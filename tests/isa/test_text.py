"""Instructions as text, against kernel/bpf/disasm.c, llvm-objdump and Capstone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given

from bpfemu.isa.encoding import decode, encode
from bpfemu.isa.insn import (
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
    Slot,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo, SwapOp
from bpfemu.isa.text import LOSSLESS_NAMES, Names, assemble, disassemble, render
from tests.builders.insns import codes
from tests.builders.text_object import text_object
from tests.isa.forms import FORMS

LLVM_OBJDUMP = shutil.which("llvm-objdump-19") or shutil.which("llvm-objdump")


@pytest.mark.parametrize(("code", "insn", "text"), FORMS, ids=[text for _, _, text in FORMS])
def test_every_form_reads_as_the_kernel_prints_it(code: str, insn: Insn, text: str) -> None:
    assert disassemble(insn, 0) == text
    assert render([insn], 0) == f"({code[:2]}) {text}"


@pytest.mark.parametrize("row", [row for row in FORMS if "unknown" not in row[2]], ids=str)
def test_every_kernel_text_assembles_to_its_instruction(row: tuple[str, Insn, str]) -> None:
    code, insn, text = row
    if isinstance(insn, Call):
        insn = Call(insn.kind, insn.imm)  # the kernel does not print which fd_array entry

    assert assemble(text) == (insn,)
    assert assemble(f"12: ({code[:2]}) {text}") == (insn,)


@given(codes(start=50))
def test_lossless_text_assembles_to_the_same_code(code: tuple[Insn, ...]) -> None:
    lines = [disassemble(insn, 50 + i, names=LOSSLESS_NAMES) for i, insn in enumerate(code)]

    assert assemble("\n".join(lines), start=50) == code


def test_jump_distances_count_from_the_next_slot() -> None:
    jump = Jump(JmpOp.JNE, 64, Reg(1), Imm(-1), 4)

    assert disassemble(jump, 10) == "if r1 != 0xffffffff goto pc-7"
    assert disassemble(CallSub(12), 10) == "call pc+1"


def test_a_64_bit_immediate_reads_as_one_number_and_its_tail_as_nothing() -> None:
    code = decode(bytes.fromhex("1801000088776655 0000000044332211"))

    assert [render(code, slot) for slot in (0, 1)] == ["(18) r1 = 0x1122334455667788", ""]


def test_render_finds_the_slot_in_a_slice_of_code() -> None:
    assert render([Exit(), CallSub(7)], 5, start=4) == "(85) call pc+1"


def test_names_come_from_the_surroundings() -> None:
    def call(call: Call) -> str | None:
        known = {("helper", 1): "bpf_map_lookup_elem", ("kfunc", 64236): "bpf_iter_num_next"}
        return known.get((call.kind, call.imm))

    def subprog(target: Slot) -> str | None:
        return "sum" if target == 9 else None

    names = Names(call=call, subprog=subprog, imm64=lambda insn: "map[id:5]")

    assert render([Call("helper", 1)], 0, names=names) == "(85) call bpf_map_lookup_elem#1"
    assert disassemble(Call("kfunc", 64236), names=names) == "call bpf_iter_num_next#64236"
    assert disassemble(Call("helper", 9999), names=names) == "call unknown#9999"
    assert disassemble(CallSub(9), 3, names=names) == "call pc+5#sum"
    assert disassemble(CallSub(8), 3, names=names) == "call pc+4"
    assert disassemble(LoadImm64(Reg(1), 5, Pseudo.MAP_FD), names=names) == "r1 = map[id:5]"


def test_lossless_text_shows_what_the_kernel_leaves_out() -> None:
    load = LoadImm64(Reg(1), 8 << 32 | 0xFFFFFFFE, Pseudo.MAP_VALUE)

    assert disassemble(load, names=LOSSLESS_NAMES) == "r1 = map_value(-2, 8) ll"
    assert disassemble(LoadImm64(Reg(1), 5), names=LOSSLESS_NAMES) == "r1 = 0x5 ll"
    assert disassemble(Call("helper", 5), names=LOSSLESS_NAMES) == "call unknown#5"
    assert disassemble(Call("kfunc", 5, 2), names=LOSSLESS_NAMES) == "call kfunc(2)#5"


# --- llvm-objdump ----------------------------------------------------------------------------


def _llvm_knows(insn: Insn) -> bool:
    """LLVM 19 prints no source field of calls and no offset of indexed packet loads.

    It has no load-acquire and no store-release.
    """
    if isinstance(insn, PacketLoad) and insn.index is not None:
        return insn.offset == 0
    if isinstance(insn, Atomic):
        return insn.op not in (AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL)
    return not isinstance(insn, CallSub) and not (isinstance(insn, Call) and insn.kind != "helper")


@pytest.mark.skipif(LLVM_OBJDUMP is None, reason="llvm-objdump is not installed")
def test_llvm_objdump_reads_our_bytes_as_we_do(tmp_path: Path) -> None:
    code = [insn for _, insn, _ in FORMS if _llvm_knows(insn)]
    code = [insn for insn in code if not isinstance(insn, Jump)]
    code += [LoadImm64(Reg(3), 0x8000000000000001), Tail()]
    jumps = [insn for _, insn, _ in FORMS if isinstance(insn, Jump)]
    code += [
        Jump(insn.op, insn.width, insn.dst, insn.src, len(code) + i + 3)
        for i, insn in enumerate(jumps)
    ]
    path = tmp_path / "forms.o"
    path.write_bytes(text_object(encode(code)))

    command = [LLVM_OBJDUMP, "-d", "--mcpu=v4", "--no-show-raw-insn", str(path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    lines = re.findall(r"^\s+\d+:\s+(.*)$", listing, re.MULTILINE)
    if any("<unknown>" in line for line in lines):
        pytest.skip("this llvm-objdump does not know all of cpu v4")
    assert assemble("\n".join(lines)) == tuple(code)


# --- Capstone --------------------------------------------------------------------------------

_SIZES = {1: "b", 2: "h", 4: "w", 8: "dw"}


def _hex(value: int, bits: int) -> str:
    return f"{value & ((1 << bits) - 1):#x}"


def _operand(operand: Reg | Imm) -> str:
    return _hex(operand.value, 32) if isinstance(operand, Imm) else f"r{operand.n}"


def _capstone_text(insn: Insn) -> str | None:
    """What Capstone 5 prints, for the forms it knows (cpu v1 with 64-bit jumps)."""
    match insn:
        case Alu(AluOp.NEG, width, Reg(dst), _):
            return f"neg{'64' if width == 64 else ''} r{dst}"
        case Alu(op, width, Reg(dst), src) if op.off == 0:
            return f"{op.name.lower()}{'64' if width == 64 else ''} r{dst}, {_operand(src)}"
        case Swap(SwapOp.LE | SwapOp.BE as op, bits, Reg(dst)):
            return f"{op.value}{bits} r{dst}"
        case Load(size, False, Reg(dst), Reg(base), offset):
            return f"ldx{_SIZES[size]} r{dst}, [r{base}+{_hex(offset, 16)}]"
        case Store(size, Reg(base), offset, src):
            name = "stx" if isinstance(src, Reg) else "st"
            return f"{name}{_SIZES[size]} [r{base}+{_hex(offset, 16)}], {_operand(src)}"
        case Jump(JmpOp.JA, 64):
            return "jmp +0x0"
        case Jump(op, 64, Reg(dst), src):
            return f"{op.name.lower()} r{dst}, {_operand(src)}, +0x0"
        case PacketLoad(size, offset, None):
            return f"ld{_SIZES[size]} [{_hex(offset, 32)}]"
        case PacketLoad(size, offset, Reg(index)) if offset:
            return f"ld{_SIZES[size]} [r{index}+{_hex(offset, 32)}]"
        case Exit():
            return "exit"
    return None


def test_capstone_reads_our_bytes_as_we_do() -> None:
    capstone = pytest.importorskip("capstone")
    mode = capstone.CS_MODE_BPF_EXTENDED | capstone.CS_MODE_LITTLE_ENDIAN
    reader = capstone.Cs(capstone.CS_ARCH_BPF, mode)
    known = [(code, text) for code, insn, _ in FORMS if (text := _capstone_text(insn)) is not None]

    for code, text in known:
        [read] = reader.disasm(bytes.fromhex(code), 0)
        assert f"{read.mnemonic} {read.op_str}".strip() == text

    assert len(known) > 50
