"""Does a struct's member fit where it is said to lie?

One rule per kind of member, in two forms: with kind_flag the member's word carries a bitfield size.
Source: kernel ``kernel/bpf/btf.c``, the ``check_member`` and ``check_kflag_member`` operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bpfemu.btf import kinds as k
from bpfemu.btf.check_env import U32, Record

if TYPE_CHECKING:
    from bpfemu.btf.check_resolve import Resolver

__all__ = ["is_regular_int", "member_problem"]

_POINTER: Final = 8  # bytes
_ENUM_BITS: Final = 32  # widest enum bitfield
_MODIFIERS: Final = frozenset(kind.KIND for kind in k.MODIFIERS)
_ENUMS: Final = (k.Enum.KIND, k.Enum64.KIND)

_UNALIGNED: Final = "Member is not byte aligned"
_TOO_LONG: Final = "Member exceeds struct_size"


def is_regular_int(found: Record) -> bool:
    """Whether an INT is a whole power of two of bytes, up to 16, without a bit offset."""
    data = found.tail(0)
    bits, offset = data & 0xFF, data >> 16 & 0xFF
    size, odd = divmod(bits, 8)
    return not odd and not offset and size in (1, 2, 4, 8, 16)


def member_problem(
    resolver: Resolver, struct: Record, type_id: int, where: int, found: Record
) -> tuple[str | None, int]:
    """Return the kernel's complaint about a member of type ``found``, and the type it names.

    The complaint is None if there is none; behind modifiers it names the type they lead to.
    """
    if found.kind in _MODIFIERS:
        resolved = resolver.with_size(type_id)
        if resolved is None:
            return "Invalid member", type_id
        found, type_id = resolved.record, resolved.id
    rule = _kflag_problem if struct.flag else _plain_problem
    return rule(resolver, struct, type_id, where, found), type_id


def _kflag_problem(
    resolver: Resolver, struct: Record, type_id: int, where: int, found: Record
) -> str | None:
    bits, at = where >> 24, where & 0xFFFFFF
    if found.kind == k.Int.KIND:
        return _bitfield_problem(struct, at, bits, found)
    if found.kind in _ENUMS:
        return _enum_bitfield_problem(struct, at, bits)
    if bits:
        return "Invalid member bitfield_size"
    return _plain_problem(resolver, struct, type_id, where, found)


def _plain_problem(
    resolver: Resolver, struct: Record, type_id: int, where: int, found: Record
) -> str | None:
    if found.kind == k.Int.KIND:
        return _int_problem(struct, where, found)
    if found.kind == k.Float.KIND:
        return _float_problem(struct, where, found)
    resolved = resolver.with_size(type_id)
    assert resolved is not None  # types without a size cannot be members
    if where % 8:
        return _UNALIGNED
    return _TOO_LONG if struct.third - where // 8 & U32 < resolved.size else None


def _int_problem(struct: Record, where: int, found: Record) -> str | None:
    data = found.tail(0)
    offset = data >> 16 & 0xFF
    if U32 - where < offset:
        return "bits_offset exceeds U32_MAX"
    return _copy_problem(struct, where + offset, data & 0xFF)


def _copy_problem(struct: Record, at: int, bits: int) -> str | None:
    """Check the bytes that hold ``bits`` bits at bit ``at``."""
    copied = bits + at % 8
    if copied > 128:
        return "nr_copy_bits exceeds 128"
    return _TOO_LONG if struct.third - at // 8 < -(-copied // 8) else None


def _bitfield_problem(struct: Record, at: int, bits: int, found: Record) -> str | None:
    if not is_regular_int(found):
        return "Invalid member base type"
    whole = found.tail(0) & 0xFF
    if not bits and at % 8:
        return "Invalid member offset"
    if bits > whole:
        return "Invalid member bitfield_size"
    return _copy_problem(struct, at, bits or whole)


def _enum_bitfield_problem(struct: Record, at: int, bits: int) -> str | None:
    if not bits and at % 8:
        return _UNALIGNED
    if bits > _ENUM_BITS:
        return "Invalid member bitfield_size"
    return _TOO_LONG if struct.third < -(-(at + (bits or _ENUM_BITS)) // 8) else None


def _float_problem(struct: Record, where: int, found: Record) -> str | None:
    if where % (8 * min(_POINTER, found.third)):
        return "Member is not properly aligned"
    return _TOO_LONG if where // 8 + found.third > struct.third else None
