"""What one operation gives, in plain big integers: RFC 9669 sections 4 and 5, nothing of ours.

Values are unsigned 64-bit numbers; operations have the names of ``AluOp``, ``JmpOp``, ``SwapOp``
and ``AtomicOp``.
"""

from __future__ import annotations

__all__ = ["alu", "atomic", "jump", "swap"]

U64 = 2**64 - 1


def _signed(value: int, bits: int) -> int:
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value


def _quotient(a: int, b: int) -> int:
    """Division that truncates towards zero, as C divides."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def alu(op: str, width: int, dst: int, src: int) -> int:
    """``dst op= src``; an immediate has been sign-extended to 64 bits by the caller."""
    a, b = dst % 2**width, src % 2**width
    sa, sb = _signed(a, width), _signed(b, width)
    match op:
        case "ADD":
            result = a + b
        case "SUB":
            result = a - b
        case "MUL":
            result = a * b
        case "DIV":
            result = 0 if b == 0 else a // b
        case "SDIV":
            result = 0 if b == 0 else _quotient(sa, sb)
        case "MOD":
            result = a if b == 0 else a % b
        case "SMOD":
            result = a if b == 0 else sa - sb * _quotient(sa, sb)
        case "OR":
            result = a | b
        case "AND":
            result = a & b
        case "XOR":
            result = a ^ b
        case "LSH":
            result = a * 2 ** (b % width)
        case "RSH":
            result = a // 2 ** (b % width)
        case "ARSH":
            result = sa // 2 ** (b % width)
        case "NEG":
            result = -a
        case "MOV":
            result = b
        case "MOVSX8" | "MOVSX16" | "MOVSX32":
            result = _signed(b, int(op[5:]))
        case _:
            raise ValueError(op)
    return result % 2**width


def swap(op: str, bits: int, value: int) -> int:
    """A byte swap on a little-endian machine: LE only truncates."""
    low = (value % 2**bits).to_bytes(bits // 8, "little")
    return int.from_bytes(low, {"LE": "little", "BE": "big", "BSWAP": "big"}[op])  # type: ignore[arg-type]


def jump(op: str, width: int, left: int, right: int) -> bool:
    """Whether ``if left op right`` jumps."""
    a, b = left % 2**width, right % 2**width
    if op.startswith("JS") and op != "JSET":
        a, b, op = _signed(a, width), _signed(b, width), "J" + op[2:]
    return {
        "JEQ": a == b,
        "JNE": a != b,
        "JGT": a > b,
        "JGE": a >= b,
        "JLT": a < b,
        "JLE": a <= b,
        "JSET": a & b != 0,
    }[op]


def atomic(op: str, size: int, old: int, reg: int, r0: int) -> tuple[int, int, int]:
    """(memory, register, r0) after an atomic on ``size`` bytes that held ``old``."""
    top = 2 ** (size * 8)
    a, b = old % top, reg % top
    if op == "CMPXCHG":
        return (b if a == r0 % top else a), reg, a
    if op == "LOAD_ACQ":
        return a, a, r0
    stored = {
        "ADD": a + b,
        "OR": a | b,
        "AND": a & b,
        "XOR": a ^ b,
        "XCHG": b,
        "STORE_REL": b,
    }[op.removeprefix("FETCH_")]
    returns_old = op.startswith("FETCH_") or op == "XCHG"
    return stored % top, a if returns_old else reg, r0
