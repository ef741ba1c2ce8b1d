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

from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Final, TypeAlias

from bpfemu.engine.interp.alu import alu_source, swap_source
from bpfemu.engine.interp.atomic import atomic_source
from bpfemu.engine.interp.block import PATH_LIMIT, Block, Loop, Node, is_straight
from bpfemu.engine.interp.jump import condition
from bpfemu.engine.interp.mem import (
    Place,
    frame_source,
    load_source,
    store_source,
)
from bpfemu.engine.interp.operands import reads_of
from bpfemu.engine.interp.way import START, Way, find_word, moved_on
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
from bpfemu.record import dataclass, field

__all__ = ["BOUND", "Facts", "make_block"]

_TREE_LIMIT: Final = 160  # instructions in one function, copies of joined code included
_DEPTH_LIMIT: Final = 12  # conditions around an instruction

BOUND: Final = (
    *("q8", "q4", "q2", "q1", "s8", "s4", "s2", "s1"),
    *("load", "store", "atomic", "cast"),
)
"""Names that belong to a run; a function takes those it uses as defaults."""


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


def make_block(facts: Facts, head: Slot) -> Block:
    """The function that starts at ``head`` and follows both ways of each condition."""
    writer = _Writer(facts, head)
    writer.follow(head, START, 0)
    return writer.finish()


@dataclass(slots=True)
class _Writer:
    facts: Facts
    head: Slot
    lines: list[_Line] = field(default_factory=list)
    needed: set[int] = field(default_factory=set)  # registers read before they are written
    written: set[int] = field(default_factory=set)
    exits: dict[Slot, Node] = field(default_factory=dict)
    total: int = 0

    def follow(self, slot: Slot, way: Way, depth: int) -> None:
        """Write instructions from ``slot`` until the way ends."""
        while self._goes_on(slot, way):
            insn = self.facts.code[slot]
            node = Node(slot, way.ran, way.node)
            self.total += 1
            self._check_read(insn, node, way, depth)
            sure = way.sure.union(reads_of(insn))
            after = way._replace(ran=way.ran + 1, node=node, sure=sure)
            if isinstance(insn, Jump):
                if insn.op is not JmpOp.JA:
                    self._branch(insn, node, way, after, depth)
                    slot += 1
                else:
                    slot = insn.target
                way = after
            else:
                self._put(depth, self._text(insn, slot, way), node)
                facts = self.facts
                way = moved_on(after, facts.code, slot, facts.loads[slot], facts.place)
                self.written |= way.written
                slot += 2 if isinstance(insn, LoadImm64) else 1
        return self._leave(slot, way, depth)

    def _goes_on(self, slot: Slot, way: Way) -> bool:
        code, facts = self.facts.code, self.facts
        if not 0 <= slot < len(code) or not is_straight(code[slot]):
            return False
        if way.ran == 0:
            return True
        if slot == self.head or slot in facts.heads or slot in facts.cuts:
            return False
        return way.ran < PATH_LIMIT and self.total < _TREE_LIMIT

    def _check_read(self, insn: Insn, node: Node, way: Way, depth: int) -> None:
        for reg in reads_of(insn):
            if reg not in way.written:
                self.needed.add(reg)
                if node.slot in self.facts.uninit and reg not in way.sure:
                    self._put(depth, f"if r{reg} is None: unreadable({reg})", node)

    def _branch(self, insn: Jump, node: Node, way: Way, after: Way, depth: int) -> None:
        self._put(depth, f"if {condition(insn, way.narrow)}:", node)
        if depth < _DEPTH_LIMIT:
            self.follow(insn.target, after, depth + 1)
        else:
            self._leave(insn.target, after, depth + 1)

    def _leave(self, slot: Slot, way: Way, depth: int) -> None:
        assert way.node is not None
        if slot == self.head and slot not in self.facts.cuts:
            self.lines.append((depth, _Again(way.ran), Node(slot, way.ran, way.node)))
            return
        if not 0 <= slot < len(self.facts.code):
            slot = len(self.facts.code)
        self.exits.setdefault(slot, way.node)
        leave = _Leave(slot, way.ran, way.written)
        self.lines.append((depth, leave, Node(slot, way.ran, way.node)))

    def _put(self, depth: int, text: str, node: Node) -> None:
        for line in text.split("\n"):
            inner = len(line) - len(line.lstrip(" "))
            self.lines.append((depth + inner, line.lstrip(" "), node))

    def _text(self, insn: Insn, slot: Slot, way: Way) -> str:
        place, loads, narrow = self.facts.place, self.facts.loads, way.narrow
        match insn:
            case Alu():
                return alu_source(insn, narrow, way.near)
            case Swap():
                return swap_source(insn)
            case Load():
                known, pin = find_word(way, self.facts.code, slot)
                return load_source(insn, slot, loads[slot], place, known=known, pin=pin)
            case Store():
                known, pin = find_word(way, self.facts.code, slot)
                return store_source(insn, slot, loads[slot], place, narrow, known=known, pin=pin)
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
        longest = max(line.count for _, line, _ in self.lines if not isinstance(line, str))
        size = max(rounds, default=0)
        loop = Loop(size, longest - size, any(count != size for count in rounds))
        taken = sorted(self.needed | self.written if rounds else self.needed)
        head = [" " + "; ".join(f"r{n} = r[{n}]" for n in taken)] if taken else []
        code = "\n".join(line for _, line, _ in self.lines if isinstance(line, str))
        sizes = [size for size in (8, 4, 2, 1) if f"fp{size} - " in code]
        head += [" " + frame_source(self.facts.place, size) for size in sizes]
        tail = []
        if rounds:
            head += loop.opening()
            tail = [f" {_back(self.written)}return {self.head}, {loop.left(size)}"]
        body = [line for line, _ in self._body(loop)]
        text = "\n".join([*head, *body, *tail])
        bound = tuple(name for name in BOUND if f"{name}[" in text or f"{name}(" in text)
        first = "def block(r, left" + "".join(f", {name}={name}" for name in bound) + "):"
        source = f"{first}\n{text}\n"
        before = (None,) * (len(head) + 2)
        nodes = (*before, *(node for _, node in self._body(loop)), None)
        return Block(self.head, _compile(source), bound, loop, nodes, self.exits, source)

    def _body(self, loop: Loop) -> Iterator[tuple[str, Node]]:
        indent = 2 if loop.size else 1
        for depth, line, node in self.lines:
            if isinstance(line, _Again):
                lack = loop.size - line.count
                line = f"spare += {lack}; continue" if lack else "continue"
            elif isinstance(line, _Leave):
                regs = self.written if loop.size else line.written
                line = f"{_back(regs)}return {line.target}, {loop.left(line.count)}"
            yield " " * (indent + depth) + line, node


def _back(regs: frozenset[int] | set[int]) -> str:
    return "".join(f"r[{n}] = r{n}; " for n in sorted(regs))


def _compile(source: str) -> CodeType:
    module = compile(source, "<bpf>", "exec", dont_inherit=True, optimize=0)
    return next(const for const in module.co_consts if isinstance(const, CodeType))
