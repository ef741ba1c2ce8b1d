"""The operations of BPF with their numbers and the symbols the kernel prints.

Numbers: RFC 9669 sections 3 to 5; load-acquire, store-release, ``may_goto`` and
``addr_space_cast`` are Linux's own (include/uapi/linux/bpf.h, kernel/bpf/disasm.c).
"""

from __future__ import annotations

import enum

__all__ = ["AluOp", "AtomicOp", "InsnClass", "JmpOp", "Mode", "Pseudo", "SwapOp"]


class InsnClass(enum.IntEnum):
    """The low three bits of an opcode (RFC 9669 section 3.1)."""

    LD = 0
    LDX = 1
    ST = 2
    STX = 3
    ALU = 4
    JMP = 5
    JMP32 = 6
    ALU64 = 7


class Mode(enum.IntEnum):
    """The mode modifier of load and store opcodes (RFC 9669 section 5)."""

    IMM = 0x00
    ABS = 0x20
    IND = 0x40
    MEM = 0x60
    MEMSX = 0x80
    ATOMIC = 0xC0


class AluOp(enum.Enum):
    """Arithmetic: RFC 9669 section 4.1.

    ``code`` is the operation's upper four opcode bits, ``off`` what the offset field must hold
    (1 makes division and modulo signed; 8, 16, 32 make a move sign-extend), ``symbol`` the
    kernel's text between the operands.
    """

    code: int
    off: int
    symbol: str

    def __init__(self, code: int, off: int, symbol: str) -> None:
        self.code = code
        self.off = off
        self.symbol = symbol

    ADD = (0x00, 0, "+=")
    SUB = (0x10, 0, "-=")
    MUL = (0x20, 0, "*=")
    DIV = (0x30, 0, "/=")
    SDIV = (0x30, 1, "s/=")
    OR = (0x40, 0, "|=")
    AND = (0x50, 0, "&=")
    LSH = (0x60, 0, "<<=")
    RSH = (0x70, 0, ">>=")
    NEG = (0x80, 0, "= -")
    MOD = (0x90, 0, "%=")
    SMOD = (0x90, 1, "s%=")
    XOR = (0xA0, 0, "^=")
    MOV = (0xB0, 0, "=")
    MOVSX8 = (0xB0, 8, "= (s8)")
    MOVSX16 = (0xB0, 16, "= (s16)")
    MOVSX32 = (0xB0, 32, "= (s32)")
    ARSH = (0xC0, 0, "s>>=")


class SwapOp(enum.Enum):
    """Byte swaps (RFC 9669 section 4.2): to little, to big, or unconditional."""

    LE = "le"
    BE = "be"
    BSWAP = "bswap"


class JmpOp(enum.Enum):
    """Jumps (RFC 9669 section 4.3): ``code`` is the upper four opcode bits."""

    code: int
    symbol: str

    def __init__(self, code: int, symbol: str) -> None:
        self.code = code
        self.symbol = symbol

    JA = (0x00, "goto")
    JEQ = (0x10, "==")
    JGT = (0x20, ">")
    JGE = (0x30, ">=")
    JSET = (0x40, "&")
    JNE = (0x50, "!=")
    JSGT = (0x60, "s>")
    JSGE = (0x70, "s>=")
    JLT = (0xA0, "<")
    JLE = (0xB0, "<=")
    JSLT = (0xC0, "s<")
    JSLE = (0xD0, "s<=")


class AtomicOp(enum.Enum):
    """Atomics (RFC 9669 section 5.3; load-acquire and store-release: Linux 6.15).

    ``imm`` is the immediate that selects the operation, the fetch bit (1) included.
    """

    ADD = 0x00
    OR = 0x40
    AND = 0x50
    XOR = 0xA0
    FETCH_ADD = 0x01
    FETCH_OR = 0x41
    FETCH_AND = 0x51
    FETCH_XOR = 0xA1
    XCHG = 0xE1
    CMPXCHG = 0xF1
    LOAD_ACQ = 0x100
    STORE_REL = 0x110


class Pseudo(enum.IntEnum):
    """What the source register of a 64-bit immediate load says about its value.

    RFC 9669 section 5.4; numbers from include/uapi/linux/bpf.h (BPF_PSEUDO_*).
    """

    PLAIN = 0
    MAP_FD = 1
    MAP_VALUE = 2
    BTF_ID = 3
    FUNC = 4
    MAP_IDX = 5
    MAP_IDX_VALUE = 6
