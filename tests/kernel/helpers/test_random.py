"""Random numbers."""

from __future__ import annotations

from bpfemu.kernel.random import RandomStream
from tests.kernel.helpers.env import HelperBench

PRANDOM = "bpf_get_prandom_u32"


def test_random_numbers_are_those_of_the_seed() -> None:
    bench = HelperBench()
    bench.services["random"], same = RandomStream(7, "x"), RandomStream(7, "x")

    drawn = [bench.call(PRANDOM) for _ in range(8)]

    assert drawn == [same.u32() for _ in range(8)]
    assert len(set(drawn)) == 8 and all(0 <= number < 1 << 32 for number in drawn)
