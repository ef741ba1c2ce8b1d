"""Ask the running kernel for its verdict on every mutant and case, and write them down.

Run as root on a 6.18 kernel: ``python -m tests.btf.record_verdicts``.  BPF_BTF_LOAD only parses
what it is given; the object it makes is closed at once.
"""

import ctypes
import hashlib
import json
import os
import platform
import re
import struct
from pathlib import Path

from tests.btf.cases import all_cases
from tests.btf.mutants import mutant

VERDICTS = Path(__file__).parent / "data" / "kernel_verdicts.json"
MUTANTS = 640
# Further seeds whose blobs reach corners that the first ones do not.
CORNERS = (488386,)
SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_BTF_LOAD = 18
LOG_SIZE = 1 << 20  # bytes


def log_digest(log: tuple[str, ...]) -> str:
    """Return a short digest of a log's lines."""
    text = "\n".join(log).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text).hexdigest()[:12]


def load(data: bytes) -> tuple[int, tuple[str, ...]]:
    """Load BTF into the kernel; return the errno (0: accepted) and the lines of its log."""
    libc = ctypes.CDLL(None, use_errno=True)
    blob = ctypes.create_string_buffer(data, max(len(data), 1))
    log = ctypes.create_string_buffer(LOG_SIZE)
    addresses = ctypes.addressof(blob), ctypes.addressof(log)
    attr = struct.pack("=QQIIIIIi", *addresses, len(data), LOG_SIZE, 1, 0, 0, 0)
    number = SYS_BPF[platform.machine()]
    fd = libc.syscall(number, BPF_BTF_LOAD, ctypes.create_string_buffer(attr, 40), 40)
    errno = ctypes.get_errno() if fd < 0 else 0
    if fd >= 0:
        os.close(fd)
    return errno, tuple(log.value.decode("utf-8", "surrogateescape").splitlines())


def verdict(data: bytes) -> list[int | str]:
    """Return the errno, and for a refusal the digest of its log."""
    errno, log = load(data)
    return [errno, log_digest(log)] if errno else [0]


def main() -> None:
    """Write the verdicts, one per line."""
    release = re.match(r"[\d.]+", platform.release())
    assert release is not None
    mutants = [json.dumps(verdict(mutant(seed))) for seed in range(MUTANTS)]
    mutants += [json.dumps(verdict(mutant(seed))) for seed in CORNERS]
    cases = [
        f"{json.dumps(name)}: {json.dumps(verdict(case.data))}"
        for name, case in all_cases().items()
    ]
    VERDICTS.write_text(
        f'{{"kernel": "{release[0]}",\n"mutants": [\n'
        + ",\n".join(mutants)
        + '],\n"cases": {\n'
        + ",\n".join(cases)
        + "}}\n"
    )


if __name__ == "__main__":
    main()
