"""Atomics: operation → Python text (RFC 9669 section 5.3; Linux's acquire and release).

One thread runs at a time, so reading and then writing is atomic.  ``NEW`` is what the word becomes
(None: stays as it is): ``{t}`` is its old value, ``{s}`` the source register cut to the word's
width, ``{r0}`` r0 cut likewise.  ``OLD`` says which register receives the old value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from bpfemu.isa.insn import Atomic
from bpfemu.isa.ops import AtomicOp
from bpfemu.machine.memory import VALID

if TYPE_CHECKING:
    from bpfemu.engine.interp.mem import Place

__all__ = ["NEW", "OLD", "atomic_function", "atomic_source", "old_goes_to"]

_SHIFT: Final = {8: 3, 4: 2, 2: 1, 1: 0}

NEW: Final[dict[AtomicOp, str | None]] = {
    AtomicOp.ADD: "{t} + {s} & {mask}",
    AtomicOp.OR: "{t} | {s}",
    AtomicOp.AND: "{t} & {s}",
    AtomicOp.XOR: "{t} ^ {s}",
    AtomicOp.FETCH_ADD: "{t} + {s} & {mask}",
    AtomicOp.FETCH_OR: "{t} | {s}",
    AtomicOp.FETCH_AND: "{t} & {s}",
    AtomicOp.FETCH_XOR: "{t} ^ {s}",
    AtomicOp.XCHG: "{s}",
    AtomicOp.CMPXCHG: "{s} if {t} == {r0} else {t}",
    AtomicOp.LOAD_ACQ: None,
    AtomicOp.STORE_REL: "{s}",
}

OLD: Final[dict[AtomicOp, str]] = {
    **dict.fromkeys((AtomicOp.ADD, AtomicOp.OR, AtomicOp.AND, AtomicOp.XOR), ""),
    **dict.fromkeys((AtomicOp.FETCH_ADD, AtomicOp.FETCH_OR, AtomicOp.FETCH_AND), "reg"),
    **dict.fromkeys((AtomicOp.FETCH_XOR, AtomicOp.XCHG, AtomicOp.LOAD_ACQ), "reg"),
    AtomicOp.CMPXCHG: "r0",
    AtomicOp.STORE_REL: "",
}

assert set(NEW) == set(OLD) == set(AtomicOp), set(AtomicOp) - (set(NEW) & set(OLD))


def old_goes_to(insn: Atomic) -> int | None:
    """The register that receives the word's old value, if any."""
    return {"": None, "reg": insn.reg.n, "r0": 0}[OLD[insn.op]]


@cache
def atomic_function(op: AtomicOp, size: int) -> Callable[[int, int, int], int] | None:
    """The new value as a function of old value, source and r0; None when nothing is written."""
    text, mask = NEW[op], hex((1 << 8 * size) - 1)
    if text is None:
        return None
    text = text.format(t="t", s=f"(s & {mask})", r0=f"(r0 & {mask})", mask=mask)
    function: Callable[[int, int, int], int] = eval(f"lambda t, s, r0: {text}")
    return function


def atomic_source(insn: Atomic, slot: int, place: Place) -> str:
    """The text of one atomic at ``slot``.

    ``atomic`` checks what is not plainly allowed: it raises, or the access can go ahead.
    """
    from bpfemu.engine.interp.mem import place_source, state_word

    size, shift, mask = insn.size, _SHIFT[insn.size], hex((1 << 8 * insn.size) - 1)
    s, r0 = f"r{insn.reg.n}", "r0"
    if size < 8:
        s, r0 = f"({s} & {mask})", f"(r0 & {mask})"
    lines = [
        place_source(place, insn.base, insn.offset),
        f"if i & {-place.reach | size - 1} or s{size}[i >> {shift}] != {state_word(VALID, size)}:",
        f" i = atomic(r{insn.base.n} + {insn.offset} & 0xFFFFFFFFFFFFFFFF, {slot})",
        f"i >>= {shift}",
        f"t = q{size}[i]",
    ]
    new, old = NEW[insn.op], old_goes_to(insn)
    if new is not None:
        lines.append(f"q{size}[i] = " + new.format(t="t", s=s, r0=r0, mask=mask))
    if old is not None:
        lines.append(f"r{old} = t")
    return "\n".join(lines)
