"""What a run's state was when something was raised in the middle of a function."""

from __future__ import annotations

from collections.abc import Mapping
from types import CodeType
from typing import Any

from bpfemu.engine.interp.block import Block, Node
from bpfemu.engine.interp.operands import reads_of
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Slot
from bpfemu.machine.frame import Frame
from bpfemu.machine.gate import UNSET
from bpfemu.machine.memory import U64
from bpfemu.machine.stop import Fault, FrameInfo

__all__ = ["call_chain", "complete", "read_before_write", "recover"]


def recover(
    error: BaseException, blocks: Mapping[CodeType, Block], regs: list[int]
) -> tuple[Node, int] | None:
    """The instruction that raised and what was left before it; ``regs`` are brought up to date.

    None when ``error`` did not come out of a generated function.
    """
    trace = error.__traceback__
    trace = trace.tb_next if trace is not None else None
    block = blocks.get(trace.tb_frame.f_code) if trace is not None else None
    if trace is None or block is None:
        return None
    values: Mapping[str, Any] = trace.tb_frame.f_locals
    node = block.nodes[trace.tb_lineno]
    if node is None:
        return Node(block.head, 0, None), values["left"]
    for reg in range(11):
        name = f"r{reg}"
        if name in values:
            value = values[name]
            regs[reg] = UNSET if value is None else value & U64
    return node, block.loop.left_in(values, node.before)


def read_before_write(image: ProgramImage, pc: Slot, regs: list[int]) -> int | None:
    """The register that the instruction at ``pc`` reads though nobody has written it, if any."""
    if 0 <= pc < len(image.code):
        for reg in reads_of(image.code[pc]):
            if regs[reg] is None:
                return reg
    return None


def call_chain(
    image: ProgramImage, pc: Slot, frames: list[Frame], callers: list[Slot]
) -> tuple[FrameInfo, ...]:
    """The frames, innermost first; ``callers`` are the slots whose calls called back, in order."""
    chain = []
    waiting = list(callers)
    for frame in reversed(frames):
        name = image.subprogs[frame.subprog].name if image.subprogs else image.name
        chain.append(FrameInfo(pc, name, image.line_text(pc)))
        if frame.return_to >= 0:
            pc = frame.return_to - 1
        elif waiting:
            pc = waiting.pop()
    return tuple(chain)


def complete(
    fault: Fault, image: ProgramImage, pc: Slot, chain: tuple[FrameInfo, ...], regs: list[int]
) -> Fault:
    """The fault with its place: pc, frames, registers, source line."""
    return Fault(
        kind=fault.kind,
        detail=fault.detail,
        pc=fault.pc if fault.pc >= 0 else pc,
        addr=fault.addr,
        size=fault.size,
        region=fault.region,
        allocated_by=fault.allocated_by,
        freed_by=fault.freed_by,
        frames=fault.frames or chain,
        regs=fault.regs or tuple(regs),
        line=fault.line or image.line_text(pc),
    )
