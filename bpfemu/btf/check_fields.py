"""Special fields in a program's structs: locks, lists, trees, reference counts and kptrs.

If a program's BTF defines one of those structs, or has a pointer tagged ``kptr``, each struct with
a direct member of such a type is looked through, nested structs and arrays included.  The kernel
has no words for these refusals, only an errno.

Source: kernel ``kernel/bpf/btf.c``, ``btf_parse_struct_metas`` and ``btf_parse_fields``.
"""

from __future__ import annotations

import errno
from collections.abc import Collection
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.check_env import CheckEnv, Record, Refused
from bpfemu.btf.types import Btf
from bpfemu.record import dataclass, replace

__all__ = ["check_special_fields"]

_MOST_FIELDS: Final = 11
_DEPTH: Final = 32
_MODIFIERS: Final = frozenset(kind.KIND for kind in k.MODIFIERS)
_POINTER: Final = 8  # bytes


@dataclass(frozen=True, slots=True)
class _Special:
    """A struct whose name means something to the kernel."""

    size: int  # bytes
    align: int  # bytes
    unique: bool = False


_SPECIAL: Final = {
    b"bpf_spin_lock": _Special(4, 4, unique=True),
    b"bpf_res_spin_lock": _Special(4, 4, unique=True),
    b"bpf_list_head": _Special(16, 8),
    b"bpf_list_node": _Special(24, 8),
    b"bpf_rb_root": _Special(16, 8),
    b"bpf_rb_node": _Special(32, 8),
    b"bpf_refcount": _Special(4, 4),
}
# Those whose presence makes the kernel look through structs at all.
_TRIGGERS: Final = frozenset(_SPECIAL) - {b"bpf_res_spin_lock"}
_ROOTS: Final = {b"bpf_list_head": b"bpf_list_node", b"bpf_rb_root": b"bpf_rb_node"}
_LOCKS: Final = frozenset([b"bpf_spin_lock", b"bpf_res_spin_lock"])
_NODES: Final = frozenset(_ROOTS.values())
_KPTRS: Final = (b"kptr_untrusted", b"kptr", b"percpu_kptr")
_OTHER_TAGS: Final = (b"uptr",)
_REPEATABLE: Final = frozenset([*_KPTRS, *_ROOTS])


@dataclass(frozen=True, slots=True)
class _Field:
    """A special field found in a struct."""

    what: bytes  # the struct's name or the pointer's tag
    offset: int  # bytes
    target: int = 0  # the struct that a kptr points to or a root owns
    node: bytes = b""  # the owned struct's member that is linked

    @property
    def size(self) -> int:
        special = _SPECIAL.get(self.what)
        return special.size if special else _POINTER


def check_special_fields(env: CheckEnv, vmlinux: Btf | None, destructors: Collection[str]) -> None:
    """Look through every struct that has a special member."""
    checker = _Fields(env, vmlinux, destructors)
    interesting = checker.interesting_types()
    if not interesting:
        return
    records: dict[int, list[_Field]] = {}
    for found in env.own:
        if found.kind == k.Struct.KIND and any(row[1] in interesting for row in found.rows(3)):
            env.current = found.id
            records[found.id] = checker.record_of(found)
    for id, fields in records.items():
        env.current = id
        checker.check_ownership(fields, records)
    env.current = None


class _Fields:
    def __init__(self, env: CheckEnv, vmlinux: Btf | None, destructors: Collection[str]) -> None:
        self._env = env
        self._vmlinux = vmlinux
        self._destructors = destructors
        self._plain: set[tuple[int, int]] = set()  # structs without special fields, and the level
        self._structs: dict[bytes, int] = {}
        self._tags: dict[tuple[int, int], list[bytes]] = {}
        for found in env.own:
            if found.kind == k.Struct.KIND and found.name_off:
                self._structs.setdefault(self._name(found), found.id)
            elif found.kind == k.DeclTag.KIND:
                self._tags.setdefault((found.third, found.tail(0)), []).append(self._name(found))

    def _refuse(self, why: str, number: int = errno.EINVAL) -> Refused:
        return self._env.refuse_silently(why, number)

    def _type(self, id: int) -> Record:
        found = self._env.record(id)
        assert found is not None  # the resolve pass saw to it
        return found

    def _name(self, found: Record) -> bytes:
        return self._env.raw_name(found.name_off)

    def interesting_types(self) -> set[int]:
        """Return the special structs (the first of each name) and the pointers tagged as kptr."""
        found: dict[bytes, int] = {}
        pointers = set()
        for record in self._env.own:
            if record.kind == k.Struct.KIND and (name := self._name(record)) in _TRIGGERS:
                found.setdefault(name, record.id)
            elif self._is_kptr(record):
                pointers.add(record.id)
        return pointers | set(found.values())

    def _is_kptr(self, record: Record) -> bool:
        try:
            return self._kptr(record, 0) is not None
        except Refused:
            return False

    # --- finding ----------------------------------------------------------------------------

    def record_of(self, found: Record) -> list[_Field]:
        """Return the special fields of a struct, checked against each other."""
        fields = self._fields(found, _MOST_FIELDS, 0)
        end = 0
        for field in fields:
            if field.offset < end:
                raise self._refuse("special fields overlap", errno.EEXIST)
            end = field.offset + field.size
            self._check_target(field)
        if not fields:
            raise self._refuse("a struct with a special member has no special field", errno.EFAULT)
        kinds = {field.what for field in fields}
        if kinds >= _LOCKS:
            raise self._refuse("both a bpf_spin_lock and a bpf_res_spin_lock")
        if kinds & set(_ROOTS) and not kinds & _LOCKS:
            raise self._refuse("a list head or tree root needs a lock beside it")
        if kinds >= _NODES and b"bpf_refcount" not in kinds:
            raise self._refuse("a node of a list and a tree needs a bpf_refcount")
        return fields

    def _fields(self, found: Record, room: int, level: int) -> list[_Field]:
        fields: list[_Field] = []
        seen: set[bytes] = set()
        for number, row in enumerate(found.rows(3)):
            bit_offset = row[2] & 0xFFFFFF if found.flag else row[2]
            if bit_offset % 8:
                raise self._refuse("a member beside special fields is not byte aligned")
            left = room - len(fields)
            fields += self._field(found, number, row[1], bit_offset // 8, seen, left, level)
        return fields

    def _field(
        self,
        owner: Record,
        number: int,
        type_id: int,
        offset: int,
        seen: set[bytes],
        room: int,
        level: int,
    ) -> list[_Field]:
        """Return the special fields at one member: itself, those inside it, repeated in arrays."""
        found, nelems = self._element(type_id)
        if not nelems:
            return []
        name = self._name(found)
        special = _SPECIAL.get(name)
        if special is None and found.kind == k.Struct.KIND:
            return self._nested(found, offset, nelems, room, level)
        if special is not None and special.unique:
            if name in seen:
                raise self._refuse(f"a second {name.decode()}", errno.E2BIG)
            seen.add(name)
        if offset % (special.align if special else _POINTER):
            return []
        if special is None:
            one = self._kptr(found, offset)
        else:
            one = self._special(owner, number, found, name, special, offset)
        if one is None:
            return []
        if not room:
            raise self._refuse(f"more than {_MOST_FIELDS} special fields", errno.E2BIG)
        size = special.size if special else _POINTER
        return self._repeat([one], nelems, size, room)

    def _element(self, id: int) -> tuple[Record, int]:
        """Walk into arrays; return the element's type and how many there are."""
        found, nelems = self._type(id), 1
        for _ in range(_DEPTH):
            if found.kind != k.Array.KIND:
                return found, nelems
            nelems = nelems * found.tail(2) & 0xFFFFFFFF
            found = self._type(found.tail(0))
        raise self._refuse("arrays nested too deep", errno.E2BIG)

    def _nested(
        self, found: Record, offset: int, nelems: int, room: int, level: int
    ) -> list[_Field]:
        if level + 1 >= _DEPTH:
            raise self._refuse("structs nested too deep", errno.E2BIG)
        if (found.id, level) in self._plain:
            return []
        inner = self._fields(found, room, level + 1)
        if not inner:
            self._plain.add((found.id, level))
        moved = [replace(field, offset=field.offset + offset) for field in inner]
        return self._repeat(moved, nelems, found.third, room) if moved else []

    def _repeat(self, fields: list[_Field], nelems: int, size: int, room: int) -> list[_Field]:
        if nelems == 1:
            return fields
        if not all(field.what in _REPEATABLE for field in fields):
            raise self._refuse("a special field that may not stand in an array")
        if len(fields) * nelems > room:
            raise self._refuse(f"more than {_MOST_FIELDS} special fields", errno.E2BIG)
        return [
            replace(field, offset=field.offset + size * turn)
            for turn in range(nelems)
            for field in fields
        ]

    def _special(
        self,
        owner: Record,
        number: int,
        found: Record,
        name: bytes,
        special: _Special,
        offset: int,
    ) -> _Field | None:
        if found.kind != k.Struct.KIND or found.third != special.size:
            return None
        if name not in _ROOTS:
            return _Field(name, offset)
        contained = self._contains(owner, number)
        value, colon, node = contained.partition(b":")
        target = self._structs.get(value) if colon else None
        if not colon:
            raise self._refuse("a list head's or tree root's tag is not contains:STRUCT:MEMBER")
        if target is None:
            raise self._refuse("a list head or tree root of an unknown struct", errno.ENOENT)
        if not node:
            raise self._refuse("a list head or tree root of a member without a name")
        return _Field(name, offset, target, node)

    def _contains(self, owner: Record, number: int) -> bytes:
        """Return what the one ``contains:`` tag of a member says."""
        prefix = b"contains:"
        tags = self._tags.get((owner.id, number), ())
        values = [tag[len(prefix) :] for tag in tags if tag.startswith(prefix)]
        if len(values) != 1:
            raise self._refuse("a list head or tree root needs one contains: tag")
        return values[0]

    def _kptr(self, found: Record, offset: int) -> _Field | None:
        if found.kind == k.Volatile.KIND:
            found = self._type(found.third)
        if found.kind != k.Ptr.KIND:
            return None
        tag = self._type(found.third)
        if tag.kind != k.TypeTag.KIND:
            return None
        target = self._type(tag.third)
        if target.kind == k.TypeTag.KIND:
            raise self._refuse("a pointer member with two type tags")
        name = self._name(tag)
        if name in _OTHER_TAGS:
            return None
        if name not in _KPTRS:
            raise self._refuse(f"a pointer member with the unknown tag {name!r}")
        while target.kind in _MODIFIERS:
            target = self._type(target.third)
        if target.kind != k.Struct.KIND:
            raise self._refuse("a kptr to something that is not a struct")
        return _Field(name, offset, target.id)

    # --- checking ---------------------------------------------------------------------------

    def _check_target(self, field: _Field) -> None:
        if field.what in _ROOTS:
            self._check_node(field)
        elif field.what == b"kptr":
            self._check_destructor(field)

    def _check_node(self, field: _Field) -> None:
        owned = self._type(field.target)
        nodes = [row for row in owned.rows(3) if self._env.raw_name(row[0]) == field.node]
        if not nodes:
            raise self._refuse("a list head or tree root of an unknown member", errno.ENOENT)
        node = self._type(nodes[0][1])
        if len(nodes) > 1 or node.kind != k.Struct.KIND:
            raise self._refuse("the member that a root names is not one struct")
        if self._name(node) != _ROOTS[field.what]:
            raise self._refuse("the member that a root names is not its kind of node")
        where = nodes[0][2] & 0xFFFFFF if node.flag else nodes[0][2]
        if where % 64:
            raise self._refuse("the node that a root names is not aligned")

    def _check_destructor(self, field: _Field) -> None:
        if self._vmlinux is None:
            return
        target = self._type(field.target)
        name = self._name(target).decode("utf-8", "surrogateescape")
        known = self._vmlinux.find(name, target.kind)
        if known is not None and name not in self._destructors:
            raise self._refuse(f"a kptr to {name}, which has no destructor", errno.ENOENT)

    def check_ownership(self, fields: list[_Field], records: dict[int, list[_Field]]) -> None:
        """A struct that is owned may not own one that owns others."""
        kinds = {field.what for field in fields}
        for field in fields:
            if field.what not in _ROOTS:
                continue
            if field.target not in records:
                raise self._refuse("a root owns a struct without special fields", errno.EFAULT)
            owned = {inner.what for inner in records[field.target]}
            if kinds & _NODES and owned & set(_ROOTS):
                raise self._refuse("structs own each other through lists or trees", errno.ELOOP)
