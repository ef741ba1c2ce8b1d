"""Instructions as the kernel writes them (kernel/bpf/disasm.c), and back.

``disassemble`` gives the text alone, ``render`` puts the opcode byte before it as verifier logs
and bpftool do.  What only the surroundings know (names of functions, what an address stands for)
comes from a :class:`Names`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, get_args

from bpfemu.isa.encoding import opcode_of
from bpfemu.isa.insn import (
    AddrSpaceCast,
    Alu,
    Atomic,
    Call,
    CallReg,
    CallSub,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    MayGoto,
    PacketLoad,
    Reg,
    Slot,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo
from bpfemu.record import dataclass

__all__ = [
    "KERNEL_NAMES",
    "LOSSLESS_NAMES",
    "CallResolver",
    "Names",
    "assemble",
    "disassemble",
    "render",
]

CallResolver: TypeAlias = Callable[[str], Call | None]
"""A function's name to the call it stands for; None when the name is not known."""

_U32 = 0xFFFF_FFFF
_FETCHES = {
    AtomicOp.FETCH_ADD: "fetch_add",
    AtomicOp.FETCH_OR: "fetch_or",
    AtomicOp.FETCH_AND: "fetch_and",
    AtomicOp.FETCH_XOR: "fetch_xor",
    AtomicOp.XCHG: "xchg",
}
_LOCKED = {
    AtomicOp.ADD: AluOp.ADD.symbol,
    AtomicOp.OR: AluOp.OR.symbol,
    AtomicOp.AND: AluOp.AND.symbol,
    AtomicOp.XOR: AluOp.XOR.symbol,
}
assert set(_FETCHES) | set(_LOCKED) | {
    AtomicOp.CMPXCHG,
    AtomicOp.LOAD_ACQ,
    AtomicOp.STORE_REL,
} == set(AtomicOp), "an atomic has no text"


def _no_call_name(call: Call) -> str | None:
    return None


def _no_subprog_name(target: Slot) -> str | None:
    return None


def _hex_value(insn: LoadImm64) -> str:
    return f"{insn.value:#x}"


@dataclass(frozen=True, slots=True)
class Names:
    """What the surroundings of the code call things; the defaults are the kernel's own.

    ``call`` names a helper or kfunc (None: ``unknown`` or ``kernel-function``), ``subprog`` the
    subprogram at a slot (None: none printed), ``imm64`` is the text of a 64-bit immediate.
    """

    call: Callable[[Call], str | None] = _no_call_name
    subprog: Callable[[Slot], str | None] = _no_subprog_name
    imm64: Callable[[LoadImm64], str] = _hex_value


def _lossless_call(call: Call) -> str | None:
    return None if call.kind == "helper" else f"{call.kind}({call.off})"


def _lossless_imm64(insn: LoadImm64) -> str:
    if insn.pseudo is Pseudo.PLAIN and insn.offs == (0, 0):
        return f"{insn.value:#x} ll"
    low, high = insn.value & _U32, insn.value >> 32
    offs = "" if insn.offs == (0, 0) else f", {insn.offs[0]}, {insn.offs[1]}"
    return f"{insn.pseudo.name.lower()}({low - (low >> 31 << 32)}, {high}{offs}) ll"


KERNEL_NAMES = Names()
"""No names: the text of a bare ``print_bpf_insn``."""

LOSSLESS_NAMES = Names(call=_lossless_call, imm64=_lossless_imm64)
"""Text that :func:`assemble` reads back to the very same instruction."""


def _operand(operand: Reg | Imm, width: int) -> str:
    if isinstance(operand, Imm):
        return str(operand.value)
    return f"{'w' if width == 32 else 'r'}{operand.n}"


def _place(size: int, base: Reg, offset: int, *, signed: bool = False) -> str:
    """``(u32 *)(r0 +4)``."""
    return f"({'s' if signed else 'u'}{size * 8} *)(r{base.n} {offset:+d})"


def _alu(insn: Alu, slot: Slot, names: Names) -> str:
    dst = _operand(insn.dst, insn.width)
    if insn.op is AluOp.NEG:
        return f"{dst} = -{dst}"
    blank = "" if insn.op.symbol.endswith(")") else " "  # "= (s8)" stands close to its operand
    return f"{dst} {insn.op.symbol}{blank}{_operand(insn.src, insn.width)}"


def _swap(insn: Swap, slot: Slot, names: Names) -> str:
    return f"r{insn.dst.n} = {insn.op.value}{insn.bits} r{insn.dst.n}"


def _addr_space_cast(insn: AddrSpaceCast, slot: Slot, names: Names) -> str:
    spaces = f"{insn.to_space}, {insn.from_space}"
    return f"r{insn.dst.n} = addr_space_cast(r{insn.src.n}, {spaces})"


def _load(insn: Load, slot: Slot, names: Names) -> str:
    return f"r{insn.dst.n} = *{_place(insn.size, insn.base, insn.offset, signed=insn.signed)}"


def _store(insn: Store, slot: Slot, names: Names) -> str:
    return f"*{_place(insn.size, insn.base, insn.offset)} = {_operand(insn.src, 64)}"


def _atomic(insn: Atomic, slot: Slot, names: Names) -> str:
    place, reg = _place(insn.size, insn.base, insn.offset), f"r{insn.reg.n}"
    long = "64" if insn.size == 8 else ""
    match insn.op:
        case AtomicOp.LOAD_ACQ:
            return f"{reg} = load_acquire({place})"
        case AtomicOp.STORE_REL:
            return f"store_release({place}, {reg})"
        case AtomicOp.CMPXCHG:
            return f"r0 = atomic{long}_cmpxchg({place}, r0, {reg})"
        case op if op in _LOCKED:
            return f"lock *{place} {_LOCKED[op]} {reg}"
        case op:
            return f"{reg} = atomic{long}_{_FETCHES[op]}({place}, {reg})"


def _load_imm64(insn: LoadImm64, slot: Slot, names: Names) -> str:
    return f"r{insn.dst.n} = {names.imm64(insn)}"


def _jump(insn: Jump, slot: Slot, names: Names) -> str:
    distance = f"pc{insn.target - slot - 1:+d}"
    if insn.op is JmpOp.JA:
        return f"{'gotol' if insn.width == 32 else 'goto'} {distance}"
    dst, src = _operand(insn.dst, insn.width), insn.src
    right = f"{src.value & _U32:#x}" if isinstance(src, Imm) else _operand(src, insn.width)
    return f"if {dst} {insn.op.symbol} {right} goto {distance}"


def _may_goto(insn: MayGoto, slot: Slot, names: Names) -> str:
    return f"may_goto pc{insn.target - slot - 1:+d}"


def _packet_load(insn: PacketLoad, slot: Slot, names: Names) -> str:
    where = f"{insn.offset}" if insn.index is None else f"r{insn.index.n} + {insn.offset}"
    return f"r0 = *(u{insn.size * 8} *)skb[{where}]"


def _call(insn: Call, slot: Slot, names: Names) -> str:
    name = names.call(insn)
    if name is None:
        name = "unknown" if insn.kind == "helper" else "kernel-function"
    return f"call {name}#{insn.imm}"


def _call_sub(insn: CallSub, slot: Slot, names: Names) -> str:
    name = names.subprog(insn.target)
    return f"call pc{insn.target - slot - 1:+d}" + (f"#{name}" if name else "")


def _call_reg(insn: CallReg, slot: Slot, names: Names) -> str:
    return f"callx r{insn.reg.n}"


def _exit(insn: Exit, slot: Slot, names: Names) -> str:
    return "exit"


def _tail(insn: Tail, slot: Slot, names: Names) -> str:
    return ""


_WRITERS: dict[type, Callable[[Any, Slot, Names], str]] = {
    Alu: _alu,
    Swap: _swap,
    AddrSpaceCast: _addr_space_cast,
    Load: _load,
    Store: _store,
    Atomic: _atomic,
    LoadImm64: _load_imm64,
    Jump: _jump,
    MayGoto: _may_goto,
    PacketLoad: _packet_load,
    Call: _call,
    CallSub: _call_sub,
    CallReg: _call_reg,
    Exit: _exit,
    Tail: _tail,
}
assert set(_WRITERS) == set(get_args(Insn)), "an instruction family has no text"


def disassemble(insn: Insn, slot: Slot = 0, *, names: Names = KERNEL_NAMES) -> str:
    """The kernel's text of ``insn``, which stands at ``slot`` (jumps are printed as distances).

    A ``Tail`` has no text of its own: the empty string.
    """
    return _WRITERS[type(insn)](insn, slot, names)


def render(
    code: Sequence[Insn], slot: Slot, *, names: Names = KERNEL_NAMES, start: Slot = 0
) -> str:
    """The opcode byte and the text, ``(85) call bpf_map_lookup_elem#1``, of the insn at ``slot``.

    A ``Tail`` gives the empty string.  ``start`` is the slot of ``code[0]``.  Raises InputError for
    an instruction that cannot be encoded.
    """
    insn = code[slot - start]
    text = disassemble(insn, slot, names=names)
    return f"({opcode_of(insn, slot):02x}) {text}" if text else ""


def assemble(text: str, *, start: Slot = 0, calls: CallResolver | None = None) -> tuple[Insn, ...]:
    """Instructions from text; see :mod:`bpfemu.isa.assembler` for what it reads.

    ``start`` is the slot of the first instruction, ``calls`` knows functions by name.  Raises
    InputError naming the statement and what is wrong with it.
    """
    from bpfemu.isa.assembler import assemble_text

    return assemble_text(text, start=start, calls=calls)
