"""One function per kind of relocation, in a table (notes, section 8.9).

As in libbpf the instruction and the symbol decide what a relocation means; its ELF type is not
looked at.  Calls of subprograms and addresses of functions are done by ``link``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from errno import EINVAL, ENOTSUP
from typing import Final

from bpfemu.bind.kconfig import kconfig_offsets
from bpfemu.bind.ksyms import KsymUse, Symbol, too_many_btfs
from bpfemu.bind.layout import ARENA_SECTION, Layout
from bpfemu.bind.link import RELOC_ERROR, Linked
from bpfemu.bind.resolve import Externs
from bpfemu.bind.values import Kind, Value, constant
from bpfemu.errors import BindError
from bpfemu.image import CallTarget, MapSlot, Segment
from bpfemu.isa.insn import Call, CallSub, Insn, LoadImm64
from bpfemu.isa.ops import Pseudo
from bpfemu.object import BpfObject, Extern, Reloc
from bpfemu.record import dataclass, field

__all__ = ["RelocKind", "Relocated", "classify", "relocate"]

_MASK32: Final = 0xFFFF_FFFF


class RelocKind(enum.Enum):
    """What a relocation asks for."""

    KFUNC_CALL = "call of a kfunc"
    KSYM = "address of a kernel symbol"
    KCONFIG = "address of a kernel setting"
    MAP = "map"
    DATA = "global data"
    ARENA = "arena data"


@dataclass(slots=True)
class Relocated:
    """What was found on the way, by slot."""

    values: dict[int, Value] = field(default_factory=dict)  # what an immediate load yields
    targets: dict[int, CallTarget] = field(default_factory=dict)  # what a call calls
    errors: dict[int, BindError] = field(default_factory=dict)  # raised where control gets there
    ksyms: list[Symbol] = field(default_factory=list)  # whose addresses the code holds


@dataclass(frozen=True, slots=True)
class _Work:
    """One relocation and everything it may need."""

    obj: BpfObject
    linked: Linked
    layout: Layout
    externs: Externs
    settings: dict[str, int]
    out: Relocated
    slot: int
    insn: Insn
    reloc: Reloc

    def refuse(self, rule: str, errno: int = RELOC_ERROR) -> BindError:
        name = self.reloc.symbol.name or self.reloc.symbol.section
        return BindError(rule, program=self.linked.name, symbol=name, slot=self.slot, errno=errno)

    @property
    def extern(self) -> Extern:
        """The extern that the symbol is; ``classify`` has seen to it that there is one."""
        found = self.externs.find(self.reloc.symbol.name)
        assert found is not None
        return found

    def put(self, addr: int, value: Value) -> None:
        """Make the immediate load yield an address."""
        assert isinstance(self.insn, LoadImm64)
        self.linked.code[self.slot] = LoadImm64(self.insn.dst, addr)
        self.out.values[self.slot] = value


def relocate(obj: BpfObject, linked: Linked, layout: Layout, externs: Externs) -> Relocated:
    """Apply every relocation that linking left; BindError names the symbol and the rule."""
    out = Relocated()
    settings = kconfig_offsets(obj)
    for slot, reloc in sorted(linked.relocs.items()):
        work = _Work(obj, linked, layout, externs, settings, out, slot, linked.code[slot], reloc)
        TABLE[classify(work)](work)
    _convert_ksyms(linked, externs, out)
    return out


def classify(work: _Work) -> RelocKind:
    """What kind of relocation it is."""
    insn, symbol = work.insn, work.reloc.symbol
    call = isinstance(insn, CallSub | Call)
    if not call and not isinstance(insn, LoadImm64):
        raise work.refuse(f"invalid relo against {type(insn).__name__}: no call, no 64-bit load")
    if not symbol.section:
        return _classify_undefined(work, call)
    if call:
        where = f"{symbol.name!r} in section {symbol.section!r}"
        raise work.refuse(f"bad call relo against {where}")
    if symbol.section == ARENA_SECTION:
        return RelocKind.ARENA
    if symbol.section.lstrip("?").startswith((".maps", ".struct_ops")):
        return RelocKind.MAP
    return RelocKind.DATA


def _classify_undefined(work: _Work, call: bool) -> RelocKind:
    extern = work.externs.find(work.reloc.symbol.name)
    if extern is None:
        name = work.reloc.symbol.name
        rule = f"no extern is named {name!r}; forgot to initialize global var?"
        raise work.refuse(rule)
    if call:
        if extern.kind != "kfunc":
            raise work.refuse(f"extern {extern.name!r} is called, but it is no function")
        return RelocKind.KFUNC_CALL
    return RelocKind.KCONFIG if extern.kind == "kconfig" else RelocKind.KSYM


def _kfunc_call(work: _Work) -> None:
    target, error = work.externs.call(work.linked.name, work.slot, work.extern)
    work.linked.code[work.slot] = Call("kfunc", target.btf_id)
    work.out.targets[work.slot] = target
    if error is not None:
        work.out.errors[work.slot] = error


def _ksym(work: _Work) -> None:
    pseudo, value = work.externs.encode(work.linked.name, work.slot, work.extern)
    assert isinstance(work.insn, LoadImm64)
    work.linked.code[work.slot] = LoadImm64(work.insn.dst, value, pseudo)
    work.out.values[work.slot] = constant(value)
    if pseudo is Pseudo.PLAIN and value:
        work.out.ksyms.append(Symbol(value, constant(value), work.extern.name))


def _convert_ksyms(linked: Linked, externs: Externs, out: Relocated) -> None:
    """What the verifier does with every load of a kernel symbol, in the order of the code."""
    for slot, insn in enumerate(linked.code):
        if not isinstance(insn, LoadImm64) or insn.pseudo is not Pseudo.BTF_ID:
            continue
        reloc = linked.relocs.get(slot)
        use = KsymUse(linked.name, slot, reloc.symbol.name if reloc else "")
        symbol = externs.ksyms.convert(use, insn)
        out.ksyms.append(symbol)
        problem = too_many_btfs(out.ksyms, use)
        if problem is not None:
            raise problem
        problem = externs.ksyms.reserved(use, insn)
        if problem is not None:
            out.errors[slot] = problem
        linked.code[slot] = LoadImm64(insn.dst, symbol.addr)
        out.values[slot] = symbol.value


def _kconfig(work: _Work) -> None:
    segment = work.layout.segment(".kconfig")
    if segment is None or work.extern.name not in work.settings:
        raise work.refuse(f"extern {work.extern.name!r} has no place in .kconfig")
    _segment(work, segment, work.settings[work.extern.name])


def _map(work: _Work) -> None:
    symbol = work.reloc.symbol
    found = work.layout.map_at(symbol.section, symbol.value)
    if found is None:
        where = f"{symbol.section}+{symbol.value}"
        raise work.refuse(f"map relo failed to find map at {where}")
    work.put(found.addr, Value(Kind.MAP, work.layout.maps.index(found), 0))


def _data(work: _Work) -> None:
    symbol = work.reloc.symbol
    segment = work.layout.segment(symbol.section)
    if segment is None:
        raise work.refuse(f"bad map relo against {symbol.name!r} in section {symbol.section!r}")
    assert isinstance(work.insn, LoadImm64)
    low = work.insn.value & _MASK32
    _segment(work, segment, low - (low >> 31 << 32) + symbol.value)


def _segment(work: _Work, segment: Segment, offset: int) -> None:
    if not 0 <= offset < len(segment.data):
        rule = f"invalid access to map value pointer, value_size={len(segment.data)} off={offset}"
        raise work.refuse(rule, EINVAL)
    slot = work.layout.map_of(segment)
    assert isinstance(slot, MapSlot)
    work.put(segment.addr + offset, Value(Kind.MAP_VALUE, work.layout.maps.index(slot), offset))


def _arena(work: _Work) -> None:
    raise work.refuse("global variables in an arena are not supported by this kernel", ENOTSUP)


TABLE: Final[dict[RelocKind, Callable[[_Work], None]]] = {
    RelocKind.KFUNC_CALL: _kfunc_call,
    RelocKind.KSYM: _ksym,
    RelocKind.KCONFIG: _kconfig,
    RelocKind.MAP: _map,
    RelocKind.DATA: _data,
    RelocKind.ARENA: _arena,
}
assert set(TABLE) == set(RelocKind), set(RelocKind) - set(TABLE)
