"""Iterator loops through the whole house: numbers, and 1,000 VMAs of a task.

Instructions per second of emulated BPF, and the same as a ratio to rounds of a plain Python loop in
the same run (processor time, medians).  Each turn of such a loop is a call through the gate.
"""

from __future__ import annotations

import statistics
import time

from bench.bench_interp import plain
from bpfemu.skeleton import open_object
from bpfemu.world.spec import TaskSpec, VmaSpec, World

OBJECT = "programs/bench/loops.bpf.o"
RUNS = 7
VMAS = 1000
ROUNDS = 20_000


def world() -> World:
    """One task with 1,000 anonymous VMAs, a page each and a page between them."""
    vmas = tuple(VmaSpec(start=0x10000 + 0x2000 * n, end=0x11000 + 0x2000 * n) for n in range(VMAS))
    return World(tasks=(TaskSpec(pid=1000, comm="many", vmas=vmas),), current=1000)


def measure(program: str) -> tuple[float, float, float]:
    """(million instructions a second, ratio to the plain loop, microseconds an element)."""
    skel = open_object(OBJECT, world=world())
    for prog in skel.progs:
        prog.autoload = prog.name == program
    skel.rodata.rounds = ROUNDS
    skel.progs[program].run()  # places the world, compiles the loop
    speeds, plains, each = [], [], []
    for _ in range(RUNS):
        start = time.process_time()
        outcome = skel.progs[program].run()
        spent = time.process_time() - start
        speeds.append(outcome.insns / spent / 1e6)
        each.append(1e6 * spent / max(1, sum(it.elements for it in outcome.iterators)))
        plains.append(plain())
    speed = statistics.median(speeds)
    return speed, speed / statistics.median(plains), statistics.median(each)


def main() -> None:
    """Print the table."""
    print("iterator loop      M insn/s   ratio   us/element")
    for program in ("num_loop", "vma_loop"):
        speed, ratio, each = measure(program)
        print(f"{program:18s} {speed:8.2f} {ratio:7.2f} {each:12.2f}")


if __name__ == "__main__":
    main()
