"""The interpreter: instructions per second, as a ratio to rounds of a plain Python loop.

Each loop is measured in turn with ``while i < n: i += 1``, in processor time, so that a slow moment
of the machine hits both; the table shows medians.  The target is 0.40: ten million instructions
where the plain loop does twenty-five million rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from bpfemu.engine.bare import bare_image, bare_machine
from bpfemu.engine.base import find_engine
from bpfemu.isa.text import assemble
from bpfemu.machine.stop import StopKind

RUNS = 9
TARGET = 0.40
PLAIN_ROUNDS = 1_000_000

LOOPS = {
    "alu: 64-bit sums, xors, shifts": """
        r0 = 0; r1 = 1; r2 = 150000
        l: r0 += r1; r0 ^= r2; r0 <<= 1; r1 += 7; r0 >>= 3; r2 += -1; if r2 != 0 goto l
        exit""",
    "alu: 64-bit products that overflow": """
        r0 = 1; r1 = 6364136223846793005 ll; r2 = 150000
        l: r0 *= r1; r0 += 12345; r3 = r0; r3 >>= 33; r2 += -1; if r2 != 0 goto l
        r0 = r3
        exit""",
    "alu: 32-bit": """
        w0 = 0; w1 = 1; w2 = 150000
        l: w0 += w1; w0 ^= w2; w0 <<= 1; w1 += 7; w0 >>= 3; w2 += -1; if w2 != 0 goto l
        exit""",
    "branches: Collatz": """
        r0 = 0; r6 = 1500
        next: r1 = r6
        l: if r1 == 1 goto done
        r0 += 1; r2 = r1; r2 &= 1; if r2 == 0 goto even
        r1 *= 3; r1 += 1; goto l
        even: r1 >>= 1; goto l
        done: r6 += -1; if r6 != 0 goto next
        exit""",
    "memory: sum of u64": """
        r0 = 0; r3 = r1; r3 += r2; r5 = 40
        next: r4 = r1
        l: r2 = *(u64 *)(r4 + 0); r0 += r2; r4 += 8; if r4 != r3 goto l
        r5 += -1; if r5 != 0 goto next
        exit""",
    "memory: sum of bytes": """
        r0 = 0; r3 = r1; r3 += r2; r5 = 10
        next: r4 = r1
        l: r2 = *(u8 *)(r4 + 0); r0 += r2; r4 += 1; if r4 != r3 goto l
        r5 += -1; if r5 != 0 goto next
        exit""",
    "memory: u32 counters up by one": """
        r0 = 0; r3 = r1; r3 += r2; r5 = 20
        next: r4 = r1
        l: r2 = *(u32 *)(r4 + 0); r2 += 1; *(u32 *)(r4 + 0) = r2; r4 += 4; if r4 != r3 goto l
        r5 += -1; if r5 != 0 goto next
        exit""",
    "memory: a counter on the stack": """
        r2 = 150000; *(u64 *)(r10 - 8) = 0
        l: r1 = *(u64 *)(r10 - 8); r1 += 1; *(u64 *)(r10 - 8) = r1; r2 += -1; if r2 != 0 goto l
        r0 = r1
        exit""",
    "calls: a subprogram of two instructions": """
        r6 = 50000; r0 = 0
        l: r1 = r6; call f; r6 += -1; if r6 != 0 goto l
        exit
        f: r0 = r1; exit""",
}
DATA = b"".join(value.to_bytes(8, "little") for value in range(2000))


class Figure(NamedTuple):
    """Medians of one loop: a ratio, millions of instructions a second."""

    ratio: float
    speed: float


def plain() -> float:
    """Millions of rounds of a plain loop per second."""
    i, n = 0, PLAIN_ROUNDS
    start = time.process_time()
    while i < n:
        i += 1
    return PLAIN_ROUNDS / (time.process_time() - start) / 1e6


def runner(text: str) -> Callable[[], float]:
    """A function that runs a program to its end and gives millions of instructions per second."""
    image = bare_image(assemble(text), uninit=())
    code = find_engine("interp").prepare(image)

    def once() -> float:
        bare = bare_machine(DATA)
        start = time.process_time()
        stop = code.run(bare.machine, bare.args)
        spent = time.process_time() - start
        assert stop.kind is StopKind.EXIT, stop
        return stop.insns / spent / 1e6

    return once


def measure(once: Callable[[], float], runs: int = RUNS) -> Figure:
    """Medians over some runs, each beside a plain loop."""
    once()
    pairs = [(once(), plain()) for _ in range(runs)]
    return Figure(
        statistics.median(speed / rounds for speed, rounds in pairs),
        statistics.median(speed for speed, _ in pairs),
    )


def main() -> None:
    """Print the table."""
    print(f"{'loop':40s}   ratio   M insn/s   (target: {TARGET:.2f})")
    for name, text in LOOPS.items():
        figure = measure(runner(text))
        print(f"{name:40s} {figure.ratio:7.2f} {figure.speed:10.1f}")


if __name__ == "__main__":
    main()
