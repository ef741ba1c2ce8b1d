"""path → the bytes of a BTF blob: raw, in an ELF file, gzip-compressed, or a kernel's own file."""

from __future__ import annotations

import errno
import os
import struct
from mmap import mmap
from typing import BinaryIO, Final

from bpfemu.btf.parse import MAGIC
from bpfemu.errors import ObjectError

__all__ = ["blob_of", "btf_section", "map_file", "open_blob", "read_bounded"]

SYSFS: Final = "/sys/kernel/btf/"
MAX_FILE: Final = 1 << 30  # bytes; also the most that a compressed file may unpack to
_CHUNK: Final = 1 << 20  # bytes
_MAGICS: Final = (MAGIC.to_bytes(2, "little"), MAGIC.to_bytes(2, "big"))
_GZIP: Final = b"\x1f\x8b"
_ELF: Final = b"\x7fELF"


def open_blob(path: str | os.PathLike[str]) -> tuple[bytes | mmap, str]:
    """Return a file's BTF blob and its name (the file's, up to the first dot)."""
    path = os.fspath(path)
    name = os.path.basename(path).split(".")[0]
    if os.path.abspath(path).startswith(SYSFS) and (mapped := _map(path)) is not None:
        return mapped, name
    try:
        with open(path, "rb") as file:
            data = read_bounded(file)
    except (OSError, ValueError) as problem:
        number = problem.errno if isinstance(problem, OSError) else errno.EINVAL
        text = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise ObjectError(f"cannot read it: {text}", path=path, errno=number) from problem
    return blob_of(data, path), name


def read_bounded(file: BinaryIO) -> bytes:
    """Return what a file holds, at most a little more than ``MAX_FILE`` bytes of it.

    No more memory is taken than there is to read, which may be less or more than its size says.
    """
    data = file.read(min(os.fstat(file.fileno()).st_size, MAX_FILE) + 1)
    parts = [data]
    total = len(data)
    while parts[-1] and total <= MAX_FILE:
        parts.append(file.read(_CHUNK))
        total += len(parts[-1])
    return data if len(parts) <= 2 and not parts[-1] else b"".join(parts)


def blob_of(data: bytes, path: str) -> bytes:
    """Return the BTF in a file's bytes: they are it, or an ELF file, or either compressed."""
    if data[:2] == _GZIP:
        data = _gunzip(data, path)
    if len(data) > MAX_FILE:
        raise ObjectError(f"more than {MAX_FILE} bytes", path=path, errno=errno.EFBIG)
    if data[:2] in _MAGICS:
        return data
    if data[:4] == _ELF:
        return btf_section(data, path)
    raise ObjectError("neither BTF nor ELF nor gzip", path=path, offset=0, errno=errno.EPROTO)


def map_file(path: str) -> mmap:
    """Map a file as libbpf maps a kernel's BTF: private, for reading, all of it."""
    from mmap import MAP_PRIVATE, PROT_READ

    fd = os.open(path, os.O_RDONLY)
    try:
        return mmap(fd, os.fstat(fd).st_size, MAP_PRIVATE, PROT_READ)
    finally:
        os.close(fd)


def _map(path: str) -> mmap | None:
    """Map a kernel's BTF file; None where that is refused (module BTF, kernels before 6.16)."""
    try:
        return map_file(path)
    except (ImportError, OSError, ValueError):
        return None


def _gunzip(data: bytes, path: str) -> bytes:
    import zlib

    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(data, MAX_FILE + 1)
    except zlib.error as problem:
        message = f"gzip data is corrupt: {problem}"
        raise ObjectError(message, path=path, errno=errno.EINVAL) from problem


def btf_section(elf: bytes, path: str | None = None, name: str = ".BTF") -> bytes:
    """Return the bytes of a section of an ELF file (32 or 64 bits, either byte order)."""
    try:
        return _find_section(elf, path, name.encode())
    except (struct.error, IndexError, OverflowError) as problem:
        message = "ELF file ends within its section headers"
        raise ObjectError(message, path=path, errno=errno.EINVAL) from problem


def _find_section(elf: bytes, path: str | None, name: bytes) -> bytes:
    order = {1: "<", 2: ">"}.get(elf[5])
    if elf[4] not in (1, 2) or order is None:
        raise ObjectError("ELF class or byte order unknown", path=path, offset=4)
    wide = elf[4] == 2
    # e_shoff, then e_shentsize, e_shnum, e_shstrndx; sh_name, sh_type, ..., sh_offset, sh_size
    (table,) = struct.unpack_from(order + ("Q" if wide else "I"), elf, 0x28 if wide else 0x20)
    entry, count, names = struct.unpack_from(order + "HHH", elf, 0x3A if wide else 0x2E)
    layout = order + ("II16xQQ" if wide else "II8xII")

    def section(number: int) -> tuple[int, int, int, int]:
        found: tuple[int, int, int, int] = struct.unpack_from(layout, elf, table + number * entry)
        return found

    strings_at = section(names)[2]
    for number in range(1, count):
        name_off, kind, offset, size = section(number)
        at = strings_at + name_off
        if elf[at : at + len(name) + 1] == name + b"\0" and kind != 8:  # SHT_NOBITS has no bytes
            if offset + size > len(elf):
                message = f"section at {offset}+{size} passes the end of the file"
                raise ObjectError(message, path=path, section=name.decode(), errno=errno.EINVAL)
            return elf[offset : offset + size]
    raise ObjectError("no such section", path=path, section=name.decode(), errno=errno.ENOENT)
