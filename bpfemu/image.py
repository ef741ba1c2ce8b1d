"""Station: what will be run, complete and constant.  bind → ProgramImage → engine, kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.isa.insn import Insn
from bpfemu.machine.memory import LoadKind
from bpfemu.object import MapDef
from bpfemu.record import dataclass, field

if TYPE_CHECKING:
    from bpfemu.btf import Btf
    from bpfemu.proto.spec import HelperSpec, KfuncSpec

__all__ = ["CallTarget", "MapSlot", "ProgramImage", "Segment", "SourceLine", "Subprog"]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """The source line that a slot and its followers come from."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        base = self.file.replace("\\", "/").rsplit("/", 1)[-1]
        return f"{base}:{self.line}: {self.text.strip()}"


@dataclass(frozen=True, slots=True)
class Subprog:
    """A function of the image: slots ``start`` to ``end`` (exclusive)."""

    name: str
    start: int
    end: int
    stack_depth: int = 0  # bytes, rounded up to 8
    btf_id: int = 0  # FUNC in the object's BTF


@dataclass(frozen=True, slots=True)
class CallTarget:
    """What a ``Call`` calls.  Poisoned: an unresolved weak symbol; ``why`` says so in words."""

    name: str
    spec: KfuncSpec | HelperSpec | None
    poisoned: bool = False
    why: str = ""
    btf_id: int = 0  # FUNC in the kernel's BTF, kfuncs only
    module: str = ""  # "" vmlinux


@dataclass(frozen=True, slots=True)
class Segment:
    """Global data at its final address; ``map_name`` is the array map libbpf makes of it."""

    name: str  # ".rodata"
    map_name: str  # "vma_cens.rodata"
    addr: int  # u64
    data: bytes
    writable: bool
    btf_id: int = 0  # DATASEC in the object's BTF


@dataclass(frozen=True, slots=True)
class MapSlot:
    """A map with the address that stands for it in code, and that of its values if fixed."""

    definition: MapDef
    addr: int  # u64: what a map pointer (BPF_PSEUDO_MAP_FD) holds
    values: int = 0  # u64: first value of an array, 0 otherwise
    inner: MapSlot | None = None


@dataclass(frozen=True, slots=True)
class ProgramImage:
    """One program, linked, addressed, ready to run."""

    name: str
    section: str
    prog_type: int  # BPF_PROG_TYPE_*
    attach_type: int  # BPF_*, 0 when there is none
    attach_to: str  # text after the section's "/", "" when there is none
    sleepable: bool
    gpl: bool
    code: tuple[Insn, ...]
    subprogs: tuple[Subprog, ...]
    calls: tuple[CallTarget, ...]
    maps: tuple[MapSlot, ...]
    segments: tuple[Segment, ...]
    loads: tuple[LoadKind, ...]  # by slot: what is known of the pointer of a load or store
    uninit: frozenset[int]  # slots that may read a register nobody has written
    lines: tuple[SourceLine | None, ...]  # by slot: the line of that slot
    arena_base: int  # u64
    arena_size: int  # bytes
    entry: int = 0  # slot
    btf: Btf | None = None  # the object's
    btf_id: int = 0  # FUNC of the program in it
    kernel_btf: Btf | None = None  # what types were resolved against
    attach_btf_id: int = 0  # FUNC, FUNC_PROTO's typedef … in the kernel's BTF
    ctx_args: tuple[tuple[str, int], ...] = ()  # BTF-typed context: (name, type id)
    exception_callback: int = -1  # slot
    tags: tuple[str, ...] = ()
    ksyms: tuple[tuple[str, int, str], ...] = ()  # kernel symbols: (name, address, BTF's module)
    digest: str = ""  # sha256 over code and addresses, hex
    warnings: tuple[str, ...] = field(default=())

    def subprog_at(self, slot: int) -> int:
        """The index of the subprogram that holds a slot."""
        for index, sub in enumerate(self.subprogs):
            if sub.start <= slot < sub.end:
                return index
        return 0

    def line_text(self, slot: int) -> str:
        """'file.c:12: text' for a slot, "" without line info."""
        line = self.lines[slot] if 0 <= slot < len(self.lines) else None
        return str(line) if line else ""
