"""Pull every called subprogram into one code array (notes, section 8.10).

The program comes first; a subprogram is appended at its first use and linked at once, so the
order is depth first, as libbpf's.  An exception callback comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
from errno import ENOENT
from typing import Final

from bpfemu.errors import BindError
from bpfemu.image import SourceLine
from bpfemu.isa.insn import CallSub, Insn, Jump, LoadImm64, MayGoto
from bpfemu.isa.ops import Pseudo
from bpfemu.object import BpfObject, CoreRelo, FuncDef, Reloc
from bpfemu.record import dataclass, field

__all__ = ["TEXT", "Linked", "Part", "link", "source_lines"]

TEXT: Final = ".text"
RELOC_ERROR: Final = 4005  # LIBBPF_ERRNO__RELOC
_MASK32: Final = 0xFFFF_FFFF
_EXCEPTION_CALLBACK: Final = "exception_callback:"


@dataclass(frozen=True, slots=True)
class Part:
    """A function and the slot of the code array where it starts."""

    function: FuncDef
    start: int

    @property
    def end(self) -> int:
        """The slot behind its last one."""
        return self.start + len(self.function.code)


@dataclass(slots=True)
class Linked:
    """The code array; relocations and records with slots of it."""

    name: str
    code: list[Insn] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    relocs: dict[int, Reloc] = field(default_factory=dict)  # calls to subprograms are done
    core_relos: list[CoreRelo] = field(default_factory=list)
    exception_callback: int = -1  # slot


def link(obj: BpfObject, program: FuncDef) -> Linked:
    """The program with everything it calls; BindError names the call that leads nowhere."""
    linked = Linked(program.name)
    subprogs = _Subprogs(obj)
    starts: dict[int, int] = {}  # id of a FuncDef → its slot
    _append_all(linked, subprogs, starts, program)
    wanted = _exception_callback(subprogs, program)
    if wanted is not None:
        if id(wanted) not in starts:
            _append_all(linked, subprogs, starts, wanted)
        linked.exception_callback = starts[id(wanted)]
    return linked


class _Subprogs:
    """The functions of ``.text`` by the slot at which they start."""

    def __init__(self, obj: BpfObject) -> None:
        self._by_offset = {f.offset: f for f in obj.functions if f.section == TEXT}
        self.all = list(self._by_offset.values())

    def at(self, program: str, slot: int, offset: int) -> FuncDef:
        """The function at a slot of ``.text``."""
        found = self._by_offset.get(offset)
        if found is None:
            rule = f"no {TEXT} function starts at slot {offset}, yet a call goes there"
            raise BindError(rule, program=program, slot=slot, errno=RELOC_ERROR)
        return found


def _exception_callback(subprogs: _Subprogs, program: FuncDef) -> FuncDef | None:
    for tag in program.tags:
        if not tag.startswith(_EXCEPTION_CALLBACK):
            continue
        name = tag[len(_EXCEPTION_CALLBACK) :]
        for function in subprogs.all:
            if function.name == name and function.binding != "local":
                return function
        rule = f"cannot find exception callback {name!r}"
        raise BindError(rule, program=program.name, symbol=name, errno=ENOENT)
    return None


def _append_all(
    linked: Linked, subprogs: _Subprogs, starts: dict[int, int], function: FuncDef
) -> None:
    """Append a function and, depth first, what it needs."""
    pending = [_walk(linked, subprogs, starts, function)]
    while pending:
        wanted = next(pending[-1], None)
        if wanted is None:
            pending.pop()
        elif id(wanted) not in starts:
            pending.append(_walk(linked, subprogs, starts, wanted))


def _walk(
    linked: Linked, subprogs: _Subprogs, starts: dict[int, int], function: FuncDef
) -> Iterator[FuncDef]:
    """Append one function; yield each function it uses, then patch the use."""
    base = starts[id(function)] = len(linked.code)
    linked.parts.append(Part(function, base))
    linked.code.extend(_moved(insn, base) for insn in function.code)
    relocs = {reloc.slot: reloc for reloc in function.relocs}
    for slot, insn in enumerate(function.code):
        offset = _use(linked.name, function, slot, insn, relocs.get(slot))
        if offset is None:
            continue
        relocs.pop(slot, None)
        wanted = subprogs.at(linked.name, base + slot, offset)
        yield wanted
        linked.code[base + slot] = _patched(insn, base + slot, starts[id(wanted)])
    for slot, reloc in relocs.items():
        linked.relocs[base + slot] = reloc
    linked.core_relos.extend(
        CoreRelo(base + relo.slot, relo.type_id, relo.access, relo.kind)
        for relo in function.core_relos
        if relo.slot < len(function.code)
    )


def _moved(insn: Insn, base: int) -> Insn:
    """The instruction with its targets moved by ``base`` slots."""
    if isinstance(insn, Jump):
        return Jump(insn.op, insn.width, insn.dst, insn.src, insn.target + base)
    if isinstance(insn, MayGoto):
        return MayGoto(insn.target + base)
    return insn


def _use(program: str, function: FuncDef, slot: int, insn: Insn, reloc: Reloc | None) -> int | None:
    """The slot of ``.text`` that an instruction calls or takes the address of, if it does."""
    if isinstance(insn, CallSub):
        distance = insn.target - slot - 1
        if reloc is None:
            return function.offset + insn.target
        if not reloc.symbol.section:
            return None  # an extern
        if reloc.symbol.section != TEXT or reloc.symbol.value % 8:
            where = f"{reloc.symbol.name!r} in section {reloc.symbol.section!r}"
            raise BindError(
                f"bad call relo against {where}", program=program, slot=slot, errno=RELOC_ERROR
            )
        return reloc.symbol.value // 8 + distance + 1
    if not isinstance(insn, LoadImm64):
        return None
    low = _signed(insn.value & _MASK32)
    if reloc is not None and reloc.symbol.section == TEXT:
        offset = reloc.symbol.value + low
        if offset % 8:
            rule = f"the address of byte {offset} of {TEXT} is taken, which is inside an insn"
            raise BindError(rule, program=program, slot=slot, errno=RELOC_ERROR)
        return offset // 8
    if reloc is None and insn.pseudo is Pseudo.FUNC:
        return function.offset + slot + low + 1
    return None


def _patched(insn: Insn, slot: int, target: int) -> Insn:
    if isinstance(insn, CallSub):
        return CallSub(target)
    assert isinstance(insn, LoadImm64)
    return LoadImm64(insn.dst, target - slot - 1 & _MASK32, Pseudo.FUNC)


def _signed(value: int) -> int:
    return value - (value >> 31 << 32)


def source_lines(linked: Linked) -> tuple[SourceLine | None, ...]:
    """The source line of every slot: that of the last record at or before it."""
    lines: list[SourceLine | None] = []
    for part in linked.parts:
        line: SourceLine | None = None
        records = {record.slot: record for record in part.function.lines}
        for slot in range(len(part.function.code)):
            record = records.get(slot)
            if record is not None:
                line = SourceLine(record.file, record.line, record.column, record.text)
            lines.append(line)
    return tuple(lines)
