"""Arithmetic, byte swaps and address space casts: fields ⇄ instruction (RFC 9669 section 4)."""

from __future__ import annotations

from bpfemu.isa.fields import REG_SOURCE, REGS, Decoder, Fields, no_encoding, reserved
from bpfemu.isa.insn import AddrSpaceCast, Alu, Imm, Insn, Reg, Slot, Swap
from bpfemu.isa.ops import AluOp, InsnClass, SwapOp

__all__ = ["DECODERS", "encode_addr_space_cast", "encode_alu", "encode_swap"]

_CLASSES = {32: InsnClass.ALU, 64: InsnClass.ALU64}
_MOVSX = frozenset({AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32})
_CAST_OFF = 1  # offset field of a 64-bit register move that makes it an address space cast
_CAST_OPCODE = InsnClass.ALU64 | AluOp.MOV.code | REG_SOURCE
_SWAPS = {SwapOp.LE: 0xD4, SwapOp.BE: 0xDC, SwapOp.BSWAP: 0xD7}
_SWAP_WIDTHS = (16, 32, 64)


def _exists(op: AluOp, width: int, from_reg: bool) -> bool:
    """Say whether the combination is an instruction."""
    if op is AluOp.NEG:
        return not from_reg
    if op in _MOVSX:
        return from_reg and op.off < width
    return True


def _forms() -> dict[tuple[AluOp, int, bool], tuple[int, int]]:
    """(operation, width, register source) to (opcode, off), for all that exist."""
    return {
        (op, width, from_reg): (cls | op.code | (REG_SOURCE if from_reg else 0), op.off)
        for op in AluOp
        for width, cls in _CLASSES.items()
        for from_reg in (False, True)
        if _exists(op, width, from_reg)
    }


_FORMS = _forms()


def _any_of(values: list[int]) -> str:
    """``0``, ``0 or 1``, ``0, 8 or 16``."""
    words = [str(value) for value in sorted(values)]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _imm_decoder(name: str, width: int, ops: dict[int, AluOp]) -> Decoder:
    """Decode ``dst op= imm``; ``ops`` maps the offset field to the operation."""
    allowed = _any_of(list(ops))

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if src:
            raise reserved(slot, name, "src_reg", src)
        if off not in ops:
            raise reserved(slot, name, "off", off, allowed)
        return Alu(ops[off], width, REGS[dst], Imm(imm))

    return decode


def _reg_decoder(name: str, width: int, ops: dict[int, AluOp]) -> Decoder:
    """Decode ``dst op= src``; ``ops`` maps the offset field to the operation."""
    casts = width == 64 and AluOp.MOV in ops.values()
    allowed = _any_of([*ops, _CAST_OFF] if casts else list(ops))

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if off in ops:
            if imm:
                raise reserved(slot, name, "imm", imm)
            return Alu(ops[off], width, REGS[dst], REGS[src])
        if casts and off == _CAST_OFF:
            return AddrSpaceCast(REGS[dst], REGS[src], (imm >> 16) & 0xFFFF, imm & 0xFFFF)
        raise reserved(slot, name, "off", off, allowed)

    return decode


def _neg_decoder(name: str, width: int) -> Decoder:
    """Decode negation, which uses nothing but dst."""

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        for field, value in (("src_reg", src), ("off", off), ("imm", imm)):
            if value:
                raise reserved(slot, name, field, value)
        return Alu(AluOp.NEG, width, REGS[dst], Imm(0))

    return decode


def _swap_decoder(op: SwapOp) -> Decoder:
    """Decode a byte swap, whose immediate is the width in bits."""
    name = op.value

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if src:
            raise reserved(slot, name, "src_reg", src)
        if off:
            raise reserved(slot, name, "off", off)
        if imm not in _SWAP_WIDTHS:
            raise reserved(slot, name, "imm", imm, "16, 32 or 64")
        return Swap(op, imm, REGS[dst])

    return decode


def _decoders() -> dict[int, Decoder]:
    by_opcode: dict[int, tuple[int, bool, dict[int, AluOp]]] = {}
    for (op, width, from_reg), (opcode, off) in _FORMS.items():
        by_opcode.setdefault(opcode, (width, from_reg, {}))[2][off] = op
    table: dict[int, Decoder] = {opcode: _swap_decoder(op) for op, opcode in _SWAPS.items()}
    for opcode, (width, from_reg, ops) in by_opcode.items():
        name = f"{ops[0].name.lower()}{width}"
        if ops[0] is AluOp.NEG:
            table[opcode] = _neg_decoder(name, width)
        else:
            table[opcode] = (_reg_decoder if from_reg else _imm_decoder)(name, width, ops)
    return table


DECODERS: dict[int, Decoder] = _decoders()
"""Opcode to decoder, for the classes ALU and ALU64."""

assert {op for op, _, _ in _FORMS} == set(AluOp), "an arithmetic operation has no encoding"
assert set(_SWAPS) == set(SwapOp), "a byte swap has no encoding"


def encode_alu(insn: Alu, slot: Slot) -> Fields:
    """``Alu`` to its fields; InputError when the combination is no instruction."""
    src = insn.src
    form = _FORMS.get((insn.op, insn.width, isinstance(src, Reg)))
    if form is None:
        raise no_encoding(slot, insn)
    opcode, off = form
    if isinstance(src, Reg):
        return opcode, insn.dst.n, src.n, off, 0
    return opcode, insn.dst.n, 0, off, 0 if insn.op is AluOp.NEG else src.value


def encode_swap(insn: Swap, slot: Slot) -> Fields:
    """``Swap`` to its fields; InputError for a width that is not 16, 32 or 64."""
    if insn.bits not in _SWAP_WIDTHS:
        raise no_encoding(slot, insn)
    return _SWAPS[insn.op], insn.dst.n, 0, 0, insn.bits


def encode_addr_space_cast(insn: AddrSpaceCast, slot: Slot) -> Fields:
    """``AddrSpaceCast`` to its fields; InputError for a space beyond 16 bits."""
    if not (0 <= insn.to_space <= 0xFFFF and 0 <= insn.from_space <= 0xFFFF):
        raise no_encoding(slot, insn)
    imm = insn.to_space << 16 | insn.from_space
    return _CAST_OPCODE, insn.dst.n, insn.src.n, _CAST_OFF, imm - (imm >> 31 << 32)
