"""Every operation in every form on values at the edges, predicted by the oracle.

Each case is one long program that computes many results, compares each with what the oracle says,
and leaves with the number of the first that differs; 0 means that all agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bpfemu.isa.insn import (
    Alu,
    Atomic,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    Reg,
    Slot,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, SwapOp
from tests.conformance import oracle
from tests.conformance.cases import Case

__all__ = ["matrix_cases"]

U64: Final = 2**64 - 1
VALUES: Final = (
    0,
    1,
    2,
    31,
    33,
    63,
    65,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x1234_5678_9ABC_DEF0,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    0xFFFF_FFFF_8000_0000,
    U64 - 1,
    U64,
)
IMMS: Final = (0, 1, 2, 31, 33, 63, 65, 2**31 - 1, -(2**31), -2, -1)
R0, R1, R2, R3, R10 = Reg(0), Reg(1), Reg(2), Reg(3), Reg(10)
_MOVSX: Final = (AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32)


class _Checks:
    """A program under construction: checks, each with its number, and one way out."""

    def __init__(self) -> None:
        self.code: list[Insn] = []
        self.number = 0

    def load(self, reg: Reg, value: int) -> None:
        """``reg = value ll``."""
        self.code += [LoadImm64(reg, value), Tail()]

    def begin(self) -> None:
        """A new check: its number goes into r0."""
        self.number += 1
        self.code.append(Alu(AluOp.MOV, 64, R0, Imm(self.number)))

    def skip_if(self, op: JmpOp, width: int, dst: Reg, src: Reg | Imm, expected: bool) -> None:
        """A jump under test: leave with the number unless it does what is ``expected``."""
        here: Slot = len(self.code)
        if expected:
            self.code.append(Jump(op, width, dst, src, here + 2))
            self.code.append(Exit())
        else:
            self.code.append(Jump(op, width, dst, src, here + 2))
            self.code.append(Jump(JmpOp.JA, 64, R0, Imm(0), here + 3))
            self.code.append(Exit())

    def expect(self, reg: Reg, value: int) -> None:
        """Leave with the number unless ``reg`` holds ``value``; scratches r3."""
        self.load(R3, value)
        self.skip_if(JmpOp.JEQ, 64, reg, R3, True)

    def case(self, name: str) -> Case:
        """The finished program, whose result is 0."""
        end = (Alu(AluOp.MOV, 64, R0, Imm(0)), Exit())
        return Case(f"matrix/{name}", (*self.code, *end), b"", 0, None)


def matrix_cases() -> list[Case]:
    """All cases, in a fixed order."""
    return [*_alu(), *_swap(), *_jump(), *_atomic(), *_loads()]


def _alu() -> Iterator[Case]:
    for op in AluOp:
        for width in (32, 64):
            if op is AluOp.MOVSX32 and width == 32:
                continue
            name = f"{op.name.lower()}{width}"
            if op is AluOp.NEG:
                yield _alu_case(f"{name}", op, width, [Imm(0)])
                continue
            yield _alu_case(f"{name}-reg", op, width, [R2])
            if op not in _MOVSX:
                yield _alu_case(f"{name}-imm", op, width, [Imm(value) for value in IMMS])


def _alu_case(name: str, op: AluOp, width: int, sources: list[Reg | Imm]) -> Case:
    checks = _Checks()
    for source in sources:
        values = [source.value & U64] if isinstance(source, Imm) else VALUES
        for a in VALUES:
            for b in values:
                checks.begin()
                checks.load(R1, a)
                if isinstance(source, Reg):
                    checks.load(R2, b)
                checks.code.append(Alu(op, width, R1, source))
                checks.expect(R1, oracle.alu(op.name, width, a, b))
    return checks.case(name)


def _swap() -> Iterator[Case]:
    for op in SwapOp:
        for bits in (16, 32, 64):
            checks = _Checks()
            for value in VALUES:
                checks.begin()
                checks.load(R1, value)
                checks.code.append(Swap(op, bits, R1))
                checks.expect(R1, oracle.swap(op.name, bits, value))
            yield checks.case(f"{op.value}{bits}")


def _jump() -> Iterator[Case]:
    for op in JmpOp:
        if op is JmpOp.JA:
            continue
        for width in (32, 64):
            name = f"{op.name.lower()}{width}"
            yield _jump_case(f"{name}-reg", op, width, [R2])
            yield _jump_case(f"{name}-imm", op, width, [Imm(value) for value in IMMS])


def _jump_case(name: str, op: JmpOp, width: int, sources: list[Reg | Imm]) -> Case:
    checks = _Checks()
    for source in sources:
        values = [source.value & U64] if isinstance(source, Imm) else VALUES
        for a in VALUES:
            for b in values:
                checks.begin()
                checks.load(R1, a)
                if isinstance(source, Reg):
                    checks.load(R2, b)
                checks.skip_if(op, width, R1, source, oracle.jump(op.name, width, a, b))
    return checks.case(name)


def _atomic() -> Iterator[Case]:
    for op in AtomicOp:
        for size in (1, 2, 4, 8):
            if size >= 4 or op in (AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL):
                yield _atomic_case(op, size)


def _atomic_case(op: AtomicOp, size: int) -> Case:
    """The old value stands at r10-8 among 16 bytes whose neighbours must not change."""
    checks = _Checks()
    for old in VALUES:
        for reg in (0, 1, 0x8000_0000, 0x1234_5678_9ABC_DEF0, U64):
            for r0 in (old, reg) if op is AtomicOp.CMPXCHG else (0,):
                _atomic_check(checks, op, size, old, reg, r0)
    return checks.case(f"atomic-{op.name.lower()}{size * 8}")


def _atomic_check(
    checks: _Checks, op: AtomicOp, size: int, old: int, reg: int, compare: int
) -> None:
    memory, after, r0 = oracle.atomic(op.name, size, old, reg, compare)
    checks.load(R1, old)
    checks.code.append(Store(8, R10, -8, R1))
    checks.load(R2, reg)
    if op is AtomicOp.CMPXCHG:
        checks.load(R0, compare)
        checks.code.append(Atomic(op, size, R10, -8, R2))
        checks.code.append(Alu(AluOp.MOV, 64, R1, R0))
        checks.begin()
        checks.expect(R1, r0)
    else:
        checks.code.append(Atomic(op, size, R10, -8, R2))
        checks.begin()
    checks.expect(R2, after)
    checks.code.append(Load(8, False, R1, R10, -8))
    top = 2 ** (size * 8)
    checks.expect(R1, old - old % top + memory)


def _loads() -> Iterator[Case]:
    """Stores of every size read back by loads of every size, at every offset within 16 bytes."""
    for stored in (1, 2, 4, 8):
        checks = _Checks()
        for offset in range(17 - stored):
            for value in (0x8182_8384_8586_8788, 0x0102_0304_0506_0708):
                _store_check(checks, stored, offset, value)
        yield checks.case(f"store{stored * 8}-loads")


def _store_check(checks: _Checks, size: int, offset: int, value: int) -> None:
    ground = 0x1112_1314_1516_1718_191A_1B1C_1D1E_1F20 if offset % 2 else 2**128 - 2
    checks.load(R1, ground & U64)
    checks.code.append(Store(8, R10, -16, R1))
    checks.load(R1, ground >> 64)
    checks.code.append(Store(8, R10, -8, R1))
    checks.load(R1, value)
    checks.code.append(Store(size, R10, offset - 16, R1))
    there = bytearray(ground.to_bytes(16, "little"))
    there[offset : offset + size] = (value % 2 ** (size * 8)).to_bytes(size, "little")
    for read in (1, 2, 4, 8):
        for signed in (False, True) if read < 8 else (False,):
            at = min(max(offset - read // 2, 0), 16 - read)
            checks.begin()
            checks.code.append(Load(read, signed, R2, R10, at - 16))
            expected = int.from_bytes(there[at : at + read], "little", signed=signed)
            checks.expect(R2, expected & U64)
