"""Calls, exits and what else leaves the straight way: family → handler.

A handler is made once for each slot of a run and has the shape of a generated function: it takes
the register list and how many instructions may still run, and returns the slot to go on with and
what is left.  Nothing here calls back into the loop: a callee of the kernel that calls back into
the program is a generator, kept in ``pending`` until its callback has come to its exit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, get_args

from bpfemu.engine.interp.access import unreadable
from bpfemu.engine.interp.block import STRAIGHT
from bpfemu.isa.insn import (
    Call,
    CallReg,
    CallSub,
    Exit,
    Insn,
    MayGoto,
    PacketLoad,
    Slot,
    Tail,
)
from bpfemu.machine.frame import FRAME_COUNT, STACK_SIZE, Frame
from bpfemu.machine.gate import UNSET, Upcall
from bpfemu.machine.machine import Machine
from bpfemu.machine.memory import REDZONE, UNINIT
from bpfemu.machine.probe import CallEvent
from bpfemu.machine.stop import Fault, FaultKind, StopKind, Trap
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.engine.interp.engine import InterpCode
    from bpfemu.engine.interp.run import InterpRun

__all__ = ["HANDLERS", "Ended", "Handler", "Pending", "Stacks", "beyond"]

Handler: TypeAlias = Callable[[list[int], int], tuple[Slot, int]]

_NEW_STACK: Final = bytes([UNINIT]) * STACK_SIZE
_OLD_STACK: Final = bytes([REDZONE]) * STACK_SIZE
_UNSET5: Final = (UNSET,) * 5


class Ended(Exception):
    """The program has come to its end: ``kind``, r0 and what is left of the instructions."""

    def __init__(self, kind: StopKind, r0: int, left: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.r0 = r0
        self.left = left


@dataclass(frozen=True, slots=True)
class Pending:
    """A kernel function that waits for its callback.

    ``depth`` counts the frames below the callback's, ``pc`` is the slot of the call, ``args`` are
    r1 to r5 as they were.
    """

    upcall: Upcall
    depth: int
    pc: Slot
    args: tuple[int | None, ...]


# ---- frames -----------------------------------------------------------------------------


class Stacks:
    """The frames of a run and the memory under them: one frame object and one stack a level.

    A level's frame object is used again and again.
    """

    def __init__(self, code: InterpCode, machine: Machine) -> None:
        self._subprog = code.subprog
        self._frames = machine.frames
        self._shadow = machine.memory.shadow
        self._base = machine.memory.base
        self._tops = machine.stack[:FRAME_COUNT]
        self._levels: list[tuple[Frame, slice]] = []  # those that were reached

    def enter(self, slot: Slot, return_to: Slot, regs: list[int]) -> Slot:
        """Open a frame for the subprogram at ``slot``: r1–r5 stay, the others are new."""
        return self.open(slot, self._subprog(slot), return_to, regs)

    def open(self, slot: Slot, subprog: int, return_to: Slot, regs: list[int]) -> Slot:
        """The same where the subprogram's index is known."""
        frames, levels = self._frames, self._levels
        depth = len(frames)
        if depth == len(levels):
            levels.append(self._level(depth))
        frame, stack = levels[depth]
        self._shadow[stack] = _NEW_STACK
        frame.return_to = return_to
        frame.subprog = subprog
        frame.saved = (regs[6], regs[7], regs[8], regs[9])
        frame.caller_fp = regs[10]
        if frame.may_goto:
            frame.may_goto.clear()
        frames.append(frame)
        regs[0] = regs[6] = regs[7] = regs[8] = regs[9] = UNSET
        regs[10] = frame.fp
        return slot

    def _level(self, depth: int) -> tuple[Frame, slice]:
        """What stands at a level that was not reached before."""
        if depth == len(self._tops):
            detail = f"the call stack of {depth + 1} frames is too deep"
            raise Trap(Fault(FaultKind.STACK_DEPTH, detail))
        top = self._tops[depth]
        return Frame(top, 0, 0), slice(top - STACK_SIZE - self._base, top - self._base)

    def leave(self, regs: list[int]) -> Slot:
        """Close the innermost frame: r6–r10 are the caller's again, r1–r5 nobody's."""
        frames = self._frames
        frame = frames.pop()
        self._shadow[self._levels[len(frames)][1]] = _OLD_STACK
        regs[6], regs[7], regs[8], regs[9] = frame.saved
        regs[10] = frame.caller_fp
        regs[1] = regs[2] = regs[3] = regs[4] = regs[5] = UNSET
        return frame.return_to


# ---- handlers ---------------------------------------------------------------------------


def _call_sub(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, CallSub)
    target, after, enter = run.code.inside(insn.target), pc + 1, run.stacks.open
    subprog = run.code.subprog(target)

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        return enter(target, subprog, after, regs), left - 1

    return step


def _call_reg(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, CallReg)
    reg, after = insn.reg.n, pc + 1

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        addr = regs[reg]
        if addr is None:
            unreadable(reg)
        slot = run.machine.gate.code_slot(addr)
        if slot is None or not 0 <= slot < len(run.image.code):
            detail = f"call through r{reg}: no function starts at {addr:#x}"
            raise Trap(Fault(FaultKind.BAD_CALL, detail, addr=addr))
        return run.stacks.enter(slot, after, regs), left - 1

    return step


def _call(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, Call)
    target, after, machine = insn.target, pc + 1, run.machine
    call, findings = machine.gate.call, machine.memory.findings

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        machine.insns = run.origin - left
        if machine.probe is None:
            upcall = call(target, pc, regs)
            if upcall is None:
                if findings:
                    run.access.collect(pc)
                return after, left - 1
            return _go_on(run, Pending(upcall, len(run.frames), pc, ()), None, regs), left - 1
        args = tuple(regs[1:6])
        upcall = call(target, pc, regs)
        if upcall is None:
            _report(run, pc, args, regs)
            return after, left - 1
        return _go_on(run, Pending(upcall, len(run.frames), pc, args), None, regs), left - 1

    return step


def _report(run: InterpRun, pc: Slot, args: tuple[int | None, ...], regs: list[int]) -> None:
    """Findings and the event of a call that is done."""
    if run.machine.memory.findings:
        run.access.collect(pc)
    if run.machine.probe is not None:
        insn, calls = run.image.code[pc], run.image.calls
        target = insn.target if isinstance(insn, Call) else -1
        name = calls[target].name if 0 <= target < len(calls) else ""
        run.machine.probe.event(CallEvent(pc, name, args, regs[0]))


def _go_on(run: InterpRun, pending: Pending, result: int | None, regs: list[int]) -> Slot:
    """Resume a kernel function, with its callback's result if it has run one.

    Goes to the next callback, or behind the call when the function is done.
    """
    try:
        if result is None:
            slot, args = next(pending.upcall)
        else:
            slot, args = pending.upcall.send(result)
    except StopIteration:
        _report(run, pending.pc, pending.args, regs)
        return pending.pc + 1
    run.pending.append(pending)
    regs[1:6] = (*args, *_UNSET5)[:5]
    return run.stacks.enter(run.code.inside(slot), -1, regs)


def _exit(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    frames, pending, machine, leave = run.frames, run.pending, run.machine, run.stacks.leave

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        if frames[-1].return_to >= 0:
            return leave(regs), left - 1
        result = regs[0]
        if result is None:
            unreadable(0)
        if not pending or pending[-1].depth != len(frames) - 1:
            kind = StopKind.THROW if run.thrown else StopKind.EXIT
            raise Ended(kind, result, left - 1)
        leave(regs)
        waiting = pending.pop()
        run.at = waiting.pc, left - 1
        machine.insns = run.origin - left + 1
        slot = _go_on(run, waiting, result, regs)
        run.at = None
        return slot, left - 1

    return step


def _may_goto(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, MayGoto)
    frames, target, after = run.frames, run.code.inside(insn.target), pc + 1
    gate, machine = run.machine.gate, run.machine

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        machine.insns = run.origin - left
        return target if gate.may_goto(frames[-1].may_goto) else after, left - 1

    return step


def _packet_load(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    assert isinstance(insn, PacketLoad)
    size, offset, after, machine = insn.size, insn.offset, pc + 1, run.machine
    index = insn.index.n if insn.index is not None else -1

    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        at = offset
        if index >= 0:
            if regs[index] is None:
                unreadable(index)
            at = (offset + regs[index] + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        if regs[6] is None:
            unreadable(6)
        machine.insns = run.origin - left
        machine.gate.packet_load(size, at, pc, regs)
        regs[1:6] = _UNSET5
        return after, left - 1

    return step


def _tail(run: InterpRun, pc: Slot, insn: Insn) -> Handler:
    return _bad(f"slot {pc} is the second half of a 64-bit load")


def beyond(run: InterpRun) -> Handler:
    """What happens where the code ends."""
    return _bad(f"control leaves the code of {len(run.image.code)} slots")


def _bad(detail: str) -> Handler:
    def step(regs: list[int], left: int) -> tuple[Slot, int]:
        raise Trap(Fault(FaultKind.BAD_INSN, detail))

    return step


HANDLERS: Final[dict[type, Callable[[InterpRun, Slot, Insn], Handler]]] = {
    Call: _call,
    CallSub: _call_sub,
    CallReg: _call_reg,
    Exit: _exit,
    MayGoto: _may_goto,
    PacketLoad: _packet_load,
    Tail: _tail,
}

assert {*HANDLERS, *STRAIGHT} == set(get_args(Insn)), "an instruction family has no handler"
assert not set(HANDLERS) & set(STRAIGHT)
