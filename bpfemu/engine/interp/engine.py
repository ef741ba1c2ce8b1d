"""The reference engine: every instruction a Python text, every check in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import CodeType
from typing import Any, Final

from bpfemu.engine.interp.access import Access
from bpfemu.engine.interp.block import Block, is_straight
from bpfemu.engine.interp.run import InterpRun
from bpfemu.errors import InputError, InternalError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Insn, Jump, MayGoto, Slot
from bpfemu.machine.machine import Machine
from bpfemu.machine.stop import Stop

__all__ = ["InterpCode", "InterpEngine"]

_NOTHING: Final[frozenset[Slot]] = frozenset()
_TWICE: Final = 2  # sightings that make a function due within a run
_OFTEN: Final = 32  # sightings that make it due at the start of one


class InterpEngine:
    """Makes code of images.  ``eager`` compiles whatever is reached, the first time already."""

    name = "interp"

    def __init__(self, *, eager: bool = False) -> None:
        self.eager = eager

    def prepare(self, image: ProgramImage) -> InterpCode:
        """Code for an image; nothing is compiled before it is known to be worth it."""
        return InterpCode(image, eager=self.eager)


class InterpCode:
    """An image and the functions compiled for it so far; runs share them.

    ``origins`` leads from a function's Python code back to what it was made from.
    """

    def __init__(self, image: ProgramImage, *, eager: bool = False) -> None:
        self.image = image
        self._eager = eager
        self.origins: dict[CodeType, Block] = {}
        self._heads = loop_heads(image.code)
        self._entries = _entries(image, self._heads)
        self._blocks: dict[tuple[Slot, frozenset[Slot]], Block] = {}
        self._seen: dict[Slot, int] = {}
        self._subprogs: dict[Slot, int] = {}

    def run(self, machine: Machine, ctx: int | tuple[int, ...] = ()) -> Stop:
        """Run from the image's entry to the end; ``ctx`` is r1, or r1 and what follows."""
        return self.start(machine, ctx).resume()

    def start(
        self, machine: Machine, ctx: int | tuple[int, ...] = (), *, entry: Slot | None = None
    ) -> InterpRun:
        """A run that stands before its first instruction."""
        args = ctx if isinstance(ctx, tuple) else (ctx,)
        memory, image = machine.memory, self.image
        if len(args) > 5:
            raise InputError(f"{image.name}: {len(args)} arguments, registers take at most 5")
        if (memory.base, memory.size) != (image.arena_base, image.arena_size):
            raise InternalError(
                f"{image.name} is bound to an arena at {image.arena_base:#x}+{image.arena_size:#x},"
                f" the machine's is at {memory.base:#x}+{memory.size:#x}"
            )
        slot = image.entry if entry is None else entry
        return InterpRun(self, machine, args, self.inside(slot))

    def block(self, head: Slot, cuts: frozenset[Slot] = _NOTHING) -> Block:
        """The function at ``head``, which stands at a straight-line instruction."""
        key = head, cuts
        block = self._blocks.get(key)
        if block is None:
            block = self._blocks[key] = self._make(head, cuts)
            self.origins[block.code] = block
        return block

    def _make(self, head: Slot, cuts: frozenset[Slot]) -> Block:
        # Imported late: most programs end before anything is worth compiling.
        from bpfemu.engine.interp.mem import Place
        from bpfemu.engine.interp.source import Facts, make_block

        image = self.image
        place = Place(image.arena_base, 1 << max(0, image.arena_size - 1).bit_length())
        facts = Facts(image.code, image.loads, image.uninit, self._heads, place, cuts)
        return make_block(facts, head)

    def known(self, head: Slot, cuts: frozenset[Slot] = _NOTHING) -> Block | None:
        """The function at ``head`` if there is one, or if enough runs have come by."""
        block = self._blocks.get((head, cuts))
        if block is None and (self._eager or self._seen.get(head, 0) >= _OFTEN):
            code = self.image.code
            if head < len(code) and is_straight(code[head]):
                block = self.block(head, cuts)
        return block

    def notice(self, slots: Iterable[Slot]) -> list[Slot]:
        """Note where a run has been of late; returns where a function is due."""
        due, entries, seen = [], self._entries, self._seen
        for slot in slots:
            if slot in entries:
                seen[slot] = count = seen.get(slot, 0) + 1
                if count == _TWICE:
                    due.append(slot)
        return due

    def bindings(self, machine: Machine, access: Access) -> dict[str, Any]:
        """What the names in functions stand for in one run."""
        m = machine.memory
        return {
            **{"q8": m.q, "q4": m.d, "q2": m.h, "q1": m.b},
            **{"s8": m.shf8, "s4": m.shf4, "s2": m.shh, "s1": m.shb},
            **{"load": access.load, "store": access.store, "atomic": access.atomic},
            "cast": machine.gate.arena_cast,
        }

    def inside(self, slot: Slot) -> Slot:
        """``slot``, or the slot behind the code if there is no such instruction."""
        return slot if 0 <= slot < len(self.image.code) else len(self.image.code)

    def subprog(self, slot: Slot) -> int:
        """The index of the subprogram at ``slot``."""
        index = self._subprogs.get(slot)
        if index is None:
            index = self._subprogs[slot] = self.image.subprog_at(slot)
        return index


def loop_heads(code: Sequence[Insn]) -> frozenset[Slot]:
    """Where jumps lead back to: every cycle holds one of them."""
    jumps = ((slot, insn) for slot, insn in enumerate(code) if isinstance(insn, Jump | MayGoto))
    return frozenset(insn.target for slot, insn in jumps if insn.target <= slot)


def _entries(image: ProgramImage, heads: frozenset[Slot]) -> frozenset[Slot]:
    """Where functions may start: at heads of loops, where calls go to and where they come back."""
    code = image.code
    behind = (slot + 1 for slot, insn in enumerate(code) if not is_straight(insn))
    slots = {*heads, *behind, *(sub.start for sub in image.subprogs)}
    return frozenset(slot for slot in slots if 0 <= slot < len(code) and is_straight(code[slot]))
