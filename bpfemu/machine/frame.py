"""Frames: one activation of a subprogram each, at most eight deep.

::

    fp (r10) ──▶ ┌────────────┐ top
                 │ 512 bytes  │
                 └────────────┘ fp - 512, red zone below, next frame under it
"""

from __future__ import annotations

from typing import Final

from bpfemu.machine.gate import UNSET
from bpfemu.record import dataclass, field

__all__ = ["FRAME_COUNT", "STACK_SIZE", "Frame"]

STACK_SIZE: Final = 512  # bytes per frame (MAX_BPF_STACK)
FRAME_COUNT: Final = 8  # MAX_CALL_FRAMES


@dataclass(slots=True)
class Frame:
    """One activation: what to restore when it ends.

    ``saved`` are the caller's r6 to r9; ``return_to`` is the slot after the call, -1 where the
    kernel called (program entry, callbacks).  An engine may use the object of a frame that has
    ended for a later one.
    """

    fp: int  # address of the stack's top
    return_to: int  # slot
    subprog: int  # index into ProgramImage.subprogs
    saved: tuple[int, int, int, int] = (UNSET, UNSET, UNSET, UNSET)
    caller_fp: int = 0
    may_goto: dict[str, int] = field(default_factory=dict)  # hidden counters, by name
