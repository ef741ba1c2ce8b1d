"""Instructions → one Python function: a block, or a loop with everything inside it.

A function takes the register list and how many instructions may still run, and returns the slot
to go on with and what is left.  Registers live in Python locals while it runs::

    def block(r, left, q8=q8, s8=s8, load=load):
        r1 = r[1]; r2 = r[2]; r3 = r[3]
        rounds = repeat(None, left // 4)
        for _ in rounds:
            …                                  # the instructions
            if r2 != r3: continue              # a jump back to the head
            r[1] = r1; r[2] = r2
            return 17, rounds.__length_hint__() * 4 + left % 4
        r[1] = r1; r[2] = r2
        return 12, left % 4

Nothing is counted while it runs: the rounds that the iterator has left tell.  When something is
raised the locals hold just what the instructions before it have done, and the line number tells
which one it was (:mod:`bpfemu.engine.interp.recover`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Final, NamedTuple, TypeAlias

from bpfemu.engine.interp.alu import alu_source, is_narrow, swap_source
from bpfemu.engine.interp.atomic import atomic_source
from bpfemu.engine.interp.jump import condition
from bpfemu.engine.interp.mem import Place, load_source, store_source
from bpfemu.engine.interp.operands import reads_of, writes_of
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
from bpfemu.isa.ops import JmpOp
from bpfemu.machine.memory import LoadKind

__all__ = ["BOUND", "PATH_LIMIT", "STRAIGHT", "Block", "Facts", "Node", "is_straight", "make_block"]

PATH_LIMIT: Final = 200  # instructions on one way through a function
_TREE_LIMIT: Final = 160  # instructions in one function, copies of joined code included
_DEPTH_LIMIT: Final = 12  # conditions around an instruction

BOUND: Final = (
    *("q8", "q4", "q2", "q1", "s8", "s4", "s2", "s1"),
    *("load", "store", "atomic", "cast"),
)
"""Names that belong to a run; a function takes those it uses as defaults."""


class Node(NamedTuple):
    """An instruction on its way through a function."""

    slot: Slot
    before: int  # instructions of this round that ran before it
    parent: Node | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a function is made from, beside its head."""

    code: Sequence[Insn]
    loads: Sequence[LoadKind]  # by slot
    uninit: frozenset[Slot]
    heads: frozenset[Slot]  # where loops start
    place: Place
    cuts: frozenset[Slot] = frozenset()  # breakpoints: a function ends before one


@dataclass(frozen=True, slots=True)
class Block:
    """A compiled function.  ``round_size`` is the longest way round its loop, 0 without one."""

    head: Slot
    code: CodeType
    bound: tuple[str, ...]  # the defaults it takes, in order
    round_size: int  # instructions
    nodes: tuple[Node | None, ...]  # by line
    exits: dict[Slot, Node]  # the last instruction before leaving for a slot
    source: str


@dataclass(frozen=True, slots=True)
class _Leave:
    """Go on elsewhere; ``count`` instructions of this round have run."""

    target: Slot
    count: int
    written: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Again:
    """Go round the loop once more."""

    count: int


_Line: TypeAlias = "tuple[int, str | _Leave | _Again, Node]"

STRAIGHT: Final = (Alu, Swap, Load, Store, Atomic, LoadImm64, AddrSpaceCast, Jump)
"""What can stand inside a function.  Calls, exits and their like are the run's matter."""


def is_straight(insn: Insn) -> bool:
    """Can it stand inside a function?"""
    return isinstance(insn, STRAIGHT)


def make_block(facts: Facts, head: Slot, *, tree: bool = False, single: bool = False) -> Block:
    """The function that starts at ``head``.

    ``single`` holds one instruction, ``tree`` follows both ways of every condition; otherwise it
    ends at the first one.
    """
    writer = _Writer(facts, head, 1 if single else PATH_LIMIT, 0 if single else int(tree) + 1)
    writer.follow(head, _Way(0, None, frozenset(), frozenset({10}), frozenset()), 0)
    return writer.finish()


@dataclass(frozen=True, slots=True)
class _Way:
    """How far one way through the function has come."""

    count: int
    node: Node | None
    written: frozenset[int]
    sure: frozenset[int]  # registers that surely hold a number
    narrow: frozenset[int]  # registers that surely fit 32 bits


@dataclass(slots=True)
class _Writer:
    facts: Facts
    head: Slot
    limit: int  # instructions on one way
    style: int  # 0 single, 1 block, 2 tree
    lines: list[_Line] = field(default_factory=list)
    needed: set[int] = field(default_factory=set)  # registers read before they are written
    written: set[int] = field(default_factory=set)
    exits: dict[Slot, Node] = field(default_factory=dict)
    total: int = 0

    def follow(self, slot: Slot, way: _Way, depth: int) -> None:
        """Write instructions from ``slot`` until the way ends."""
        while self._goes_on(slot, way):
            insn = self.facts.code[slot]
            node = Node(slot, way.count, way.node)
            self.total += 1
            self._check_read(insn, node, way, depth)
            sure = way.sure.union(reads_of(insn))
            after = _Way(way.count + 1, node, way.written, sure, way.narrow)
            if isinstance(insn, Jump):
                if insn.op is not JmpOp.JA:
                    self._branch(insn, node, way, after, depth)
                    if self.style < 2:
                        return self._leave(slot + 1, after, depth)
                    slot += 1
                else:
                    slot = insn.target
                way = after
            else:
                self._put(depth, self._text(insn, slot, way.narrow), node)
                way = _moved_on(insn, after)
                self.written |= way.written
                slot += 2 if isinstance(insn, LoadImm64) else 1
        return self._leave(slot, way, depth)

    def _goes_on(self, slot: Slot, way: _Way) -> bool:
        code, facts = self.facts.code, self.facts
        if not 0 <= slot < len(code) or not is_straight(code[slot]):
            return False
        if way.count == 0:
            return True
        if slot == self.head or slot in facts.heads or slot in facts.cuts:
            return False
        return way.count < self.limit and (self.style < 2 or self.total < _TREE_LIMIT)

    def _check_read(self, insn: Insn, node: Node, way: _Way, depth: int) -> None:
        for reg in reads_of(insn):
            if reg not in way.written:
                self.needed.add(reg)
                if node.slot in self.facts.uninit and reg not in way.sure:
                    self._put(depth, f"if r{reg} is None: unreadable({reg})", node)

    def _branch(self, insn: Jump, node: Node, way: _Way, after: _Way, depth: int) -> None:
        self._put(depth, f"if {condition(insn, way.narrow)}:", node)
        if self.style == 2 and depth < _DEPTH_LIMIT:
            self.follow(insn.target, after, depth + 1)
        else:
            self._leave(insn.target, after, depth + 1)

    def _leave(self, slot: Slot, way: _Way, depth: int) -> None:
        assert way.node is not None
        if slot == self.head and self.style and slot not in self.facts.cuts:
            self.lines.append((depth, _Again(way.count), Node(slot, way.count, way.node)))
            return
        if not 0 <= slot < len(self.facts.code):
            slot = len(self.facts.code)
        self.exits.setdefault(slot, way.node)
        leave = _Leave(slot, way.count, way.written)
        self.lines.append((depth, leave, Node(slot, way.count, way.node)))

    def _put(self, depth: int, text: str, node: Node) -> None:
        for line in text.split("\n"):
            inner = len(line) - len(line.lstrip(" "))
            self.lines.append((depth + inner, line.lstrip(" "), node))

    def _text(self, insn: Insn, slot: Slot, narrow: frozenset[int]) -> str:
        place = self.facts.place
        match insn:
            case Alu():
                return alu_source(insn, narrow)
            case Swap():
                return swap_source(insn)
            case Load():
                return load_source(insn, slot, self.facts.loads[slot], place)
            case Store():
                return store_source(insn, slot, self.facts.loads[slot], place, narrow)
            case Atomic():
                return atomic_source(insn, slot, place)
            case LoadImm64():
                return f"r{insn.dst.n} = {insn.value:#x}"
            case AddrSpaceCast():
                args = f"r{insn.src.n}, {insn.to_space}, {insn.from_space}"
                return f"r{insn.dst.n} = cast({args})"
        raise AssertionError(insn)

    # ---- the whole function -------------------------------------------------------------

    def finish(self) -> Block:
        """Head, body, ways out."""
        rounds = [line.count for _, line, _ in self.lines if isinstance(line, _Again)]
        size = max(line.count for _, line, _ in self.lines if not isinstance(line, str))
        size = size if rounds else 0
        uneven = any(count != size for count in rounds)
        taken = sorted(self.needed | self.written if rounds else self.needed)
        head = [" " + "; ".join(f"r{n} = r[{n}]" for n in taken)] if taken else []
        if rounds:
            head.append(f" rounds = repeat(None, left // {size})")
            if uneven:
                head.append(" spare = 0")
            head.append(" for _ in rounds:")
        body, nodes = self._body(size, uneven)
        tail = [f" {_back(self.written)}return {self.head}, {_rest(size, uneven)}"]
        lines = [*head, *body, *(tail if rounds else ())]
        text = "\n".join(lines)
        bound = tuple(name for name in BOUND if f"{name}[" in text or f"{name}(" in text)
        first = "def block(r, left" + "".join(f", {name}={name}" for name in bound) + "):"
        return Block(
            self.head,
            _compile(f"{first}\n{text}\n"),
            bound,
            size,
            (None, *([None] * (len(head) + 1)), *nodes, None),
            self.exits,
            f"{first}\n{text}\n",
        )

    def _body(self, size: int, uneven: bool) -> tuple[list[str], list[Node]]:
        lines: list[str] = []
        nodes: list[Node] = []
        indent = 2 if size else 1
        for depth, line, node in self.lines:
            if isinstance(line, _Again):
                lack = size - line.count
                line = f"spare += {lack}; continue" if lack else "continue"
            elif isinstance(line, _Leave):
                regs = self.written if size else line.written
                line = f"{_back(regs)}return {line.target}, {_left(line.count, size, uneven)}"
            lines.append(" " * (indent + depth) + line)
            nodes.append(node)
        return lines, nodes


def _moved_on(insn: Insn, way: _Way) -> _Way:
    """The way after a straight-line instruction: what is written, what is known to be narrow."""
    reg = writes_of(insn)
    if reg is None:
        return way
    return _Way(
        way.count,
        way.node,
        way.written | {reg},
        way.sure | {reg},
        way.narrow | {reg} if _is_narrow(insn, way.narrow) else way.narrow - {reg},
    )


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


def _back(regs: frozenset[int] | set[int]) -> str:
    return "".join(f"r[{n}] = r{n}; " for n in sorted(regs))


def _left(count: int, size: int, uneven: bool) -> str:
    """What is left after ``count`` instructions of a round of ``size``."""
    if not size:
        return f"left - {count}"
    lack = f" + {size - count}" if size > count else ""
    return f"rounds.__length_hint__() * {size} + {_rest(size, uneven)}{lack}"


def _rest(size: int, uneven: bool) -> str:
    return f"left % {size}" + (" + spare" if uneven else "")


def _compile(source: str) -> CodeType:
    module = compile(source, "<bpf>", "exec", dont_inherit=True, optimize=0)
    return next(const for const in module.co_consts if isinstance(const, CodeType))
