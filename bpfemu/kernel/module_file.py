"""A module file → its BTF and the kfunc sets in it.

``.BTF_ids`` of a linked module holds the sets; its symbols say where each one starts::

    __BTF_ID__set8__NAME ─▶ u32 count │ u32 flags (1: kfuncs) │ {u32 BTF id, u32 KF_* flags} …

A raw blob (as /sys/kernel/btf/NAME shows it) has no sets; what pahole tagged ``bpf_kfunc`` stands
for them there.  BTF notes, sections 6.2 and 9.1.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.source import MAX_FILE, blob_of, btf_section, read_bounded
from bpfemu.errors import ObjectError
from bpfemu.kernel.btf_notifier import ModuleBlob
from bpfemu.kernel.registration import KfuncId, KfuncSet
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT
from bpfemu.record import dataclass

__all__ = ["ModuleFile", "read_module", "tagged_kfuncs"]

_ELF: Final = b"\x7fELF"
_GZIP: Final = b"\x1f\x8b"
_XZ: Final = b"\xfd7zXZ\0"
_SET: Final = b"__BTF_ID__set8__"
_KFUNC_SET: Final = 1  # BTF_SET8_KFUNCS
_ITER: Final = {"new": KF_ITER_NEW, "next": KF_ITER_NEXT, "destroy": KF_ITER_DESTROY}


@dataclass(frozen=True, slots=True)
class ModuleFile:
    """What a module file brings; ``blob`` is None without a .BTF section."""

    name: str
    blob: ModuleBlob | None
    sets: tuple[KfuncSet, ...] = ()


def read_module(path: str | os.PathLike[str]) -> ModuleFile:
    """Read a .ko (also compressed with gzip or xz) or a raw blob; ObjectError says what is wrong.

    Which hook a set is registered for is in the module's code, not in its data: sets come out
    for every program type.
    """
    path = os.fspath(path)
    name = os.path.basename(path).split(".")[0].replace("-", "_")
    data = _unpack(_read(path), path)
    if data[:4] != _ELF:
        return ModuleFile(name, ModuleBlob(blob_of(data, path)))
    if (blob := _section(data, path, ".BTF")) is None:
        return ModuleFile(name, None)
    base = _section(data, path, ".BTF.base") or b""
    return ModuleFile(name, ModuleBlob(blob, base), tuple(_kfunc_sets(data, path)))


def tagged_kfuncs(btf: Btf) -> KfuncSet:
    """The functions that pahole tagged as kfuncs; iterator flags go by the name."""
    found = []
    for id in btf.ids_of(k.DeclTag):
        tag = btf.type(id)
        if not isinstance(tag, k.DeclTag) or tag.name != "bpf_kfunc" or not btf.has_id(tag.type):
            continue
        name = getattr(btf.type(tag.type), "name", "")
        suffix = name.rpartition("_")[2] if name.startswith("bpf_iter_") else ""
        found.append(KfuncId(tag.type, _ITER.get(suffix, 0)))
    return KfuncSet("common", tuple(found))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return read_bounded(file)
    except OSError as problem:
        text = f"cannot read it: {problem.strerror}"
        raise ObjectError(text, path=path, errno=problem.errno) from problem


def _unpack(data: bytes, path: str) -> bytes:
    """What is inside gzip or xz; other data as it is."""
    try:
        if data[:2] == _GZIP:
            return _gunzip(data)
        return _unxz(data) if data[:6] == _XZ else data
    except (ValueError, EOFError) as problem:
        text = f"compressed data is corrupt: {problem}"
        raise ObjectError(text, path=path, errno=errno.EINVAL) from problem


def _gunzip(data: bytes) -> bytes:
    import zlib

    try:
        return zlib.decompressobj(wbits=31).decompress(data, MAX_FILE + 1)
    except zlib.error as problem:
        raise ValueError(str(problem)) from problem


def _unxz(data: bytes) -> bytes:
    import lzma

    try:
        return lzma.LZMADecompressor(memlimit=1 << 28).decompress(data, MAX_FILE + 1)
    except lzma.LZMAError as problem:
        raise ValueError(str(problem)) from problem


def _section(elf: bytes, path: str, name: str) -> bytes | None:
    try:
        return btf_section(elf, path, name)
    except ObjectError as problem:
        if problem.errno == errno.ENOENT:
            return None
        raise


def _kfunc_sets(elf: bytes, path: str) -> Iterator[KfuncSet]:
    ids, symbols, names = (_section(elf, path, name) for name in (".BTF_ids", ".symtab", ".strtab"))
    if not ids or not symbols or not names or elf[4] != 2:
        return
    order = "<" if elf[5] == 1 else ">"
    for at in range(0, len(symbols) // 24 * 24, 24):
        name_off, _, _, _, value, _ = struct.unpack_from(order + "IBBHQQ", symbols, at)
        if names[name_off : name_off + len(_SET)] != _SET or value + 8 > len(ids):
            continue
        count, flags = struct.unpack_from(order + "II", ids, value)
        if not flags & _KFUNC_SET or value + 8 + 8 * count > len(ids):
            continue
        pairs = struct.iter_unpack(order + "II", ids[value + 8 : value + 8 + 8 * count])
        yield KfuncSet("common", tuple(KfuncId(id, kf) for id, kf in pairs))
