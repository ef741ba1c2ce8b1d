"""Clocks and random numbers."""

from __future__ import annotations

from bpfemu.kernel.random import RandomStream
from tests.kernel.helpers.env import HelperBench

KTIME, BOOT, COARSE, TAI, JIFFIES, PRANDOM = 5, 125, 160, 208, 118, 7


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


def test_random_numbers_are_those_of_the_seed() -> None:
    bench = HelperBench()
    bench.services["random"], same = RandomStream(7, "x"), RandomStream(7, "x")

    drawn = [bench.call(PRANDOM) for _ in range(8)]

    assert drawn == [same.u32() for _ in range(8)]
    assert len(set(drawn)) == 8 and all(0 <= number < 1 << 32 for number in drawn)
