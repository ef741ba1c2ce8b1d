"""What the verifier says of accesses through kernel symbols (BTF notes, section 7.5)."""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Atomic, Load, Store
from bpfemu.kernel.variables import TEXT_BASE, KernelSymbols, Variable
from bpfemu.machine.stop import Fault, FaultKind
from bpfemu.proto.ctype import StructType
from bpfemu.record import replace

__all__ = ["in_ksym_words"]

_KINDS: Final = (FaultKind.OUT_OF_BOUNDS, FaultKind.READ_ONLY)
_NEAR: Final = 32  # bytes around a variable that are nobody else's


def in_ksym_words(fault: Fault, image: ProgramImage, symbols: KernelSymbols) -> Fault:
    """The fault, in the verifier's words where a symbol's bytes were wanted."""
    insn = image.code[fault.pc] if 0 <= fault.pc < len(image.code) else None
    if fault.kind not in _KINDS or not isinstance(insn, Load | Store | Atomic):
        return fault
    assert fault.addr is not None
    addr, size, reg = fault.addr, fault.size, f"R{insn.base.n}"
    detail = _of_function(image, addr, size)
    variable = symbols.at(addr)
    if variable is not None and variable.percpu:
        name = variable.type_name
        detail = f"{reg} is ptr_{name} access percpu memory: off={addr - variable.addr}"
    elif (copy := symbols.around(addr, _NEAR)) is not None:
        variable, off = copy
        detail = _of_memory(fault, variable, off, reg, loads=isinstance(insn, Load))
    return replace(fault, detail=detail) if detail else fault


def _of_function(image: ProgramImage, addr: int, size: int) -> str:
    """A function's address is read-only memory of no size."""
    for _, start, _ in image.ksyms:
        off = addr - start
        if start >= TEXT_BASE and -_NEAR < off < 16:
            return f"invalid access to memory, mem_size=0 off={off} size={size}"
    return ""


def _of_memory(fault: Fault, variable: Variable, off: int, reg: str, *, loads: bool) -> str:
    """A variable's own bytes, or some beside them."""
    struct = isinstance(variable.type, StructType)
    if not loads:
        return "only read is supported" if struct else f"{reg} cannot write into rdonly_mem"
    if struct:
        return ""
    size = variable.size
    return f"invalid access to memory, mem_size={size} off={off} size={fault.size}"
