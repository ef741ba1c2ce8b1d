"""From arguments to text: what bpf_bprintf_prepare copies and how bstr_printf prints it.

The kernel first copies every argument into a buffer of 512 bytes, following the pointers of
strings and IP addresses, then prints from that buffer into one of 1,024.  Text that was made while
copying (%pI4, %pks, %pB) is printed as it is, whatever the width.  Source: kernel/bpf/helpers.c,
lib/vsprintf.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from errno import EINVAL, ENOSPC
from typing import Final, TypeAlias

from bpfemu.kernel.helpers.format import Spec
from bpfemu.kernel.helpers.probe import TASK_SIZE, copy_string
from bpfemu.kernel.random import mix
from bpfemu.proto.services import ProbeRead

__all__ = ["BIN_ARGS_SIZE", "Pieces", "collect", "render"]

BIN_ARGS_SIZE: Final = 512  # bytes, MAX_BPRINTF_BIN_ARGS
U32: Final = (1 << 32) - 1
U64: Final = (1 << 64) - 1
MAX_ERRNO: Final = 4095

Pieces: TypeAlias = list[tuple[Spec | None, "bytes | int"]]
"""What is to be printed: (conversion, its argument), or (None, text as it is)."""


def collect(
    items: Sequence[bytes | Spec | int], args: Sequence[int], probe_read: ProbeRead
) -> Pieces | int:
    """Follow every argument as bpf_bprintf_prepare does; a negative errno when it refuses."""
    pieces: Pieces = []
    used = count = 0
    for item in items:
        if isinstance(item, int):
            return item
        if isinstance(item, bytes):
            pieces.append((None, item))
            continue
        if count >= len(args):
            return -EINVAL
        found = _argument(item, args[count] & U64, used, probe_read)
        if found is None:
            return -ENOSPC
        value, used = found
        count += 1
        made = item.kind[:2] in ("pi", "pI", "pk", "pu", "pB")
        pieces.append((None if made else item, value))
    return pieces


def _argument(
    spec: Spec, raw: int, used: int, probe_read: ProbeRead
) -> tuple[bytes | int, int] | None:
    """(the argument as it is kept, bytes used up to it); None when the buffer is full."""
    room = BIN_ARGS_SIZE - used
    if spec.kind in ("s", "pks", "pus"):
        if room <= 0:
            return None
        read = probe_read.kernel
        if spec.kind == "pus" or (spec.kind == "s" and raw < TASK_SIZE):
            read = probe_read.user
        text = copy_string(read, raw, room)
        return (b"", used + 1) if isinstance(text, int) else (text[:-1], used + len(text))
    if spec.kind == "c":
        return (raw & 0xFF, used + 1) if room > 0 else None
    if spec.kind == "pB":
        symbol = _symbol(raw)
        return symbol[: max(room - 1, 0)], used + len(symbol) + 1
    if spec.kind[:2] in ("pi", "pI"):
        size = 4 if spec.kind.endswith("4") else 16
        if room < size:
            return None
        data = probe_read.kernel(raw, size)
        address = _address(spec.kind, bytes(size) if isinstance(data, int) else data)
        return address[: max(room - 1, 0)], used + len(address) + 1
    used = (used + 3) & ~3
    if BIN_ARGS_SIZE - used < spec.size:
        return None
    return raw & ((1 << 8 * spec.size) - 1), used + spec.size


def render(pieces: Pieces, limit: int, hash_key: int) -> tuple[bytes, int]:
    """(at most ``limit`` - 1 bytes of text, how long all of it is)."""
    out = bytearray()
    length = 0
    for spec, value in pieces:
        if spec is None:
            assert isinstance(value, bytes)
            text, width = value, 0
        else:
            text, width = _print(spec, value, hash_key)
        size = max(len(text), width)
        room = limit - 1 - length
        if room > 0:
            pad = b" " * min(size - len(text), room)
            left = spec is not None and 0x2D in spec.flags
            out += (text + pad if left else pad + text)[:room]
        length += size
    return bytes(out), length


def _print(spec: Spec, value: bytes | int, hash_key: int) -> tuple[bytes, int]:
    """(text, width to pad it to with blanks)."""
    width = max(spec.width, 0)
    if isinstance(value, bytes):
        return value, width
    match spec.kind:
        case "c":
            return bytes([value]), width
        case "ps" | "pS":
            return _symbol(value), width
        case "p" | "pK" | "px":
            number = value
            if spec.kind != "px" and value and value < (1 << 64) - MAX_ERRNO:
                number = mix(value ^ hash_key) & U32  # an address is not told, only a name for it
            return _pad_zeros(b"", b"%x" % number, spec, 16 if spec.width < 0 else width)
        case "d":
            bits = 8 * spec.size
            signed = value - (1 << bits) if value >> (bits - 1) else value
            plus = b"+" if 0x2B in spec.flags else b" " if 0x20 in spec.flags else b""
            sign = b"-" if signed < 0 else plus
            return _pad_zeros(sign, b"%d" % abs(signed), spec, width)
        case "u":
            return _pad_zeros(b"", b"%d" % value, spec, width)
    digits = b"%x" % value if spec.kind == "x" else b"%X" % value
    return _pad_zeros(b"", digits, spec, width)


def _pad_zeros(sign: bytes, digits: bytes, spec: Spec, width: int) -> tuple[bytes, int]:
    """Zeros between sign and digits if asked for; a pointer without a width has 16 digits."""
    zeros = 0x30 in spec.flags or (spec.kind[0] == "p" and spec.width < 0)
    if zeros and 0x2D not in spec.flags:
        digits = digits.rjust(width - len(sign), b"0")
    return sign + digits, width


def _symbol(addr: int) -> bytes:
    """What %pS prints for an address that belongs to no symbol (__sprint_symbol)."""
    return b"0x%x" % addr


def _address(kind: str, data: bytes) -> bytes:
    """An IP address: i4 with leading zeros, I4 without, i6 without colons, I6 with."""
    if kind == "pI4":
        return b".".join(b"%d" % byte for byte in data)
    if kind == "pi4":
        return b".".join(b"%03d" % byte for byte in data)
    groups = (data[at : at + 2].hex().encode() for at in range(0, 16, 2))
    return (b":" if kind == "pI6" else b"").join(groups)
