"""BTF → map definitions: what a variable in ``.maps`` says (notes, section 8.6).

A map is a struct whose members are never read.  Their types say everything: ``__uint(type, 1)`` is
a pointer to an array of one element, ``__type(key, u32)`` a pointer to ``u32``, ``__ulong(x, n)``
an enum whose one value is ``n``, ``__array(values, ...)`` an array of pointers without a length.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOTSUP, EOPNOTSUPP, ESRCH
from typing import Any, Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.elf.reader import LIBBPF_RELOC, ElfFile, ElfReloc, ElfSection
from bpfemu.errors import ObjectError
from bpfemu.object import MapDef
from bpfemu.record import replace

__all__ = ["read_maps", "read_struct_ops"]

PROG_ARRAY: Final = 3
ARRAY_OF_MAPS: Final = 12
HASH_OF_MAPS: Final = 13
STRUCT_OPS: Final = 26
_F_LINK: Final = 1 << 13  # BPF_F_LINK

_NUMBERS: Final = {
    "type": "type",
    "max_entries": "max_entries",
    "map_flags": "flags",
    "numa_node": "numa_node",
    "key_size": "key_size",
    "value_size": "value_size",
    "pinning": "pinning",
    "map_extra": "map_extra",
}
"""Members that are numbers, and the MapDef field each one fills."""

_Refuse = Callable[[str, int], ObjectError]


def read_maps(elf: ElfFile, section: ElfSection, btf: Btf) -> tuple[MapDef, ...]:
    """Every map of ``.maps``, by offset, initial slots included."""
    ids = btf.find_all(section.name, k.DataSec)
    if not ids:
        rule = "BTF has no DATASEC of this name"
        raise ObjectError(rule, path=elf.path, section=section.name, errno=ENOENT)
    datasec = btf.type(ids[0])
    assert isinstance(datasec, k.DataSec)
    maps, values_at = [], []
    for entry in datasec.entries:
        definition, offset = _map(elf, section, btf, entry)
        maps.append(definition)
        values_at.append(entry.offset + offset if offset >= 0 else -1)
    order = sorted(range(len(maps)), key=lambda number: maps[number].offset)
    maps, values_at = [maps[n] for n in order], [values_at[n] for n in order]
    return _with_slots(elf, section, maps, values_at)


def _map(elf: ElfFile, section: ElfSection, btf: Btf, entry: k.SecVar) -> tuple[MapDef, int]:
    """(one map, the offset of its ``values`` member in bytes or -1)."""
    var = btf.type(entry.type)
    name = getattr(var, "name", "")

    def refuse(rule: str, errno: int) -> ObjectError:
        return ObjectError(
            f"map {name!r}: {rule}",
            path=elf.path,
            section=section.name,
            offset=entry.offset,
            errno=errno,
        )

    if not isinstance(var, k.Var) or not name:
        raise refuse(
            f"BTF type {entry.type} is a {k.KIND_NAMES[var.KIND]}, not a named VAR", EINVAL
        )
    if entry.offset + entry.size > section.size:
        raise refuse(f"{entry.size} bytes pass the section's {section.size}", EINVAL)
    if var.linkage != k.Linkage.GLOBAL:
        raise refuse("unsupported map linkage static", EOPNOTSUPP)
    found = btf.type(btf.resolve(var.type))
    if not isinstance(found, k.Struct):
        raise refuse(f"expected a struct, got {k.KIND_NAMES[found.KIND]}", EINVAL)
    if found.size > entry.size:
        raise refuse(f"struct of {found.size} bytes in a variable of {entry.size}", EINVAL)
    fields, values_at = _members(refuse, btf, found, inner=False)
    definition = MapDef(name=name, section=section.name, offset=entry.offset, **fields)
    return definition, values_at


def _members(
    refuse: _Refuse, btf: Btf, found: k.Struct, *, inner: bool
) -> tuple[dict[str, Any], int]:
    """(MapDef fields, offset of ``values`` in bytes or -1)."""
    fields: dict[str, Any] = {"type": 0}
    values_at = -1
    for number, member in enumerate(found.members):
        if member.name in _NUMBERS:
            value = _number(refuse, btf, member)
            _set(refuse, fields, _NUMBERS[member.name], value)
        elif member.name in ("key", "value"):
            _key_or_value(refuse, btf, member, fields)
        elif member.name == "values":
            if number != len(found.members) - 1:
                raise refuse("'values' member should be last", EINVAL)
            values_at = member.bit_offset // 8
            _values(refuse, btf, member, fields, inner=inner)
        else:
            raise refuse(f"unknown field {member.name!r}", ENOTSUP)
    if not fields["type"]:
        raise refuse("map type isn't specified", EINVAL)
    pinning = fields.get("pinning", 0)
    if pinning and (inner or pinning != 1):
        rule = "an inner map cannot be pinned" if inner else f"invalid pinning value {pinning}"
        raise refuse(rule, EINVAL)
    return fields, values_at


def _set(refuse: _Refuse, fields: dict[str, Any], field: str, value: int) -> None:
    """Sizes may be said twice, in the same words."""
    old = fields.get(field)
    if field in ("key_size", "value_size") and old and old != value:
        raise refuse(f"conflicting {field.replace('_', ' ')} {old} != {value}", EINVAL)
    fields[field] = value


def _number(refuse: _Refuse, btf: Btf, member: k.Member) -> int:
    """The value of ``__uint`` or, for map_extra, of ``__ulong``."""
    found = btf.type(btf.resolve(member.type))
    if member.name == "map_extra" and isinstance(found, k.Enum | k.Enum64):
        if len(found.values) != 1:
            raise refuse(f"map_extra: an enum of {len(found.values)} values, not 1", EINVAL)
        return found.values[0].value & (1 << 64) - 1
    if not isinstance(found, k.Ptr):
        rule = f"attr {member.name!r}: expected PTR, got {k.KIND_NAMES[found.KIND]}"
        raise refuse(rule, EINVAL)
    array = btf.type(found.type)
    if not isinstance(array, k.Array):
        rule = f"attr {member.name!r}: expected ARRAY, got {k.KIND_NAMES[array.KIND]}"
        raise refuse(rule, EINVAL)
    return array.nelems


def _key_or_value(refuse: _Refuse, btf: Btf, member: k.Member, fields: dict[str, Any]) -> None:
    found = btf.type(btf.resolve(member.type))
    if not isinstance(found, k.Ptr):
        raise refuse(f"{member.name} spec is not PTR: {k.KIND_NAMES[found.KIND]}", EINVAL)
    try:
        size = btf.size_of(found.type)
    except ObjectError as error:
        rule = f"can't determine {member.name} size for type [{found.type}]: {error}"
        raise refuse(rule, EINVAL) from error
    _set(refuse, fields, f"{member.name}_size", size)
    fields[f"{member.name}_type"] = found.type


def _values(
    refuse: _Refuse, btf: Btf, member: k.Member, fields: dict[str, Any], *, inner: bool
) -> None:
    """``values``: what the elements of a map of maps or of programs are."""
    kind = fields["type"]
    if inner:
        raise refuse("multi-level inner maps not supported", ENOTSUP)
    if kind not in (PROG_ARRAY, ARRAY_OF_MAPS, HASH_OF_MAPS):
        raise refuse(f"a map of type {kind} has no 'values'", ENOTSUP)
    _set(refuse, fields, "value_size", 4)
    array = btf.type(btf.resolve(member.type))
    if not isinstance(array, k.Array) or array.nelems:
        raise refuse("'values' is not a zero-sized array", EINVAL)
    element = btf.type(btf.resolve(array.elem))
    if not isinstance(element, k.Ptr):
        raise refuse(f"an element of 'values' is a {k.KIND_NAMES[element.KIND]}, not PTR", EINVAL)
    target = btf.type(btf.resolve(element.type))
    want = k.FuncProto if kind == PROG_ARRAY else k.Struct
    if not isinstance(target, want):
        rule = f"'values' points to a {k.KIND_NAMES[target.KIND]}"
        raise refuse(f"{rule}, must be a {k.KIND_NAMES[want.KIND]}", EINVAL)
    if isinstance(target, k.Struct):
        inside, _ = _members(refuse, btf, target, inner=True)
        fields["inner"] = MapDef(name="", **inside)


def _with_slots(
    elf: ElfFile, section: ElfSection, maps: list[MapDef], values_at: list[int]
) -> tuple[MapDef, ...]:
    """The relocations of ``.maps`` as initial slots: (index, symbol)."""
    slots: list[list[tuple[int, str]]] = [[] for _ in maps]
    for reloc in elf.relocs.get(section.index, ()):

        def refuse(rule: str, errno: int, offset: int = reloc.offset) -> ObjectError:
            text = f"relocation: {rule}"
            return ObjectError(
                text, path=elf.path, section=section.name, offset=offset, errno=errno
            )

        number = _map_at(elf, maps, values_at, reloc)
        if number is None:
            raise refuse("no map has initial values here", EINVAL)
        definition = maps[number]
        symbol = elf.symbols[reloc.symbol]
        _check_slot(refuse, elf, maps, definition, reloc)
        slots[number].append(((reloc.offset - values_at[number]) // 8, symbol.name))
    return tuple(replace(m, slots=tuple(s)) for m, s in zip(maps, slots, strict=True))


def _map_at(elf: ElfFile, maps: list[MapDef], values_at: list[int], reloc: ElfReloc) -> int | None:
    """The map whose ``values`` hold the relocation's offset; None when there is none."""
    if reloc.symbol >= len(elf.symbols) or reloc.offset % 8:
        return None
    found = None
    for number, definition in enumerate(maps):
        if definition.offset <= reloc.offset:
            found = number
    if found is None or not 0 <= values_at[found] <= reloc.offset:
        return None
    return found


def _check_slot(
    refuse: _Refuse, elf: ElfFile, maps: list[MapDef], definition: MapDef, reloc: ElfReloc
) -> None:
    symbol = elf.symbols[reloc.symbol]
    name = symbol.name
    if definition.type == PROG_ARRAY:
        home = elf.section_name(symbol.section)
        if symbol.kind != "func" or home == ".text" or not home:
            raise refuse(f"{name!r} is not an entry program, as a prog array needs", LIBBPF_RELOC)
        return
    if elf.section_name(symbol.section) != definition.section:
        raise refuse(f"{name!r} is not a map of {definition.section!r}", LIBBPF_RELOC)
    if not any(other.name == name for other in maps):
        raise refuse(f"no map {name!r}", ESRCH)
    if definition.type == HASH_OF_MAPS and definition.key_size != 4:
        rule = f"hash-of-maps {definition.name!r} has keys of {definition.key_size} bytes, not 4"
        raise refuse(rule, ENOTSUP)


def read_struct_ops(elf: ElfFile, section: ElfSection, btf: Btf) -> tuple[MapDef, ...]:
    """The variables of a ``.struct_ops`` section as maps; their contents are not interpreted."""
    ids = btf.find_all(section.name, k.DataSec)
    if not ids:
        rule = "BTF has no DATASEC of this name"
        raise ObjectError(rule, path=elf.path, section=section.name, errno=EINVAL)
    datasec = btf.type(ids[0])
    assert isinstance(datasec, k.DataSec)
    flags = _F_LINK if section.name.endswith(".link") else 0
    found = []
    for entry in datasec.entries:
        var = btf.type(entry.type)
        if not isinstance(var, k.Var) or not isinstance(btf.type(btf.resolve(var.type)), k.Struct):
            rule = f"BTF type {entry.type} is not a variable of a struct type"
            raise ObjectError(rule, path=elf.path, section=section.name, errno=EINVAL)
        found.append(
            MapDef(
                name=var.name,
                type=STRUCT_OPS,
                key_size=4,
                value_size=btf.size_of(var.type),
                max_entries=1,
                flags=flags,
                value_type=btf.resolve(var.type),
                section=section.name,
                offset=entry.offset,
                autocreate=not section.name.startswith("?"),
            )
        )
    return tuple(found)
