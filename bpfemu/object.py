"""Station: what an object file says, before any decision.  elf → BpfObject → bind."""

from __future__ import annotations

from bpfemu.btf import Btf
from bpfemu.isa.insn import Insn
from bpfemu.record import dataclass, field

__all__ = [
    "BpfObject",
    "CoreRelo",
    "DataSection",
    "Extern",
    "FuncDef",
    "LineInfo",
    "MapDef",
    "Reloc",
    "Symbol",
]


@dataclass(frozen=True, slots=True)
class LineInfo:
    """One line record of ``.BTF.ext``: the code from ``slot`` on comes from this source line."""

    slot: int  # within its section (FuncDef: within the function)
    file: str
    line: int
    column: int
    text: str  # the source line


@dataclass(frozen=True, slots=True)
class CoreRelo:
    """One CO-RE record: patch the instruction at ``slot`` (btf-loading notes, section 10)."""

    slot: int
    type_id: int  # in the object's BTF
    access: str  # "0:1:2"
    kind: int  # 0–12


@dataclass(frozen=True, slots=True)
class Symbol:
    """An ELF symbol as far as relocation needs it."""

    name: str
    section: str  # "" when undefined
    value: int  # bytes within the section
    size: int  # bytes
    kind: str  # "func", "object", "section", "notype"
    binding: str  # "local", "global", "weak"
    visibility: str = "default"


@dataclass(frozen=True, slots=True)
class Reloc:
    """One relocation against code: ``slot`` names the instruction."""

    slot: int
    kind: int  # R_BPF_*
    symbol: Symbol
    addend: int  # bytes; the immediate for REL


@dataclass(frozen=True, slots=True)
class FuncDef:
    """One function of an executable section, before linking."""

    name: str
    section: str  # as written, leading "?" included
    offset: int  # slots from the section's start
    code: tuple[Insn, ...]
    binding: str = "global"
    visibility: str = "default"
    relocs: tuple[Reloc, ...] = ()
    core_relos: tuple[CoreRelo, ...] = ()
    lines: tuple[LineInfo, ...] = ()
    btf_id: int = 0  # FUNC in the object's BTF; 0 without func_info
    tags: tuple[str, ...] = ()  # decl tags of the FUNC, in BTF order


@dataclass(frozen=True, slots=True)
class MapDef:
    """A map as declared; numbers are the kernel's."""

    name: str
    type: int  # BPF_MAP_TYPE_*
    key_size: int = 0  # bytes
    value_size: int = 0  # bytes
    max_entries: int = 0
    flags: int = 0
    key_type: int = 0  # id in the object's BTF; 0: none
    value_type: int = 0
    map_extra: int = 0
    numa_node: int = 0
    pinning: int = 0
    inner: MapDef | None = None
    slots: tuple[tuple[int, str], ...] = ()  # initial values: (index, symbol)
    section: str = ".maps"
    offset: int = 0  # bytes within the section
    autocreate: bool = True


@dataclass(frozen=True, slots=True)
class DataSection:
    """A global data section; ``data`` is its initial image (zeros for .bss)."""

    name: str  # ".rodata", ".data.foo", ".kconfig", …
    data: bytes
    writable: bool
    btf_id: int = 0  # DATASEC in the object's BTF
    mmapable: bool = False


@dataclass(frozen=True, slots=True)
class Extern:
    """A symbol the kernel must supply."""

    name: str
    kind: str  # "kfunc", "ksym", "kconfig"
    weak: bool
    type_id: int  # FUNC for kfuncs, VAR otherwise, in the object's BTF
    typeless: bool = False  # ksym of type void


@dataclass(frozen=True, slots=True)
class BpfObject:
    """Everything one ``.o`` says."""

    name: str  # file base name up to the first dot, 15 characters
    path: str
    license: str
    functions: tuple[FuncDef, ...]
    maps: tuple[MapDef, ...] = ()
    data: tuple[DataSection, ...] = ()
    externs: tuple[Extern, ...] = ()
    btf: Btf | None = None
    kern_version: int = 0
    digest: str = ""  # sha256 of the file, hex
    notes: tuple[str, ...] = field(default=())  # what was ignored, in words
