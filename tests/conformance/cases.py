"""What instructions mean, as data: programs, their memory and their result.

Two sources: the ``*.data`` files beside this one, written by hand, and :mod:`matrix`, which lets an
oracle of a few lines predict every operation on values at the edges.  The text format is the one
common among BPF run-times, several cases to a file::

    == name of the case
    -- asm            kernel-style text (or "-- raw": code bytes in hex)
    -- mem            bytes in hex; r1 points at them, r2 is their length (no mem: both zero)
    -- skb            bytes in hex; the packet, then r1 is the context (legacy packet loads)
    -- result         r0 in hex
    -- error          instead of a result: the name of the FaultKind that ends the run
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpfemu.isa.encoding import decode
from bpfemu.isa.insn import Insn
from bpfemu.isa.text import assemble

__all__ = ["Case", "load_cases", "parse_cases"]

_SECTIONS = frozenset({"asm", "raw", "mem", "skb", "result", "error"})


@dataclass(frozen=True, slots=True)
class Case:
    """One program with what must come of it: ``result`` or ``error``, the other is None."""

    name: str  # file/case
    code: tuple[Insn, ...]
    mem: bytes
    result: int | None  # u64 in r0
    error: str | None  # name of a FaultKind
    skb: bytes | None = None  # packet of the implicit skb, None when there is none


def load_cases() -> list[Case]:
    """Every case: the files in order of name, then the matrix."""
    from tests.conformance.matrix import matrix_cases

    files = sorted(Path(__file__).parent.glob("*.data"))
    written = [case for path in files for case in parse_cases(path.read_text(), path.stem)]
    return [*written, *matrix_cases()]


def parse_cases(text: str, stem: str) -> Iterator[Case]:
    """The cases of one file; ValueError names the case and what is wrong."""
    name, sections = stem, dict[str, list[str]]()
    lines: list[str] | None = None
    for line in [*text.splitlines(), "=="]:
        if line.startswith("=="):
            if sections:
                yield _case(name, {key: "\n".join(value) for key, value in sections.items()})
            name, sections, lines = f"{stem}/{line[2:].strip()}", {}, None
        elif line.startswith("-- "):
            lines = sections.setdefault(line[3:].strip(), [])
        elif lines is not None and not line.startswith("#"):
            lines.append(line)


def _case(name: str, sections: dict[str, str]) -> Case:
    if unknown := sections.keys() - _SECTIONS:
        raise ValueError(f"{name}: no such section: {', '.join(sorted(unknown))}")
    if ("asm" in sections) == ("raw" in sections):
        raise ValueError(f"{name}: needs either asm or raw")
    if ("result" in sections) == ("error" in sections):
        raise ValueError(f"{name}: needs either a result or an error")
    if "asm" in sections:
        code = assemble(sections["asm"])
    else:
        code = decode(bytes.fromhex(sections["raw"]))
    return Case(
        name,
        code,
        bytes.fromhex(sections.get("mem", "")),
        int(sections["result"], 16) if "result" in sections else None,
        sections["error"].strip() if "error" in sections else None,
        bytes.fromhex(sections["skb"]) if "skb" in sections else None,
    )
