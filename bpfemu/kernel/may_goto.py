"""may_goto: the hidden counters of a frame (verifier notes, section 5; iterator notes, 6)."""

from __future__ import annotations

from typing import Final

from bpfemu.kernel.clock import SECOND, EmulatedClock

__all__ = ["MAX_LOOPS", "MAX_TIMED_LOOPS", "timed_may_goto", "untimed_may_goto"]

MAX_LOOPS: Final = 8 * 1024 * 1024  # BPF_MAX_LOOPS
MAX_TIMED_LOOPS: Final = 0xFFFF  # BPF_MAX_TIMED_LOOPS
SLICE: Final = SECOND // 4  # ns


def untimed_may_goto(counters: dict[str, int]) -> bool:
    """One counter per frame: falls through 8,388,608 times, then jumps for ever."""
    left = counters.get("count", MAX_LOOPS)
    if not left:
        return True
    counters["count"] = left - 1
    return False


def timed_may_goto(counters: dict[str, int], clock: EmulatedClock) -> bool:
    """A counter and a time stamp per frame (x86-64 since 6.15).

    Each 65,535 executions the time is looked at: the first look only notes it, a look 250 ms or
    more after that leaves the counter at zero, and from then on the jump is taken.
    """
    left = counters.get("count", MAX_TIMED_LOOPS)
    if not left:
        return True
    left -= 1
    if not left:
        started = counters.setdefault("since", clock.now)
        left = 0 if clock.now - started >= SLICE else MAX_TIMED_LOOPS
    counters["count"] = left
    return False
