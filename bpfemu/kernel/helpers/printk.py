"""bpf_trace_printk and its kin.  Source: kernel/trace/bpf_trace.c, kernel/bpf/helpers.c."""

from __future__ import annotations

from errno import EINVAL
from typing import Final

from bpfemu.kernel.helpers.format import Spec, parse_format
from bpfemu.kernel.helpers.print_args import collect, render
from bpfemu.kernel.random import mix
from bpfemu.machine.memory import Memory
from bpfemu.proto.marks import helper
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.services import Printk, ProbeRead
from bpfemu.proto.types import Ptr, s64, u32, void

__all__ = ["MAX_BUF", "MAX_VARARGS"]

MAX_BUF: Final = 1024  # bytes of one printed line, MAX_BPRINTF_BUF
MAX_VARARGS: Final = 12  # MAX_BPRINTF_VARARGS
TRACE_PRINTK_ARGS: Final = 3  # MAX_TRACE_PRINTK_VARARGS


@helper(6, gpl=True)
def bpf_trace_printk(
    fmt: Ptr[void],
    fmt_size: u32,
    *,
    memory: Memory,
    probe_read: ProbeRead,
    printk: Printk,
    profile: KernelProfile,
    args: list[int],
) -> s64:
    """Print with up to three arguments, r3 to r5; the length of the line."""
    text = memory.load_bytes(int(fmt), fmt_size)
    return _trace(_parse(text, profile), args[2:5], memory, probe_read, printk)


@helper(177, gpl=True)
def bpf_trace_vprintk(
    fmt: Ptr[void],
    fmt_size: u32,
    args: Ptr[void],
    data_len: u32,
    *,
    memory: Memory,
    probe_read: ProbeRead,
    printk: Printk,
    profile: KernelProfile,
) -> s64:
    """Print with up to twelve arguments from an array of u64."""
    values = _array(memory, int(args), data_len)
    if values is None:
        return s64(-EINVAL)
    text = memory.load_bytes(int(fmt), fmt_size)
    return _trace(_parse(text, profile), values, memory, probe_read, printk)


@helper(165, gpl=True)
def bpf_snprintf(
    str: Ptr[void],
    str_size: u32,
    fmt: Ptr[void],
    args: Ptr[void],
    data_len: u32,
    *,
    memory: Memory,
    probe_read: ProbeRead,
    profile: KernelProfile,
) -> s64:
    """Print into a buffer; the size that all of it needs, NUL included."""
    values = _array(memory, int(args), data_len)
    if values is None:
        return s64(-EINVAL)
    items = _parse(_constant_string(memory, int(fmt)), profile)
    pieces = collect(items, values, probe_read)
    if isinstance(pieces, int):
        return s64(pieces)
    text, length = render(pieces, str_size, _hash_key(memory))
    if str_size:
        memory.store_bytes(int(str), text + b"\0")
    return s64(length + 1)


def _parse(fmt: bytes, profile: KernelProfile) -> list[bytes | Spec | int]:
    """A format with its NUL.  Text beyond ASCII: accepted from 6.18.44 at the latest."""
    end = fmt.find(b"\0")
    if end < 0:
        return [-EINVAL]
    return parse_format(fmt[:end], utf8=profile.at_least((6, 18, 44)))


def _trace(
    items: list[bytes | Spec | int],
    values: list[int],
    memory: Memory,
    probe_read: ProbeRead,
    printk: Printk,
) -> s64:
    pieces = collect(items, values, probe_read)
    if isinstance(pieces, int):
        return s64(pieces)
    text, length = render(pieces, MAX_BUF, _hash_key(memory))
    printk.trace(text.split(b"\0")[0].decode("utf-8", "backslashreplace"))
    return s64(length)


def _array(memory: Memory, addr: int, size: int) -> list[int] | None:
    """The arguments; None when there are too many, or a part of one."""
    if size % 8 or size > 8 * MAX_VARARGS or (size and not addr):
        return None
    data = memory.load_bytes(addr, size) if size else b""
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, size, 8)]


def _constant_string(memory: Memory, addr: int) -> bytes:
    """A string passed without a size, NUL included; each byte must be the program's to read."""
    low = addr - memory.base
    end = memory.data.find(b"\0", low) if 0 <= low < memory.size else -1
    return memory.load_bytes(addr, end - low + 1 if end >= 0 else 1)


def _hash_key(memory: Memory) -> int:
    """What %p hashes addresses with: like them, it comes from the seed."""
    return mix(memory.base)
