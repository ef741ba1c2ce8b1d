"""Clocks."""

from __future__ import annotations

from tests.kernel.helpers.env import HelperBench

KTIME = "bpf_ktime_get_ns"
BOOT = "bpf_ktime_get_boot_ns"
COARSE = "bpf_ktime_get_coarse_ns"
TAI = "bpf_ktime_get_tai_ns"
JIFFIES = "bpf_jiffies64"


def test_the_clocks_differ_as_clocks_do() -> None:
    bench = HelperBench()
    clock = bench.env.clock

    assert bench.call(KTIME) == clock.now
    assert bench.call(BOOT) == clock.boot_ns() >= clock.now
    assert bench.call(TAI) - clock.real_ns() == 37_000_000_000
    assert 0 <= bench.call(KTIME) - bench.call(COARSE) < 1_000_000
    assert bench.call(COARSE) % 1_000_000 == 0


def test_time_moves_when_the_clock_does() -> None:
    bench = HelperBench()
    before, ticks = bench.call(KTIME), bench.call(JIFFIES)

    bench.env.clock.advance(5_000_000)

    assert bench.call(KTIME) - before == 5_000_000
    assert bench.call(JIFFIES) - ticks == 5
