"""Clock, random numbers, the trace pipe, may_goto, packets, configuration."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.kernel.clock import SECOND, EmulatedClock
from bpfemu.kernel.config import KernelConfig, RunOptions
from bpfemu.kernel.may_goto import timed_may_goto, untimed_may_goto
from bpfemu.kernel.packet import Packet
from bpfemu.kernel.printk import MAX_LINES, TraceBuffer
from bpfemu.kernel.random import RandomStream, mix
from bpfemu.machine.memory import RegionKind
from tests.kernel.conftest import Parts

# ---- random -------------------------------------------------------------------------------------


def test_mix_is_the_splitmix64_finaliser() -> None:
    # The published splitmix64 with seed 0 gives this as its first number.
    assert mix(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF
    assert mix(2 * 0x9E3779B97F4A7C15 & (1 << 64) - 1) == 0x6E789E6AA1B965F4


def test_a_stream_depends_on_seed_and_purpose_alone() -> None:
    def numbers(seed: int, purpose: str) -> list[int]:
        stream = RandomStream(seed, purpose)
        return [stream.u32() for _ in range(5)]

    assert numbers(1, "a") == numbers(1, "a")
    assert numbers(1, "a") != numbers(2, "a")
    assert numbers(1, "a") != numbers(1, "b")
    assert all(0 <= number < 1 << 32 for number in numbers(3, ""))


def test_below_stays_below_and_reaches_everything() -> None:
    stream = RandomStream(0)

    assert {stream.below(5) for _ in range(200)} == set(range(5))


# ---- clock --------------------------------------------------------------------------------------


def test_time_moves_only_when_it_is_told_to() -> None:
    clock = EmulatedClock(7)
    before = clock.ktime_ns()
    assert clock.ktime_ns() == before
    clock.advance(1500)
    assert clock.ktime_ns() == before + 1500
    assert EmulatedClock(7).ktime_ns() == before != EmulatedClock(8).ktime_ns()


def test_time_passes_with_a_count_that_the_clock_follows() -> None:
    clock = EmulatedClock(7)
    before, counts = clock.now, {"a": 1000, "b": 5}

    clock.follow(lambda: counts["a"])
    assert clock.now == before
    counts["a"] += 30
    assert clock.now == before + 30
    clock.follow(lambda: counts["b"])
    counts["a"] += 999
    counts["b"] += 2
    assert clock.now == before + 32
    clock.follow(None)
    counts["b"] += 100
    assert clock.now == before + 32


def test_the_clocks_keep_their_distances() -> None:
    clock = EmulatedClock(7)
    suspended = clock.boot_ns() - clock.ktime_ns()

    assert 0 <= suspended < 600 * SECOND
    assert clock.tai_ns() - clock.real_ns() == 37 * SECOND
    assert clock.real_ns() > 1_700_000_000 * SECOND  # after 2023
    clock.advance(SECOND)
    assert clock.boot_ns() - clock.ktime_ns() == suspended


def test_jiffies_begin_five_minutes_before_they_wrap_32_bits() -> None:
    clock = EmulatedClock(0, hz=1000)
    clock.advance(-clock.now)
    assert clock.jiffies() == 0xFFFB_6C20  # INITIAL_JIFFIES for HZ=1000
    clock.advance(300 * SECOND)
    assert clock.jiffies() == 1 << 32
    slow = EmulatedClock(0, hz=250)
    slow.advance(4_000_000 - slow.now)
    assert slow.jiffies() == (1 << 32) - 75_000 + 1


def test_the_coarse_clock_stands_at_the_last_tick() -> None:
    clock = EmulatedClock(0, hz=1000)
    clock.advance(5_999_999 - clock.now)
    assert clock.coarse_ns() == 5_000_000


# ---- printk -------------------------------------------------------------------------------------


def test_the_event_ends_the_line() -> None:
    trace = TraceBuffer()
    trace.trace("one\n")
    trace.trace("two")
    trace.trace("three\n\n")

    assert trace.drain() == ("one", "two", "three\n")
    assert trace.drain() == ()


def test_the_oldest_lines_are_overwritten_and_counted() -> None:
    trace = TraceBuffer()
    for number in range(MAX_LINES + 3):
        trace.trace(str(number))

    assert trace.lost == 3
    assert trace.drain()[0] == "3"


# ---- may_goto -----------------------------------------------------------------------------------


def test_untimed_may_goto_falls_through_8388608_times() -> None:
    counters = {"count": 2}  # as after 8,388,606 executions
    assert [untimed_may_goto(counters) for _ in range(4)] == [False, False, True, True]
    fresh: dict[str, int] = {}
    untimed_may_goto(fresh)
    assert fresh == {"count": 8_388_607}


def test_timed_may_goto_looks_at_the_time_every_65535_executions() -> None:
    clock = EmulatedClock(0)
    counters: dict[str, int] = {}

    def rounds(limit: int) -> int:
        """How many executions until the jump is taken, up to a limit."""
        for number in range(limit):
            if timed_may_goto(counters, clock):
                return number
        return limit

    assert rounds(65535 * 3) == 65535 * 3
    clock.advance(SECOND // 4 - 1)
    assert rounds(65535) == 65535  # a look at 249.999999 ms: another round
    clock.advance(1)
    assert rounds(65535 * 2) == 65535  # the look at 250 ms left zero
    assert timed_may_goto(counters, clock)


# ---- packet -------------------------------------------------------------------------------------


def test_packet_loads_are_big_endian_and_bounded(parts: Parts) -> None:
    region = parts.memory.allocate(20, RegionKind.PACKET, "packet")
    parts.memory.write(region.addr, bytes(range(20)))
    packet = Packet(region.addr + 4, 16, network_header=2, mac_header=-4, head=4)

    assert packet.load(parts.memory, 4, 0) == 0x04050607
    assert packet.load(parts.memory, 1, 15) == 0x13
    assert packet.load(parts.memory, 2, 15) is None
    assert packet.load(parts.memory, 2, -0x100000) == 0x0607  # SKF_NET_OFF
    assert packet.load(parts.memory, 2, -0x200000) == 0x0001  # SKF_LL_OFF
    assert packet.load(parts.memory, 2, -0x200000 - 1) is None
    assert packet.load(parts.memory, 4, -0x1000) is None  # SKF_AD_OFF


# ---- configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cpus": 0}, "cpus is 0"),
        ({"cpus": 100_000}, "must be from 1 to 8192"),
        ({"seed": -1}, "seed is -1"),
        ({"budget": 0}, "budget is 0"),
    ],
)
def test_a_kernel_refuses_nonsense(wrong: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        KernelConfig(**wrong)  # type: ignore[arg-type]


def test_a_run_refuses_unknown_contexts_and_no_repeats() -> None:
    with pytest.raises(InputError, match="must be one of task, softirq, hardirq, nmi, irqoff"):
        RunOptions(context="user")
    with pytest.raises(InputError, match="repeat is 0"):
        RunOptions(repeat=0)
