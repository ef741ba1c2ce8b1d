"""Externs → what the kernel has: kfuncs, symbols, configuration (notes, sections 7.3, 8.8, 9)."""

from __future__ import annotations

from errno import EINVAL, ENOENT, ESRCH
from typing import Final

from bpfemu.bind.options import BindOptions
from bpfemu.bind.values import MEM, Kind, Trust, Value, constant
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.compat import essential_name, prototypes_match, types_are_compat
from bpfemu.btf.spelling import type_name
from bpfemu.errors import BindError
from bpfemu.image import CallTarget
from bpfemu.object import BpfObject, Extern
from bpfemu.record import dataclass

__all__ = ["Externs", "Symbol"]

_TEXT_BASE: Final = 0xFFFF_FFFF_8100_0000
"""Where functions of the emulated kernel get an address of their own: 16 bytes per BTF id."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A resolved symbol: its address (0: weak and not there) and what a pointer to it is."""

    addr: int
    value: Value


class Externs:
    """The externs of one object, resolved when asked for."""

    def __init__(self, obj: BpfObject, options: BindOptions) -> None:
        self._by_name = {extern.name: extern for extern in obj.externs}
        self._btf = obj.btf
        self._options = options
        self._btfs = {"": options.kernel_btf, **options.modules}
        self._calls: dict[str, tuple[CallTarget, str]] = {}

    def find(self, name: str) -> Extern | None:
        """The extern of that name."""
        return self._by_name.get(name)

    def call(self, program: str, slot: int, extern: Extern) -> tuple[CallTarget, BindError | None]:
        """What a call of the extern calls; with an error when the kernel lacks a strong one."""
        if extern.name not in self._calls:
            self._calls[extern.name] = self._find_kfunc(extern)
        target, why = self._calls[extern.name]
        if not target.poisoned or extern.weak:
            return target, None
        rule = f"extern (func ksym) {why}"
        return target, BindError(rule, program=program, symbol=extern.name, slot=slot, errno=EINVAL)

    def _find_kfunc(self, extern: Extern) -> tuple[CallTarget, str]:
        """The target, poisoned with a reason when there is none."""
        name = essential_name(extern.name)
        spec = self._options.catalog.find_kfunc(name, self._options.profile)
        module, id = self._find_func(name)
        why = ""
        if id is None:
            why = f"{extern.name!r}: not found in kernel or module BTFs"
        elif spec is None:
            why = f"{extern.name!r}: kernel {self._options.profile.name} has no kfunc {name!r}"
        elif self._btf is not None:
            differs = prototypes_match(self._btf, extern.type_id, self._btfs[module], id)
            if differs:
                proto = getattr(self._btf.type(extern.type_id), "type", 0)
                why = f"{extern.name!r}: func_proto [{proto}] incompatible with {name} [{id}]"
                why = f"{why}: {differs}"
        if why:
            text = f"kfunc '{extern.name}' is referenced but wasn't resolved"
            return CallTarget(extern.name, None, True, f"<invalid kfunc call> {text} ({why})"), why
        return CallTarget(name, spec, btf_id=id or 0, module=module), ""

    def _find_func(self, name: str) -> tuple[str, int | None]:
        for module, btf in self._btfs.items():
            id = btf.find(name, k.Func)
            if id is not None:
                return module, id
        return "", None

    def symbol(self, program: str, slot: int, extern: Extern) -> Symbol:
        """The address of a ksym or of a kfunc; BindError when a strong one is not there."""
        if extern.kind == "kfunc":
            return self._function(program, slot, extern)
        if extern.typeless:
            addr = self._options.ksyms(extern.name)
            if addr is None and not extern.weak:
                raise _unresolved(program, slot, extern)
            return Symbol(addr or 0, constant(addr or 0))
        return self._variable(program, slot, extern)

    def _function(self, program: str, slot: int, extern: Extern) -> Symbol:
        target, error = self.call(program, slot, extern)
        if error is not None:
            raise error
        if target.poisoned:
            return Symbol(0, constant(0))
        addr = self._options.ksyms(target.name) or _TEXT_BASE + 16 * target.btf_id
        return Symbol(addr, constant(addr))

    def _variable(self, program: str, slot: int, extern: Extern) -> Symbol:
        assert self._btf is not None
        for btf in self._btfs.values():
            id = btf.find(extern.name, k.Var)
            if id is not None:
                return self._typed(program, slot, extern, btf, id)
        if extern.weak:
            return Symbol(0, constant(0))
        rule = f"extern (var ksym) {extern.name!r}: not found in kernel BTF"
        raise BindError(rule, program=program, symbol=extern.name, slot=slot, errno=EINVAL)

    def _typed(self, program: str, slot: int, extern: Extern, btf: Btf, id: int) -> Symbol:
        assert self._btf is not None
        mine = self._btf.resolve(getattr(self._btf.type(extern.type_id), "type", 0))
        var = btf.type(id)
        assert isinstance(var, k.Var)
        theirs = btf.resolve(var.type)
        if not types_are_compat(self._btf, mine, btf, theirs):
            have, want = type_name(self._btf, mine), type_name(btf, theirs)
            rule = (
                f"extern (var ksym) {extern.name!r}: incompatible types, expected [{mine}] {have}"
            )
            rule = f"{rule}, but kernel has [{theirs}] {want}"
            raise BindError(rule, program=program, symbol=extern.name, slot=slot, errno=EINVAL)
        addr = self._options.ksyms(extern.name)
        if addr is None:
            rule = f"ldimm64 failed to find the address for kernel symbol '{extern.name}'"
            raise BindError(rule, program=program, symbol=extern.name, slot=slot, errno=ENOENT)
        if _is_percpu(btf, id):
            return Symbol(addr, Value(Kind.BTF, theirs, 0, Trust.PERCPU))
        if isinstance(btf.type(theirs), k.Struct | k.Union):
            return Symbol(addr, Value(Kind.BTF, theirs, 0))
        return Symbol(addr, MEM)


def _unresolved(program: str, slot: int, extern: Extern) -> BindError:
    rule = f"extern '{extern.name}' (strong): not resolved"
    return BindError(rule, program=program, symbol=extern.name, slot=slot, errno=ESRCH)


def _is_percpu(btf: Btf, id: int) -> bool:
    section = btf.find(".data..percpu", k.DataSec)
    found = btf.type(section) if section else None
    return isinstance(found, k.DataSec) and any(entry.type == id for entry in found.entries)
