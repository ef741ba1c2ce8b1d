"""What an object's DWARF says: the only file that imports pyelftools, when it is asked.

Running needs no DWARF (line information comes from ``.BTF.ext``), and objects without it load.
"""

from __future__ import annotations

import io

from bpfemu.errors import ObjectError

__all__ = ["read_producer"]


def read_producer(data: bytes, path: str = "object") -> str:
    """The compiler that made an object ("clang version 19.1.7 (3)"), "" without DWARF.

    From DW_AT_producer of the first compilation unit (DWARF 5, section 3.1.1).  ObjectError when
    there is DWARF but it cannot be read.
    """
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(io.BytesIO(data))
        if not elf.has_dwarf_info(strict=True):
            return ""
        for unit in elf.get_dwarf_info(relocate_dwarf_sections=False).iter_CUs():
            producer = unit.get_top_DIE().attributes.get("DW_AT_producer")
            if producer is not None and isinstance(producer.value, bytes):
                return producer.value.decode("utf-8", "replace")
    except Exception as error:  # what pyelftools raises on broken files has no common base
        raise ObjectError(f"its DWARF cannot be read: {error}", path=path) from error
    return ""
