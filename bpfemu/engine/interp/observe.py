"""What a probe is told about instructions while a run is stepped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.isa.insn import Atomic, Load, Slot, Store
from bpfemu.isa.ops import AtomicOp
from bpfemu.machine.memory import U64
from bpfemu.machine.probe import LoadEvent, StepEvent, StoreEvent

if TYPE_CHECKING:
    from bpfemu.engine.interp.run import InterpRun

__all__ = ["Watch"]


class Watch:
    """Sends events: one before each instruction, one after each access to memory."""

    def __init__(self, run: InterpRun) -> None:
        self._run = run
        self._announced = False
        self._addr = 0

    def before(self) -> bool:
        """Announce the next instruction, once; True when the probe wants to stop there."""
        run = self._run
        probe = run.machine.probe
        if probe is None:
            return False
        if not self._announced:
            event = StepEvent(run.pc, run.insns, tuple(run.regs), len(run.frames) - 1)
            if probe.event(event):
                self._announced = True
                return True
        self._announced = False
        insn = run.image.code[run.pc] if run.pc < len(run.image.code) else None
        if isinstance(insn, Load | Store | Atomic):
            base = run.regs[insn.base.n]
            self._addr = 0 if base is None else base + insn.offset & U64
        return False

    def after(self, pc: Slot) -> None:
        """Tell what the instruction at ``pc`` has loaded or stored."""
        run, addr = self._run, self._addr
        probe, insn = run.machine.probe, run.image.code[pc]
        if probe is None:
            return
        match insn:
            case Load():
                probe.event(LoadEvent(pc, addr, insn.size, run.regs[insn.dst.n]))
            case Atomic(op=AtomicOp.LOAD_ACQ):
                probe.event(LoadEvent(pc, addr, insn.size, run.regs[insn.reg.n]))
            case Store() | Atomic():
                low = addr - run.machine.memory.base
                data = run.machine.memory.data[low : low + insn.size] if low >= 0 else b""
                probe.event(StoreEvent(pc, addr, insn.size, int.from_bytes(data, "little")))
