"""Bytes ⇄ instructions: the whole instruction set in two functions.

The pairs for each family are in ``encode_alu``, ``encode_mem`` and ``encode_jump``; the 64-bit
immediate load, the only instruction of two slots, is here.  Code is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from errno import EINVAL
from typing import Any, get_args

from bpfemu.errors import DecodeError, InputError
from bpfemu.isa import encode_alu, encode_jump, encode_mem
from bpfemu.isa.fields import LAYOUT, REGS, SLOT_SIZE, Decoder, Fields, no_encoding, reserved
from bpfemu.isa.flow import func_target, jump_target
from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Call,
    CallReg,
    CallSub,
    Exit,
    Insn,
    Jump,
    Load,
    LoadImm64,
    MayGoto,
    PacketLoad,
    Slot,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import Pseudo

__all__ = ["SLOT_SIZE", "check_targets", "decode", "encode", "opcode_of"]

_LD_IMM64 = 0x18
_TAIL = Tail()
_PSEUDOS = {int(pseudo): pseudo for pseudo in Pseudo}
_ONE_WORD = frozenset({Pseudo.MAP_FD, Pseudo.MAP_IDX})  # their second immediate must be zero
_U32 = 0xFFFF_FFFF
_RawSlot = tuple[int, int, int, int]  # opcode, registers, off, imm


def _unknown_decoder(opcode: int) -> Decoder:
    def decode(dst: int, src: int, off: int, imm: int, slot: Slot) -> Insn:
        raise DecodeError(f"unknown opcode {opcode:02x}", slot=slot, errno=EINVAL)

    return decode


def _dispatch_table() -> tuple[Decoder, ...]:
    """All 256 opcodes; those that stand for nothing raise."""
    families = (encode_alu.DECODERS, encode_mem.DECODERS, encode_jump.DECODERS)
    table: dict[int, Decoder] = {}
    for family in families:
        table.update(family)
    assert len(table) == sum(map(len, families)), "two families claim one opcode"
    assert _LD_IMM64 not in table
    return tuple(table.get(opcode) or _unknown_decoder(opcode) for opcode in range(256))


_DECODERS = _dispatch_table()


def decode(
    code: bytes | bytearray | memoryview, *, start: Slot = 0, raw: bool = False
) -> tuple[Insn, ...]:
    """Decode ``code``, whose first byte is at slot ``start``; targets become absolute slots.

    ``raw`` accepts what an object file holds before relocation: targets out of range and the
    fields of 64-bit immediate loads that the loader fills.  Raises DecodeError.
    """
    if len(code) % SLOT_SIZE:
        rule = f"code of {len(code)} bytes is not a whole number of {SLOT_SIZE}-byte slots"
        raise DecodeError(rule, slot=start + len(code) // SLOT_SIZE, errno=EINVAL)
    insns: list[Insn] = []
    append = insns.append
    slots: Iterator[_RawSlot] = struct.iter_unpack(LAYOUT, code)
    slot, dst, src = start, 0, 0
    try:
        for opcode, regs, off, imm in slots:
            dst, src = regs & 15, regs >> 4
            if opcode == _LD_IMM64:
                append(_decode_ld_imm64((dst, src, off, imm), next(slots, None), slot, raw))
                append(_TAIL)
                slot += 2
            else:
                append(_DECODERS[opcode](dst, src, off, imm, slot))
                slot += 1
    except IndexError:  # REGS has eleven entries
        wrong = dst if dst > 10 else src
        raise DecodeError(f"R{wrong} is invalid", slot=slot, errno=EINVAL) from None
    result = tuple(insns)
    if not raw:
        check_targets(result, start=start)
    return result


def _decode_ld_imm64(
    first: tuple[int, int, int, int], second: _RawSlot | None, slot: Slot, raw: bool
) -> LoadImm64:
    """The two slots of a 64-bit immediate load (RFC 9669 section 5.4)."""
    dst, src, off, imm = first
    if second is None:
        raise DecodeError("invalid bpf_ld_imm64 insn: no second slot", slot=slot, errno=EINVAL)
    next_opcode, next_regs, next_off, next_imm = second
    if next_opcode or next_regs:
        field, value = ("opcode", next_opcode) if next_opcode else ("registers", next_regs)
        what = "invalid bpf_ld_imm64 insn: second slot"
        raise reserved(slot + 1, what, field, value)
    pseudo = _PSEUDOS.get(src)
    if pseudo is None or (not raw and next_imm and pseudo in _ONE_WORD):
        field, value = ("src_reg", src) if pseudo is None else ("second imm", next_imm)
        rule = "0 to 6" if pseudo is None else "0"
        raise reserved(slot, "unrecognized bpf_ld_imm64 insn", field, value, rule)
    value = (next_imm & _U32) << 32 | imm & _U32
    insn = LoadImm64(REGS[dst], value, pseudo, (off, next_off))
    if not raw and (off or next_off):
        if pseudo is Pseudo.BTF_ID:
            from bpfemu.isa.ksym_proposal import explain_offsets

            text = f"BPF_LD_IMM64 uses reserved fields; {explain_offsets(insn)}"
            raise DecodeError(text, slot=slot, errno=EINVAL)
        raise reserved(slot if off else slot + 1, "ld_imm64", "off", off or next_off)
    return insn


def check_targets(code: Sequence[Insn], *, start: Slot = 0) -> None:
    """Raise DecodeError unless every jump and call goes to the first slot of an instruction."""
    end = start + len(code)
    for slot, insn in enumerate(code, start):
        kind = type(insn)
        jumps = kind is Jump or kind is MayGoto
        if jumps:
            target = jump_target(insn)
        elif kind is CallSub or kind is LoadImm64:
            target = func_target(insn, slot)
        else:
            continue
        if target is None:
            continue
        if not start <= target < end:
            words = f"jump out of range from insn {slot} to {target}"
            rule = words if jumps else f"call to invalid destination {target}"
            raise DecodeError(rule, slot=slot, errno=EINVAL)
        if type(code[target - start]) is Tail:
            rule = f"jump into the middle of ldimm64 insn {target - 1}"
            raise DecodeError(rule, slot=slot, errno=EINVAL)


def _signed32(value: int) -> int:
    low = value & _U32
    return low - (low >> 31 << 32)


def _encode_ld_imm64(insn: LoadImm64, slot: Slot) -> Fields:
    low = _signed32(insn.value)
    if not 0 <= insn.value < 2**64:
        raise no_encoding(slot, insn)
    return _LD_IMM64, insn.dst.n, int(insn.pseudo), insn.offs[0], low


_ENCODERS: dict[type, Callable[[Any, Slot], Fields]] = {
    Alu: encode_alu.encode_alu,
    Swap: encode_alu.encode_swap,
    AddrSpaceCast: encode_alu.encode_addr_space_cast,
    Load: encode_mem.encode_load,
    Store: encode_mem.encode_store,
    Atomic: encode_mem.encode_atomic,
    PacketLoad: encode_mem.encode_packet_load,
    LoadImm64: _encode_ld_imm64,
    Jump: encode_jump.encode_jump,
    MayGoto: encode_jump.encode_may_goto,
    Call: encode_jump.encode_call,
    CallSub: encode_jump.encode_call_sub,
    CallReg: encode_jump.encode_call_reg,
    Exit: encode_jump.encode_exit,
}
assert {*_ENCODERS, Tail} == set(get_args(Insn)), "an instruction family has no encoder"


def encode(code: Sequence[Insn], *, first: Slot = 0) -> bytes:
    """Encode instructions whose first stands at slot ``first``; the inverse of :func:`decode`.

    Raises InputError for an instruction that has no encoding or whose values do not fit, and for
    a 64-bit immediate load that is not followed by its ``Tail``.
    """
    parts: list[bytes] = []
    wide: LoadImm64 | None = None
    for slot, insn in enumerate(code, first):
        if (wide is not None) != isinstance(insn, Tail):
            raise InputError(f"insn {slot}: LoadImm64 and Tail must stand together", errno=EINVAL)
        if wide is not None:
            fields = (0, 0, 0, wide.offs[1], _signed32(wide.value >> 32))
            wide = None
        else:
            fields = _ENCODERS[type(insn)](insn, slot)
            wide = insn if isinstance(insn, LoadImm64) else None
        parts.append(_pack(fields, insn, slot))
    if wide is not None:
        raise InputError(f"insn {first + len(code) - 1}: LoadImm64 has no Tail", errno=EINVAL)
    return b"".join(parts)


def _pack(fields: Fields, insn: Insn, slot: Slot) -> bytes:
    opcode, dst, src, off, imm = fields
    if not (0 <= dst <= 10 and 0 <= src <= 10):
        raise no_encoding(slot, insn)
    try:
        return struct.pack(LAYOUT, opcode, src << 4 | dst, off, imm)
    except struct.error:
        raise InputError(f"insn {slot}: {insn!r}: off or imm does not fit", errno=EINVAL) from None


def opcode_of(insn: Insn, slot: Slot = 0) -> int:
    """The opcode byte of ``insn`` as encoded; 0 for a ``Tail``.  Raises InputError as encode."""
    return 0 if isinstance(insn, Tail) else _ENCODERS[type(insn)](insn, slot)[0]
