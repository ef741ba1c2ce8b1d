"""A machine with nothing around it: code, some memory, a stack; no kernel.

For conformance cases, benchmarks and tests of engines: r1 points at the memory, r2 is its length.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from bpfemu.image import ProgramImage, Subprog
from bpfemu.isa.flow import func_target, subprog_starts
from bpfemu.isa.insn import Insn, LoadImm64, Slot
from bpfemu.machine.frame import FRAME_COUNT, STACK_SIZE
from bpfemu.machine.gate import ProgramExit, Upcall
from bpfemu.machine.machine import CODE_BASE, DEFAULT_BUDGET, Machine, code_address
from bpfemu.machine.memory import UNINIT, LoadKind, Memory, RegionKind
from bpfemu.machine.probe import Probe
from bpfemu.machine.stop import Fault, FaultKind, Trap
from bpfemu.record import dataclass

__all__ = ["BARE_BASE", "BARE_SIZE", "Bare", "BareGate", "bare_image", "bare_machine"]

BARE_BASE: Final = 0xFFFF_8880_0000_0000  # the kernel's direct map starts there
BARE_SIZE: Final = 1 << 20  # bytes
MAY_GOTO_LIMIT: Final = 8_388_608  # BPF_MAX_LOOPS, as on JITs without timing


class BareGate:
    """The gate of a machine without a kernel: every call is a fault.

    Legacy packet loads read ``packet``, network byte order; without one nothing is in bounds.
    """

    def __init__(self, packet: bytes = b"") -> None:
        self.packet = packet

    def call(self, target: int, pc: Slot, regs: list[int]) -> Upcall | None:
        """There is nobody to call."""
        raise Trap(Fault(FaultKind.BAD_CALL, "a call out of a program that runs without a kernel"))

    def packet_load(self, size: int, offset: int, pc: Slot, regs: list[int]) -> None:
        """Out of bounds ends the program with 0."""
        if not 0 <= offset <= len(self.packet) - size:
            raise ProgramExit(0)
        regs[0] = int.from_bytes(self.packet[offset : offset + size], "big")

    def may_goto(self, counters: dict[str, int]) -> bool:
        """Leave after 8,388,608 rounds."""
        counters["may_goto"] = rounds = counters.get("may_goto", 0) + 1
        return rounds > MAY_GOTO_LIMIT

    def code_slot(self, addr: int) -> Slot | None:
        """Function pointers are those of ``code_address``."""
        slot, rest = divmod(addr - CODE_BASE, 8)
        return None if rest or not 0 <= slot < 1 << 20 else slot

    def arena_cast(self, addr: int, to_space: int, from_space: int) -> int:
        """Without an arena map the low half is all there is."""
        return addr & 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Bare:
    """A machine ready to run: ``args`` are r1 and r2, ``addr`` is where the memory stands."""

    machine: Machine
    args: tuple[int, ...]
    addr: int  # u64


def bare_image(
    code: Sequence[Insn],
    *,
    name: str = "bare",
    loads: Sequence[LoadKind] = (),
    uninit: Collection[Slot] | None = None,
    size: int = BARE_SIZE,
) -> ProgramImage:
    """An image of plain code.  Any slot may read a register nobody has written, unless told."""
    starts = subprog_starts(code)
    ends = [*starts[1:], len(code)]
    names = [name, *(f"{name}_{start}" for start in starts[1:])]
    return ProgramImage(
        name=name,
        section="",
        prog_type=0,
        attach_type=0,
        attach_to="",
        sleepable=False,
        gpl=True,
        code=tuple(_place(insn, slot) for slot, insn in enumerate(code)),
        subprogs=tuple(map(Subprog, names, starts, ends)),
        calls=(),
        maps=(),
        segments=(),
        loads=tuple(loads) or (LoadKind.UNKNOWN,) * len(code),
        uninit=frozenset(range(len(code)) if uninit is None else uninit),
        lines=(None,) * len(code),
        arena_base=BARE_BASE,
        arena_size=size,
    )


def _place(insn: Insn, slot: Slot) -> Insn:
    """Give a function pointer its final address, as bind does."""
    target = func_target(insn, slot)
    if target is None or not isinstance(insn, LoadImm64):
        return insn
    return LoadImm64(insn.dst, code_address(target))


def bare_machine(
    data: bytes = b"",
    *,
    gate: BareGate | None = None,
    budget: int = DEFAULT_BUDGET,
    probe: Probe | None = None,
    size: int = BARE_SIZE,
) -> Bare:
    """A machine with ``data`` in writable memory; without data r1 is 0."""
    memory = Memory(BARE_BASE, size)
    memory.allocate(256, RegionKind.MEMORY, "guard", state=0)
    tops = []
    for depth in range(FRAME_COUNT):
        region = memory.allocate(
            STACK_SIZE, RegionKind.STACK, f"stack of frame {depth}", align=64, state=UNINIT
        )
        tops.append(region.end)
    addr = 0
    if data:
        addr = memory.allocate(len(data), RegionKind.MEMORY, "memory", align=16).addr
        memory.write(addr, data)
    machine = Machine(memory, gate or BareGate(), tuple(tops), budget, probe)
    return Bare(machine, (addr, len(data)), addr)
