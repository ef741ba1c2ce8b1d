"""Global data sections and their DATASECs (notes, section 8.7)."""

from __future__ import annotations

from errno import E2BIG

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.elf.btf_data import MAX_DATA_SIZE
from bpfemu.elf.reader import SHT_NOBITS, ElfFile, ElfSection
from bpfemu.errors import ObjectError
from bpfemu.object import DataSection

__all__ = ["MAX_DATA_SIZE", "read_data_sections"]


def read_data_sections(
    elf: ElfFile, sections: list[ElfSection], btf: Btf | None
) -> tuple[DataSection, ...]:
    """The sections that become maps, in the file's order, ``.kconfig`` last; no empty ones."""
    found = []
    total = 0
    for section in sections:
        total += section.size
        if total > MAX_DATA_SIZE:
            rule = f"{total} bytes of global data, must be at most {MAX_DATA_SIZE}"
            raise ObjectError(rule, path=elf.path, section=section.name, errno=E2BIG)
        if section.size:
            data = bytes(section.size) if section.type == SHT_NOBITS else bytes(section.data)
            found.append(_section(btf, section.name, data))
    if btf is not None and (kconfig := btf.find(".kconfig", k.DataSec)) is not None:
        size = btf.size_of(kconfig)
        if total + size > MAX_DATA_SIZE:
            rule = f"{size} bytes of kernel configuration, must be at most {MAX_DATA_SIZE - total}"
            raise ObjectError(rule, path=elf.path, section=".kconfig", errno=E2BIG)
        if size:
            found.append(_section(btf, ".kconfig", bytes(size)))
    return tuple(found)


def _section(btf: Btf | None, name: str, data: bytes) -> DataSection:
    btf_id = (btf.find(name, k.DataSec) if btf else None) or 0
    writable = not name.startswith((".rodata", ".kconfig"))
    return DataSection(name, data, writable, btf_id, _is_mmapable(btf, btf_id))


def _is_mmapable(btf: Btf | None, id: int) -> bool:
    """Does the DATASEC have a variable that is not static?"""
    found = btf.type(id) if btf and id else None
    if btf is None or not isinstance(found, k.DataSec):
        return False
    variables = (btf.type(entry.type) for entry in found.entries)
    return any(isinstance(v, k.Var) and v.linkage != k.Linkage.STATIC for v in variables)
