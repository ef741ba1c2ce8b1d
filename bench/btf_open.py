"""Opening a kernel's BTF and finding one struct: without a cache, with the index, and libbpf.

Every figure is the median over fresh processes, each of which times only its own calls: ours are
``Btf.open`` and ``find`` and one decoded type, libbpf's is ``btf__parse`` through ctypes.  The
processes take turns, so that a slow moment of the machine hits all alike.  Imports are shown
apart: a program that uses BTF pays them once.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from ctypes.util import find_library
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNEL = "/sys/kernel/btf/vmlinux"
RUNS = 15

OURS = """
import json, sys, time
def resident():  # pages of this process in memory, Linux
    return int(open("/proc/self/statm").read().split()[1])
start = time.perf_counter()
from bpfemu.btf.types import Btf
import bpfemu.btf.source, bpfemu.btf.index
imported = time.perf_counter()
before = resident()
begin = time.perf_counter()
btf = Btf.open(sys.argv[1])
opened = time.perf_counter()
id = btf.find(sys.argv[2], 4)
type = btf.type(id)
found = time.perf_counter()
grown = resident() - before
print(json.dumps({"import": imported - start, "open": opened - begin, "find": found - opened,
                  "both": found - begin, "memory": grown}))
"""

LIBBPF = """
import ctypes, json, sys, time
lib = ctypes.CDLL(sys.argv[3])
lib.btf__parse.restype = ctypes.c_void_p
lib.btf__parse.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
lib.btf__find_by_name_kind.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
path, name = sys.argv[1].encode(), sys.argv[2].encode()
begin = time.perf_counter()
btf = lib.btf__parse(path, None)
opened = time.perf_counter()
assert lib.btf__find_by_name_kind(btf, name, 4) > 0
found = time.perf_counter()
print(json.dumps({"open": opened - begin, "find": found - opened, "both": found - begin}))
"""

Times = dict[str, float]


def last_struct(path: str) -> str:
    """The name of the struct that a walk from the start meets last."""
    from bpfemu.btf import Btf
    from bpfemu.btf.kinds import Struct

    btf = Btf.open(path)
    names = (getattr(btf.type(id), "name", "") for id in reversed(btf.ids_of(Struct)))
    return next(name for name in names if name)


def once(code: str, cache: str, *args: str) -> Times:
    """One fresh process; byte code is cached as it is for any user."""
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"BPFEMU_CACHE": cache, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    times: Times = json.loads(done.stdout)
    return times


def measure(path: str, name: str, runs: int = RUNS) -> dict[str, Times]:
    """Medians in milliseconds (memory in MB) of each way, by name."""
    folder = tempfile.mkdtemp()
    library = find_library("bpf")
    found: dict[str, list[Times]] = {}
    try:
        once(OURS, folder, path, name)  # writes the index, and the byte code
        for _ in range(runs):
            found.setdefault("no cache", []).append(once(OURS, "off", path, name))
            found.setdefault("index", []).append(once(OURS, folder, path, name))
            if library:
                found.setdefault("libbpf", []).append(once(LIBBPF, folder, path, name, library))
    finally:
        shutil.rmtree(folder)
    return {way: _medians(times) for way, times in found.items()}


def _medians(times: list[Times]) -> Times:
    pages = os.sysconf("SC_PAGE_SIZE") / 1e6  # MB each
    return {
        key: statistics.median(one[key] for one in times) * (pages if key == "memory" else 1000)
        for key in times[0]
    }


def show(path: str) -> None:
    """Print the table for one file."""
    name = last_struct(path)
    found = measure(path, name)
    size = os.path.getsize(path) / 1e6
    print(f"{path}: {size:.1f} MB, the last struct in it is {name!r}")
    print("way          open    find    both     import   memory")
    for way, times in found.items():
        text = "  ".join(f"{times[key]:6.2f}" for key in ("open", "find", "both"))
        if "memory" in times:
            text += f"   {times['import']:6.1f} ms {times['memory']:5.1f} MB"
        print(f"{way:10s} {text}")
    print(f"target: no cache at most 20 ms, {found['no cache']['both']:.1f} measured")
    if "libbpf" in found:
        ours, theirs = found["index"]["both"], found["libbpf"]["open"]
        print(f"target: index at most libbpf's btf__parse, {ours:.2f} against {theirs:.2f}")
    else:
        print("libbpf: no libbpf.so here (Debian: libbpf1), so it was not measured")


def main() -> None:
    """Measure the running kernel's BTF, as the kernel serves it and as an ordinary file."""
    if not os.path.exists(KERNEL):
        print(f"{KERNEL}: not on this machine")
        return
    show(KERNEL)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "vmlinux.btf")
        shutil.copyfile(KERNEL, copy)
        print()
        show(copy)


if __name__ == "__main__":
    main()
