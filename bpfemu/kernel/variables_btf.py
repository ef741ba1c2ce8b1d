"""Kernel variables in BTF: VARs, and the DATASEC ``.data..percpu`` as pahole writes it.

Types are appended behind those that are there, so ids stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.world.variables import KernelVariable, TypeText, read_type

__all__ = ["PERCPU_SECTION", "base_id", "module_btfs", "with_variables"]

PERCPU_SECTION: Final = ".data..percpu"
_KINDS: Final = {"struct": (k.Struct,), "union": (k.Union,), "enum": (k.Enum, k.Enum64)}
_PLAIN: Final = (k.Typedef, k.Int, k.Enum, k.Enum64, k.Struct, k.Union)


def base_id(btf: Btf, text: TypeText) -> int | None:
    """The id of what a type is made of, 0 for void; None when the BTF lacks it."""
    if text.base == "void" and not text.tag:
        return 0
    return btf.find(text.base, *_KINDS.get(text.tag, _PLAIN))


def with_variables(btf: Btf, variables: Sequence[KernelVariable]) -> Btf:
    """The kernel's BTF with the typed variables that it does not describe yet.

    InputError names a variable whose type it does not have.
    """
    wanted = [v for v in variables if v.typed and btf.find(v.name, k.Var) is None]
    if not wanted:
        return btf
    builder = BtfBuilder(btf.base, btf.byteorder)
    for _, found in btf.types():
        builder.add(found)
    id = btf.find(PERCPU_SECTION, k.DataSec)
    section = btf.type(id) if id else None
    there = (id, section) if id and isinstance(section, k.DataSec) else None
    return _finish(_Writer(btf, builder, there), wanted, btf.name)


def module_btfs(btf: Btf, variables: Sequence[KernelVariable]) -> dict[str, Btf]:
    """Split BTF for each module that has typed variables, in the order of their names."""
    made: dict[str, Btf] = {}
    for name in sorted({v.module for v in variables if v.module and v.typed}):
        own = [v for v in variables if v.module == name and v.typed]
        made[name] = _finish(_Writer(btf, BtfBuilder(btf, btf.byteorder)), own, name)
    return made


def _finish(writer: _Writer, variables: Sequence[KernelVariable], name: str) -> Btf:
    """Write the VARs and their section; one that is there already grows in its place."""
    there = writer.section
    known = there[1] if there else k.DataSec(PERCPU_SECTION, 0, ())
    entries, end = list(known.entries), known.size
    for variable in variables:
        id, size = writer.add(variable)
        if variable.percpu is not False:
            end += -end % 8
            entries.append(k.SecVar(id, end, size))
            end += size
    section = k.DataSec(PERCPU_SECTION, end, tuple(entries))
    if there is not None:
        writer.builder.set(there[0], section)
    elif entries:
        writer.builder.add(section)
    return writer.builder.build(name)


class _Writer:
    """Adds the VARs of variables; derived types are there once."""

    def __init__(
        self, btf: Btf, builder: BtfBuilder, section: tuple[int, k.DataSec] | None = None
    ) -> None:
        self.builder = builder
        self.section = section  # the per-CPU section that is there, and its id
        self._btf = btf
        self._derived: dict[tuple[int, int], int] = {}

    def add(self, variable: KernelVariable) -> tuple[int, int]:
        """The id of a variable's VAR, and its size in bytes."""
        text = read_type(variable.type)
        id = base_id(self._btf, text)
        if id is None or (id == 0 and not text.stars):
            rule = f"the kernel's BTF has no type {variable.type!r}"
            raise InputError(f"variable {variable.name!r}: {rule}", errno=22)
        size = 8 if text.stars else self._btf.size_of(id)
        for _ in range(text.stars):
            id = self._derive(id, 0)
        for count in reversed(text.dims):
            id, size = self._derive(id, count), size * count
        return self.builder.var(variable.name, id), size

    def _derive(self, target: int, count: int) -> int:
        """A pointer to a type, or an array of ``count`` of it."""
        made = self._derived.get((target, count))
        if made is None:
            index = self._btf.find("unsigned int", k.Int) or 0
            builder = self.builder
            made = builder.array(target, index, count) if count else builder.ptr(target)
            self._derived[target, count] = made
        return made
