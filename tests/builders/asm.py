"""Programs from text, for tests: ``prog("r0 = 1; exit")``."""

from __future__ import annotations

from bpfemu.isa.encoding import encode
from bpfemu.isa.insn import Insn
from bpfemu.isa.text import CallResolver, assemble

__all__ = ["prog", "prog_bytes"]


def prog(text: str, *, calls: CallResolver | None = None) -> tuple[Insn, ...]:
    """The instructions of ``text`` (the spelling is in ``bpfemu/isa/assembler.py``).

    ``prog("r0 = 0; loop: r0 += 1; if r0 < 10 goto loop; exit")``
    """
    return assemble(text, calls=calls)


def prog_bytes(text: str, *, calls: CallResolver | None = None) -> bytes:
    """The code bytes of ``text``."""
    return encode(assemble(text, calls=calls))
