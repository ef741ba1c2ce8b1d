"""Helpers that tell the time.  Source: kernel/bpf/helpers.c."""

from __future__ import annotations

from bpfemu.proto.marks import helper
from bpfemu.proto.services import Clock
from bpfemu.proto.types import u64


@helper(5)
def bpf_ktime_get_ns(*, clock: Clock) -> u64:
    """Nanoseconds since boot, without time suspended (CLOCK_MONOTONIC)."""
    return u64(clock.ktime_ns())


@helper(125)
def bpf_ktime_get_boot_ns(*, clock: Clock) -> u64:
    """Nanoseconds since boot, time suspended included (CLOCK_BOOTTIME)."""
    return u64(clock.boot_ns())


@helper(160)
def bpf_ktime_get_coarse_ns(*, clock: Clock) -> u64:
    """CLOCK_MONOTONIC as of the last tick."""
    return u64(clock.coarse_ns())


@helper(208)
def bpf_ktime_get_tai_ns(*, clock: Clock) -> u64:
    """Nanoseconds of international atomic time (CLOCK_TAI)."""
    return u64(clock.tai_ns())


@helper(118)
def bpf_jiffies64(*, clock: Clock) -> u64:
    """Ticks; starts five minutes before the low 32 bits wrap."""
    return u64(clock.jiffies())
