"""Strings and numbers.  Source: kernel/bpf/helpers.c, lib/kstrtox.c."""

from __future__ import annotations

from errno import EINVAL, ERANGE
from typing import Final

from bpfemu.machine.memory import Memory
from bpfemu.proto.marks import helper
from bpfemu.proto.types import Ptr, s64, u32, u64, void

BASE_MASK: Final = 0x1F  # BPF_STRTOX_BASE_MASK
BASES: Final = (0, 8, 10, 16)
MAX_DIGITS: Final = 63  # characters after the sign that are looked at
SPACES: Final = b" \t\n\v\f\r\xa0"  # isspace() of lib/ctype.c: Latin-1


@helper(182)
def bpf_strncmp(s1: Ptr[void], s1_sz: u32, s2: Ptr[void], *, memory: Memory) -> s64:
    """Compare a buffer with a constant string: negative, 0 or positive."""
    for index in range(s1_sz):
        one = memory.load(int(s1) + index, 1)
        other = memory.load(int(s2) + index, 1)
        if one != other:
            return s64(-1 if one < other else 1)
        if not one:
            break
    return s64(0)


@helper(105)
def bpf_strtol(buf: Ptr[void], buf_len: u64, flags: u64, res: Ptr[s64], *, memory: Memory) -> s64:
    """A signed number; how many characters it took, -EINVAL or -ERANGE."""
    memory.store_bytes(int(res), bytes(8))
    found = _parse(memory.load_bytes(int(buf), buf_len), flags)
    if isinstance(found, int):
        return s64(found)
    length, value, negative = found
    value = -value if negative else value
    if not -(1 << 63) <= value < 1 << 63:
        return s64(-ERANGE)
    memory.store_bytes(int(res), value.to_bytes(8, "little", signed=True))
    return s64(length)


@helper(106)
def bpf_strtoul(buf: Ptr[void], buf_len: u64, flags: u64, res: Ptr[u64], *, memory: Memory) -> s64:
    """An unsigned number; how many characters it took, -EINVAL or -ERANGE."""
    memory.store_bytes(int(res), bytes(8))
    found = _parse(memory.load_bytes(int(buf), buf_len), flags)
    if isinstance(found, int):
        return s64(found)
    length, value, negative = found
    if negative:
        return s64(-EINVAL)
    memory.store_bytes(int(res), value.to_bytes(8, "little"))
    return s64(length)


def _parse(text: bytes, flags: int) -> tuple[int, int, bool] | int:
    """(characters taken, magnitude, "-" before it), or a negative errno; __bpf_strtoull."""
    base = flags & BASE_MASK
    if not text or base not in BASES or flags & ~BASE_MASK:
        return -EINVAL
    rest = text.lstrip(SPACES)
    negative = rest.startswith(b"-")
    rest = rest[negative:]
    digits, base = _radix(rest[:MAX_DIGITS], base)
    taken = len(text) - len(rest) + len(rest[:MAX_DIGITS]) - len(digits)
    value = count = 0
    for byte in digits:
        digit = _digit(byte)
        if digit >= base:
            break
        value = value * base + digit
        count += 1
    if value >> 64:
        return -ERANGE
    return (taken + count, value, negative) if count else -EINVAL


def _radix(text: bytes, base: int) -> tuple[bytes, int]:
    """_parse_integer_fixup_radix: the digits without prefix, the base they are in."""
    prefixed = text[:2].lower() == b"0x"
    if base == 0:
        if prefixed and len(text) > 2 and _digit(text[2]) < 16:
            base = 16
        else:
            base = 8 if text.startswith(b"0") else 10
    return (text[2:] if base == 16 and prefixed else text), base


def _digit(byte: int) -> int:
    """The value of a digit in any base up to 16; 99 for anything else."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    lower = byte | 0x20
    return lower - 0x57 if 0x61 <= lower <= 0x66 else 99
