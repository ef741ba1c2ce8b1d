"""What a real kernel's verifier says of each load and store: read off its log.

``python -m tests.bind.verifier_log OBJECT...`` loads objects into the kernel at hand (bpftool and
privilege needed) and writes the verdicts next to each object, as the ``.json`` files in ``objects``
were.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["load", "verdicts"]

PIN = Path("/sys/fs/bpf/bpfemu-verifier-log")
INSN = re.compile(r"^(\d+): \(([0-9a-f]{2})\) (.*?)(?:\s+; ?(.*))?$")
BASE = re.compile(r"\*\)\(r(\d+) ?[+-]\d+\)")
REGISTER = re.compile(r"\bR(\d+)(?:_\w+)?=(\S+)")
RCU_UNLOCK = "call bpf_rcu_read_unlock"

# The beginning of a register's text → the kind of a load through it; first match wins.
KINDS = [
    ("ctx", "CTX"),
    ("fp", "STACK"),
    ("map_value", "MAP_VALUE"),
    ("map_key", "MEM"),
    ("rdonly_untrusted_mem", "PROBE"),
    ("rdonly_mem", "MEM"),
    ("ringbuf_mem", "MEM"),
    ("mem", "MEM"),
    ("trusted_ptr_", "BTF trusted"),
    ("rcu_ptr_", "BTF rcu"),
    ("ptr_", "PROBE"),
    ("untrusted_ptr_", "PROBE"),
    ("pkt", "PACKET"),
]
PLAIN = {"STACK", "MAP_VALUE", "MEM", "PACKET"}


def kind_of(text: str) -> str:
    """The kind of one register state."""
    return next(kind for start, kind in KINDS if text.startswith(start))


def merged(kinds: set[str]) -> str:
    """One verdict for an instruction that was met with several kinds (save_aux_ptr_type)."""
    if len(kinds) == 1:
        return next(iter(kinds)).split()[0]
    return "ORDINARY" if kinds <= PLAIN else "PROBE"


def verdicts(log: list[str]) -> dict[int, str]:
    """Slot → kind, for every load and store that the log of one program shows."""
    seen: dict[int, set[str]] = {}
    regs: dict[int, dict[int, str]] = {0: {}}
    frame = 0
    for line in log:
        match = INSN.match(line)
        state = line
        if match:
            slot, opcode, text, state = int(match[1]), match[2], match[3], match[4] or ""
            base = BASE.search(text)
            number = int(base[1]) if base else -1
            held = "fp0" if number == 10 else regs[frame].get(number)
            if base and held:
                seen.setdefault(slot, set()).add(kind_of(held))
            if opcode == "85":
                regs[frame] = {n: t for n, t in regs[frame].items() if n > 5}
            if text.startswith(RCU_UNLOCK):
                regs = {f: {n: _weak(t) for n, t in r.items()} for f, r in regs.items()}
            if opcode == "95" and frame:
                frame -= 1
        elif line.startswith("callee:"):
            frame += 1
            regs[frame] = {}
            continue
        elif line.startswith("from "):
            found = re.search(r"frame(\d+):", line)
            frame = int(found[1]) if found else 0
            regs[frame] = {}
        elif not re.match(r"^(\d+:| frame\d|R\d)", line) or re.match(r"^\s*\d+: [.\d]{10} ", line):
            continue
        found = re.search(r"frame(\d+):", state)
        frame = int(found[1]) if found else frame
        regs.setdefault(frame, {}).update({int(n): t for n, t in REGISTER.findall(state)})
    return {slot: merged(kinds) for slot, kinds in sorted(seen.items())}


def _weak(text: str) -> str:
    return text.replace("rcu_ptr_", "untrusted_ptr_")


def load(path: Path) -> dict[str, list[str]]:
    """The verifier's log of each program of an object, by name."""
    done = subprocess.run(
        ["bpftool", "-d", "prog", "loadall", path, PIN], capture_output=True, text=True, check=False
    )
    shutil.rmtree(PIN, ignore_errors=True)
    logs: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in (done.stdout + done.stderr).splitlines():
        begin = re.match(r"libbpf: prog '([^']+)': -- BEGIN PROG LOAD LOG --", line)
        if begin:
            current = logs[begin[1]] = []
        elif line.startswith("-- END PROG LOAD LOG"):
            current = None
        elif current is not None:
            current.append(line)
    return logs


def main(paths: list[str]) -> None:
    """Record the verdicts of each object."""
    for path in map(Path, paths):
        found = {name: verdicts(log) for name, log in load(path).items()}
        record = {"kernel": platform.release().split("-")[0], "programs": found}
        path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
