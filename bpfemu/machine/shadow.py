"""What the shadow says of a byte, and what ``bind`` says of a pointer."""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "FREED",
    "ITER",
    "ITER_BIT",
    "KERNEL",
    "READ",
    "READ_ONLY",
    "REDZONE",
    "UNINIT",
    "UNINIT_BIT",
    "VALID",
    "WRITE",
    "LoadKind",
]

# Bits.
READ: Final = 0x01  # the program may read it, and somebody has written it
WRITE: Final = 0x02  # the program may write it
UNINIT_BIT: Final = 0x04  # never written
ITER_BIT: Final = 0x40  # an iterator lives here: readable through element pointers only

# States; 0 is "nothing here".
VALID: Final = READ | WRITE
READ_ONLY: Final = READ
UNINIT: Final = WRITE | UNINIT_BIT
REDZONE: Final = 0x08
FREED: Final = 0x10
KERNEL: Final = 0x20  # the kernel's own: no program access at all
ITER: Final = READ | ITER_BIT


class LoadKind(enum.IntEnum):
    """What ``bind`` knows about the pointer of one load or store."""

    UNKNOWN = 0
    CTX = 1
    STACK = 2
    MAP_VALUE = 3
    MEM = 4  # plain memory of known size: iterator elements, ring buffer records
    BTF = 5  # trusted or RCU pointer to a kernel struct: an ordinary load
    PROBE = 6  # plain or untrusted BTF pointer: a fault reads as zero
    PACKET = 7
    ARENA = 8
