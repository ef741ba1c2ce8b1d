"""What an engine is, and where to find one by name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Final, Protocol, cast

from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Slot
from bpfemu.machine.frame import Frame
from bpfemu.machine.machine import Machine
from bpfemu.machine.stop import Stop

__all__ = ["ENGINES", "Code", "Engine", "Run", "find_engine"]

ENGINES: Final = {"interp": "bpfemu.engine.interp:InterpEngine"}
"""Name → module and class; imported when asked for."""


class Run(Protocol):
    """A program on its way.

    ``regs`` are r0–r10 (None: nobody has written it), ``pc`` is the slot to be executed next,
    ``frames`` has the innermost one last, ``stop`` is None until the run has ended.
    """

    regs: list[int]
    pc: Slot
    frames: list[Frame]
    stop: Stop | None

    @property
    def insns(self) -> int:
        """Instructions executed so far."""

    @property
    def trail(self) -> tuple[Slot, ...]:
        """The last instructions, newest last."""

    def step(self, count: int = 1) -> Stop | None:
        """Execute ``count`` instructions; returns a Stop if the run ended or paused before that."""

    def resume(self, until: Callable[[Run], bool] | Collection[Slot] | None = None) -> Stop:
        """Go on to the end, or to a BREAKPOINT: a slot in ``until``, or ``until`` says True.

        At least one instruction is executed.  After a BUDGET stop, a run goes on when its
        machine's budget has been raised.
        """


class Code(Protocol):
    """What an engine made of an image; serves any number of runs."""

    image: ProgramImage

    def run(self, machine: Machine, ctx: int | tuple[int, ...] = ()) -> Stop:
        """Run from the image's entry to the end; ``ctx`` is r1, or r1 and what follows."""

    def start(
        self, machine: Machine, ctx: int | tuple[int, ...] = (), *, entry: Slot | None = None
    ) -> Run:
        """A run that stands before its first instruction."""


class Engine(Protocol):
    """ProgramImage → Code."""

    name: str

    def prepare(self, image: ProgramImage) -> Code:
        """Make an image ready to run."""


def find_engine(name: str) -> Engine:
    """The engine of that name; raises InputError, naming all, when there is none."""
    where = ENGINES.get(name)
    if where is None:
        raise InputError(f"no engine {name!r}; there is {', '.join(sorted(ENGINES))}")
    module, _, attribute = where.partition(":")
    return cast("Engine", getattr(import_module(module), attribute)())
