"""What loads from the context yield, by program type (verifier notes, sections 4.2 and 5)."""

from __future__ import annotations

from typing import Final

from bpfemu.bind.attach import Attach
from bpfemu.bind.values import SCALAR, Kind, Trust, Value
from bpfemu.bind.walk import Walker
from bpfemu.isa.insn import Insn, Load
from bpfemu.machine.memory import LoadKind
from bpfemu.record import dataclass

__all__ = ["Context", "widened"]

_PACKET: Final = Value(Kind.PACKET)
_PACKET_END: Final = Value(Kind.PACKET_END)

_SKB: Final = {76: _PACKET, 80: _PACKET_END, 140: _PACKET}  # data, data_end, data_meta
_XDP: Final = {0: _PACKET, 4: _PACKET_END, 8: _PACKET}
_SKB_TYPES: Final = (1, 3, 4, 8, 10, 11, 12, 14, 19, 22)
_NARROW: Final = {6: _XDP, **dict.fromkeys(_SKB_TYPES, _SKB)}
"""Program type → pointers that stand in u32 fields, by byte offset."""

_WIDE: Final = {
    16: {0: _PACKET, 8: _PACKET_END},  # sk_msg_md
    21: {0: _PACKET, 8: _PACKET_END},  # sk_reuseport_md
}
"""Program type → pointers that stand in 8-byte fields."""

WIDE_BASE: Final = 256
"""Where the context block holds the pointers of u32 fields: the one of field f at 256 + 2 * f."""


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one program."""

    prog_type: int
    attach: Attach
    walker: Walker

    def load(self, offset: int | None, size: int) -> Value:
        """``size`` bytes at a constant offset."""
        if offset is None:
            return SCALAR
        if size == 4:
            return _NARROW.get(self.prog_type, {}).get(offset, SCALAR)
        if size != 8:
            return SCALAR
        index, rest = divmod(offset, 8)
        if self.attach.args and not rest and 0 <= index < len(self.attach.args):
            trust = Trust.TRUSTED if self.attach.trusted else Trust.NONE
            return self.walker.pointer(self.attach.args[index][1], trust)
        return _WIDE.get(self.prog_type, {}).get(offset, SCALAR)


def widened(prog_type: int, insn: Insn, kind: LoadKind, base: Value) -> Insn:
    """A load of a pointer from a u32 field of the context, as the 8-byte load it stands for."""
    narrow = _NARROW.get(prog_type)
    if narrow is None or kind is not LoadKind.CTX or not isinstance(insn, Load):
        return insn
    if base.number is None or insn.size != 4 or base.number + insn.offset not in narrow:
        return insn
    offset = WIDE_BASE + 2 * (base.number + insn.offset) - base.number
    return Load(8, False, insn.dst, insn.base, offset)
