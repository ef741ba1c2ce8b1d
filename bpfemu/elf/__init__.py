"""Worker: an object file → :class:`BpfObject`, as libbpf opens it (notes, section 8).

Reading decides nothing: the same file gives the same object everywhere.  Whatever is wrong with a
file is an :class:`ObjectError` that names the file, the section, the byte and the rule.
"""

from __future__ import annotations

import os
from errno import EFBIG, ENOENT
from typing import TYPE_CHECKING, Final

from bpfemu.errors import InputError, ObjectError
from bpfemu.record import dataclass, field

if TYPE_CHECKING:
    from bpfemu.btf import Btf
    from bpfemu.elf.btf_ext import BtfExt
    from bpfemu.elf.reader import ElfFile, ElfSection
    from bpfemu.elf.sections import SectionKind
    from bpfemu.object import BpfObject, DataSection, MapDef

__all__ = ["MAX_FILE_SIZE", "object_name", "read_object"]

MAX_FILE_SIZE: Final = 256 << 20
"""Bytes of an object file."""

_NAME_SIZE: Final = 15  # BPF_OBJ_NAME_LEN without its NUL


def read_object(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview, name: str | None = None
) -> BpfObject:
    """Read an object file (a path) or its bytes; ``name`` stands in for the file's own."""
    if isinstance(source, bytes | bytearray | memoryview):
        path, data = name or "object", bytes(source)
    else:
        path = os.fspath(source)
        data = _read_file(path)
    try:
        return _assemble(data, path, name or path)
    except ObjectError as error:
        if error.path is not None:
            raise
        named = ObjectError(str(error), path=path, errno=error.errno)
        named.section, named.offset = error.section, error.offset
        raise named from error


def object_name(path: str) -> str:
    """The object's name: the file's up to the first dot, at most 15 characters."""
    return os.path.basename(path).split(".")[0][:_NAME_SIZE]


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
    except (OSError, ValueError) as error:
        errno = error.errno if isinstance(error, OSError) else None
        text = error.strerror if isinstance(error, OSError) else str(error)
        raise ObjectError(f"cannot read it: {text}", path=path, errno=errno) from error
    if len(data) > MAX_FILE_SIZE:
        raise ObjectError(f"more than {MAX_FILE_SIZE} bytes", path=path, errno=EFBIG)
    return data


@dataclass(slots=True)
class _Parts:
    """The sections of a file by kind, and what was noted about them."""

    elf: ElfFile
    by_kind: dict[SectionKind, list[ElfSection]]
    notes: list[str] = field(default_factory=list)
    btf_problem: str = "the object has no BTF"

    def last(self, kind: SectionKind) -> ElfSection | None:
        """The last section of a kind: later ones replace earlier ones."""
        found = self.by_kind.get(kind)
        return found[-1] if found else None

    def all(self, *kinds: SectionKind) -> list[ElfSection]:
        """Every section of these kinds, by index."""
        found = [section for kind in kinds for section in self.by_kind.get(kind, ())]
        return sorted(found, key=lambda section: section.index)


def _assemble(data: bytes, path: str, name: str) -> BpfObject:
    from bpfemu.elf.externs import read_externs
    from bpfemu.elf.functions import read_functions
    from bpfemu.elf.reader import read_elf
    from bpfemu.elf.sections import SectionKind, read_license, read_version
    from bpfemu.hashing import sha256
    from bpfemu.object import BpfObject

    parts = _sort_out(read_elf(data, path))
    elf = parts.elf
    btf, ext = _types(parts)
    license_at, version_at = parts.last(SectionKind.LICENSE), parts.last(SectionKind.VERSION)
    return BpfObject(
        name=object_name(name),
        path=path,
        license=read_license(elf, license_at) if license_at else "",
        functions=read_functions(elf, parts.all(SectionKind.CODE), btf, ext),
        maps=_maps(parts, btf),
        data=_data(parts, btf),
        externs=read_externs(elf, btf, parts.btf_problem),
        btf=btf,
        kern_version=read_version(elf, version_at) if version_at else 0,
        digest=sha256(data),
        notes=tuple(parts.notes),
    )


def _sort_out(elf: ElfFile) -> _Parts:
    from bpfemu.elf.sections import SectionKind, classify, refuse_legacy

    parts = _Parts(elf, {})
    for section in elf.sections:
        kind = classify(section)
        if kind is SectionKind.LEGACY_MAPS:
            refuse_legacy(elf, section)
        if kind is SectionKind.UNKNOWN:
            parts.notes.append(f"skipping section {section.index} {section.name!r}")
        parts.by_kind.setdefault(kind, []).append(section)
    return parts


def _types(parts: _Parts) -> tuple[Btf | None, BtfExt]:
    """The object's BTF and its records; broken ones are ignored unless maps need them."""
    from bpfemu.elf.btf_data import complete_datasecs, parse_btf
    from bpfemu.elf.btf_ext import BtfExt, parse_btf_ext
    from bpfemu.elf.sections import SectionKind

    section, ext_section = parts.last(SectionKind.BTF), parts.last(SectionKind.BTF_EXT)
    btf: Btf | None = None
    ext = BtfExt()
    problem: InputError | None = None
    if section is not None:
        try:
            btf = parse_btf(parts.elf, section)
            if ext_section is not None:
                ext = parse_btf_ext(parts.elf, ext_section, btf)
        except InputError as error:
            problem = error
            parts.notes.append(f"ignored: {error}")
            parts.btf_problem = f"its BTF was ignored: {error}"
    needed = parts.all(SectionKind.MAPS, SectionKind.STRUCT_OPS)
    if needed and (btf is None or problem is not None):
        reason = f": {problem}" if problem else ""
        raise ObjectError(
            f"BTF is required, but is missing or corrupted{reason}",
            path=parts.elf.path,
            section=needed[0].name,
            errno=(problem.errno if problem else None) or ENOENT,
        ) from problem
    return (complete_datasecs(parts.elf, btf) if btf else None), ext


def _maps(parts: _Parts, btf: Btf | None) -> tuple[MapDef, ...]:
    from bpfemu.elf.maps import read_maps, read_struct_ops
    from bpfemu.elf.sections import SectionKind

    found: list[MapDef] = []
    section = parts.last(SectionKind.MAPS)
    if section is not None and btf is not None:
        found += read_maps(parts.elf, section, btf)
    for section in parts.all(SectionKind.STRUCT_OPS):
        if btf is not None:
            found += read_struct_ops(parts.elf, section, btf)
    return tuple(found)


def _data(parts: _Parts, btf: Btf | None) -> tuple[DataSection, ...]:
    from bpfemu.elf.data import read_data_sections
    from bpfemu.elf.sections import SectionKind

    kinds = (SectionKind.DATA, SectionKind.RODATA, SectionKind.BSS, SectionKind.ARENA)
    return read_data_sections(parts.elf, parts.all(*kinds), btf)
