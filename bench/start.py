"""Cold start: ``python -c pass``, ``import bpfemu`` and ``bpfemu run`` on a small object.

Medians of 11 processes each, taken in turn so that a slow moment of the machine hits all alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OBJECT = "programs/iters/num_basics.bpf.o"
RUNS = 11

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import bpfemu": ["-c", "import bpfemu"],
    "bpfemu run": ["-m", "bpfemu", "run", OBJECT, "num_sum"],
}


def measure(commands: dict[str, list[str]] = COMMANDS, runs: int = RUNS) -> dict[str, float]:
    """Median wall time of each command in milliseconds."""
    # Byte code is cached as it is for any user, whatever the caller's environment says.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(runs + 1):
        for name, args in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, *args], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            if turn:  # the first round writes the byte code
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    found = measure()
    bare = found["python -c pass"]
    print("cold start                 ms    over python -c pass   target")
    targets = {"import bpfemu": "at most 5 ms more", "bpfemu run": "at most 10 times"}
    for name, value in found.items():
        how = f"{value / bare:5.1f} times, {value - bare:+6.1f} ms"
        print(f"{name:20s} {value:8.1f}    {how}   {targets.get(name, '')}")


if __name__ == "__main__":
    main()
