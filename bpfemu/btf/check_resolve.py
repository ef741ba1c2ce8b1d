"""The second pass over the types of a program: does every reference lead somewhere sensible?

A depth-first walk with a stack of 32.  While a pointer is resolved, structs and arrays end the
walk; while a struct or array is, pointers do: so a struct may point to itself but not contain
itself.

Source: kernel ``kernel/bpf/btf.c``, ``btf_check_all_types`` and the ``resolve`` operations.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.check_env import U32, CheckEnv, Record
from bpfemu.btf.check_members import is_regular_int, member_problem
from bpfemu.record import dataclass

__all__ = ["Resolver", "Sized"]

_DEPTH: Final = 32
_POINTER: Final = 8  # bytes
_TBD, _PTR, _STRUCT_OR_ARRAY = range(3)

_MODIFIERS: Final = frozenset(kind.KIND for kind in k.MODIFIERS)
_COMPOSITES: Final = frozenset([k.Struct.KIND, k.Union.KIND])
_SOURCES: Final = frozenset([k.Var.KIND, k.DeclTag.KIND, k.DataSec.KIND])
_NEEDS_RESOLVE: Final = frozenset(
    [*_MODIFIERS, *_COMPOSITES, *_SOURCES, k.Ptr.KIND, k.Array.KIND, k.Func.KIND]
)
_NO_SIZE: Final = frozenset(
    [k.Void.KIND, k.Fwd.KIND, k.Func.KIND, k.FuncProto.KIND, k.DeclTag.KIND]
)
_OWN_SIZE: Final = frozenset(
    [*_COMPOSITES, *(t.KIND for t in (k.Int, k.Enum, k.Enum64, k.DataSec, k.Float))]
)
_TAG_TARGETS: Final = frozenset([*_COMPOSITES, k.Func.KIND, k.Var.KIND, k.Typedef.KIND])
_SIZELESS_TARGETS: Final = frozenset([k.Void.KIND, k.Fwd.KIND, k.FuncProto.KIND])


@dataclass(frozen=True, slots=True)
class Sized:
    """A type that has a size, behind modifiers."""

    id: int
    record: Record
    size: int  # bytes


@dataclass(slots=True)
class _Vertex:
    record: Record
    next_member: int = 0


class Resolver:
    """Resolves the types of one blob."""

    def __init__(self, env: CheckEnv) -> None:
        self._env = env
        self._stack: list[_Vertex] = []
        self._mode = _TBD
        self._visited: set[int] = set()
        self._ids: dict[int, int] = {}  # resolved id by id: present once a type is resolved
        self._sizes: dict[int, int] = {}
        self._nameless: dict[int, int] = {}  # first nameless parameter by prototype; 0 for none

    def check_all(self) -> None:
        """Resolve every type, in order."""
        self._env.resolving = True
        for found in self._env.own:
            self._env.current = found.id
            if found.kind in _NEEDS_RESOLVE and found.id not in self._ids:
                self._resolve(found)
            if found.kind == k.FuncProto.KIND:
                self._check_proto(found)
        self._env.current = None

    def with_size(self, id: int) -> Sized | None:
        """Return the type with a size that an id leads to, as far as it is resolved."""
        found = self._env.record(id)
        if found is not None and (found.kind in _MODIFIERS or found.kind == k.Var.KIND):
            id = self._ids.get(id, 0)
            found = self._env.record(id)
        if found is None or found.kind in _NO_SIZE:
            return None
        if found.kind in _OWN_SIZE:
            return Sized(id, found, found.third)
        if found.kind == k.Array.KIND:
            return Sized(id, found, self._sizes.get(id, 0))
        return Sized(id, found, _POINTER) if found.kind == k.Ptr.KIND else None

    # --- the walk ---------------------------------------------------------------------------

    def _resolve(self, found: Record) -> None:
        env, saved = self._env, self._env.current
        self._mode = _TBD
        self._stack.clear()
        number = self._push(found)
        while not number and self._stack:
            vertex = self._stack[-1]
            env.current = vertex.record.id
            number = _RESOLVE[vertex.record.kind](self, vertex)
        env.current = found.id
        if number == errno.E2BIG:
            raise env.refuse_type(found, f"Exceeded max resolving depth:{_DEPTH}", number)
        if number == errno.EEXIST:
            raise env.refuse_type(found, "Loop detected", number)
        env.current = saved

    def _push(self, found: Record) -> int:
        """Begin with another type; return 0 or an errno."""
        if len(self._stack) == _DEPTH:
            return errno.E2BIG
        if found.id in self._visited:
            return errno.EEXIST
        self._visited.add(found.id)
        self._stack.append(_Vertex(found))
        if self._mode == _TBD:
            if found.kind == k.Ptr.KIND:
                self._mode = _PTR
            elif found.kind in _COMPOSITES or found.kind == k.Array.KIND:
                self._mode = _STRUCT_OR_ARRAY
        return 0

    def _pop(self, resolved_id: int, size: int = 0) -> int:
        id = self._stack.pop().record.id
        self._ids[id] = resolved_id
        self._sizes[id] = size
        return 0

    def _must_wait(self, found: Record) -> bool:
        """Whether a type has to be resolved before the one that refers to it."""
        return not self._is_sink(found) and found.id not in self._ids

    def _is_sink(self, found: Record) -> bool:
        if self._mode == _TBD:
            return found.kind not in _NEEDS_RESOLVE
        if found.kind in _MODIFIERS:
            return False
        if self._mode == _PTR:
            return found.kind != k.Ptr.KIND
        return found.kind not in _COMPOSITES and found.kind != k.Array.KIND

    # --- one kind at a time -----------------------------------------------------------------

    def _modifier(self, vertex: _Vertex) -> int:
        return self._refer(vertex.record, follow_pointers=False)

    def _pointer(self, vertex: _Vertex) -> int:
        return self._refer(vertex.record, follow_pointers=True)

    def _refer(self, found: Record, *, follow_pointers: bool) -> int:
        target = self._env.record(found.third)
        if target is None or target.kind in _SOURCES:
            raise self._env.refuse_type(found, "Invalid type_id")
        if self._must_wait(target):
            return self._push(target)
        if follow_pointers and (behind := self._pointer_behind(target)) is not None:
            return self._push(behind)
        sized = self.with_size(target.id)
        if sized is not None:
            return self._pop(sized.id)
        if target.id in self._ids:
            target = self._env.record(self._ids[target.id])
        if target is None or target.kind not in _SIZELESS_TARGETS:
            raise self._env.refuse_type(found, "Invalid type_id")
        return self._pop(target.id)

    def _pointer_behind(self, target: Record) -> Record | None:
        """Return the unresolved pointer at which a resolved modifier stopped, if it did."""
        if target.kind not in _MODIFIERS:
            return None
        behind = self._env.record(self._ids.get(target.id, 0))
        if behind is None or behind.kind != k.Ptr.KIND:
            return None
        return behind if self._must_wait(behind) else None

    def _var(self, vertex: _Vertex) -> int:
        found = vertex.record
        target = self._env.record(found.third)
        if target is None or target.kind in _SOURCES:
            raise self._env.refuse_type(found, "Invalid type_id")
        if self._must_wait(target):
            return self._push(target)
        if (behind := self._pointer_behind(target)) is not None:
            return self._push(behind)
        sized = self.with_size(target.id)
        if sized is None:
            raise self._env.refuse_type(found, "Invalid type_id")
        return self._pop(sized.id)

    def _array(self, vertex: _Vertex) -> int:
        found, env = vertex.record, self._env
        index = self._part(found, found.tail(1), "Invalid index")
        if self._must_wait(index):
            return self._push(index)
        sized = self.with_size(index.id)
        if sized is None or sized.record.kind != k.Int.KIND or not is_regular_int(sized.record):
            raise env.refuse_type(found, "Invalid index")
        elem = self._part(found, found.tail(0), "Invalid elem")
        if self._must_wait(elem):
            return self._push(elem)
        sized = self.with_size(elem.id)
        if sized is None:
            raise env.refuse_type(found, "Invalid elem")
        if sized.record.kind == k.Int.KIND and not is_regular_int(sized.record):
            raise env.refuse_type(found, "Invalid array of int")
        size = sized.size * found.tail(2)
        if size > U32:
            raise env.refuse_type(found, "Array size overflows U32_MAX")
        return self._pop(sized.id, size)

    def _part(self, found: Record, id: int, message: str) -> Record:
        part = self._env.record(id)
        if part is None or part.kind in _NO_SIZE or part.kind in _SOURCES:
            raise self._env.refuse_type(found, message)
        return part

    def _composite(self, vertex: _Vertex) -> int:
        found = vertex.record
        if vertex.next_member:
            self._check_member(found, self._row(found, vertex.next_member - 1))
        for number in range(vertex.next_member, found.vlen):
            row = self._row(found, number)
            member = self._env.record(row[1])
            if member is None or member.kind in _NO_SIZE or member.kind in _SOURCES:
                raise self._env.refuse_part(found, row, "Invalid member")
            if self._must_wait(member):
                vertex.next_member = number + 1
                return self._push(member)
            self._check_member(found, row)
        return self._pop(0)

    @staticmethod
    def _row(found: Record, number: int) -> tuple[int, ...]:
        return tuple(found.tail(3 * number + i) for i in range(3))

    def _check_member(self, found: Record, row: tuple[int, ...]) -> None:
        member = self._env.record(row[1])
        assert member is not None
        problem, shown = member_problem(self, found, row[1], row[2], member)
        if problem:
            raise self._env.refuse_part(found, (row[0], shown, row[2]), problem)

    def _func(self, vertex: _Vertex) -> int:
        found = vertex.record
        proto = self._env.record(found.third)
        if proto is None or proto.kind != k.FuncProto.KIND:
            raise self._env.refuse_type(found, "Invalid type_id")
        if proto.id not in self._nameless:
            rows = enumerate(proto.rows(2), 1)
            self._nameless[proto.id] = next((n for n, row in rows if not row[0] and row[1]), 0)
        if number := self._nameless[proto.id]:
            raise self._env.refuse_type(found, f"Invalid arg#{number}")
        return self._pop(found.third)

    def _datasec(self, vertex: _Vertex) -> int:
        found, env = vertex.record, self._env
        self._mode = _TBD
        for number in range(vertex.next_member, found.vlen):
            row = self._row(found, number)
            var = env.record(row[0])
            if var is None or var.kind != k.Var.KIND:
                raise env.refuse_part(found, row, "Not a VAR kind member")
            if self._must_wait(var):
                vertex.next_member = number + 1
                return self._push(var)
            sized = self.with_size(var.third)
            assert sized is not None  # a variable that is resolved has a size
            if row[2] < sized.size:
                raise env.refuse_part(found, row, "Invalid size")
        return self._pop(0)

    def _decl_tag(self, vertex: _Vertex) -> int:
        found = vertex.record
        target = self._env.record(found.third)
        if target is None or target.kind not in _TAG_TARGETS:
            raise self._env.refuse_type(found, "Invalid type_id")
        if self._must_wait(target):
            return self._push(target)
        component = found.tail(0)
        if component != U32 and component >= self._component_count(target):
            raise self._env.refuse_type(found, "Invalid component_idx")
        return self._pop(found.third)

    def _component_count(self, target: Record) -> int:
        if target.kind in _COMPOSITES:
            return target.vlen
        proto = self._env.record(target.third) if target.kind == k.Func.KIND else None
        return proto.vlen if proto else 0

    # --- prototypes -------------------------------------------------------------------------

    def _check_proto(self, found: Record) -> None:
        if found.third:
            self._check_proto_part(found, found.third, "Invalid return type")
        rows = list(found.rows(2))
        if rows and not rows[-1][1]:
            if rows[-1][0]:
                raise self._env.refuse_type(found, f"Invalid arg#{len(rows)}")
            rows.pop()
        for number, (name_off, type_id) in enumerate(rows, 1):
            self._check_proto_part(found, type_id, f"Invalid arg#{number}", name_off)

    def _check_proto_part(self, found: Record, id: int, message: str, name_off: int = 0) -> None:
        env = self._env
        part = env.record(id)
        if part is None or part.kind in _SOURCES:
            raise env.refuse_type(found, message)
        if name_off and not (env.has_name(name_off) and env.is_identifier(name_off)):
            raise env.refuse_type(found, message)
        if part.kind in _NEEDS_RESOLVE and part.id not in self._ids:
            self._resolve(part)
        if self.with_size(id) is None:
            raise env.refuse_type(found, message)


_RESOLVE: Final[Mapping[int, Callable[[Resolver, _Vertex], int]]] = {
    **dict.fromkeys(_MODIFIERS, Resolver._modifier),
    **dict.fromkeys(_COMPOSITES, Resolver._composite),
    k.Ptr.KIND: Resolver._pointer,
    k.Array.KIND: Resolver._array,
    k.Var.KIND: Resolver._var,
    k.Func.KIND: Resolver._func,
    k.DataSec.KIND: Resolver._datasec,
    k.DeclTag.KIND: Resolver._decl_tag,
}
assert set(_RESOLVE) == _NEEDS_RESOLVE
