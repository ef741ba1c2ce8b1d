"""What a 6.18 kernel refuses in BPF_BTF_LOAD, in its order, with its errno and its words.

``check(data)`` answers for BTF that a program brings.  A kernel trusts its own BTF more:
``check(data, kernel=True)`` (vmlinux) and ``check(data, base)`` (a module's) leave out the limit on
size, the resolving of references and the special fields.

Source: kernel ``kernel/bpf/btf.c``; every rule is compared with recorded verdicts of a running
kernel in the tests.
"""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Collection
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.check_env import ENOTSUPP, BtfRefusal, CheckEnv, Record, Refused
from bpfemu.btf.check_fields import check_special_fields
from bpfemu.btf.check_meta import check_all_metas
from bpfemu.btf.check_resolve import Resolver
from bpfemu.btf.parse import HEADER_SIZE, MAGIC, read_words
from bpfemu.btf.types import Btf
from bpfemu.record import dataclass

__all__ = ["BtfRefusal", "check"]

MAX_SIZE: Final = 16 << 20  # bytes of a program's BTF
_MAX_STRINGS: Final = (1 << 24) + 1  # bytes
_TAG_CHAIN: Final = 32
_MODIFIERS: Final = frozenset(kind.KIND for kind in k.MODIFIERS)


def check(
    data: bytes,
    base: Btf | None = None,
    *,
    kernel: bool = False,
    vmlinux: Btf | None = None,
    destructors: Collection[str] = (),
) -> BtfRefusal | None:
    """Return why a kernel refuses the blob, None if it does not.

    ``vmlinux`` and ``destructors`` (names of types that have one) decide which structs a ``kptr``
    field may point to; without them every such struct counts as the program's own.
    """
    env = CheckEnv(base, kernel or base is not None)
    try:
        _check(env, data, vmlinux, destructors)
    except Refused as refused:
        return refused.refusal
    return None


def _check(env: CheckEnv, data: bytes, vmlinux: Btf | None, destructors: Collection[str]) -> None:
    if len(data) > MAX_SIZE and not env.kernel:
        raise env.refuse_silently(f"{len(data)} bytes of BTF, {MAX_SIZE} are allowed", errno.E2BIG)
    header = _check_header(env, data)
    _check_sections(env, header, len(data) - header.hdr_len)
    _check_strings(env, header, data)
    if header.type_off % 4:
        raise env.refuse("Unaligned type_off")
    if not header.type_len and env.base is None:
        raise env.refuse("No type found")
    start = header.hdr_len + header.type_off
    whole_words = header.type_len // 4 * 4
    types = memoryview(data)[start : start + whole_words]
    env.words = read_words(types, sys.byteorder)
    check_all_metas(env)
    if not env.kernel:
        Resolver(env).check_all()
    _check_type_tags(env)
    if not env.kernel:
        check_special_fields(env, vmlinux, destructors)


@dataclass(frozen=True, slots=True)
class _Header:
    magic: int
    version: int
    flags: int
    hdr_len: int
    type_off: int
    type_len: int
    str_off: int
    str_len: int


def _check_header(env: CheckEnv, data: bytes) -> _Header:
    if len(data) < 8:
        raise env.refuse("hdr_len not found")
    (length,) = struct.unpack_from("=I", data, 4)
    if len(data) < length:
        raise env.refuse("btf_header not found")
    if any(data[HEADER_SIZE:length]):
        raise env.refuse("Unsupported btf_header", errno.E2BIG)
    known = data[: min(length, HEADER_SIZE)].ljust(HEADER_SIZE, b"\0")
    header = _Header(*struct.unpack("=HBBIIIII", known))
    env.log(f"magic: {header.magic:#x}\nversion: {header.version}\nflags: {header.flags:#x}\n")
    env.log(f"hdr_len: {header.hdr_len}\n")
    env.log(f"type_off: {header.type_off}\ntype_len: {header.type_len}\n")
    env.log(f"str_off: {header.str_off}\nstr_len: {header.str_len}\n")
    env.log(f"btf_total_size: {len(data)}\n")
    if header.magic != MAGIC:
        raise env.refuse("Invalid magic")
    if header.version != 1:
        raise env.refuse("Unsupported version", ENOTSUPP)
    if header.flags:
        raise env.refuse("Unsupported flags", ENOTSUPP)
    if env.base is None and len(data) == header.hdr_len:
        raise env.refuse("No data")
    return header


def _s32(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - (number >> 31 << 32)


def _check_sections(env: CheckEnv, header: _Header, size: int) -> None:
    """Types and strings must fill the data without a gap; their differences compare as signed."""
    one, two = (header.type_off, header.type_len), (header.str_off, header.str_len)
    if (_s32(one[0] - two[0]) or _s32(one[1] - two[1])) > 0:
        one, two = two, one
    total = 0
    for offset, length in (one, two):
        if size < offset:
            raise env.refuse("Invalid section offset")
        if total < offset:
            raise env.refuse("Unsupported section found")
        if total > offset:
            raise env.refuse("Section overlap found")
        if size - total < length:
            raise env.refuse("Total section length too long")
        total += length
    if size != total:
        raise env.refuse("Unsupported section found")


def _check_strings(env: CheckEnv, header: _Header, data: bytes) -> None:
    start = header.hdr_len + header.str_off
    env.strings = bytes(data[start : start + header.str_len])
    if start + header.str_len != len(data):
        raise env.refuse("String section is not at the end")
    if env.base is not None and not env.strings:
        return
    if not 0 < len(env.strings) <= _MAX_STRINGS or env.strings[-1]:
        raise env.refuse("Invalid string section")
    if env.base is None and env.strings[0]:
        raise env.refuse("Invalid string section")


def _check_type_tags(env: CheckEnv) -> None:
    """Type tags must stand before other modifiers: ``const`` of a tag is refused."""
    good = env.start_id - 1
    for found in env.own:
        if found.kind in _MODIFIERS:
            _check_chain(env, found, good)
            good = found.id


def _check_chain(env: CheckEnv, found: Record, good: int) -> None:
    """Follow modifiers to the first type that is none, or that was found good before."""
    in_tags = found.kind == k.TypeTag.KIND
    left = _TAG_CHAIN
    while found.kind in _MODIFIERS:
        if not left:
            raise env.refuse("Max chain length or cycle detected", errno.ELOOP)
        left -= 1
        if found.kind == k.TypeTag.KIND and not in_tags:
            raise env.refuse("Type tags don't precede modifiers")
        in_tags = in_tags and found.kind == k.TypeTag.KIND
        if found.id <= good:
            return
        target = env.record(found.third)
        if target is None:
            raise env.refuse_silently(f"type {found.third} does not exist", errno.EINVAL)
        found = target
