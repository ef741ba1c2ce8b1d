"""Distilled base BTF (``.BTF.base``) → the real base: what a module built out of tree needs.

::

    built against     .BTF.base: int, struct file {}  │ .BTF: ptr → struct file, struct mine
    ids               1 … distilled count             │ from there on
    after relocation  ids of the running kernel       │ from the running kernel's count on

The distilled base holds only the names (and sizes) of what the module uses of the kernel.  Each of
its entries is looked for in the running kernel's BTF; then every type id and string offset of the
module's own types is written anew.  Source: ``btf_relocate.c``, which libbpf and the kernel share;
BTF notes, section 6.5, including what it compares loosely.
"""

from __future__ import annotations

import errno
import sys
from array import array
from collections.abc import Iterator
from typing import Final, Literal

from bpfemu.btf import kinds as k
from bpfemu.btf.parse import bad
from bpfemu.btf.types import Btf
from bpfemu.record import dataclass

__all__ = ["Relocated", "relocate"]

_SIZED: Final = (k.Int, k.Float, k.Enum, k.Enum64)
_COMPOSITES: Final = (k.Struct, k.Union)
_DISTILLED: Final = (*_SIZED[:3], *_COMPOSITES, k.Fwd)
_U32: Final = 0xFFFFFFFF
_STEPS: Final = 32  # arrays and modifiers between a member and the struct it embeds

# Where a record holds references: whether its third word is a type id, then for each row of the
# trailer its width and the words in it that are string offsets and type ids.
_REFERENCES: Final[dict[int, tuple[bool, int, tuple[int, ...], tuple[int, ...]]]] = {
    2: (True, 0, (), ()),
    3: (False, 3, (), (0, 1)),
    4: (False, 3, (0,), (1,)),
    5: (False, 3, (0,), (1,)),
    6: (False, 2, (0,), ()),
    8: (True, 0, (), ()),
    9: (True, 0, (), ()),
    10: (True, 0, (), ()),
    11: (True, 0, (), ()),
    12: (True, 0, (), ()),
    13: (True, 2, (0,), (1,)),
    14: (True, 0, (), ()),
    15: (False, 3, (), (0,)),
    17: (True, 0, (), ()),
    18: (True, 0, (), ()),
    19: (False, 3, (0,), ()),
}


@dataclass(frozen=True, slots=True)
class Relocated:
    """A module's BTF on the real base, and what became of the ids it was built with."""

    btf: Btf
    ids: tuple[int, ...]  # by distilled id: the id in the base
    shift: int  # what was added to ids of the module's own types

    def id(self, id: int) -> int:
        """Translate an id that the module was built with (a kfunc's, a destructor's)."""
        return self.ids[id] if id < len(self.ids) else id + self.shift


def relocate(split: Btf, base: Btf) -> Relocated:
    """Put ``split``, whose base is distilled, on top of the real ``base``.

    ObjectError says why not, with the errno of the kernel (EINVAL, or ENOENT for a string).
    """
    distilled = split.base
    if distilled is None:
        raise bad("BTF to be relocated has no distilled base")
    _validate(distilled)
    ids = _Matcher(split, distilled, base).match()
    shift = base.type_count - distilled.type_count
    data = _Rewriter(split, distilled, base, ids).rewrite()
    return Relocated(Btf.parse(data, base, split.name), tuple(ids), shift)


def _validate(distilled: Btf) -> None:
    for id, found in distilled.types():
        if not isinstance(found, _DISTILLED):
            raise bad(f"type [{id}] in distilled base BTF has unexpected kind [{found.KIND}]")
        if not found.name:
            rule = f"type [{id}], kind [{found.KIND}] is invalid for distilled base BTF"
            raise bad(f"{rule}; it is anonymous")


class _Matcher:
    """Finds for every distilled type the one that it stands for."""

    def __init__(self, split: Btf, distilled: Btf, base: Btf) -> None:
        self._split = split
        self._distilled = distilled
        self._base = base
        self._embedded = set(_embedded_ids(split, distilled))
        self._ids = [0] * distilled.type_count
        self._composites: dict[str, int] = {}

    def match(self) -> list[int]:
        """Return base ids by distilled id."""
        for name in dict.fromkeys(getattr(t, "name", "") for _, t in self._distilled.types()):
            mine = [id for id in self._distilled.find_all(name) if self._name(id) == name]
            theirs = self._base.find_all(name, *_DISTILLED, k.Enum64)
            self._composites[name] = sum(
                isinstance(self._base.type(id), _COMPOSITES) for id in theirs
            )
            for id in theirs:
                for distilled_id in mine:
                    self._try(distilled_id, id, name)
        for id, _ in self._distilled.types():
            if not self._ids[id]:
                raise bad(
                    f"distilled base BTF type '{self._name(id)}' [{id}] is not mapped to "
                    "base BTF id"
                )
        return self._ids

    def _name(self, id: int) -> str:
        return getattr(self._distilled.type(id), "name", "")

    def _try(self, id: int, base_id: int, name: str) -> None:
        mine, theirs = self._distilled.type(id), self._base.type(base_id)
        if not self._sizes_agree(mine, theirs, name) or not self._kinds_agree(id, mine, theirs):
            return
        if self._ids[id]:
            size = getattr(mine, "size", 0)
            raise bad(
                f"distilled base BTF type '{name}' [{id}], size {size} has multiple candidates of "
                f"the same size (ids [{self._ids[id]}, {base_id}]) in base BTF"
            )
        self._ids[id] = base_id

    def _sizes_agree(self, mine: k.Type, theirs: k.Type, name: str) -> bool:
        """Sizes count for numbers, and for structs when the base has several of that name."""
        if isinstance(theirs, _SIZED):
            needed = True
        else:
            needed = isinstance(theirs, _COMPOSITES) and self._composites[name] > 1
        return not needed or getattr(mine, "size", 0) == getattr(theirs, "size", 0)

    def _kinds_agree(self, id: int, mine: k.Type, theirs: k.Type) -> bool:
        match mine:
            case k.Fwd():
                return _stands_for(mine, theirs)
            case k.Int():
                return isinstance(theirs, k.Int) and mine.encoding == theirs.encoding
            case k.Float():
                return isinstance(theirs, k.Float)
            case k.Enum():
                return isinstance(theirs, k.Enum | k.Enum64)
            case _:  # a struct or union: as coded, of any kind if it is not embedded
                sizes = getattr(mine, "size", 0), getattr(theirs, "size", 0)
                return id not in self._embedded or sizes[0] == sizes[1]


def _stands_for(mine: k.Fwd, theirs: k.Type) -> bool:
    """What a forward declaration may be in the base.

    As coded: of a defined struct or union it is the bit-field flag that is looked at.
    """
    match theirs:
        case k.Fwd():
            return mine.is_union == theirs.is_union
        case k.Struct():
            return not theirs.bitfields
        case _:
            return isinstance(theirs, k.Union) and theirs.bitfields


def _embedded_ids(split: Btf, distilled: Btf) -> Iterator[int]:
    """Yield distilled ids that the module's structs hold by value: their size must be right."""
    for id in split.ids():
        found = split.type(id)
        if not isinstance(found, _COMPOSITES):
            continue
        for member in found.members:
            inner = member.type
            for _ in range(_STEPS):
                if not 0 < inner < split.type_count:
                    break
                kind = split.type(inner)
                if isinstance(kind, _COMPOSITES):
                    if inner < distilled.type_count:
                        yield inner
                    break
                inner = _held_by(kind)


def _held_by(found: k.Type) -> int:
    """Return the type that an array or a modifier is made of; 0 for other types."""
    if isinstance(found, k.Array):
        return found.elem
    return found.type if isinstance(found, k.MODIFIERS) else 0


def _name_offset(btf: Btf, id: int) -> int:
    words, at = btf.record_words(id)
    return words[at]


class _Rewriter:
    """Writes every type id and string offset of the module's types for the real base."""

    def __init__(self, split: Btf, distilled: Btf, base: Btf, ids: list[int]) -> None:
        self._split = split
        self._ids = ids
        self._strings = {0: 0}  # distilled offset → the base's
        for id in distilled.ids():
            self._strings[_name_offset(distilled, id)] = _name_offset(base, ids[id])
        self._first_string = distilled.strings_size
        self._string_shift = base.strings_size - distilled.strings_size
        self._shift = base.type_count - distilled.type_count
        self._words = array("I")

    def rewrite(self) -> bytes:
        """Return the blob; nothing but references differs."""
        data = bytearray(self._split.raw)
        if not self._split.ids():
            return bytes(data)
        view, _ = self._split.record_words(self._split.start_id)
        self._words.extend(view)
        for at in self._split.starts:
            self._visit(at)
        order: Literal["little", "big"] = "little" if self._split.byteorder == "little" else "big"
        if order != sys.byteorder:
            self._words.byteswap()
        header, types_off = (int.from_bytes(data[at : at + 4], order) for at in (4, 8))
        start = header + types_off
        data[start : start + 4 * len(self._words)] = self._words.tobytes()
        return bytes(data)

    def _visit(self, at: int) -> None:
        info = self._words[at + 1]
        kind, rows = info >> 24 & 31, info & 0xFFFF
        self._string(at)
        third, width, strings, ids = _REFERENCES.get(kind, (False, 0, (), ()))
        if third:
            self._type(at + 2)
        if kind == k.Array.KIND:
            rows = 1
        for row in range(at + 3, at + 3 + width * rows, width or 1):
            for column in strings:
                self._string(row + column)
            for column in ids:
                self._type(row + column)

    def _string(self, at: int) -> None:
        offset = self._words[at]
        if offset >= self._first_string:
            self._words[at] = min(offset + self._string_shift, _U32)
            return
        found = self._strings.get(offset)
        if found is None:
            rule = f"string offset {offset} of the distilled base is not mapped to base BTF"
            raise bad(rule, number=errno.ENOENT)
        self._words[at] = found

    def _type(self, at: int) -> None:
        id = self._words[at]
        self._words[at] = self._ids[id] if id < len(self._ids) else min(id + self._shift, _U32)
