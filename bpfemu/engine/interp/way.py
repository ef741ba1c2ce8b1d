"""What is known on the way through a function: of registers, and of words of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from bpfemu.engine.interp.access import FORGIVING
from bpfemu.engine.interp.alu import is_narrow
from bpfemu.engine.interp.block import Node
from bpfemu.engine.interp.mem import Place, in_frame
from bpfemu.engine.interp.operands import writes_of
from bpfemu.isa.insn import Alu, Atomic, Insn, Load, LoadImm64, Reg, Slot, Store, Swap
from bpfemu.isa.ops import AluOp
from bpfemu.machine.memory import LoadKind

__all__ = ["START", "Way", "find_word", "moved_on"]

_AHEAD: Final = 12  # instructions looked at for another use of a word

Word: TypeAlias = tuple[int, int, int]
"""A place in memory as instructions name it: base register, offset, size."""


class Way(NamedTuple):
    """How far one way through the function has come, and what is known there."""

    ran: int  # instructions
    node: Node | None
    written: frozenset[int]
    sure: frozenset[int]  # registers that surely hold a number
    narrow: frozenset[int]  # registers that surely fit 32 bits
    near: frozenset[int]  # registers that surely point near the arena: adding a number is exact
    filled: frozenset[Word]  # words of the frame that surely are valid
    pins: Mapping[Word, str]  # words whose index and shadow are at hand, with their names


_NO: Final[frozenset[int]] = frozenset()
START: Final = Way(
    0, None, _NO, frozenset({10}), _NO, frozenset({10}), frozenset(), MappingProxyType({})
)
"""The way before its first instruction: r10 is known."""


def find_word(way: Way, code: Sequence[Insn], slot: Slot) -> tuple[bool, str]:
    """Is the word that the load or store at ``slot`` accesses known already, and its pin.

    The pin is the name it is pinned under, or shall be; empty for neither.
    """
    insn = code[slot]
    assert isinstance(insn, Load | Store)
    word = _word_of(insn)
    if word in way.filled:
        return True, ""
    if word in way.pins:
        return True, way.pins[word]
    return False, str(slot) if _is_used_again(code, slot, word) else ""


def _word_of(insn: Load | Store) -> Word:
    return insn.base.n, insn.offset, insn.size


def _is_used_again(code: Sequence[Insn], slot: Slot, word: Word) -> bool:
    """Will straight code from ``slot`` on access the word again?  A guess is good enough."""
    if writes_of(code[slot]) == word[0]:
        return False
    for insn in code[slot + 1 : slot + _AHEAD]:
        if isinstance(insn, Load | Store) and _word_of(insn) == word:
            return True
        if writes_of(insn) == word[0]:
            return False
    return False


def moved_on(way: Way, code: Sequence[Insn], slot: Slot, kind: LoadKind, place: Place) -> Way:
    """The way after the straight-line instruction at ``slot``; ``way`` has counted it."""
    insn = code[slot]
    if isinstance(insn, Load | Store | Atomic) and kind not in FORGIVING:
        # Or the access would not have come back.
        way = way._replace(near=way.near | {insn.base.n})
    if isinstance(insn, Load | Store):
        known, pin = find_word(way, code, slot)
        if pin and not known:
            way = way._replace(pins={**way.pins, _word_of(insn): pin})
    if isinstance(insn, Store) and in_frame(insn.base, insn.offset, insn.size):
        way = way._replace(filled=way.filled | {_word_of(insn)})
    reg = writes_of(insn)
    if reg is None:
        return way
    return way._replace(
        written=way.written | {reg},
        sure=way.sure | {reg},
        narrow=way.narrow | {reg} if _is_narrow(insn, way.narrow) else way.narrow - {reg},
        near=way.near | {reg} if _is_near(insn, way.near, place) else way.near - {reg},
        pins={word: pin for word, pin in way.pins.items() if word[0] != reg},
    )


def _is_near(insn: Insn, near: frozenset[int], place: Place) -> bool:
    match insn:
        case Alu(op=AluOp.MOV, width=64, src=Reg(n)):
            return n in near
        case LoadImm64(value=value):
            return 0 <= value - place.base < place.reach
    return False


def _is_narrow(insn: Insn, narrow: frozenset[int]) -> bool:
    match insn:
        case Alu():
            return is_narrow(insn, narrow)
        case Swap(bits=bits):
            return bits < 64
        case Load(size=size, signed=signed):
            return size < 8 and not signed
        case LoadImm64(value=value):
            return value >> 32 == 0
        case Atomic(size=size):
            return size < 8
    return False
