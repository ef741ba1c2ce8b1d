"""``bpfemu btf dump file F [format raw|c [unsorted]] [root_id N]…``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.cli.btf_file import open_btf
from bpfemu.cli.json_text import json_text
from bpfemu.errors import InputError
from bpfemu.record import dataclass

__all__ = ["dump", "json_types"]

MOST_ROOTS: Final = 16  # bpftool's MAX_ROOT_IDS
_CHUNK: Final = 4096  # lines written at once
_ANON: Final = "(anon)"
_ENCODINGS: Final = {0: "(none)", 1: "SIGNED", 2: "CHAR", 4: "BOOL"}
_LINKAGES: Final = {0: "static", 1: "global", 2: "extern"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the words ask for; ``roots`` empty: every type."""

    file: str
    format: str = "raw"
    sorted: bool = True
    roots: tuple[int, ...] = ()


@click.command()
@click.argument("words", nargs=-1, metavar="file FILE [format raw|c [unsorted]] [root_id N]...")
@click.option("-B", "--base-btf", "base", metavar="FILE", help="The BTF this one is split from.")
@click.option("-j", "--json", "as_json", is_flag=True, help="JSON (raw format only).")
@click.option("-p", "--pretty", is_flag=True, help="Pretty JSON (implies -j).")
def dump(words: tuple[str, ...], base: str | None, as_json: bool, pretty: bool) -> None:
    """Dump the types of FILE as bpftool does."""
    asked = _parse(words)
    if asked.format == "c" and (as_json or pretty):
        raise InputError("JSON output for C-syntax dump is not supported")
    btf = open_btf(asked.file, base)
    for root in asked.roots:
        if not btf.has_id(root):
            raise InputError(f"{asked.file}: invalid root_id {root}; ids end at {_last(btf)}")
    ids = asked.roots or None
    if asked.format == "c":
        _write([_c_text(btf, ids, asked.sorted)])
    elif as_json or pretty:
        _write([json_text({"types": json_types(btf, ids)}, pretty) + "\n"])
    else:
        _write_raw(btf, ids)


def _last(btf: Btf) -> int:
    return btf.type_count - 1


def _parse(words: Sequence[str]) -> _Asked:
    rest = list(words)
    if not rest or rest.pop(0) != "file":
        raise InputError("btf dump wants 'file FILE' (ids, programs and maps live in a kernel)")
    if not rest:
        raise InputError("'file' wants a file after it")
    file, given, order, roots = rest.pop(0), "", True, []
    while rest:
        word = rest.pop(0)
        if word == "unsorted" and given == "c":
            order = False
            continue
        if word not in ("format", "root_id"):
            raise InputError(f"unexpected word {word!r}; expected format, root_id")
        if not rest:
            raise InputError(f"{word!r} wants a value after it")
        value = rest.pop(0)
        if word == "root_id":
            roots.append(_root(value))
        elif given:
            raise InputError("'format' is given twice")
        elif (given := value) not in ("raw", "c"):
            raise InputError(f"unrecognized format specifier: {value!r}, possible values: raw, c")
    if len(roots) > MOST_ROOTS:
        raise InputError(f"{len(roots)} root_ids, at most {MOST_ROOTS} are allowed")
    return _Asked(file, given or "raw", order, tuple(roots))


def _root(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = 0
    if number <= 0:
        raise InputError(f"root_id {text!r} must be a number from 1 up")
    return number


def _write(chunks: Iterable[str]) -> None:
    """Bytes as they stand in the BTF, whatever encoding the terminal has."""
    sys.stdout.flush()
    for chunk in chunks:
        sys.stdout.buffer.write(chunk.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _write_raw(btf: Btf, ids: Sequence[int] | None) -> None:
    from itertools import islice

    from bpfemu.btf.dump_raw import raw_lines

    lines = raw_lines(btf, ids)
    _write(iter(lambda: "".join(line + "\n" for line in islice(lines, _CHUNK)), ""))


def _c_text(btf: Btf, ids: Sequence[int] | None, in_order: bool) -> str:
    from bpfemu.btf.dump_c import dump_c

    if ids is not None:
        return dump_c(btf, ids)
    return dump_c(btf, order=sorted(range(1, btf.type_count), key=_rank(btf)) if in_order else None)


def _rank(btf: Btf) -> Any:
    """Enumerations first, then typedefs of numbers, structs, unions; each by name.

    The order depends on names and not on ids, so that headers of two kernels can be compared.
    """
    ranks = {k.Int: 0, k.Float: 0, k.Enum: 1, k.Enum64: 1, k.Typedef: 2, k.Fwd: 3}

    def key(id: int) -> tuple[int, str, int]:
        found = btf.type(id)
        name = getattr(found, "name", "")
        if not name and isinstance(found, k.Enum | k.Enum64) and found.values:
            name = found.values[0].name
        return ranks.get(type(found), 4), name, id

    return key


def json_types(btf: Btf, ids: Iterable[int] | None = None) -> list[dict[str, Any]]:
    """The types as ``bpftool -j btf dump`` has them; of all own ones by default."""
    types = btf.types() if ids is None else ((id, btf.type(id)) for id in ids)
    rows = []
    for id, found in types:
        name = getattr(found, "name", "") or _ANON
        rows.append({"id": id, "kind": k.KIND_NAMES[found.KIND], "name": name, **_facts(found)})
    return rows


def _facts(found: k.Type) -> dict[str, Any]:
    """What a type has beyond its name."""
    match found:
        case k.Int():
            where = {"size": found.size, "bits_offset": found.bit_offset, "nr_bits": found.bits}
            return {**where, "encoding": _ENCODINGS.get(found.encoding, "UNKN")}
        case k.Array():
            return {
                "type_id": found.elem,
                "index_type_id": found.index,
                "nr_elems": found.nelems,
            }
        case k.Struct() | k.Union():
            members = [_member(member) for member in found.members]
            return {"size": found.size, "vlen": len(members), "members": members}
        case k.Enum() | k.Enum64():
            return _enum(found)
        case k.Fwd():
            return {"fwd_kind": "union" if found.is_union else "struct"}
        case k.Func() | k.Var():
            linkage = _LINKAGES.get(found.linkage, "(unknown)")
            return {"type_id": found.type, "linkage": linkage}
        case k.FuncProto():
            params = [{"name": p.name or _ANON, "type_id": p.type} for p in found.params]
            return {"ret_type_id": found.ret, "vlen": len(params), "params": params}
        case k.DataSec():
            rows = [{"type_id": e.type, "offset": e.offset, "size": e.size} for e in found.entries]
            return {"size": found.size, "vlen": len(rows), "vars": rows}
        case k.Float():
            return {"size": found.size}
        case k.DeclTag():
            return {"type_id": found.type, "component_idx": found.component}
        case _:
            return {"type_id": found.type} if hasattr(found, "type") else {}


def _member(member: k.Member) -> dict[str, Any]:
    row = {
        "name": member.name or _ANON,
        "type_id": member.type,
        "bits_offset": member.bit_offset,
    }
    return row | ({"bitfield_size": member.bit_size} if member.bit_size else {})


def _enum(found: k.Enum | k.Enum64) -> dict[str, Any]:
    """Unsigned 32-bit values are sign-extended to 64 bits before they are printed, as in bpftool.

    Its raw text has them right.
    """
    narrow = isinstance(found, k.Enum) and not found.signed

    def shown(value: int) -> int:
        return value + (1 << 64) - (1 << 32) if narrow and value >> 31 else value

    values = [{"name": v.name or _ANON, "val": shown(v.value)} for v in found.values]
    encoding = "SIGNED" if found.signed else "UNSIGNED"
    return {"encoding": encoding, "size": found.size, "vlen": len(values), "values": values}
