"""Loads, stores, atomics and legacy packet loads: fields ⇄ instruction (RFC 9669 section 5)."""

from __future__ import annotations

from bpfemu.isa.fields import REGS, SIZE_BITS, Decoder, Fields, no_encoding, reserved
from bpfemu.isa.insn import Atomic, Imm, Insn, Load, PacketLoad, Reg, Slot, Store
from bpfemu.isa.ops import AtomicOp, InsnClass, Mode

__all__ = ["DECODERS", "encode_atomic", "encode_load", "encode_packet_load", "encode_store"]

_ATOMICS = {op.value: op for op in AtomicOp}
_ORDERED = frozenset({AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL})  # the only ones of 1 and 2 bytes
_PACKET_SIZES = (1, 2, 4)
_SIGNED_SIZES = (1, 2, 4)


def _load_decoder(size: int, signed: bool) -> Decoder:
    name = f"ldx{'s' if signed else ''}{size * 8}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if imm:
            raise reserved(slot, name, "imm", imm)
        return Load(size, signed, REGS[dst], REGS[src], off)

    return decode


def _store_reg_decoder(size: int) -> Decoder:
    name = f"stx{size * 8}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if imm:
            raise reserved(slot, name, "imm", imm)
        return Store(size, REGS[dst], off, REGS[src])

    return decode


def _store_imm_decoder(size: int) -> Decoder:
    name = f"st{size * 8}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if src:
            raise reserved(slot, name, "src_reg", src)
        return Store(size, REGS[dst], off, Imm(imm))

    return decode


def _atomic_decoder(size: int) -> Decoder:
    """Decode an atomic; the address register is dst, except for a load-acquire."""
    name = f"atomic{size * 8}"
    known = {
        imm: op for imm, op in _ATOMICS.items() if size >= 4 or op in _ORDERED
    }  # RFC 9669 section 5.3: read-modify-write exists for 4 and 8 bytes
    allowed = ", ".join(f"{imm:#x}" for imm in known)

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        op = known.get(imm)
        if op is None:
            raise reserved(slot, name, "imm", imm, f"one of {allowed}")
        if op is AtomicOp.LOAD_ACQ:
            return Atomic(op, size, REGS[src], off, REGS[dst])
        return Atomic(op, size, REGS[dst], off, REGS[src])

    return decode


def _packet_decoder(size: int, indexed: bool) -> Decoder:
    name = f"ld_{'ind' if indexed else 'abs'}{size * 8}"

    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        if dst:
            raise reserved(slot, name, "dst_reg", dst)
        if off:
            raise reserved(slot, name, "off", off)
        if indexed:
            return PacketLoad(size, imm, REGS[src])
        if src:
            raise reserved(slot, name, "src_reg", src)
        return PacketLoad(size, imm, None)

    return decode


def _decoders() -> dict[int, Decoder]:
    table: dict[int, Decoder] = {}
    for size, bits in SIZE_BITS.items():
        table[InsnClass.LDX | bits | Mode.MEM] = _load_decoder(size, False)
        table[InsnClass.STX | bits | Mode.MEM] = _store_reg_decoder(size)
        table[InsnClass.ST | bits | Mode.MEM] = _store_imm_decoder(size)
        table[InsnClass.STX | bits | Mode.ATOMIC] = _atomic_decoder(size)
    for size in _SIGNED_SIZES:
        table[InsnClass.LDX | SIZE_BITS[size] | Mode.MEMSX] = _load_decoder(size, True)
    for size in _PACKET_SIZES:
        table[InsnClass.LD | SIZE_BITS[size] | Mode.ABS] = _packet_decoder(size, False)
        table[InsnClass.LD | SIZE_BITS[size] | Mode.IND] = _packet_decoder(size, True)
    return table


DECODERS: dict[int, Decoder] = _decoders()
"""Opcode to decoder, for the load and store classes except the 64-bit immediate load."""


def encode_load(insn: Load, slot: Slot) -> Fields:
    """``Load`` to its fields; InputError for a size that does not exist."""
    if insn.size not in (_SIGNED_SIZES if insn.signed else SIZE_BITS):
        raise no_encoding(slot, insn)
    mode = Mode.MEMSX if insn.signed else Mode.MEM
    return InsnClass.LDX | SIZE_BITS[insn.size] | mode, insn.dst.n, insn.base.n, insn.offset, 0


def encode_store(insn: Store, slot: Slot) -> Fields:
    """``Store`` to its fields; InputError for a size that does not exist."""
    if insn.size not in SIZE_BITS:
        raise no_encoding(slot, insn)
    bits = SIZE_BITS[insn.size] | Mode.MEM
    if isinstance(insn.src, Reg):
        return InsnClass.STX | bits, insn.base.n, insn.src.n, insn.offset, 0
    return InsnClass.ST | bits, insn.base.n, 0, insn.offset, insn.src.value


def encode_atomic(insn: Atomic, slot: Slot) -> Fields:
    """``Atomic`` to its fields; InputError for a size that the operation does not have."""
    if insn.size not in SIZE_BITS or (insn.size < 4 and insn.op not in _ORDERED):
        raise no_encoding(slot, insn)
    dst, src = insn.base.n, insn.reg.n
    if insn.op is AtomicOp.LOAD_ACQ:
        dst, src = src, dst
    opcode = InsnClass.STX | SIZE_BITS[insn.size] | Mode.ATOMIC
    return opcode, dst, src, insn.offset, insn.op.value


def encode_packet_load(insn: PacketLoad, slot: Slot) -> Fields:
    """``PacketLoad`` to its fields; InputError for a size that does not exist."""
    if insn.size not in _PACKET_SIZES:
        raise no_encoding(slot, insn)
    opcode = InsnClass.LD | SIZE_BITS[insn.size]
    if insn.index is None:
        return opcode | Mode.ABS, 0, 0, 0, insn.offset
    return opcode | Mode.IND, 0, insn.index.n, 0, insn.offset
