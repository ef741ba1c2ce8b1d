"""Text to instructions: spellings, labels, and what is refused."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
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
    MayGoto,
    PacketLoad,
    Reg,
    Store,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo
from bpfemu.isa.text import assemble
from tests.builders.asm import prog, prog_bytes

R0, R1, R2 = Reg(0), Reg(1), Reg(2)


def test_statements_stand_in_lines_or_between_semicolons() -> None:
    code = prog("r0 = 1; exit  // done\n\n  // nothing here; r0 = 2\n;;r0 = 3")

    assert code == (
        Alu(AluOp.MOV, 64, R0, Imm(1)),
        Exit(),
        Alu(AluOp.MOV, 64, R0, Imm(3)),
    )
    assert prog_bytes("r0 = 1; exit") == bytes.fromhex("b700000001000000 9500000000000000")


def test_labels_are_known_before_and_after_they_stand() -> None:
    code = prog("""
        r1 = 5 ll
    loop:
        r1 += -1
        if r1 == 0 goto out; goto loop
    out: may_goto end
        gotol loop
        call end
    end: exit
    """)

    assert code[3] == Jump(JmpOp.JEQ, 64, R1, Imm(0), 5)
    assert code[4] == Jump(JmpOp.JA, 64, R0, Imm(0), 2)
    assert code[5] == MayGoto(8)
    assert code[6] == Jump(JmpOp.JA, 32, R0, Imm(0), 2)
    assert code[7] == CallSub(8)


@pytest.mark.parametrize(
    ("text", "insn"),
    [
        ("r1 = 0x10", Alu(AluOp.MOV, 64, R1, Imm(16))),
        ("r1 = -0x10", Alu(AluOp.MOV, 64, R1, Imm(-16))),
        ("r1 = 007", Alu(AluOp.MOV, 64, R1, Imm(7))),
        ("r1=-7", Alu(AluOp.MOV, 64, R1, Imm(-7))),
        ("w1 = 0xffffffff", Alu(AluOp.MOV, 32, R1, Imm(-1))),
        ("r1  s>>=   r2", Alu(AluOp.ARSH, 64, R1, R2)),
        ("if r1 == 0xffffffff goto +0", Jump(JmpOp.JEQ, 64, R1, Imm(-1), 1)),
        ("if r1 s< -1 goto pc+0", Jump(JmpOp.JSLT, 64, R1, Imm(-1), 1)),
        ("goto -1 <.text+0x8>", Jump(JmpOp.JA, 64, R0, Imm(0), 0)),
        ("r1 = *(u32*)(r2)", Load(4, False, R1, R2, 0)),
        ("w1 = *(u32 *)(r2 - 0x4)", Load(4, False, R1, R2, -4)),
        ("*(u32 *)(r1 + 8) = w2", Store(4, R1, 8, R2)),
        ("*(u32 *)(r1 + 8) = 0xffffffff", Store(4, R1, 8, Imm(-1))),
        ("*(u64 *)(r1 +8) = -1", Store(8, R1, 8, Imm(-1))),
        ("lock *(u32 *)(r1 + 8) &= w2", Atomic(AtomicOp.AND, 4, R1, 8, R2)),
        ("w2 = xchg32_32(r1 + 8, w2)", Atomic(AtomicOp.XCHG, 4, R1, 8, R2)),
        ("r0 = cmpxchg_64(r1 - 8, r0, r2)", Atomic(AtomicOp.CMPXCHG, 8, R1, -8, R2)),
        ("r0 = *(u8 *)skb[r1]", PacketLoad(1, 0, R1)),
        ("r0 = *(u16 *)skb[r1 + -2]", PacketLoad(2, -2, R1)),
        ("r0 = *(u16 *)skb[-0x10]", PacketLoad(2, -16, None)),
        ("call 12", Call("helper", 12)),
        ("call -1", Call("helper", -1)),
        ("call bpf_map_lookup_elem#1", Call("helper", 1)),
        ("call kernel-function#77", Call("kfunc", 77)),
        ("call kfunc(3)#77", Call("kfunc", 77, 3)),
        ("call helper_btf(0)#77", Call("helper_btf", 77)),
        ("call pc+2#sum", CallSub(3)),
        ("call pc-1", CallSub(0)),
    ],
)
def test_spellings(text: str, insn: Insn) -> None:
    assert assemble(text) == (insn,)


@pytest.mark.parametrize(
    ("text", "insn"),
    [
        ("r1 = 5 ll", LoadImm64(R1, 5)),
        ("r1 = -1 ll", LoadImm64(R1, 2**64 - 1)),
        ("r1 = 0xffffffffffffffff ll", LoadImm64(R1, 2**64 - 1)),
        ("(18) r1 = 0x5", LoadImm64(R1, 5)),
        ("3: (18) r1 = 0x5", LoadImm64(R1, 5)),
        ("r1 = map_fd(5) ll", LoadImm64(R1, 5, Pseudo.MAP_FD)),
        ("r1 = map_value(5, 8) ll", LoadImm64(R1, 8 << 32 | 5, Pseudo.MAP_VALUE)),
        ("r1 = btf_id(5, -1) ll", LoadImm64(R1, 0xFFFFFFFF00000005, Pseudo.BTF_ID)),
        ("r1 = map_idx(0) ll", LoadImm64(R1, 0, Pseudo.MAP_IDX)),
        ("r1 = map_idx_value(1, 4) ll", LoadImm64(R1, 4 << 32 | 1, Pseudo.MAP_IDX_VALUE)),
        ("r1 = func(-1) ll", LoadImm64(R1, 0xFFFFFFFF, Pseudo.FUNC)),
        ("r1 = plain(1, 2, 3, -4) ll", LoadImm64(R1, 2 << 32 | 1, Pseudo.PLAIN, (3, -4))),
    ],
)
def test_64_bit_immediates(text: str, insn: Insn) -> None:
    assert assemble(text) == (insn, Tail())


def test_a_callback_is_taken_by_label() -> None:
    code = prog("r2 = func(cb) ll; exit; cb: r0 = 0; exit")

    assert code[0] == LoadImm64(R2, 2, Pseudo.FUNC)  # slot 0 + 1 + 2 = slot 3


def test_functions_are_resolved_by_name() -> None:
    known = {"bpf_ktime_get_ns": Call("helper", 5), "bpf_iter_num_new": Call("kfunc", 700, 1)}

    code = assemble(
        "call bpf_ktime_get_ns; call bpf_iter_num_new; call bpf_iter_num_new#9; call other#4",
        calls=known.get,
    )

    assert code == (
        Call("helper", 5),
        Call("kfunc", 700, 1),
        Call("kfunc", 9, 1),
        Call("helper", 4),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "'nonsense': not an instruction"),
        ("loop:: exit", "': exit': not an instruction"),
        ("a: exit; a: exit", "label 'a' stands twice"),
        ("goto nowhere", "there is no label 'nowhere'"),
        ("call nobody", "no label and no known function is called 'nobody'"),
        ("r11 = 1", "11 is not between 0 and 10"),
        ("r1 = 0xffffffff", "0xffffffff is not between -2147483648 and 2147483647"),
        ("w1 = 0x100000000", "0x100000000 is not between"),
        ("r1 = 0x10000000000000000 ll", "is not between"),
        ("r1 = w2", "differ in width"),
        ("if r1 == w2 goto +1", "differ in width"),
        ("r1 = (s8)w2", "differ in width"),
        ("r1 = -r2", "negation works in place"),
        ("r1 = be16 r2", "a byte swap works in place"),
        ("w1 = (s32)w2", "has no encoding"),
        ("r2 = atomic_xchg((u32 *)(r1 +0), r3)", "the old value goes to the source register"),
        ("lock *(u8 *)(r1 +0) += r2", "has no encoding"),
        ("*(s32 *)(r1 +0) = r2", "a store has no sign"),
        ("r1 = *(s64 *)(r2 +0)", "has no encoding"),
        ("r1 = *(u64 *)(r2 + 32768)", "is not between -32768 and 32767"),
        ("goto pc+40000", "does not fit"),
        ("(b7) w1 = 5", "its opcode is b4, not b7"),
        ("r1 = map_id(5) ll", "the forms are plain, map_fd"),
        ("r1 = map_fd(1, 2, 3, 4, 5) ll", "one to four numbers"),
        ("r1 = func(nowhere) ll", "'nowhere' is neither a number nor a label"),
        ("r1 = map_fd() ll", "'' is neither a number nor a label"),
        ("r0 = *(u64 *)skb[0]", "not an instruction"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_slot(text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        assemble("exit; " + text)

    assert str(refused.value).startswith(("insn 1: ", "insn 2: "))
    assert message in str(refused.value)
