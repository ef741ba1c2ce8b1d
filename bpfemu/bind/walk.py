"""What a load through a BTF pointer yields: the verifier's walk over structs (notes, section 4)."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final, NamedTuple

from bpfemu.bind.values import PROBED, SCALAR, Kind, Trust, Value, join
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import InputError

__all__ = ["SAFE_RCU", "SAFE_TRUSTED", "Walker"]

# (outer struct, member): the allow-lists of verifier.c, the lists with and without "or_null"
# taken together, since what may be NULL is not tracked here (verifier notes, section 4.2).
SAFE_RCU: Final = frozenset(
    {
        ("task_struct", "cpus_ptr"),
        ("task_struct", "cgroups"),
        ("task_struct", "real_parent"),
        ("task_struct", "group_leader"),
        ("cgroup", "kn"),
        ("css_set", "dfl_cgrp"),
        ("cgroup_subsys_state", "cgroup"),
        ("mm_struct", "exe_file"),
        ("sk_buff", "sk"),
        ("request_sock", "sk"),
    }
)
SAFE_TRUSTED: Final = frozenset(
    {
        ("bpf_iter_meta", "seq"),
        ("bpf_iter__task", "meta"),
        ("bpf_iter__task", "task"),
        ("linux_binprm", "file"),
        ("file", "f_inode"),
        ("dentry", "d_inode"),
        ("socket", "sk"),
    }
)
_TRUSTING: Final = Trust.TRUSTED | Trust.RCU | Trust.ACQUIRED
_TAG_TRUST: Final = {"user": Trust.USER, "percpu": Trust.PERCPU}
_DEPTH: Final = 32  # nested structs


class _Pointer(NamedTuple):
    """A pointer member: what it points at and where it was found."""

    pointee: int  # BTF id of a struct, 0 for anything else
    tag: str
    outer: str
    member: str
    in_union: bool


class Walker:
    """Walks the structs of one kernel's BTF."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._members: dict[tuple[int, int, int], _Pointer | None] = {}

    def load(self, value: Value, offset: int, size: int, *, rcu: bool) -> Value:
        """``size`` bytes at ``offset`` behind a BTF pointer; ``rcu``: within a read section."""
        if value.off is None or value.ref <= 0:
            return SCALAR
        found = [self._load(value, at + offset, size, rcu) for at in value.numbers]
        return reduce(join, found)

    def _load(self, value: Value, at: int, size: int, rcu: bool) -> Value:
        key = (value.ref, at, size)
        if key not in self._members:
            self._members[key] = self._find(*key) if at >= 0 else None
        found = self._members[key]
        if found is None:
            return SCALAR
        if not found.pointee:
            return PROBED
        return Value(Kind.BTF, found.pointee, 0, _trust(value.trust, found, rcu))

    def name_of(self, id: int) -> str:
        """The name of a struct, "" for one that this kernel does not have."""
        return str(getattr(self.btf.type(id), "name", "")) if self.btf.has_id(id) else ""

    def struct_id(self, name: str) -> int:
        """The id of a struct, 0 when this kernel has none of that name."""
        return self.btf.find(name, k.Struct) or 0

    def pointer(self, type_id: int, trust: Trust) -> Value:
        """What a pointer type is, as an argument or result; SCALAR for other types."""
        try:
            found = self.btf.type(self.btf.resolve(type_id))
            if not isinstance(found, k.Ptr):
                return SCALAR
            target = self.btf.resolve(found.type)
            if isinstance(self.btf.type(target), k.Struct | k.Union):
                return Value(Kind.BTF, target, 0, trust)
        except InputError:
            return SCALAR
        return PROBED

    def _find(self, id: int, offset: int, size: int) -> _Pointer | None:
        """The pointer that a load reads, None for anything else."""
        try:
            return self._descend(id, offset, size)
        except InputError:  # BTF that cannot be followed: nothing is known of what is loaded
            return None

    def _descend(self, id: int, offset: int, size: int) -> _Pointer | None:
        btf, in_union = self.btf, False
        for _ in range(_DEPTH):
            outer = btf.type(btf.resolve(id))
            if not isinstance(outer, k.Struct | k.Union):
                return None
            in_union |= isinstance(outer, k.Union) and len(outer.members) > 1
            found = self._covering(outer, offset)
            if found is None:
                return None
            member, id, start = found
            offset -= start
            inner = btf.type(id)
            if isinstance(inner, k.Ptr):
                if offset or size != 8:
                    return None
                pointee, tag = self._pointee(inner.type)
                return _Pointer(pointee, tag, outer.name, member.name, in_union)
        return None

    def _covering(self, outer: k.Struct | k.Union, offset: int) -> tuple[k.Member, int, int] | None:
        """(member, type, start): the first member over a byte, arrays entered."""
        btf = self.btf
        for member in outer.members:
            start = member.bit_offset // 8
            if member.bit_size or offset < start:
                continue
            id = btf.resolve(member.type)
            end = start + btf.size_of(id)
            found = btf.type(id)
            while isinstance(found, k.Array):
                id = btf.resolve(found.elem)
                if not found.nelems:
                    end = 1 << 32  # a flexible array goes on
                found = btf.type(id)
            if offset >= end:
                continue
            size = btf.size_of(id) if not isinstance(found, k.Void | k.Fwd) else 0
            if size and isinstance(btf.type(btf.resolve(member.type)), k.Array):
                start += (offset - start) // size * size
            return member, id, start
        return None

    def _pointee(self, id: int) -> tuple[int, str]:
        """(struct id or 0, the type tag on the way)."""
        tag = ""
        for _ in range(_DEPTH):
            found = self.btf.type(id)
            if isinstance(found, k.TypeTag):
                tag = tag or found.name
            if not isinstance(found, k.MODIFIERS):
                break
            id = found.type
        return (id, tag) if isinstance(self.btf.type(id), k.Struct | k.Union) else (0, tag)


def _trust(sources: Trust, found: _Pointer, rcu: bool) -> Trust:
    """The trust of a struct-pointer member, whichever way the pointer came."""
    return reduce(or_, (_trust_of(source, found, rcu) for source in sources))


def _trust_of(source: Trust, found: _Pointer, rcu: bool) -> Trust:
    """The rules of the verifier notes, section 4.2."""
    if source is Trust.UNTRUSTED or found.in_union:
        return Trust.UNTRUSTED
    if found.tag in _TAG_TRUST:
        return _TAG_TRUST[found.tag]
    if source not in _TRUSTING:
        return source
    place = found.outer, found.member
    if place in SAFE_TRUSTED:
        return Trust.TRUSTED
    if not rcu:
        return Trust.UNTRUSTED
    return Trust.RCU if place in SAFE_RCU or found.tag == "rcu" else Trust.NONE
