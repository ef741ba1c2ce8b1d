"""Every operation in every form on values at the edges, predicted by the oracle.

Each case is a loop over rows of 64-bit words in memory: what goes in, what must come out.  It ends
with 0, or with the number of the first row that came out differently (rows count from 1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, SwapOp
from bpfemu.isa.text import assemble
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
PAIRS: Final = [(a, b) for a in VALUES for b in VALUES]
_MOVSX: Final = (AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32)

# r6 walks over the rows, r7 is behind the last one, r8 is the number of the row.
_LOOP = """
    r6 = r1
    r7 = r1
    r7 += r2
    r8 = 0
row:
    if r6 >= r7 goto good
    r8 += 1
    {body}
    r6 += {size}
    goto row
wrong:
    r0 = r8
    exit
good:
    r0 = 0
    exit
"""


def _table(name: str, body: str, rows: Sequence[Sequence[int]]) -> Case:
    """A loop whose ``body`` jumps to ``wrong`` unless the row at r6 comes out."""
    code = assemble(_LOOP.format(body=body, size=8 * len(rows[0])))
    mem = b"".join(struct.pack("<Q", word) for row in rows for word in row)
    return Case(f"matrix/{name}", code, mem, 0, None)


def _word(register: str, index: int) -> str:
    return f"{register} = *(u64 *)(r6 +{8 * index})"


def matrix_cases() -> list[Case]:
    """All cases, in a fixed order."""
    return [*_alu(), *_swaps(), *_jumps(), *_atomics(), *_loads()]


def _widths(op: AluOp) -> tuple[int, ...]:
    return (64,) if op is AluOp.MOVSX32 else (32, 64)


def _alu() -> Iterator[Case]:
    for op in AluOp:
        for width in _widths(op):
            letter, name = "w" if width == 32 else "r", f"{op.name.lower()}{width}"
            if op is AluOp.NEG:
                yield _alu_reg(name, op, width, f"{letter}1 = -{letter}1")
                continue
            yield _alu_reg(f"{name}-reg", op, width, f"{letter}1 {op.symbol} {letter}2")
            if op not in _MOVSX:
                yield _alu_imm(f"{name}-imm", op, width, f"{letter}1 {op.symbol}")


def _alu_reg(name: str, op: AluOp, width: int, text: str) -> Case:
    body = [_word("r1", 0), _word("r2", 1), _word("r3", 2), text, "if r1 != r3 goto wrong"]
    rows = [(a, b, oracle.alu(op.name, width, a, b)) for a, b in PAIRS]
    return _table(name, "\n".join(body), rows)


def _alu_imm(name: str, op: AluOp, width: int, text: str) -> Case:
    body = [
        line
        for i, imm in enumerate(IMMS)
        for line in (
            _word("r1", 0),
            _word("r3", 1 + i),
            f"{text} {imm}",
            "if r1 != r3 goto wrong",
        )
    ]
    rows = [(a, *(oracle.alu(op.name, width, a, imm & U64) for imm in IMMS)) for a in VALUES]
    return _table(name, "\n".join(body), rows)


def _swaps() -> Iterator[Case]:
    for op in SwapOp:
        for bits in (16, 32, 64):
            name = f"{op.value}{bits}"
            body = [_word("r1", 0), _word("r3", 1), f"r1 = {name} r1", "if r1 != r3 goto wrong"]
            rows = [(value, oracle.swap(op.name, bits, value)) for value in VALUES]
            yield _table(name, "\n".join(body), rows)


def _jumps() -> Iterator[Case]:
    """Bits in r4 say which of the jumps of a row were taken."""
    for op in JmpOp:
        if op is JmpOp.JA:
            continue
        for width in (32, 64):
            letter, name = "w" if width == 32 else "r", f"{op.name.lower()}{width}"
            test = f"if {letter}1 {op.symbol} "
            taken = [(a, b, int(oracle.jump(op.name, width, a, b))) for a, b in PAIRS]
            yield _table(f"{name}-reg", _jump_body([f"{test}{letter}2"], 2), taken)
            rows = [
                (a, 0, sum(oracle.jump(op.name, width, a, imm) << i for i, imm in enumerate(IMMS)))
                for a in VALUES
            ]
            yield _table(f"{name}-imm", _jump_body([f"{test}{imm}" for imm in IMMS], 2), rows)


def _jump_body(tests: list[str], expected: int) -> str:
    lines = [_word("r1", 0), _word("r2", 1), _word("r3", expected), "r4 = 0"]
    for i, test in enumerate(tests):
        lines += [f"{test} goto +1", "goto +1", f"r4 |= {1 << i}"]
    return "\n".join([*lines, "if r4 != r3 goto wrong"])


_ATOMIC_TEXT: Final = {
    AtomicOp.ADD: "lock *{place} += r2",
    AtomicOp.OR: "lock *{place} |= r2",
    AtomicOp.AND: "lock *{place} &= r2",
    AtomicOp.XOR: "lock *{place} ^= r2",
    AtomicOp.FETCH_ADD: "r2 = atomic_fetch_add({place}, r2)",
    AtomicOp.FETCH_OR: "r2 = atomic_fetch_or({place}, r2)",
    AtomicOp.FETCH_AND: "r2 = atomic_fetch_and({place}, r2)",
    AtomicOp.FETCH_XOR: "r2 = atomic_fetch_xor({place}, r2)",
    AtomicOp.XCHG: "r2 = atomic_xchg({place}, r2)",
    AtomicOp.CMPXCHG: "r0 = atomic_cmpxchg({place}, r0, r2)",
    AtomicOp.LOAD_ACQ: "r2 = load_acquire({place})",
    AtomicOp.STORE_REL: "store_release({place}, r2)",
}


def _atomics() -> Iterator[Case]:
    for op, text in _ATOMIC_TEXT.items():
        for size in (1, 2, 4, 8):
            if size >= 4 or op in (AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL):
                place = f"(u{8 * size} *)(r10 -8)"
                yield _atomic(f"atomic-{op.name.lower()}{size * 8}", op, size, text, place)


def _atomic(name: str, op: AtomicOp, size: int, text: str, place: str) -> Case:
    """The old value stands in eight bytes of stack, of which only ``size`` may change."""
    body = [_word("r1", 0), "*(u64 *)(r10 -8) = r1", _word("r2", 1), _word("r0", 2)]
    body += [text.format(place=place), "r1 = *(u64 *)(r10 -8)"]
    for index, register in enumerate(("r1", "r2", "r0")):
        body += [_word("r3", 3 + index), f"if {register} != r3 goto wrong"]
    rows, top = [], 2 ** (8 * size)
    for old in VALUES:
        for reg in (0, 1, 0x8000_0000, 0x1234_5678_9ABC_DEF0, U64):
            for r0 in (old, reg, old ^ 2**63):
                memory, after, r0_after = oracle.atomic(op.name, size, old, reg, r0)
                rows.append((old, reg, r0, old - old % top + memory, after, r0_after))
    return _table(name, "\n".join(body), rows)


def _loads() -> Iterator[Case]:
    """A store of every size at every offset within 16 bytes, read back by loads of every size."""
    for size in (1, 2, 4, 8):
        for offset in range(0, 17 - size, 3):
            yield _store_and_loads(size, offset)


def _store_and_loads(size: int, offset: int) -> Case:
    body = [_word("r1", 0), "*(u64 *)(r10 -16) = r1", _word("r1", 1), "*(u64 *)(r10 -8) = r1"]
    body += [_word("r1", 2), f"*(u{8 * size} *)(r10 {offset - 16:+d}) = r1"]
    kinds = [
        f"{sign}{bits}" for bits in (8, 16, 32, 64) for sign in "us" if sign + str(bits) != "s64"
    ]
    for index, kind in enumerate(kinds):
        at = _read_at(offset, int(kind[1:]) // 8)
        body += [_word("r3", 3 + index), f"r2 = *({kind} *)(r10 {at - 16:+d})"]
        body += ["if r2 != r3 goto wrong"]
    rows = []
    for ground in (0, 2**128 - 1, 0x1112_1314_1516_1718_191A_1B1C_1D1E_1F20):
        for value in (0x8182_8384_8586_8788, 0x0102_0304_0506_0708):
            there = bytearray(ground.to_bytes(16, "little"))
            there[offset : offset + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
            reads = [_read(there, offset, kind) for kind in kinds]
            rows.append((ground & U64, ground >> 64, value, *reads))
    return _table(f"store{8 * size}-at-{offset}", "\n".join(body), rows)


def _read_at(offset: int, size: int) -> int:
    """Where a load of ``size`` bytes overlaps a store at ``offset``, within the 16 bytes."""
    return min(max(offset - size // 2, 0), 16 - size)


def _read(there: bytearray, offset: int, kind: str) -> int:
    size = int(kind[1:]) // 8
    at = _read_at(offset, size)
    signed = kind[0] == "s"
    return int.from_bytes(there[at : at + size], "little", signed=signed) & U64
