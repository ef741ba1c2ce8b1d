"""Sizes, alignments and member offsets: what the numbers in BTF mean in memory.

Pointers have 8 bytes, as on the BPF target and on every 64-bit kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import bad
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.btf.types import Btf

__all__ = [
    "POINTER_SIZE",
    "MemberAt",
    "align_of",
    "find_member",
    "flatten_members",
    "size_of",
]

POINTER_SIZE: Final = 8  # bytes
_NESTING: Final = 32  # arrays of arrays, anonymous structs in structs; the kernel's resolve depth
_MOST_MEMBERS: Final = 1 << 18  # of one struct, anonymous ones unfolded
_ADDRESS_SPACE: Final = 1 << 64  # bytes


@dataclass(frozen=True, slots=True)
class MemberAt:
    """A member and where it lies in the outermost struct."""

    name: str
    type: int
    bit_offset: int
    bit_size: int  # width of a bitfield in bits; 0 is not a bitfield

    @property
    def offset(self) -> int:
        """The byte it starts in."""
        return self.bit_offset // 8


def size_of(btf: Btf, id: int) -> int:
    """Return the size of a type in bytes; arrays multiply, a VAR has its type's size."""
    count = 1
    for _ in range(_NESTING):
        id = btf.resolve(id)
        found = btf.type(id)
        match found:
            case k.Array(elem, _, nelems):
                count *= nelems
                if count >= _ADDRESS_SPACE:
                    raise bad(f"BTF type {id}: an array of {count} elements")
                id = elem
            case k.Var(_, inner, _):
                id = inner
            case k.Ptr():
                return count * POINTER_SIZE
            case k.Int() | k.Struct() | k.Union() | k.Enum() | k.Enum64() | k.Float() | k.DataSec():
                return count * found.size
            case _:
                raise bad(f"BTF type {id} is a {k.KIND_NAMES[found.KIND]}, which has no size")
    raise bad(f"BTF type {id}: arrays nested deeper than {_NESTING}")


def align_of(btf: Btf, id: int) -> int:
    """Return the alignment of a type in bytes.

    BTF does not store it.  A struct has that of its strictest member, unless an offset or its size
    shows that it is packed: then 1.
    """
    return _align(btf, id, {}, 0)


def _align(btf: Btf, id: int, known: dict[int, int], depth: int) -> int:
    """``known`` has the structs done, and 0 for those under way."""
    id = btf.resolve(id)
    found = btf.type(id)
    match found:
        case k.Int() | k.Enum() | k.Enum64() | k.Float():
            return min(POINTER_SIZE, 1 << max(found.size - 1, 0).bit_length())
        case k.Ptr():
            return POINTER_SIZE
        case k.Array(elem, _, _) | k.Var(_, elem, _) if depth < _NESTING:
            return _align(btf, elem, known, depth + 1)
        case k.Struct() | k.Union() if depth < _NESTING and known.get(id) != 0:
            if id not in known:
                known[id] = 0
                known[id] = _struct_align(btf, found, known, depth)
            return known[id]
        case _:
            raise bad(f"BTF type {id} is a {k.KIND_NAMES[found.KIND]} that has no alignment")


def _struct_align(btf: Btf, found: k.Struct | k.Union, known: dict[int, int], depth: int) -> int:
    strictest = 1
    for member in found.members:
        align = _align(btf, member.type, known, depth + 1)
        plain = not bitfield_of(btf, member)[1]
        if plain and member.bit_offset % (8 * align):
            return 1
        strictest = max(strictest, align)
    return strictest if found.size % strictest == 0 else 1


def bitfield_of(btf: Btf, member: k.Member) -> tuple[int, int]:
    """Return a member's bit offset and bit size (0: no bitfield), however BTF expresses it.

    Old BTF describes a bitfield by an INT type with an odd width or an offset of its own.
    """
    if member.bit_size:
        return member.bit_offset, member.bit_size
    found = btf.type(btf.resolve(member.type))
    if isinstance(found, k.Int) and (found.bit_offset or found.bits != 8 * found.size):
        return member.bit_offset + found.bit_offset, found.bits
    return member.bit_offset, 0


def members_of(btf: Btf, id: int) -> tuple[k.Member, ...] | None:
    """Return the direct members of a struct or union behind modifiers; None for other types."""
    found = btf.type(btf.resolve(id))
    return found.members if isinstance(found, k.Struct | k.Union) else None


def flatten_members(btf: Btf, id: int, bit_offset: int = 0) -> Iterator[MemberAt]:
    """Yield the named members, those of anonymous structs and unions among them, in order."""
    outer = members_of(btf, id)
    if outer is None:
        raise bad(f"BTF type {id} is not a struct or union")
    open_structs = [(bit_offset, iter(outer))]
    seen = 0
    while open_structs:
        start, members = open_structs[-1]
        member = next(members, None)
        if member is None:
            open_structs.pop()
            continue
        seen += 1
        at, bits = bitfield_of(btf, member)
        if member.name:
            yield MemberAt(member.name, member.type, start + at, bits)
        elif (inner := members_of(btf, member.type)) is not None:
            open_structs.append((start + at, iter(inner)))
        if seen > _MOST_MEMBERS or len(open_structs) > _NESTING:
            raise bad(f"BTF type {id}: anonymous structs nested without end")


def find_member(btf: Btf, id: int, path: str) -> MemberAt | None:
    """Follow a path such as ``a.b[2].c`` from a struct; None where a step does not exist."""
    at: MemberAt | None = MemberAt("", id, 0, 0)
    for step in path.replace("[", ".[").split("."):
        if at is None:
            return None
        at = _index(btf, at, step) if step.startswith("[") else _named(btf, at, step)
    return at


def _named(btf: Btf, outer: MemberAt, name: str) -> MemberAt | None:
    if not name or members_of(btf, outer.type) is None:
        return None
    for member in flatten_members(btf, outer.type, outer.bit_offset):
        if member.name == name:
            return member
    return None


def _index(btf: Btf, outer: MemberAt, step: str) -> MemberAt | None:
    array = btf.type(btf.resolve(outer.type))
    number = step[1:-1]
    if not isinstance(array, k.Array) or step[-1] != "]" or not number.isdecimal():
        return None
    if len(number) > 10 or int(number) >= max(array.nelems, 1):
        return None
    offset = outer.bit_offset + 8 * int(number) * size_of(btf, array.elem)
    return MemberAt(outer.name + step, array.elem, offset, 0)
