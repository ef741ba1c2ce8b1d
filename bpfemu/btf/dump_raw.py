"""BTF as bpftool prints it: ``bpftool btf dump file F format raw``, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.types import Btf

__all__ = ["dump_raw", "raw_lines"]

_ENCODINGS: Final = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
_LINKAGES: Final = {0: "static", 1: "global", 2: "extern"}


def dump_raw(btf: Btf, ids: Iterable[int] | None = None) -> str:
    """Return the dump of some types, of all own ones by default."""
    return "".join(line + "\n" for line in raw_lines(btf, ids))


def raw_lines(btf: Btf, ids: Iterable[int] | None = None) -> Iterator[str]:
    """Yield the lines of the dump."""
    types = btf.types() if ids is None else ((id, btf.type(id)) for id in ids)
    for id, found in types:
        name = getattr(found, "name", "") or "(anon)"
        yield f"[{id}] {k.KIND_NAMES[found.KIND]} '{name}'{_facts(found)}"
        yield from _parts(btf, found)


def _facts(found: k.Type) -> str:
    """Return what stands behind the name on a type's own line."""
    match found:
        case k.Int():
            encoding = _ENCODINGS.get(found.encoding, "UNKN")
            where = f"bits_offset={found.bit_offset} nr_bits={found.bits}"
            return f" size={found.size} {where} encoding={encoding}"
        case k.Array():
            where = f"index_type_id={found.index} nr_elems={found.nelems}"
            return f" type_id={found.elem} {where}"
        case k.Struct() | k.Union():
            return f" size={found.size} vlen={len(found.members)}"
        case k.Enum() | k.Enum64():
            encoding = "SIGNED" if found.signed else "UNSIGNED"
            return f" encoding={encoding} size={found.size} vlen={len(found.values)}"
        case k.Fwd():
            return f" fwd_kind={'union' if found.is_union else 'struct'}"
        case k.Func():
            return f" type_id={found.type} linkage={_LINKAGES.get(found.linkage, '(unknown)')}"
        case k.FuncProto():
            return f" ret_type_id={found.ret} vlen={len(found.params)}"
        case k.Var():
            return f" type_id={found.type}, linkage={_LINKAGES.get(found.linkage, '(unknown)')}"
        case k.DataSec():
            return f" size={found.size} vlen={len(found.entries)}"
        case k.Float():
            return f" size={found.size}"
        case k.DeclTag():
            return f" type_id={found.type} component_idx={found.component}"
        case k.Void():
            return ""
        case _:
            return f" type_id={found.type}"


def _parts(btf: Btf, found: k.Type) -> Iterator[str]:
    """Yield the indented lines of a type's members, values, parameters or variables."""
    match found:
        case k.Struct() | k.Union():
            for member in found.members:
                bits = f" bitfield_size={member.bit_size}" if member.bit_size else ""
                where = f"type_id={member.type} bits_offset={member.bit_offset}{bits}"
                yield f"\t'{member.name or '(anon)'}' {where}"
        case k.Enum() | k.Enum64():
            suffix = "" if isinstance(found, k.Enum) else "LL" if found.signed else "ULL"
            for value in found.values:
                yield f"\t'{value.name or '(anon)'}' val={value.value}{suffix}"
        case k.FuncProto():
            for param in found.params:
                yield f"\t'{param.name or '(anon)'}' type_id={param.type}"
        case k.DataSec():
            for entry in found.entries:
                where = f"type_id={entry.type} offset={entry.offset} size={entry.size}"
                yield f"\t{where}{_variable(btf, entry.type)}"


def _variable(btf: Btf, id: int) -> str:
    if not btf.has_id(id):
        return ""
    found = btf.type(id)
    return f" ({k.KIND_NAMES[found.KIND]} '{getattr(found, 'name', '') or '(anon)'}')"
