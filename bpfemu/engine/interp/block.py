"""What functions are: which instructions they hold, how they count, the way back to slots."""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any, Final, NamedTuple

from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Insn,
    Jump,
    Load,
    LoadImm64,
    Slot,
    Store,
    Swap,
)
from bpfemu.record import dataclass

__all__ = ["PATH_LIMIT", "STRAIGHT", "Block", "Loop", "Node", "is_straight", "way_to"]

PATH_LIMIT: Final = 200  # instructions on one way through a function

STRAIGHT: Final = (Alu, Swap, Load, Store, Atomic, LoadImm64, AddrSpaceCast, Jump)
"""What can stand inside a function.  Calls, exits and their like are the run's matter."""


def is_straight(insn: Insn) -> bool:
    """Can it stand inside a function?"""
    return isinstance(insn, STRAIGHT)


class Node(NamedTuple):
    """An instruction on its way through a function."""

    slot: Slot
    before: int  # instructions of this round that ran before it
    parent: Node | None


@dataclass(frozen=True, slots=True)
class Loop:
    """How a function counts: ``size`` instructions for each round of its loop, 0 without one.

    ``extra`` is how much longer the longest way out is; where rounds are ``uneven`` the shorter
    ones put what they lack into ``spare``.
    """

    size: int  # instructions
    extra: int  # instructions
    uneven: bool

    def opening(self) -> list[str]:
        """The lines before the body."""
        lines = [f" left -= {self.extra}"] if self.extra else []
        lines.append(f" rounds = repeat(None, left // {self.size})")
        if self.uneven:
            lines.append(" spare = 0")
        return [*lines, " for _ in rounds:"]

    def left(self, count: int) -> str:
        """What is left after ``count`` instructions of a round, as text."""
        if not self.size:
            return f"left - {count}"
        lack = self.size + self.extra - count
        text = f"rounds.__length_hint__() * {self.size} + left % {self.size}"
        return text + (" + spare" if self.uneven else "") + (f" + {lack}" if lack else "")

    def left_in(self, values: Mapping[str, Any], count: int) -> int:
        """The same from the function's locals."""
        left: int = values["left"]
        if self.size and "rounds" in values:
            left = left % self.size + self.size + self.extra + values.get("spare", 0)
            left += values["rounds"].__length_hint__() * self.size
        return left - count


@dataclass(frozen=True, slots=True)
class Block:
    """A compiled function."""

    head: Slot
    code: CodeType
    bound: tuple[str, ...]  # the defaults it takes, in order
    loop: Loop
    nodes: tuple[Node | None, ...]  # by line
    exits: dict[Slot, Node]  # the last instruction before leaving for a slot
    source: str


def way_to(node: Node | None) -> list[Slot]:
    """The slots from a function's head to ``node``, both included."""
    slots = []
    while node is not None:
        slots.append(node.slot)
        node = node.parent
    return slots[::-1]
