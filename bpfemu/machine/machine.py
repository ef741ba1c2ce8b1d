"""What an engine runs on: memory, the gate, a probe, a budget."""

from __future__ import annotations

from typing import Final

from bpfemu.machine.frame import Frame
from bpfemu.machine.gate import CallGate
from bpfemu.machine.memory import Memory
from bpfemu.machine.probe import Probe
from bpfemu.record import dataclass, field

__all__ = ["CODE_BASE", "DEFAULT_BUDGET", "Machine", "code_address"]

CODE_BASE: Final = 0xFFFF_FFFF_C000_0000
"""Where function pointers point: slot n is ``CODE_BASE + 8 * n`` (x86-64 module area)."""

DEFAULT_BUDGET: Final = 1 << 32  # instructions


@dataclass(slots=True)
class Machine:
    """Everything a run needs besides its image.

    ``stack`` are the tops of the frames' 512-byte stacks, outermost first, laid out by the
    kernel; ``budget`` bounds the instructions of the run.  ``insns`` and ``frames`` are written by
    the engine before each call through the gate: instructions executed so far, frames innermost
    last.
    """

    memory: Memory
    gate: CallGate
    stack: tuple[int, ...]
    budget: int = DEFAULT_BUDGET
    probe: Probe | None = None
    insns: int = 0
    frames: list[Frame] = field(default_factory=list)


def code_address(slot: int) -> int:
    """The address that stands for a slot in function pointers (BPF_PSEUDO_FUNC, callx)."""
    return CODE_BASE + 8 * slot
