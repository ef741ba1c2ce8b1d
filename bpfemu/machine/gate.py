"""The door by which a program leaves its own code.

An engine knows nothing of the kernel but this protocol.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, Protocol, TypeAlias, cast

__all__ = ["UNSET", "CallGate", "ProgramExit", "Throw", "Upcall"]

UNSET: Final = cast("int", None)
"""What a register holds that nobody has written: None, typed as the number others hold."""

Upcall: TypeAlias = Generator[tuple[int, tuple[int, ...]], int, None]
"""A call out that calls back: yields (slot, arguments for r1…), is sent the callback's r0.

When it ends, r0 of the register list holds the call's own result.
"""


class CallGate(Protocol):
    """What an engine may ask of the kernel."""

    def call(self, target: int, pc: int, regs: list[int]) -> Upcall | None:
        """Call ``image.calls[target]`` with r1–r5 of ``regs``; sets r0, scratches r1–r5 to None.

        Returns an :data:`Upcall` when the callee calls back into the program; the engine then
        runs the callbacks and resumes it.  Raises Trap, Throw or ProgramExit.
        """

    def packet_load(self, size: int, offset: int, pc: int, regs: list[int]) -> None:
        """LD_ABS/LD_IND: r0 from the implicit skb; ProgramExit(0) when out of its bounds."""

    def may_goto(self, counters: dict[str, int]) -> bool:
        """One execution of may_goto in a frame; True when the jump is taken."""

    def code_slot(self, addr: int) -> int | None:
        """The slot that a function pointer points at, or None."""

    def arena_cast(self, addr: int, to_space: int, from_space: int) -> int:
        """addr_space_cast of an arena pointer."""


class Throw(Exception):
    """``bpf_throw``: unwinds every frame; ``cookie`` is its argument."""

    def __init__(self, cookie: int) -> None:
        super().__init__(cookie)
        self.cookie = cookie


class ProgramExit(Exception):
    """The program ends at once with ``r0`` (failing LD_ABS, tail call into another program)."""

    def __init__(self, r0: int) -> None:
        super().__init__(r0)
        self.r0 = r0
