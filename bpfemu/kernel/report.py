"""Fault reports as text: what happened, where, what lies there, who was there before.

::

    use after free: read of 8 bytes at 0xffff888012345a48: use after free
      pc 17 in sum_vmas, vma.bpf.c:31: total += vma->vm_end;
          15: (85) call bpf_iter_task_vma_destroy#…
          16: (bf) r1 = r6
        → 17: (79) r2 = *(u64 *)(r1 +8)
          18: (95) exit
      address   0xffff888012345a48, 64 bytes inside the freed …
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Call, LoadImm64
from bpfemu.isa.text import Names, render
from bpfemu.machine.machine import CODE_BASE
from bpfemu.machine.stop import Fault, Stop, StopKind
from bpfemu.outcome import Outcome

__all__ = ["instruction_text", "render_report", "render_trail"]

CONTEXT: Final = 3  # instructions shown on each side
_ENDED: Final = ("never destroyed", "still open")


def instruction_text(image: ProgramImage, slot: int) -> str:
    """The kernel's text of one instruction, with the names that the image knows."""
    names = Names(
        call=lambda call: _call_name(image, call),
        subprog=lambda target: _subprog_name(image, target),
        imm64=lambda insn: _imm64(image, insn),
    )
    return render(image.code, slot, names=names)


def _call_name(image: ProgramImage, call: Call) -> str | None:
    return image.calls[call.target].name if 0 <= call.target < len(image.calls) else None


def _subprog_name(image: ProgramImage, target: int) -> str | None:
    return next((sub.name for sub in image.subprogs if sub.start == target), None)


def _imm64(image: ProgramImage, insn: LoadImm64) -> str:
    """``map[stats]``, ``map[x.rodata][0]+4``, ``subprog[callback]`` or the number."""
    for slot in image.maps:
        if insn.value == slot.addr:
            return f"map[{slot.definition.name}]"
    for segment in image.segments:
        if segment.addr <= insn.value < segment.addr + max(len(segment.data), 1):
            return f"map[{segment.map_name}][0]+{insn.value - segment.addr}"
    slot_of, rest = divmod(insn.value - CODE_BASE, 8)
    if not rest and 0 <= slot_of < len(image.code):
        return f"subprog[{_subprog_name(image, slot_of) or slot_of}]"
    return f"{insn.value:#x}"


def render_report(outcome: Outcome, image: ProgramImage) -> str:
    """The report of an outcome with a fault, or whose budget was used up; "" for others."""
    fault = outcome.fault
    if fault is not None:
        lines = [f"{fault.kind.value}: {fault.detail}"]
        lines += _place(fault.pc, fault.line, image)
        lines += _address(fault)
        lines += _registers(fault)
        lines += _chain(fault)
    elif outcome.stop.kind is StopKind.BUDGET:
        lines = [f"budget: the program was still running after {outcome.insns} instructions"]
        lines += _place(outcome.stop.pc, "", image)
        lines += _loop(outcome.stop, image)
    else:
        return ""
    lines += _iterators(outcome)
    lines.append(
        f"  after {outcome.insns} insns, kernel {outcome.profile}, {outcome.context} context, "
        f"seed {outcome.seed}"
    )
    return "\n".join(lines) + "\n"


def render_trail(image: ProgramImage, slots: tuple[int, ...]) -> tuple[str, ...]:
    """The last instructions before a stop as text, one line each, newest last."""
    return tuple(
        f"{slot:4}: {instruction_text(image, slot)}" for slot in slots if slot < len(image.code)
    )


def _place(pc: int, line: str, image: ProgramImage) -> Iterator[str]:
    """The source line, and the instruction among its neighbours."""
    if not 0 <= pc < len(image.code):
        return
    name = image.subprogs[image.subprog_at(pc)].name if image.subprogs else image.name
    line = line or image.line_text(pc)
    yield f"  pc {pc} in {name}" + (f", {line}" if line else "")
    for slot in range(max(pc - CONTEXT, 0), min(pc + CONTEXT + 1, len(image.code))):
        text = instruction_text(image, slot)
        if text:
            yield f"    {'→' if slot == pc else ' '} {slot:4}: {text}"


def _loop(stop: Stop, image: ProgramImage) -> Iterator[str]:
    """The last way back within one function that was taken: from where to where."""
    for before, after in reversed(list(pairwise(stop.trail))):
        last = len(image.code)
        if after <= before < last and image.subprog_at(before) == image.subprog_at(after):
            line = image.line_text(after)
            yield f"  loop      pc {after} to {before}" + (f", {line}" if line else "")
            return


def _address(fault: Fault) -> Iterator[str]:
    """The address, what it belongs to or lies next to, who allocated and who freed that."""
    if fault.addr is None:
        return
    yield f"  address   {fault.addr:#x}" + (f", {fault.region}" if fault.region else "")
    if fault.allocated_by is not None:
        yield f"  allocated {fault.allocated_by}"
    if fault.freed_by is not None:
        yield f"  freed     {fault.freed_by}"


def _registers(fault: Fault) -> Iterator[str]:
    """r0 to r10, four a line; registers that nobody has written are left out."""
    known = [f"r{n}={value:#x}" for n, value in enumerate(fault.regs) if value is not None]
    for start in range(0, len(known), 4):
        yield ("  registers " if not start else "            ") + "  ".join(
            known[start : start + 4]
        )


def _chain(fault: Fault) -> Iterator[str]:
    """Who called whom, innermost first."""
    for index, frame in enumerate(fault.frames):
        where = f"{frame.function}+{frame.pc}" + (f" ({frame.line})" if frame.line else "")
        yield ("  in        " if not index else "  called by ") + where


def _iterators(outcome: Outcome) -> Iterator[str]:
    """Iterators that were open when it happened."""
    for it in outcome.iterators:
        if it.ended in _ENDED:
            where = f" ({it.line})" if it.line else ""
            yield (
                f"  iterator  bpf_iter_{it.type}, made at pc {it.pc}{where}: "
                f"{it.elements} elements, {it.ended}"
            )
