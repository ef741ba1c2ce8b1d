"""CO-RE access strings: parsed on the program's side, matched on the kernel's (notes, 10)."""

from __future__ import annotations

from errno import E2BIG, EINVAL
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.compat import (
    essential_name,
    fields_are_compat,
    types_are_compat,
    types_match,
)
from bpfemu.errors import InputError
from bpfemu.record import dataclass, field

__all__ = [
    "ENUM_KINDS",
    "FIELD_KINDS",
    "KIND_TEXT",
    "TYPE_KINDS",
    "Accessor",
    "Spec",
    "match_spec",
    "parse_spec",
    "spec_text",
]

KIND_TEXT: Final = (
    "byte_off",
    "byte_sz",
    "field_exists",
    "signed",
    "lshift_u64",
    "rshift_u64",
    "local_type_id",
    "target_type_id",
    "type_exists",
    "type_size",
    "enumval_exists",
    "enumval_value",
    "type_matches",
)
"""The names of the kinds, by number (include/uapi/linux/bpf.h, enum bpf_core_relo_kind)."""

FIELD_KINDS: Final = range(0, 6)
TYPE_KINDS: Final = (6, 7, 8, 9, 12)
ENUM_KINDS: Final = (10, 11)
TYPE_MATCHES: Final = 12
SPEC_LENGTH: Final = 64

_Enums = k.Enum | k.Enum64
_Composites = k.Struct | k.Union


@dataclass(frozen=True, slots=True)
class Accessor:
    """One named member, array index or enumerator; ``type_id`` is what it belongs to.

    For an array index (``name`` empty) ``type_id`` is the element's type.
    """

    type_id: int
    index: int
    name: str = ""


@dataclass(slots=True)
class Spec:
    """A path from a root type; anonymous members appear in ``raw`` only."""

    btf: Btf
    root: int  # type id as in the record or of the candidate
    kind: int
    raw: list[int] = field(default_factory=list)
    path: list[Accessor] = field(default_factory=list)
    bit_offset: int = 0


def _bad(text: str, errno: int = EINVAL) -> InputError:
    return InputError(text, errno=errno)


def parse_spec(btf: Btf, type_id: int, access: str, kind: int) -> Spec:
    """The local side; InputError says which step is impossible."""
    if not 0 <= kind < len(KIND_TEXT):
        raise _bad(f"unrecognized CO-RE relocation kind {kind}")
    if not btf.has_id(type_id) or type_id == 0:
        raise _bad(f"bad type id {type_id}")
    spec = Spec(btf, type_id, kind)
    numbers = access.split(":")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise _bad(f"access string {access!r} is not numbers with colons between")
    if len(numbers) > SPEC_LENGTH or len(access) > 11 * SPEC_LENGTH:
        raise _bad(f"access string of {len(numbers)} items, must be at most {SPEC_LENGTH}", E2BIG)
    spec.raw = [int(number) for number in numbers]
    if kind in TYPE_KINDS:
        if access != "0":
            raise _bad(f"a type-based relocation has access string {access!r}, must be '0'")
        return spec
    root = btf.resolve(type_id)
    if kind in ENUM_KINDS:
        return _parse_enumerator(spec, root)
    spec.path.append(Accessor(root, spec.raw[0]))
    spec.bit_offset = spec.raw[0] * btf.size_of(root) * 8
    id = root
    for index in spec.raw[1:]:
        id = _step(spec, id, index)
    return spec


def _parse_enumerator(spec: Spec, root: int) -> Spec:
    found = spec.btf.type(root)
    if len(spec.raw) != 1 or not isinstance(found, _Enums) or spec.raw[0] >= len(found.values):
        what = k.KIND_NAMES[found.KIND]
        raise _bad(f"enumerator {':'.join(map(str, spec.raw))} of type [{root}], a {what}")
    spec.path.append(Accessor(root, spec.raw[0], found.values[spec.raw[0]].name))
    return spec


def _step(spec: Spec, id: int, index: int) -> int:
    """Go one number further down; returns the type reached."""
    btf = spec.btf
    id = btf.resolve(id)
    found = btf.type(id)
    if isinstance(found, _Composites):
        if index >= len(found.members):
            raise _bad(f"member {index} of type [{id}], which has {len(found.members)}")
        member = found.members[index]
        spec.bit_offset += member.bit_offset
        if member.name:
            spec.path.append(Accessor(id, index, member.name))
        return member.type
    if isinstance(found, k.Array):
        if index >= found.nelems and not _is_flexible(btf, spec.path[-1], found):
            raise _bad(f"element {index} of type [{id}], which has {found.nelems}")
        elem = btf.resolve(found.elem)
        spec.path.append(Accessor(elem, index))
        spec.bit_offset += index * btf.size_of(elem) * 8
        return elem
    what = k.KIND_NAMES[found.KIND]
    raise _bad(f"it captures type [{id}] of unexpected kind {what}")


def _is_flexible(btf: Btf, holder: Accessor, array: k.Array) -> bool:
    """Is the array the last member of a struct, without a length?"""
    if not holder.name or array.nelems:
        return False
    outer = btf.type(holder.type_id)
    return isinstance(outer, k.Struct) and holder.index == len(outer.members) - 1


def match_spec(local: Spec, btf: Btf, root: int) -> Spec | None:
    """The same path from a candidate of the kernel's; None when it does not lead there."""
    spec = Spec(btf, root, local.kind)
    if local.kind in TYPE_KINDS:
        same = types_match if local.kind == TYPE_MATCHES else types_are_compat
        return spec if same(local.btf, local.root, btf, root) else None
    id = btf.resolve(root)
    if local.kind in ENUM_KINDS:
        return _match_enumerator(local, spec, id)
    for number, accessor in enumerate(local.path):
        if accessor.name:
            found = _match_member(local.btf, accessor, spec, id, 0)
            if found is None:
                return None
            id = found
            continue
        if number:
            array = btf.type(btf.resolve(id))
            if not isinstance(array, k.Array):
                return None
            if accessor.index >= array.nelems and not _is_flexible(btf, spec.path[-1], array):
                return None
            id = btf.resolve(array.elem)
        spec.path.append(Accessor(id, accessor.index))
        spec.raw.append(accessor.index)
        spec.bit_offset += accessor.index * btf.size_of(id) * 8
    return spec


def _match_enumerator(local: Spec, spec: Spec, id: int) -> Spec | None:
    found = spec.btf.type(id)
    if not isinstance(found, _Enums):
        return None
    wanted = essential_name(local.path[0].name)
    for index, value in enumerate(found.values):
        if essential_name(value.name) == wanted:
            spec.path.append(Accessor(id, index, value.name))
            spec.raw.append(index)
            return spec
    return None


def _match_member(local: Btf, wanted: Accessor, spec: Spec, id: int, depth: int) -> int | None:
    """Find a member by name, in anonymous ones too; returns its type, None without a match."""
    outer = spec.btf.type(spec.btf.resolve(id))
    if not isinstance(outer, _Composites):
        return None
    if depth > SPEC_LENGTH or len(spec.raw) >= SPEC_LENGTH:
        raise _bad(f"a path of more than {SPEC_LENGTH} members", E2BIG)
    id = spec.btf.resolve(id)
    for index, member in enumerate(outer.members):
        found = None
        spec.bit_offset += member.bit_offset
        spec.raw.append(index)
        if not member.name:
            found = _match_member(local, wanted, spec, member.type, depth + 1)
        elif member.name == wanted.name and _is_compatible(local, wanted, spec.btf, member):
            spec.path.append(Accessor(id, index, member.name))
            found = member.type
        if found is not None:
            return found
        spec.bit_offset -= member.bit_offset
        spec.raw.pop()
    return None


def _is_compatible(local: Btf, wanted: Accessor, btf: Btf, member: k.Member) -> bool:
    mine = local.type(wanted.type_id)
    assert isinstance(mine, _Composites)
    return fields_are_compat(local, mine.members[wanted.index].type, btf, member.type)


def spec_text(spec: Spec) -> str:
    """``<byte_off> [7] struct task_struct.pid (0:3 @ offset 1264)``, as libbpf prints it."""
    found = spec.btf.type(spec.root)
    kind = k.KIND_NAMES[found.KIND].lower()
    name = getattr(found, "name", "") or "<anon>"
    text = f"<{KIND_TEXT[spec.kind]}> [{spec.root}] {kind} {name}"
    if spec.kind in TYPE_KINDS:
        return text
    if spec.kind in ENUM_KINDS:
        last = spec.path[0]
        enum = spec.btf.type(last.type_id)
        assert isinstance(enum, _Enums)
        return f"{text}::{last.name} = {enum.values[last.index].value}"
    for number, accessor in enumerate(spec.path):
        if accessor.name:
            text += f".{accessor.name}"
        elif number or accessor.index:
            text += f"[{accessor.index}]"
    whole, bits = divmod(spec.bit_offset, 8)
    offset = f"{whole}.{bits}" if bits else f"{whole}"
    return f"{text} ({':'.join(map(str, spec.raw))} @ offset {offset})"
