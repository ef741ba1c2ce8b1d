"""Are two types the same enough?  The rules of CO-RE, as libbpf and the kernel apply them.

*Field compatibility* decides whether a member found by name may stand for the program's member;
*type compatibility* whether a type exists; *type match* is the strictest, name by name.  Every
function takes the program's side first (local), then the kernel's (target).  A chain of more than
32 types raises an :class:`InputError` with EINVAL, which is what libbpf returns.

Source: libbpf ``relo_core.c``; the kernel compiles the same file with a nesting level of 2.
"""

from __future__ import annotations

import errno
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.spelling import type_name
from bpfemu.btf.types import Btf, Kind
from bpfemu.errors import InputError

__all__ = [
    "KERNEL_LEVEL",
    "LIBBPF_LEVEL",
    "candidates",
    "essential_name",
    "fields_are_compat",
    "prototypes_match",
    "types_are_compat",
    "types_match",
]

LIBBPF_LEVEL: Final = 32  # how deep function prototypes may nest
KERNEL_LEVEL: Final = 2  # the same inside the kernel
_CHAIN: Final = 32  # pointers, arrays and returns followed in a row

_Enums = k.Enum | k.Enum64
_Composites = k.Struct | k.Union


def essential_name(name: str) -> str:
    """Cut a flavour off: what stands before the last ``___`` between two other characters."""
    for at in range(len(name) - 5, -1, -1):
        if name[at + 1 : at + 4] == "___" and name[at] != "_" != name[at + 4]:
            return name[: at + 1]
    return name


def candidates(btf: Btf, name: str, *kinds: Kind) -> list[int]:
    """Return the ids of those kinds with the same essential name as ``name``, in order."""
    wanted = essential_name(name)
    flavours = [
        id
        for id in btf.find_beginning(wanted + "___", *kinds)
        if essential_name(_name(btf.type(id))) == wanted
    ]
    return sorted(btf.find_all(wanted, *kinds) + flavours)


def fields_are_compat(local: Btf, local_id: int, target: Btf, target_id: int) -> bool:
    """Whether a member of the target's type may stand for one of the local type."""
    for _ in range(_CHAIN):
        mine = local.type(local.resolve(local_id))
        theirs = target.type(target.resolve(target_id))
        if isinstance(mine, _Composites) and isinstance(theirs, _Composites):
            return True
        if not _same_kind(mine, theirs):
            return False
        match mine, theirs:
            case k.Array(elem, _, _), k.Array(their_elem, _, _):
                local_id, target_id = elem, their_elem
            case k.Int(), k.Int():
                return not mine.bit_offset and not theirs.bit_offset
            case k.Fwd() | k.Enum() | k.Enum64(), _:
                names = essential_name(mine.name), essential_name(_name(theirs))
                return not all(names) or names[0] == names[1]
            case _:
                return isinstance(mine, k.Ptr | k.Float)
    raise _too_deep()


def types_are_compat(
    local: Btf, local_id: int, target: Btf, target_id: int, level: int = LIBBPF_LEVEL
) -> bool:
    """Whether the target's type counts as the local type's existence; names are not compared."""
    return _Pair(local, target).compat(local_id, target_id, level)


def types_match(
    local: Btf, local_id: int, target: Btf, target_id: int, level: int = LIBBPF_LEVEL
) -> bool:
    """Whether the target's type has everything the local type has, name by name."""
    return _Pair(local, target).match(local_id, target_id, level, False)


def prototypes_match(local: Btf, local_id: int, target: Btf, target_id: int) -> str | None:
    """Compare a program's extern FUNC with the kernel's, as libbpf does; None if they agree.

    Otherwise the text says what differs: ``parameter 2 is 'int', the kernel's is 'void *'``.
    """
    mine, theirs = local.func_proto(local_id), target.func_proto(target_id)
    if len(mine.params) != len(theirs.params):
        return f"it takes {len(mine.params)} parameters, the kernel's {len(theirs.params)}"
    pair = _Pair(local, target)
    for number, (param, their) in enumerate(zip(mine.params, theirs.params, strict=True), 1):
        if not pair.bare_compat(param.type, their.type, LIBBPF_LEVEL - 1):
            return _differ(f"parameter {number}", local, param.type, target, their.type)
    if not pair.bare_compat(mine.ret, theirs.ret, LIBBPF_LEVEL):
        return _differ("the return type", local, mine.ret, target, theirs.ret)
    return None


def _differ(what: str, local: Btf, local_id: int, target: Btf, target_id: int) -> str:
    mine, theirs = type_name(local, local_id), type_name(target, target_id)
    return f"{what} is {mine!r}, the kernel's is {theirs!r}"


def _too_deep() -> InputError:
    return InputError(f"types are nested deeper than {_CHAIN}", errno=errno.EINVAL)


def _same_kind(local: k.Type, target: k.Type) -> bool:
    return local.KIND == target.KIND or (isinstance(local, _Enums) and isinstance(target, _Enums))


def _name(found: k.Type) -> str:
    return getattr(found, "name", "")


class _Pair:
    """Two BTFs compared; every pair of types is looked at once per nesting level."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        self._known: dict[tuple[int, int, int, bool | None], bool] = {}

    def bare_compat(self, local_id: int, target_id: int, level: int) -> bool:
        """Like :meth:`compat`, for types behind modifiers."""
        ids = self._local.resolve(local_id), self._target.resolve(target_id)
        return self.compat(*ids, level)

    def compat(self, local_id: int, target_id: int, level: int) -> bool:
        key = (local_id, target_id, level, None)
        if key not in self._known:
            self._known[key] = self._compat(local_id, target_id, level)
        return self._known[key]

    def _compat(self, local_id: int, target_id: int, level: int) -> bool:
        if not _same_kind(self._local.type(local_id), self._target.type(target_id)):
            return False
        for _ in range(_CHAIN):
            mine = self._local.type(self._local.resolve(local_id))
            theirs = self._target.type(self._target.resolve(target_id))
            if not _same_kind(mine, theirs):
                return False
            match mine, theirs:
                case k.Ptr(pointee), k.Ptr(their_pointee):
                    local_id, target_id = pointee, their_pointee
                case k.Array(elem, _, _), k.Array(their_elem, _, _):
                    local_id, target_id = elem, their_elem
                case k.FuncProto(), k.FuncProto():
                    if not self._params_compat(mine, theirs, level):
                        return False
                    local_id, target_id = mine.ret, theirs.ret
                case k.Int(), k.Int():
                    return not mine.bit_offset and not theirs.bit_offset
                case _:
                    return isinstance(mine, k.Void | k.Fwd | _Composites | _Enums)
        raise _too_deep()

    def _params_compat(self, mine: k.FuncProto, theirs: k.FuncProto, level: int) -> bool:
        if len(mine.params) != len(theirs.params):
            return False
        if mine.params and level <= 0:
            raise _too_deep()
        return all(
            self.bare_compat(param.type, their.type, level - 1)
            for param, their in zip(mine.params, theirs.params, strict=True)
        )

    def match(self, local_id: int, target_id: int, level: int, behind_pointer: bool) -> bool:
        if level <= 0:
            raise _too_deep()
        key = (local_id, target_id, level, behind_pointer)
        if key not in self._known:
            self._known[key] = self._match(local_id, target_id, level, behind_pointer)
        return self._known[key]

    def _match(self, local_id: int, target_id: int, level: int, behind_pointer: bool) -> bool:
        for _ in range(_CHAIN):
            mine = self._local.type(self._local.resolve(local_id))
            theirs = self._target.type(self._target.resolve(target_id))
            if essential_name(_name(mine)) != essential_name(_name(theirs)):
                return False
            match mine, theirs:
                case k.Ptr(pointee), k.Ptr(their_pointee):
                    behind_pointer = True
                    local_id, target_id = pointee, their_pointee
                case k.Array(elem, _, count), k.Array(their_elem, _, their_count):
                    if count != their_count:
                        return False
                    local_id, target_id = elem, their_elem
                case k.FuncProto(), k.FuncProto():
                    if not self._params_match(mine, theirs, level, behind_pointer):
                        return False
                    local_id, target_id = mine.ret, theirs.ret
                case (k.Struct() | k.Union(), k.Struct() | k.Union()) if not behind_pointer:
                    same = mine.KIND == theirs.KIND
                    return same and self._members_match(mine, theirs, level)
                case _:
                    return _leaves_match(mine, theirs, behind_pointer)
        raise _too_deep()

    def _params_match(
        self, mine: k.FuncProto, theirs: k.FuncProto, level: int, behind_pointer: bool
    ) -> bool:
        return len(mine.params) == len(theirs.params) and all(
            self.match(param.type, their.type, level - 1, behind_pointer)
            for param, their in zip(mine.params, theirs.params, strict=True)
        )

    def _members_match(
        self, mine: k.Struct | k.Union, theirs: k.Struct | k.Union, level: int
    ) -> bool:
        if len(mine.members) > len(theirs.members):
            return False
        by_name: dict[str, list[int]] = {}
        for their in theirs.members:
            by_name.setdefault(essential_name(their.name), []).append(their.type)
        return all(
            any(
                self.match(member.type, type, level - 1, False)
                for type in by_name.get(essential_name(member.name), ())
            )
            for member in mine.members
        )


def _leaves_match(mine: k.Type, theirs: k.Type, behind_pointer: bool) -> bool:
    """Compare two types that refer to no further ones (or are not followed)."""
    match mine, theirs:
        case k.Int(), k.Int():
            return mine.size == theirs.size and mine.signed == theirs.signed
        case (k.Enum() | k.Enum64(), k.Enum() | k.Enum64()):
            return _enums_match(mine, theirs)
        case k.Fwd(), k.Fwd():
            return mine.is_union == theirs.is_union
        case (k.Fwd(), k.Struct() | k.Union()) | (k.Struct() | k.Union(), k.Fwd()):
            return behind_pointer and _is_union(mine) == _is_union(theirs)
        case (k.Struct() | k.Union(), k.Struct() | k.Union()):
            return mine.KIND == theirs.KIND
        case _:
            return isinstance(mine, k.Void) and isinstance(theirs, k.Void)


def _is_union(found: k.Type) -> bool:
    return found.is_union if isinstance(found, k.Fwd) else isinstance(found, k.Union)


def _enums_match(mine: k.Enum | k.Enum64, theirs: k.Enum | k.Enum64) -> bool:
    if mine.size != theirs.size or len(mine.values) > len(theirs.values):
        return False
    known = {essential_name(value.name) for value in theirs.values}
    return all(essential_name(value.name) in known for value in mine.values)
