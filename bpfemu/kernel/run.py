"""One run: the program, what it was given, and its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bpfemu.errors import InternalError
from bpfemu.image import ProgramImage
from bpfemu.kernel.clock import EmulatedClock
from bpfemu.kernel.config import KernelConfig, RunOptions
from bpfemu.kernel.ledger import Ledger
from bpfemu.kernel.packet import Packet
from bpfemu.machine.machine import Machine

if TYPE_CHECKING:
    from bpfemu.kernel.faults import MetPoint
    from bpfemu.kernel.gate import Gate

__all__ = ["Run", "RunningProgram"]


class Run:
    """What the kernel remembers of a run until it is closed."""

    def __init__(
        self,
        image: ProgramImage,
        options: RunOptions,
        config: KernelConfig,
        clock: EmulatedClock,
        ledger: Ledger,
    ) -> None:
        self.image = image
        self.options = options
        self.ledger = ledger
        self.gate: Gate | None = None
        self.machine: Machine | None = None
        self.ctx = 0  # r1 at entry
        self.ctx_block: Any = None  # what the program type placed
        self.packet: Packet | None = None
        self.arena: Any = None  # the program's arena map
        self.started = clock.now  # ns
        self.task_before: int | None = None  # pid of the current task before this run
        self.stats_before: dict[tuple[int, int], tuple[int, int, int, int]] = {}
        self.serial_before = 0  # allocations before this run
        self.calls = 0  # calls out so far
        self.met: list[MetPoint] = []  # fault points, where any is looked at
        self.point_calls: dict[str, int] = {}  # calls of each so far
        self.injected: list[str] = []  # failures made, in words
        self._insn_ns = config.insn_ns
        self._call_ns = config.call_ns

    def elapsed(self) -> int:
        """Nanoseconds that the instructions and calls so far have taken."""
        insns = self.machine.insns if self.machine is not None else 0
        return insns * self._insn_ns + self.calls * self._call_ns


class RunningProgram:
    """Service ``run``: the innermost open run, whichever that is when it is asked."""

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs

    @property
    def now(self) -> Run:
        """The run itself."""
        if not self._runs:
            raise InternalError("no program is running")
        return self._runs[-1]

    @property
    def ctx(self) -> int:
        """r1 at entry."""
        return self.now.ctx

    @property
    def image(self) -> ProgramImage:
        """The program's image."""
        return self.now.image

    @property
    def prog_type(self) -> int:
        """BPF_PROG_TYPE_*."""
        return self.now.image.prog_type

    @property
    def name(self) -> str:
        """The program's name."""
        return self.now.image.name

    @property
    def packet(self) -> Packet | None:
        """The packet behind the context, if there is one."""
        return self.now.packet
