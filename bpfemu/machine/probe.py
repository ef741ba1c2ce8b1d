"""What an observer is told.  No probe, no cost: engines then run code without events."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from bpfemu.record import dataclass

__all__ = ["CallEvent", "Event", "LoadEvent", "Probe", "StepEvent", "StoreEvent"]


@dataclass(frozen=True, slots=True)
class StepEvent:
    """An instruction is about to run; ``regs`` are r0–r10 (None: not initialised)."""

    pc: int
    insns: int
    regs: tuple[int | None, ...]
    depth: int  # frames below this one


@dataclass(frozen=True, slots=True)
class LoadEvent:
    """A load was done: ``value`` as it arrived in the register."""

    pc: int
    addr: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class StoreEvent:
    """A store or atomic was done: the bytes there now, as a number."""

    pc: int
    addr: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A call through the gate was done."""

    pc: int
    name: str
    args: tuple[int | None, ...]  # r1–r5 as they were
    result: int  # r0, u64


Event: TypeAlias = StepEvent | LoadEvent | StoreEvent | CallEvent


class Probe(Protocol):
    """An observer.  Returning True from a StepEvent stops the run before that instruction."""

    def event(self, event: Event) -> bool | None:
        """Take one event."""
