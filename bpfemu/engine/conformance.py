"""The suite that every engine must pass: run cases, compare what came of them.

A case is a program with its memory and its result; the project's own are in
``tests/conformance``.  Each is run twice, at full speed and one instruction at a time: both must
give the same result after the same number of instructions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from bpfemu.engine.bare import BareGate, bare_image, bare_machine
from bpfemu.engine.base import Engine
from bpfemu.isa.insn import Insn
from bpfemu.machine.machine import Machine
from bpfemu.machine.memory import RegionKind
from bpfemu.machine.stop import Stop, StopKind
from bpfemu.record import dataclass

__all__ = ["CaseLike", "Verdict", "run_case", "run_cases"]

CASE_BUDGET = 1 << 20  # instructions
_CTX_SIZE = 192  # bytes, sizeof(struct __sk_buff)


class CaseLike(Protocol):
    """One program with what must come of it: ``result`` (r0) or ``error`` (a FaultKind's name).

    ``mem`` is where r1 points, r2 is its length; ``skb`` is the packet of the implicit skb, then
    r1 is a context.
    """

    @property
    def name(self) -> str:
        """Names the case in verdicts."""

    @property
    def code(self) -> Sequence[Insn]:
        """The program."""

    @property
    def mem(self) -> bytes:
        """What r1 points at."""

    @property
    def result(self) -> int | None:
        """r0 at the end, None when a fault is expected."""

    @property
    def error(self) -> str | None:
        """The expected fault's kind by name."""

    @property
    def skb(self) -> bytes | None:
        """The packet, if there is one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case; ``why`` is empty when it passed."""

    name: str
    why: str

    @property
    def passed(self) -> bool:
        """Did the engine do what the case says?"""
        return not self.why


def run_cases(engine: Engine, cases: Iterable[CaseLike]) -> Iterator[Verdict]:
    """A verdict for each case."""
    for case in cases:
        yield run_case(engine, case)


def run_case(engine: Engine, case: CaseLike) -> Verdict:
    """Run one case at full speed and in single steps."""
    code = engine.prepare(bare_image(case.code, name=case.name))
    fast = code.run(*_machine(case))
    run = code.start(*_machine(case))
    slow = None
    while slow is None:
        slow = run.step()
    return Verdict(case.name, _why(case, fast) or _difference(fast, slow))


def _machine(case: CaseLike) -> tuple[Machine, tuple[int, ...]]:
    bare = bare_machine(case.mem, gate=BareGate(case.skb or b""), budget=CASE_BUDGET)
    if case.skb is None:
        return bare.machine, bare.args
    ctx = bare.machine.memory.allocate(_CTX_SIZE, RegionKind.CTX, "context")
    return bare.machine, (ctx.addr,)


def _why(case: CaseLike, stop: Stop) -> str:
    """What is wrong with a result, in words; empty if it is right."""
    if stop.fault is not None:
        got = stop.fault.kind.name
    else:
        got = f"{stop.r0:#x}" if stop.kind is StopKind.EXIT else stop.kind.name
    want = case.error if case.error is not None else f"{case.result:#x}"
    detail = f" ({stop.fault.detail})" if stop.fault is not None else ""
    return "" if got == want else f"expected {want}, got {got}{detail}"


def _difference(fast: Stop, slow: Stop) -> str:
    if fast == slow:
        return ""
    return f"at full speed {fast}, in single steps {slow}"
