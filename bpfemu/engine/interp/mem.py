"""Loads and stores: size → Python text, for each kind of pointer.

A template first turns the address into an offset ``i`` into the arena.  One comparison sees that
it is aligned and inside, a second one that all its shadow bytes say "allowed"; then the access is
one indexing of a memory view.  Anything else goes to ``load`` and ``store``
(:mod:`bpfemu.engine.interp.access`), which take any address and know why not.

::

    i = r2 - base + offset
    if i & reach or s8[i := i >> 3] != VALID: slow
    else:                                     r1 = q8[i]
"""

from __future__ import annotations

import struct
from typing import Final

from bpfemu.isa.insn import Imm, Load, Reg, Store
from bpfemu.machine.memory import ITER, READ_ONLY, UNINIT, VALID, LoadKind
from bpfemu.record import dataclass

__all__ = [
    "FORGIVING",
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

FORGIVING: Final = frozenset({LoadKind.PROBE, LoadKind.ARENA})
"""Accesses of these kinds go on where others fault."""

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


def _outside(place: Place, size: int) -> str:
    """True when ``i`` is misaligned or outside: the mask is all ones but for allowed bits."""
    return f"i & {-place.reach | size - 1}"


def _index(size: int) -> str:
    return f"i := i >> {_SHIFT[size]}" if size > 1 else "i"


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


def load_source(insn: Load, slot: int, kind: LoadKind, place: Place) -> str:
    """The text of one load at ``slot``."""
    d, size = f"r{insn.dst.n}", insn.size
    states = [state_word(state, size) for state in LOAD_STATES[kind]]
    look = f"s{size}[{_index(size)}]"
    refused = f"{look} != {states[0]}"
    if len(states) > 1:
        refused = f"(t := {look}) != {states[0]}"
        refused += "".join(f" and t != {state}" for state in states[1:])
    if insn.signed:
        sign = 1 << 8 * size - 1
        upper = (1 << 64) - 2 * sign
        take = f" t = q{size}[i]\n {d} = t if t < {sign:#x} else t | {upper:#x}"
    else:
        take = f" {d} = q{size}[i]"
    return (
        f"{place_source(place, insn.base, insn.offset)}\n"
        f"if {_outside(place, size)} or {refused}:\n"
        f" {d} = load({_address(insn.base, insn.offset)}, {slot})\n"
        f"else:\n{take}"
    )


def store_source(
    insn: Store, slot: int, kind: LoadKind, place: Place, narrow: frozenset[int]
) -> str:
    """The text of one store at ``slot``.

    On a stack, words that nobody has written yet are as good as valid ones.
    """
    size, mask = insn.size, (1 << 8 * insn.size) - 1
    if isinstance(insn.src, Imm):
        value = hex(insn.src.value & mask)
    else:
        value = f"r{insn.src.n}"
        if size < 8 and not (size == 4 and insn.src.n in narrow):
            value += f" & {mask:#x}"
    valid, look = state_word(VALID, size), f"s{size}[{_index(size)}]"
    refused, mark = f"{look} != {valid}", ""
    if kind in (LoadKind.STACK, LoadKind.UNKNOWN):
        refused = f"(t := {look}) != {valid} and t != {state_word(UNINIT, size)}"
        mark = f"\n if t != {valid}: s{size}[i] = {valid}"
    return (
        f"{place_source(place, insn.base, insn.offset)}\n"
        f"if {_outside(place, size)} or {refused}:\n"
        f" store({_address(insn.base, insn.offset)}, {value}, {slot})\n"
        f"else:\n q{size}[i] = {value}{mark}"
    )
