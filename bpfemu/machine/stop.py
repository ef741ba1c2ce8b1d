"""How a run ends, and what it found on the way.

Faults are data: what a program does wrong is described by a :class:`Fault`.  :class:`Trap` is the
private carrier that brings one from where it happens to the engine's edge; it is not a
``BpfemuError`` and never reaches a user.
"""

from __future__ import annotations

import enum

from bpfemu.record import dataclass, field

__all__ = ["Fault", "FaultKind", "Finding", "FrameInfo", "Site", "Stop", "StopKind", "Trap"]


class FaultKind(enum.Enum):
    """What a program can do wrong.  Division by zero is not here: BPF defines it."""

    OUT_OF_BOUNDS = "out of bounds"
    NULL_DEREF = "NULL dereference"
    USE_AFTER_FREE = "use after free"
    DOUBLE_FREE = "double free"
    READ_ONLY = "write to read-only memory"
    UNINITIALISED = "uninitialised value"
    MISALIGNED_ATOMIC = "misaligned atomic"
    STACK_DEPTH = "call depth"
    BAD_INSN = "bad instruction"
    BAD_CALL = "bad call"
    ITERATOR_STATE = "iterator state"
    REFERENCE_STATE = "reference state"
    LOCK_STATE = "lock state"
    CONTEXT = "not allowed in this context"


class StopKind(enum.Enum):
    """Why the engine came back."""

    EXIT = "exit"
    FAULT = "fault"
    BUDGET = "budget"
    THROW = "throw"
    BREAKPOINT = "breakpoint"


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the program at a moment: who allocated, who freed, who called."""

    pc: int  # slot
    function: str  # subprogram name, "" where unknown
    what: str  # "call bpf_iter_num_new", "boot", …
    line: str = ""  # 'file.c:12: source text', "" without line info
    insns: int = 0  # instructions executed before it

    def __str__(self) -> str:
        where = f"{self.function or '?'}+{self.pc}" if self.pc >= 0 else "kernel"
        text = f"{self.what} at {where}" if self.what else where
        return f"{text} ({self.line})" if self.line else text


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """One frame of the call chain, innermost first: the slot being executed and its function."""

    pc: int
    function: str
    line: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a program did wrong, where, and what lies there."""

    kind: FaultKind
    detail: str  # one sentence
    pc: int = -1  # slot
    addr: int | None = None  # u64
    size: int = 0  # bytes
    region: str = ""  # which region addr belongs to or lies next to
    allocated_by: Site | None = None
    freed_by: Site | None = None
    frames: tuple[FrameInfo, ...] = ()
    regs: tuple[int | None, ...] = ()  # r0–r10 at the fault; None: not initialised
    line: str = ""  # source line


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong that the kernel would have let pass; the run went on."""

    kind: FaultKind
    detail: str
    pc: int
    line: str = ""


class Trap(Exception):
    """Carries a :class:`Fault` from where it happens to the engine's edge."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Stop:
    """How the engine stopped."""

    kind: StopKind
    r0: int  # u64
    insns: int  # instructions executed
    pc: int = -1  # slot of the last instruction (fault, breakpoint: not yet done)
    fault: Fault | None = None
    probe_reads: int = 0  # loads through BTF pointers that faulted and read as zero
    findings: tuple[Finding, ...] = field(default=())
    trail: tuple[int, ...] = field(default=(), compare=False)  # last slots, unless it just ended
