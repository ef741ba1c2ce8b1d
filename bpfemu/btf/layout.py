"""Sizes, alignments and member offsets: what the numbers in BTF mean in memory.

Pointers have 8 bytes, as on the BPF target and on every 64-bit kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import bad

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


def align_of(btf: Btf, id: int, depth: int = 0) -> int:
    """Return the alignment of a type in bytes.

    BTF does not store it.  A struct has that of its strictest member, unless an offset or its size
    shows that it is packed: then 1.
    """
    if depth > _NESTING:
        raise bad(f"BTF type {id}: nested deeper than {_NESTING}")
    found = btf.type(btf.resolve(id))
    match found:
        case k.Int() | k.Enum() | k.Enum64() | k.Float():
            return min(POINTER_SIZE, 1 << max(found.size - 1, 0).bit_length())
        case k.Ptr():
            return POINTER_SIZE
        case k.Array(elem, _, _) | k.Var(_, elem, _):
            return align_of(btf, elem, depth + 1)
        case k.Struct() | k.Union():
            return _struct_align(btf, found, depth)
        case _:
            raise bad(f"BTF type {id} is a {k.KIND_NAMES[found.KIND]}, which has no alignment")


def _struct_align(btf: Btf, found: k.Struct | k.Union, depth: int) -> int:
    strictest = 1
    for member in found.members:
        align = align_of(btf, member.type, depth + 1)
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


def flatten_members(btf: Btf, id: int, bit_offset: int = 0, depth: int = 0) -> Iterator[MemberAt]:
    """Yield the named members, those of anonymous structs and unions among them."""
    members = members_of(btf, id)
    if members is None or depth > _NESTING:
        raise bad(f"BTF type {id} is not a struct or union (or nested deeper than {_NESTING})")
    for member in members:
        at, bits = bitfield_of(btf, member)
        if member.name:
            yield MemberAt(member.name, member.type, bit_offset + at, bits)
        elif members_of(btf, member.type) is not None:
            yield from flatten_members(btf, member.type, bit_offset + at, depth + 1)


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
