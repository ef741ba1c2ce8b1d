"""Text → instructions: the kernel's spelling, llvm-objdump's where it differs, and labels.

::

    r0 = 1; exit                      one statement per line or per ``;``; ``//`` starts a comment
    loop: r1 += -1                    a label; ``goto loop``, ``if r1 != 0 goto loop``
    12: (b7) r0 = 1                   slot number and opcode of a verifier log are accepted
    r1 = 0x1122334455667788 ll        a 64-bit immediate load
    r1 = map_fd(5) ll                 … with a pseudo source: low word, high word, the two offsets
    r2 = func(callback) ll            … of a subprogram
    call 1 | call name | call pc+2 | call label | callx r3

In a line with an opcode, ``(18) r1 = 0x5`` is a 64-bit immediate load without the ``ll``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from errno import EINVAL
from functools import cache
from typing import NoReturn, TypeAlias

from bpfemu.errors import InputError
from bpfemu.isa.encoding import encode, opcode_of
from bpfemu.isa.fields import REGS
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
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, Pseudo, SwapOp
from bpfemu.record import dataclass, field

__all__ = ["assemble_text"]

_U32 = 0xFFFF_FFFF
_U64 = 0xFFFF_FFFF_FFFF_FFFF
_ALU_OPS = {op.symbol: op for op in AluOp}
_JMP_OPS = {op.symbol: op for op in JmpOp}
_LOCK_OPS = {"+=": AtomicOp.ADD, "|=": AtomicOp.OR, "&=": AtomicOp.AND, "^=": AtomicOp.XOR}
_PSEUDOS = {pseudo.name.lower(): pseudo for pseudo in Pseudo}

_NUM = r"[+-]?\s*(?:0x[0-9a-fA-F]+|\d+)"
_REG = r"[rw]\d+"
_NAME = r"[A-Za-z_.][\w.]*"
_PLACE = rf"\(\s*([us])(8|16|32|64)\s*\*\s*\)\s*\(\s*(r\d+)\s*([+-]\s*{_NUM})?\s*\)"
_TARGET = r"(\S+)(?:\s*<[^>]*>)?"  # llvm-objdump repeats the target as a symbol
_ASSIGN = rf"({_REG})\s*=\s*"
_Calls: TypeAlias = Callable[[str], Call | None]


@dataclass(slots=True)
class _Statement:
    """One instruction's text, where it stands, and what surrounds it."""

    text: str
    slot: Slot
    opcode: int | None = None  # from a leading "(b7)"
    labels: dict[str, Slot] = field(default_factory=dict)  # shared by all statements
    calls: _Calls | None = None

    @property
    def wide(self) -> bool:
        """Whether it takes two slots."""
        return self.opcode == 0x18 or self.text.endswith(" ll")

    def refuse(self, why: str) -> NoReturn:
        """Raise InputError about this statement."""
        raise InputError(f"insn {self.slot}: {self.text!r}: {why}", errno=EINVAL)

    def number(self, text: str, low: int, high: int) -> int:
        """A decimal or hexadecimal number that must lie between ``low`` and ``high``."""
        value = int(re.sub(r"[\s+]", "", text), 0) if not _is_padded(text) else int(text)
        if not low <= value <= high:
            self.refuse(f"{text.strip()} is not between {low} and {high}")
        return value

    def imm(self, text: str, *, unsigned: bool) -> Imm:
        """A 32-bit immediate; ``unsigned`` also accepts 2**31 to 2**32 - 1."""
        value = self.number(text, -(2**31), _U32 if unsigned else 2**31 - 1)
        return Imm(value - (value >> 31 << 32) if value > 0 else value)

    def reg(self, text: str) -> Reg:
        """A register, r or w."""
        return REGS[self.number(text[1:], 0, 10)]

    def operand(self, text: str, width: int, *, unsigned: bool) -> Reg | Imm:
        """A register of ``width`` bits or an immediate."""
        if text[0] not in "rw":
            return self.imm(text, unsigned=unsigned)
        if _width(text) != width:
            self.refuse("its registers differ in width")
        return self.reg(text)

    def offset(self, text: str | None) -> int:
        """A displacement in bytes."""
        return self.number(text, -(2**15), 2**15 - 1) if text else 0

    def target(self, text: str) -> Slot:
        """``pc+2``, ``+0x2``, ``-1`` or a label."""
        if re.fullmatch(rf"(?:pc\s*)?[+-]\s*{_NUM}", text):
            distance = self.number(text.removeprefix("pc"), -(2**31), 2**31 - 1)
            return self.slot + 1 + distance
        if text not in self.labels:
            self.refuse(f"there is no label {text!r}")
        return self.labels[text]


def _is_padded(text: str) -> bool:
    """Whether Python refuses the literal for its leading zeros, as in ``007``."""
    return bool(re.fullmatch(r"0\d+", text))


def _width(reg: str) -> int:
    return 32 if reg[0] == "w" else 64


def _alu(s: _Statement, dst: str, symbol: str, src: str) -> Insn:
    width = _width(dst)
    return Alu(_ALU_OPS[symbol], width, s.reg(dst), s.operand(src, width, unsigned=width == 32))


def _neg(s: _Statement, dst: str, src: str) -> Insn:
    if dst != src:
        s.refuse("negation works in place")
    return Alu(AluOp.NEG, _width(dst), s.reg(dst), Imm(0))


def _movsx(s: _Statement, dst: str, kind: str, src: str) -> Insn:
    width = _width(dst)
    return Alu(_ALU_OPS[f"= ({kind})"], width, s.reg(dst), s.operand(src, width, unsigned=False))


def _swap(s: _Statement, dst: str, op: str, bits: str, src: str) -> Insn:
    if dst != src:
        s.refuse("a byte swap works in place")
    return Swap(SwapOp(op), int(bits), s.reg(dst))


def _cast(s: _Statement, dst: str, src: str, to_space: str, from_space: str) -> Insn:
    to, origin = s.number(to_space, 0, 0xFFFF), s.number(from_space, 0, 0xFFFF)
    return AddrSpaceCast(s.reg(dst), s.reg(src), to, origin)


def _load(s: _Statement, dst: str, sign: str, bits: str, base: str, offset: str | None) -> Insn:
    return Load(int(bits) // 8, sign == "s", s.reg(dst), s.reg(base), s.offset(offset))


def _store(s: _Statement, sign: str, bits: str, base: str, offset: str | None, src: str) -> Insn:
    if sign == "s":
        s.refuse("a store has no sign")
    source = s.reg(src) if src[0] in "rw" else s.imm(src, unsigned=bits != "64")
    return Store(int(bits) // 8, s.reg(base), s.offset(offset), source)


def _packet(s: _Statement, bits: str, index: str | None, offset: str | None) -> Insn:
    value = s.number(offset, -(2**31), 2**31 - 1) if offset else 0
    return PacketLoad(int(bits) // 8, value, s.reg(index) if index else None)


def _lock(
    s: _Statement, sign: str, bits: str, base: str, offset: str | None, op: str, reg: str
) -> Insn:
    return Atomic(_LOCK_OPS[op], int(bits) // 8, s.reg(base), s.offset(offset), s.reg(reg))


def _fetch(
    s: _Statement, dst: str, op: str, sign: str, bits: str, base: str, off: str | None, reg: str
) -> Insn:
    if dst[1:] != reg[1:]:
        s.refuse("the old value goes to the source register")
    op = op.upper()
    return Atomic(AtomicOp[op], int(bits) // 8, s.reg(base), s.offset(off), s.reg(reg))


def _cmpxchg(s: _Statement, sign: str, bits: str, base: str, offset: str | None, reg: str) -> Insn:
    return Atomic(AtomicOp.CMPXCHG, int(bits) // 8, s.reg(base), s.offset(offset), s.reg(reg))


def _llvm_xchg(s: _Statement, dst: str, bits: str, base: str, off: str | None, reg: str) -> Insn:
    return _fetch(s, dst, "xchg", "u", bits, base, off, reg)


def _llvm_cmpxchg(s: _Statement, bits: str, base: str, offset: str | None, reg: str) -> Insn:
    return _cmpxchg(s, "u", bits, base, offset, reg)


def _load_acquire(
    s: _Statement, reg: str, sign: str, bits: str, base: str, offset: str | None
) -> Insn:
    return Atomic(AtomicOp.LOAD_ACQ, int(bits) // 8, s.reg(base), s.offset(offset), s.reg(reg))


def _store_release(
    s: _Statement, sign: str, bits: str, base: str, offset: str | None, reg: str
) -> Insn:
    return Atomic(AtomicOp.STORE_REL, int(bits) // 8, s.reg(base), s.offset(offset), s.reg(reg))


def _imm64(s: _Statement, dst: str, value: str) -> Insn:
    return LoadImm64(s.reg(dst), s.number(value, -(2**63), _U64) & _U64)


def _pseudo(s: _Statement, dst: str, name: str, args: str) -> Insn:
    """``map_value(5, 8) ll``: low word, high word, the offsets of both slots."""
    pseudo = _PSEUDOS.get(name)
    words = [word.strip() for word in args.split(",")]
    if pseudo is None or len(words) > 4:
        s.refuse(f"the forms are {', '.join(_PSEUDOS)}, each with one to four numbers")
    if pseudo is Pseudo.FUNC and words[0] in s.labels:
        words[0] = str(s.labels[words[0]] - s.slot - 1)
    for word in words:
        if not re.fullmatch(_NUM, word):
            s.refuse(f"{word!r} is neither a number nor a label")
    low, high, first, second = [*words, "0", "0", "0"][:4]
    value = s.imm(high, unsigned=True).value << 32 | s.imm(low, unsigned=True).value & _U32
    return LoadImm64(s.reg(dst), value & _U64, pseudo, (s.offset(first), s.offset(second)))


def _jump(s: _Statement, dst: str, symbol: str, src: str, target: str) -> Insn:
    width = _width(dst)
    right = s.operand(src, width, unsigned=True)
    return Jump(_JMP_OPS[symbol], width, s.reg(dst), right, s.target(target))


def _goto(s: _Statement, word: str, target: str) -> Insn:
    if word == "may_goto":
        return MayGoto(s.target(target))
    return Jump(JmpOp.JA, 32 if word == "gotol" else 64, REGS[0], Imm(0), s.target(target))


def _call_pc(s: _Statement, target: str) -> Insn:
    return CallSub(s.target(target))


def _call_number(s: _Statement, number: str) -> Insn:
    return Call("helper", s.imm(number, unsigned=False).value)


def _call_kind(s: _Statement, kind: str, off: str, number: str) -> Insn:
    return Call(kind, s.imm(number, unsigned=False).value, s.offset(off))


def _call_named_number(s: _Statement, name: str, number: str) -> Insn:
    """``call bpf_map_lookup_elem#1``: the number counts, the name may say that it is a kfunc."""
    imm = s.imm(number, unsigned=False).value
    known = s.calls(name) if s.calls else None
    if known is not None:
        return Call(known.kind, imm, known.off)
    return Call("kfunc" if name == "kernel-function" else "helper", imm)


def _call_name(s: _Statement, name: str) -> Insn:
    if name in s.labels:
        return CallSub(s.labels[name])
    known = s.calls(name) if s.calls else None
    if known is None:
        s.refuse(f"no label and no known function is called {name!r}")
    return known


def _call_reg(s: _Statement, reg: str) -> Insn:
    return CallReg(s.reg(reg))


def _exit(s: _Statement) -> Insn:
    return Exit()


_LLVM_PLACE = rf"(r\d+)\s*([+-]\s*{_NUM})?"
_FORMS: tuple[tuple[str, Callable[..., Insn]], ...] = (
    (r"exit", _exit),
    (rf"if\s+({_REG})\s*(s?[<>]=?|==|!=|&)\s*({_REG}|{_NUM})\s+goto\s+{_TARGET}", _jump),
    (rf"(goto|gotol|may_goto)\s+{_TARGET}", _goto),
    (rf"call\s+(pc\s*[+-]\s*{_NUM})(?:#.*)?", _call_pc),
    (rf"call\s+({_NUM})", _call_number),
    (rf"call\s+(helper|helper_btf|kfunc)\(({_NUM})\)#({_NUM})", _call_kind),
    (rf"call\s+(kernel-function|{_NAME})#({_NUM})", _call_named_number),
    (rf"call\s+({_NAME})", _call_name),
    (r"callx\s+(r\d+)", _call_reg),
    (rf"lock\s*\*{_PLACE}\s*([+|&^]=)\s*({_REG})", _lock),
    (rf"{_ASSIGN}atomic(?:64)?_(xchg|fetch_(?:add|or|and|xor))\({_PLACE},\s*({_REG})\)", _fetch),
    (rf"[rw]0\s*=\s*atomic(?:64)?_cmpxchg\({_PLACE},\s*[rw]0,\s*({_REG})\)", _cmpxchg),
    (rf"{_ASSIGN}xchg(?:32)?_(32|64)\({_LLVM_PLACE},\s*({_REG})\)", _llvm_xchg),
    (rf"[rw]0\s*=\s*cmpxchg(?:32)?_(32|64)\({_LLVM_PLACE},\s*[rw]0,\s*({_REG})\)", _llvm_cmpxchg),
    (rf"{_ASSIGN}load_acquire\({_PLACE}\)", _load_acquire),
    (rf"store_release\({_PLACE},\s*({_REG})\)", _store_release),
    (
        rf"r0\s*=\s*\*\(\s*u(8|16|32)\s*\*\s*\)\s*skb\[(?:(r\d+)\s*\+?)?\s*({_NUM})?\s*\]",
        _packet,
    ),
    (rf"{_ASSIGN}\*{_PLACE}", _load),
    (rf"\*{_PLACE}\s*=\s*({_REG}|{_NUM})", _store),
    (rf"{_ASSIGN}addr_space_cast\(({_REG}),\s*({_NUM}),\s*({_NUM})\)", _cast),
    (rf"{_ASSIGN}(le|be|bswap)(16|32|64)\s+({_REG})", _swap),
    (rf"{_ASSIGN}-\s*({_REG})", _neg),
    (rf"{_ASSIGN}\((s8|s16|s32)\)\s*({_REG})", _movsx),
    (rf"{_ASSIGN}({_NUM})\s+ll", _imm64),
    (rf"{_ASSIGN}(\w+)\(([^)]*)\)\s+ll", _pseudo),
    (rf"({_REG})\s*(s?/=|s?%=|s?>>=|<<=|[-+*|&^]=|=)\s*({_REG}|{_NUM})", _alu),
)


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], Callable[..., Insn]], ...]:
    return tuple((re.compile(pattern), build) for pattern, build in _FORMS)


def _parse(s: _Statement) -> Insn:
    if s.opcode == 0x18 and not s.text.endswith(" ll"):
        s.text += " ll"
    for pattern, build in _compiled():
        match = pattern.fullmatch(s.text)
        if match:
            return build(s, *match.groups())
    s.refuse("not an instruction")


def _split(text: str, start: Slot, calls: _Calls | None) -> list[_Statement]:
    """Statements with their slots; labels are known once all are split."""
    statements: list[_Statement] = []
    labels: dict[str, Slot] = {}
    slot = start
    lines = (line.split("//")[0] for line in text.splitlines())
    for part in (part.strip() for line in lines for part in line.split(";")):
        match = re.fullmatch(rf"(?:({_NAME}):\s*)?(?:\d+:\s*)?(?:\(([0-9a-f]{{2}})\)\s)?(.*)", part)
        label, opcode, rest = match.groups() if match else (None, None, part)
        if label is not None:
            if label in labels:
                raise InputError(f"insn {slot}: label {label!r} stands twice", errno=EINVAL)
            labels[label] = slot
        if rest.strip():
            code = int(opcode, 16) if opcode else None
            statement = _Statement(" ".join(rest.split()), slot, code, labels, calls)
            statements.append(statement)
            slot += 2 if statement.wide else 1
    return statements


def assemble_text(text: str, *, start: Slot, calls: _Calls | None) -> tuple[Insn, ...]:
    """Instructions from ``text``; the work of :func:`bpfemu.isa.text.assemble`."""
    code: list[Insn] = []
    for statement in _split(text, start, calls):
        insn = _parse(statement)
        code.append(insn)
        if statement.wide:
            code.append(Tail())
        opcode = opcode_of(insn, statement.slot)
        if statement.opcode not in (None, opcode):
            statement.refuse(f"its opcode is {opcode:02x}, not {statement.opcode:02x}")
    encode(code, first=start)  # every value must fit its field
    return tuple(code)
