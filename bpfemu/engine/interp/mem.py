"""Loads and stores: size → Python text, for each kind of pointer.

A template first turns the address into an offset ``i`` into the arena.  One comparison sees that
it is aligned and inside, a second one that all its shadow bytes say "allowed"; then the access is
one indexing of a memory view.  Anything else goes to ``load`` and ``store``
(:mod:`bpfemu.engine.interp.access`), which take any address and know why not.

::

    i = r2 - base + offset
    if i & reach or s8[i := i >> 3] != VALID: slow
    else:                                     r1 = q8[i]

The frame's own stack is inside and its alignment known: ``fp8 - n`` is the index then.  A word
that is used again soon is *pinned*: its index ``i1`` and its shadow ``t1`` stay at hand.
"""

from __future__ import annotations

import struct
from typing import Final

from bpfemu.isa.insn import Imm, Load, Reg, Store
from bpfemu.machine.frame import STACK_SIZE
from bpfemu.machine.memory import ITER, READ_ONLY, UNINIT, VALID, LoadKind
from bpfemu.record import dataclass

__all__ = [
    "LOAD_STATES",
    "Place",
    "load_source",
    "place_source",
    "state_word",
    "store_source",
]

_U64: Final = "0xFFFFFFFFFFFFFFFF"
_SHIFT: Final = {8: 3, 4: 2, 2: 1, 1: 0}

LOAD_STATES: Final[dict[LoadKind, tuple[int, ...]]] = {
    LoadKind.UNKNOWN: (VALID, READ_ONLY),
    LoadKind.CTX: (VALID, READ_ONLY),
    LoadKind.STACK: (VALID,),
    LoadKind.MAP_VALUE: (VALID, READ_ONLY),
    LoadKind.MEM: (VALID, ITER, READ_ONLY),
    LoadKind.BTF: (READ_ONLY, VALID),
    LoadKind.PROBE: (READ_ONLY, VALID),
    LoadKind.PACKET: (VALID, READ_ONLY),
    LoadKind.ARENA: (VALID,),
}
"""Shadow states that need no closer look, the likeliest first."""

assert set(LOAD_STATES) == set(LoadKind), set(LoadKind) - set(LOAD_STATES)


@dataclass(frozen=True, slots=True)
class Place:
    """The arena as templates see it: where it starts, a power of two not below its size."""

    base: int  # u64
    reach: int  # bytes


def _address(base: Reg, offset: int) -> str:
    return f"r{base.n} + {offset} & {_U64}" if offset else f"r{base.n}"


def place_source(place: Place, base: Reg, offset: int) -> str:
    """``i`` = offset of an address in the arena; negative or huge when outside."""
    return f"i = r{base.n} - {place.base - offset:#x}"


def state_word(state: int, size: int) -> str:
    """``size`` bytes of a state as the shadow views show them: wide ones are floating-point.

    Python compares two of those faster than two integers beyond 30 bits; different states make
    different numbers, none of them NaN.
    """
    word = bytes([state]) * size
    if size < 4:
        return hex(int.from_bytes(word, "little"))
    (number,) = struct.unpack("<d" if size == 8 else "<f", word)
    return repr(number)


def in_frame(base: Reg, offset: int, size: int) -> bool:
    """Is it an aligned access to the frame's own stack?  Then it is inside for sure."""
    return base.n == 10 and -STACK_SIZE <= offset <= -size and offset % size == 0


def frame_source(place: Place, size: int) -> str:
    """``fp<size>`` = index of the frame's top among words of that size."""
    return f"fp{size} = r10 - {place.base:#x} >> {_SHIFT[size]}"


def _find(place: Place, base: Reg, offset: int, size: int, name: str) -> tuple[str, str, str, str]:
    """Text that finds a word: a line before, a test that refuses, its shadow, its index."""
    if in_frame(base, offset, size):
        at = f"fp{size} - {-offset // size}"
        return "", "", f"s{size}[{at}]", at
    i = f"i{name}"
    before = f"{i} = r{base.n} - {place.base - offset:#x}\n"
    look = f"{i} := {i} >> {_SHIFT[size]}" if size > 1 else i
    return before, f"{i} & {-place.reach | size - 1} or ", f"s{size}[{look}]", i


def load_source(
    insn: Load, slot: int, kind: LoadKind, place: Place, *, known: bool = False, pin: str = ""
) -> str:
    """The text of one load at ``slot``.

    ``known``: an access to this word has come before; when that was pinned, under the name ``pin``,
    its shadow is at hand, else the word is surely valid.  Not ``known``: ``pin`` is the name to
    pin it under, if any.
    """
    d, size = f"r{insn.dst.n}", insn.size
    before, outside, look, at = _find(place, insn.base, insn.offset, size, pin)
    if insn.signed:
        sign = 1 << 8 * size - 1
        upper = (1 << 64) - 2 * sign
        take = f"t = q{size}[{at}]\n{{}}{d} = t if t < {sign:#x} else t | {upper:#x}"
    else:
        take = f"{d} = q{size}[{at}]"
    if known and not pin:
        return take.format("")
    states = [state_word(state, size) for state in LOAD_STATES[kind]]
    slow = f"{d} = load({_address(insn.base, insn.offset)}, {slot})"
    t = f"t{pin}"
    if known:
        before, refused = "", f"{t} != " + f" and {t} != ".join(states)
    else:
        slow += f"; {t} = 0" if pin else ""
        refused = f"{outside}({t} := {look}) != " + f" and {t} != ".join(states)
    return f"{before}if {refused}:\n {slow}\nelse:\n {take.format(' ')}"


def store_source(
    insn: Store,
    slot: int,
    kind: LoadKind,
    place: Place,
    narrow: frozenset[int] = frozenset(),
    *,
    known: bool = False,
    pin: str = "",
) -> str:
    """The text of one store at ``slot``; for ``known`` and ``pin`` see :func:`load_source`.

    On a stack, words that nobody has written yet are as good as valid ones.
    """
    size, value, t = insn.size, _value(insn, narrow), f"t{pin}"
    before, outside, look, at = _find(place, insn.base, insn.offset, size, pin)
    if known and not pin:
        return f"q{size}[{at}] = {value}"
    valid, mark = state_word(VALID, size), ""
    slow = f"store({_address(insn.base, insn.offset)}, {value}, {slot})"
    if known:
        before, refused = "", f"{t} != {valid}"
    else:
        slow += f"; {t} = 0" if pin else ""
        refused = f"{outside}({t} := {look}) != {valid}"
        if kind in (LoadKind.STACK, LoadKind.UNKNOWN):
            refused += f" and {t} != {state_word(UNINIT, size)}"
            mark = f"\n if {t} != {valid}: s{size}[{at}] = {t} = {valid}"
    return f"{before}if {refused}:\n {slow}\nelse:\n q{size}[{at}] = {value}{mark}"


def _value(insn: Store, narrow: frozenset[int]) -> str:
    mask = (1 << 8 * insn.size) - 1
    if isinstance(insn.src, Imm):
        return hex(insn.src.value & mask)
    if insn.size == 8 or (insn.size == 4 and insn.src.n in narrow):
        return f"r{insn.src.n}"
    return f"r{insn.src.n} & {mask:#x}"
