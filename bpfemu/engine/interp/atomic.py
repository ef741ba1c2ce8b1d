"""Atomics: operation → Python text (RFC 9669 section 5.3; Linux's acquire and release).

One thread runs at a time, so a plain read and write is atomic.  ``{old}`` reads the word,
``{new} = …`` writes it; ``{s}`` is the source register, cut to the word's width.
"""

from __future__ import annotations

from typing import Final

from bpfemu.engine.interp.mem import Place, place_source, state_word
from bpfemu.isa.insn import Atomic
from bpfemu.isa.ops import AtomicOp
from bpfemu.machine.memory import VALID

__all__ = ["ATOMIC", "atomic_source"]

_SHIFT: Final = {8: 3, 4: 2, 2: 1, 1: 0}

ATOMIC: Final[dict[AtomicOp, str]] = {
    AtomicOp.ADD: "{at} = {at} + {s} & {mask}",
    AtomicOp.OR: "{at} |= {s}",
    AtomicOp.AND: "{at} &= {s}",
    AtomicOp.XOR: "{at} ^= {s}",
    AtomicOp.FETCH_ADD: "t = {at}\n{at} = t + {s} & {mask}\n{r} = t",
    AtomicOp.FETCH_OR: "t = {at}\n{at} = t | {s}\n{r} = t",
    AtomicOp.FETCH_AND: "t = {at}\n{at} = t & {s}\n{r} = t",
    AtomicOp.FETCH_XOR: "t = {at}\n{at} = t ^ {s}\n{r} = t",
    AtomicOp.XCHG: "t = {at}\n{at} = {s}\n{r} = t",
    AtomicOp.CMPXCHG: "t = {at}\nif t == r0 & {mask}: {at} = {s}\nr0 = t",
    AtomicOp.LOAD_ACQ: "{r} = {at}",
    AtomicOp.STORE_REL: "{at} = {s}",
}

assert set(ATOMIC) == set(AtomicOp), set(AtomicOp) - set(ATOMIC)


def atomic_source(insn: Atomic, slot: int, place: Place) -> str:
    """The text of one atomic at ``slot``.

    ``atomic`` checks what is not plainly allowed: it raises, or the access can go ahead.
    """
    size, shift = insn.size, _SHIFT[insn.size]
    mask = (1 << 8 * size) - 1
    s = f"r{insn.reg.n}" if size == 8 else f"(r{insn.reg.n} & {mask:#x})"
    at = f"q{size}[i]"
    body = ATOMIC[insn.op].format(at=at, s=s, r=f"r{insn.reg.n}", mask=hex(mask))
    address = f"r{insn.base.n} + {insn.offset} & 0xFFFFFFFFFFFFFFFF"
    return (
        f"{place_source(place, insn.base, insn.offset)}\n"
        f"if i & {-place.reach | size - 1} or s{size}[i >> {shift}] != {state_word(VALID, size)}:\n"
        f" i = atomic({address}, {slot})\n"
        f"i >>= {shift}\n{body}"
    )
