"""One instruction → one handler: for stepping, and for code that runs only a few times.

The same tables as in generated functions, one call per instruction; nothing needs compiling
beyond one small function for each operation in use.  Registers stay in the list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bpfemu.engine.interp.access import unreadable
from bpfemu.engine.interp.alu import alu_function, swap_function
from bpfemu.engine.interp.atomic import atomic_function, old_goes_to
from bpfemu.engine.interp.block import STRAIGHT
from bpfemu.engine.interp.call import HANDLERS, Handler, beyond
from bpfemu.engine.interp.jump import jump_function
from bpfemu.engine.interp.operands import reads_of
from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    Slot,
    Store,
    Swap,
)
from bpfemu.isa.ops import JmpOp
from bpfemu.machine.memory import U64

if TYPE_CHECKING:
    from bpfemu.engine.interp.run import InterpRun

__all__ = ["STEPS", "make_step"]


def make_step(run: InterpRun, pc: Slot) -> Handler:
    """The handler for the instruction at ``pc``."""
    if pc >= len(run.image.code):
        return beyond(run)
    insn = run.image.code[pc]
    step = (STEPS.get(type(insn)) or HANDLERS[type(insn)])(run, pc, insn)
    reads = reads_of(insn) if pc in run.image.uninit and not isinstance(insn, Exit) else ()
    return _checked(step, reads) if reads else step


def _checked(step: Handler, reads: tuple[int, ...]) -> Handler:
    def checked(regs: list[int], left: int) -> tuple[Slot, int]:
        for reg in reads:
            if regs[reg] is None:
                unreadable(reg)
        return step(regs, left)

    return checked


def _alu(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Alu)
    compute, d, after = alu_function(insn.op, insn.width), insn.dst.n, pc + 1
    if isinstance(insn.src, Imm):
        value = insn.src.value & (1 << insn.width) - 1

        def step_imm(regs: list[int], left: int) -> tuple[Slot, int]:
            regs[d] = compute(regs[d], value)
            return after, left - 1

        return step_imm
    s = insn.src.n

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        regs[d] = compute(regs[d], regs[s])
        return after, left - 1

    return step


def _swap(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Swap)
    compute, d, after = swap_function(insn.op, insn.bits), insn.dst.n, pc + 1

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        regs[d] = compute(regs[d])
        return after, left - 1

    return step


def _load_imm64(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, LoadImm64)
    value, d, after = insn.value, insn.dst.n, pc + 2

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        regs[d] = value
        return after, left - 1

    return step


def _load(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Load)
    load, d, b, offset, after = run.access.load, insn.dst.n, insn.base.n, insn.offset, pc + 1

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        regs[d] = load(regs[b] + offset & U64, pc)
        return after, left - 1

    return step


def _store(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Store)
    store, b, offset, after = run.access.store, insn.base.n, insn.offset, pc + 1
    if isinstance(insn.src, Imm):
        value = insn.src.value

        def step_imm(regs: list[int], left: int) -> tuple[Slot, int]:
            store(regs[b] + offset & U64, value, pc)
            return after, left - 1

        return step_imm
    s = insn.src.n

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        store(regs[b] + offset & U64, regs[s], pc)
        return after, left - 1

    return step


def _atomic(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Atomic)
    check, b, s, offset, after = run.access.atomic, insn.base.n, insn.reg.n, insn.offset, pc + 1
    compute, old_to, size = atomic_function(insn.op, insn.size), old_goes_to(insn), insn.size
    data = run.machine.memory.data

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        at = check(regs[b] + offset & U64, pc)
        old = int.from_bytes(data[at : at + size], "little")
        if compute is not None:
            data[at : at + size] = compute(old, regs[s], regs[0]).to_bytes(size, "little")
        if old_to is not None:
            regs[old_to] = old
        return after, left - 1

    return step


def _cast(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, AddrSpaceCast)
    cast, d, s, after = run.machine.gate.arena_cast, insn.dst.n, insn.src.n, pc + 1
    spaces = insn.to_space, insn.from_space

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        regs[d] = cast(regs[s], *spaces)
        return after, left - 1

    return step


def _jump(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Jump)
    target, after, d = run.code.inside(insn.target), pc + 1, insn.dst.n
    if insn.op is JmpOp.JA:
        return lambda regs, left: (target, left - 1)
    holds = jump_function(insn.op, insn.width)
    if isinstance(insn.src, Imm):
        value = insn.src.value & (1 << insn.width) - 1
        return lambda regs, left: (target if holds(regs[d], value) else after, left - 1)
    s = insn.src.n
    return lambda regs, left: (target if holds(regs[d], regs[s]) else after, left - 1)


STEPS: Final[dict[type, Callable[[InterpRun, Slot, Insn], Handler]]] = {
    Alu: _alu,
    Swap: _swap,
    Load: _load,
    Store: _store,
    Atomic: _atomic,
    LoadImm64: _load_imm64,
    AddrSpaceCast: _cast,
    Jump: _jump,
}

assert set(STEPS) == set(STRAIGHT), set(STRAIGHT) ^ set(STEPS)
