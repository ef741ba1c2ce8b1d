"""Emulated time: starts from the seed, moves with what the program executes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bpfemu.kernel.random import RandomStream

__all__ = ["SECOND", "EmulatedClock"]

SECOND: Final = 1_000_000_000  # ns
EPOCH: Final = 1_735_689_600 * SECOND  # 2025-01-01 00:00:00 UTC
TAI_OFFSET: Final = 37 * SECOND  # TAI is ahead of UTC since 2017
BOOT_SPAN: Final = 3600 * SECOND  # the machine has been up between one and two hours


class EmulatedClock:
    """The kernel's clocks (service ``clock``), in nanoseconds.

    Nothing here reads the host's time.  Time passes with what the running program executes: the
    clock follows a count of nanoseconds that only grows, and asks for it when it is read.
    """

    def __init__(self, seed: int, hz: int = 1000) -> None:
        random = RandomStream(seed, "clock")
        self._base = BOOT_SPAN + random.below(BOOT_SPAN)  # ns
        self._elapsed: Callable[[], int] = _nothing
        self._suspended = random.below(600) * SECOND
        self._booted = EPOCH + random.below(30 * 24 * 3600) * SECOND
        self._tick = SECOND // hz

    @property
    def now(self) -> int:
        """CLOCK_MONOTONIC, ns."""
        return self._base + self._elapsed()

    def advance(self, ns: int) -> None:
        """Let time pass."""
        self._base += ns

    def follow(self, elapsed: Callable[[], int] | None) -> None:
        """From now on pass as this count of ns grows; None: stand still."""
        now = self.now
        self._elapsed = elapsed or _nothing
        self._base = now - self._elapsed()

    def ktime_ns(self) -> int:
        """CLOCK_MONOTONIC: stands still while suspended."""
        return self.now

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME: CLOCK_MONOTONIC and the time suspended."""
        return self.now + self._suspended

    def real_ns(self) -> int:
        """CLOCK_REALTIME."""
        return self._booted + self.boot_ns()

    def tai_ns(self) -> int:
        """CLOCK_TAI."""
        return self.real_ns() + TAI_OFFSET

    def coarse_ns(self) -> int:
        """CLOCK_MONOTONIC as of the last timer tick."""
        return self.now - self.now % self._tick

    def jiffies(self) -> int:
        """jiffies_64: counts from five minutes before 2**32 (include/linux/jiffies.h)."""
        return (1 << 32) - 300 * SECOND // self._tick + self.now // self._tick


def _nothing() -> int:
    return 0
