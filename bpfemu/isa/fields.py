"""The raw fields of one instruction and the words in which a bad field is refused.

One slot of code, little-endian (RFC 9669 section 3)::

    byte  0        1            2..3       4..7
          opcode   src:4 dst:4  off (s16)  imm (s32)
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL
from typing import TypeAlias

from bpfemu.errors import DecodeError, InputError
from bpfemu.isa.insn import Insn, Reg, Slot

__all__ = [
    "LAYOUT",
    "REGS",
    "REG_SOURCE",
    "SIZE_BITS",
    "SLOT_SIZE",
    "Decoder",
    "Fields",
    "no_encoding",
    "reserved",
]

SLOT_SIZE = 8  # bytes per slot
LAYOUT = "<BBhi"  # struct format of one slot: opcode, registers, off, imm
REG_SOURCE = 0x08  # opcode bit: the second operand is a register (BPF_X)

REGS: tuple[Reg, ...] = tuple(Reg(n) for n in range(11))
"""The eleven register operands, shared by all decoded instructions."""

SIZE_BITS: dict[int, int] = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}
"""Access size in bytes to the size bits of a load or store opcode (RFC 9669 section 5)."""

Fields: TypeAlias = tuple[int, int, int, int, int]
"""opcode, dst, src, off, imm."""

Decoder: TypeAlias = Callable[[int, int, int, int, Slot], Insn]
"""dst, src, off, imm and the slot to an instruction.

Raises DecodeError for a reserved field and IndexError for a register above r10.
"""


def reserved(slot: Slot, what: str, field: str, value: int, allowed: str = "0") -> DecodeError:
    """The error for a field that must hold one of the ``allowed`` values."""
    return DecodeError(f"{what}: {field} is {value}, must be {allowed}", slot=slot, errno=EINVAL)


def no_encoding(slot: Slot, insn: Insn) -> InputError:
    """The error for an instruction that no bytes stand for."""
    return InputError(f"insn {slot}: {insn!r} has no encoding", errno=EINVAL)
