"""The slow way into memory: any address, any state, and why not.

Generated functions come here when an access is not plainly allowed.
"""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Atomic, Load, Slot, Store
from bpfemu.isa.ops import AtomicOp
from bpfemu.machine.memory import READ, U64, WRITE, LoadKind, Memory
from bpfemu.machine.stop import Fault, FaultKind, Finding, Trap
from bpfemu.record import dataclass, field

__all__ = ["FORGIVING", "USER_END", "VSYSCALL", "Access", "unreadable"]

FORGIVING: Final = frozenset({LoadKind.PROBE, LoadKind.ARENA})
"""Accesses of these kinds go on where others fault."""

USER_END: Final = 0x7FFF_FFFF_F000 + 0x1000
"""x86-64: a probing load up to here (TASK_SIZE_MAX and a page) reads zero without an access."""

VSYSCALL: Final = 0xFFFF_FFFF_FF60_0000
"""x86-64: so does one from here on (arch/x86/net/bpf_jit_comp.c, PROBE_MEM)."""


def unreadable(reg: int) -> None:
    """Raise the Trap for reading a register that nobody has written, in the verifier's words."""
    raise Trap(Fault(FaultKind.UNINITIALISED, f"R{reg} !read_ok"))


@dataclass(slots=True)
class Access:
    """Loads, stores and atomics of one run.

    ``probe_reads`` counts loads through BTF pointers that faulted and read as zero, ``findings``
    holds the first finding of each kind at each slot.
    """

    image: ProgramImage
    memory: Memory
    probe_reads: int = 0
    findings: dict[tuple[FaultKind, Slot], Finding] = field(default_factory=dict)

    def load(self, addr: int, slot: Slot) -> int:
        """What the load at ``slot`` brings into its register."""
        insn, kind = self.image.code[slot], self.image.loads[slot]
        assert isinstance(insn, Load)
        if kind in FORGIVING:
            value = self._probe(addr, insn.size, slot)
        else:
            value = self.memory.load(addr, insn.size, kind)
            if self.memory.findings:
                self.collect(slot)
        if insn.signed and value >> 8 * insn.size - 1:
            value |= U64 ^ (1 << 8 * insn.size) - 1
        return value

    def store(self, addr: int, value: int, slot: Slot) -> None:
        """What the store at ``slot`` does; to a BPF arena, a fault drops the value."""
        insn, kind = self.image.code[slot], self.image.loads[slot]
        assert isinstance(insn, Store)
        try:
            self.memory.store(addr, insn.size, value, kind)
        except Trap:
            if kind is not LoadKind.ARENA:
                raise
            self.probe_reads += 1

    def atomic(self, addr: int, slot: Slot) -> int:
        """The offset in the arena where the atomic at ``slot`` may go ahead; Trap if it may not."""
        insn, kind, memory = self.image.code[slot], self.image.loads[slot], self.memory
        assert isinstance(insn, Atomic)
        if addr % insn.size:
            what = f"atomic of {insn.size} bytes at {addr:#x} is not aligned"
            region = memory.describe(addr)
            raise Trap(Fault(FaultKind.MISALIGNED_ATOMIC, what, -1, addr, insn.size, region))
        value = 0
        if insn.op is not AtomicOp.STORE_REL:
            value = memory.load(addr, insn.size, kind)
        if insn.op is not AtomicOp.LOAD_ACQ:
            memory.store(addr, insn.size, value, kind)
        self.collect(slot)
        return addr - memory.base

    def collect(self, slot: Slot) -> None:
        """Turn what memory noted during the instruction at ``slot`` into findings."""
        for kind, addr, size in self.memory.findings:
            if (kind, slot) not in self.findings:
                where = self.memory.describe(addr)
                what = "never written" if kind is FaultKind.UNINITIALISED else "freed"
                detail = f"read of {size} bytes at {addr:#x}, which were {what} ({where})"
                line = self.image.line_text(slot)
                self.findings[kind, slot] = Finding(kind, detail, slot, line)
        self.memory.findings.clear()

    def _probe(self, addr: int, size: int, slot: Slot) -> int:
        """A load that may fault: 0 then.  Freed memory is still mapped and reads as it is."""
        low = (addr - self.memory.base) & U64
        states = self.memory.shadow[low : low + size] if low + size <= self.memory.size else b"\0"
        if addr < USER_END or addr >= VSYSCALL or 0 in states:
            self.probe_reads += 1
            return 0
        if any(not state & (READ | WRITE) for state in states):
            kind = self.memory.trap(addr, size, "read").fault.kind
            if kind is FaultKind.USE_AFTER_FREE:
                self.memory.findings.append((kind, addr, size))
                self.collect(slot)
        return int.from_bytes(self.memory.data[low : low + size], "little")
