"""Jumps, calls and exit: fields ⇄ instruction (RFC 9669 sections 4.3 and 4.3.1)."""

from __future__ import annotations

from bpfemu.isa.fields import REG_SOURCE, REGS, Decoder, Fields, no_encoding, reserved
from bpfemu.isa.insn import Call, CallReg, CallSub, Exit, Imm, Insn, Jump, MayGoto, Reg, Slot
from bpfemu.isa.ops import InsnClass, JmpOp

__all__ = [
    "DECODERS",
    "encode_call",
    "encode_call_reg",
    "encode_call_sub",
    "encode_exit",
    "encode_jump",
    "encode_may_goto",
]

_CLASSES = {32: InsnClass.JMP32, 64: InsnClass.JMP}
_CALL = 0x85
_CALLX = 0x8D
_EXIT = 0x95
_MAY_GOTO = 0xE5  # include/uapi/linux/bpf.h: BPF_JCOND; its source register selects may_goto, 0
_PSEUDO_CALL = 1
_CALL_KINDS = {"helper": 0, "kfunc": 2, "helper_btf": 2}  # RFC 9669 table 9; Linux: 2 is a kfunc
_EXIT_INSN = Exit()
_R0 = REGS[0]
_NO_SOURCE = Imm(0)


def _jump_imm_decoder(op: JmpOp, width: int) -> Decoder:
    name = f"{op.name.lower()}{width}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if src:
            raise reserved(slot, name, "src_reg", src)
        return Jump(op, width, REGS[dst], Imm(imm), slot + off + 1)

    return decode


def _jump_reg_decoder(op: JmpOp, width: int) -> Decoder:
    name = f"{op.name.lower()}{width}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if imm:
            raise reserved(slot, name, "imm", imm)
        return Jump(op, width, REGS[dst], REGS[src], slot + off + 1)

    return decode


def _refuse_any(slot: Slot, name: str, **values: int) -> None:
    """Raise DecodeError for the first of ``values`` that is not zero."""
    for field, value in values.items():
        if value:
            raise reserved(slot, name, field, value)


def _decode_goto(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    _refuse_any(slot, "goto", dst_reg=dst, src_reg=src, imm=imm)
    return Jump(JmpOp.JA, 64, _R0, _NO_SOURCE, slot + off + 1)


def _decode_gotol(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    _refuse_any(slot, "gotol", dst_reg=dst, src_reg=src, off=off)
    return Jump(JmpOp.JA, 32, _R0, _NO_SOURCE, slot + imm + 1)


def _decode_may_goto(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    _refuse_any(slot, "may_goto", dst_reg=dst, src_reg=src, imm=imm)
    return MayGoto(slot + off + 1)


def _decode_call(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    if dst:
        raise reserved(slot, "call", "dst_reg", dst)
    if src == _CALL_KINDS["kfunc"]:
        return Call("kfunc", imm, off)
    if off:
        raise reserved(slot, "call", "off", off)
    if src == _PSEUDO_CALL:
        return CallSub(slot + imm + 1)
    if src:
        raise reserved(slot, "call", "src_reg", src, "0, 1 or 2")
    return Call("helper", imm)


def _decode_call_reg(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    _refuse_any(slot, "callx", src_reg=src, off=off, imm=imm)
    return CallReg(REGS[dst])


def _decode_exit(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
    _refuse_any(slot, "exit", dst_reg=dst, src_reg=src, off=off, imm=imm)
    return _EXIT_INSN


def _decoders() -> dict[int, Decoder]:
    table: dict[int, Decoder] = {
        InsnClass.JMP | JmpOp.JA.code: _decode_goto,
        InsnClass.JMP32 | JmpOp.JA.code: _decode_gotol,
        _CALL: _decode_call,
        _CALLX: _decode_call_reg,
        _EXIT: _decode_exit,
        _MAY_GOTO: _decode_may_goto,
    }
    for op in JmpOp:
        if op is JmpOp.JA:
            continue
        for width, cls in _CLASSES.items():
            table[cls | op.code] = _jump_imm_decoder(op, width)
            table[cls | op.code | REG_SOURCE] = _jump_reg_decoder(op, width)
    return table


DECODERS: dict[int, Decoder] = _decoders()
"""Opcode to decoder, for the classes JMP and JMP32."""


def encode_jump(insn: Jump, slot: Slot) -> Fields:
    """``Jump`` to its fields; InputError for a width that is not 32 or 64 bits."""
    if insn.width not in _CLASSES:
        raise no_encoding(slot, insn)
    opcode = _CLASSES[insn.width] | insn.op.code
    distance = insn.target - slot - 1
    if insn.op is JmpOp.JA:
        return (opcode, 0, 0, distance, 0) if insn.width == 64 else (opcode, 0, 0, 0, distance)
    if isinstance(insn.src, Reg):
        return opcode | REG_SOURCE, insn.dst.n, insn.src.n, distance, 0
    return opcode, insn.dst.n, 0, distance, insn.src.value


def encode_may_goto(insn: MayGoto, slot: Slot) -> Fields:
    """``MayGoto`` to its fields."""
    return _MAY_GOTO, 0, 0, insn.target - slot - 1, 0


def encode_call(insn: Call, slot: Slot) -> Fields:
    """``Call`` to its fields, as before bind; InputError for an unknown kind."""
    if insn.kind not in _CALL_KINDS or (insn.kind == "helper" and insn.off):
        raise no_encoding(slot, insn)
    return _CALL, 0, _CALL_KINDS[insn.kind], insn.off, insn.imm


def encode_call_sub(insn: CallSub, slot: Slot) -> Fields:
    """``CallSub`` to its fields."""
    return _CALL, 0, _PSEUDO_CALL, 0, insn.target - slot - 1


def encode_call_reg(insn: CallReg, slot: Slot) -> Fields:
    """``CallReg`` to its fields; the register stands in dst."""
    return _CALLX, insn.reg.n, 0, 0, 0


def encode_exit(insn: Exit, slot: Slot) -> Fields:
    """``Exit`` to its fields."""
    return _EXIT, 0, 0, 0, 0
