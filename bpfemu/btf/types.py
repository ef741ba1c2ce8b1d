"""Btf: the types of one blob (on top of a base, if it is split), decoded when asked for.

Opening checks the header and where the sections lie.  A small type section is then walked to its
end; a large one (a kernel's) only as far as questions need, so that a wrong record far inside it
is reported by the question that meets it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from mmap import mmap
from os import PathLike
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.layout import MemberAt, align_of, find_member, flatten_members, size_of
from bpfemu.btf.lookup import NameLookup
from bpfemu.btf.parse import TypeWalk, Words, bad, decode_type, read_geometry, read_words

__all__ = ["Btf", "MemberAt"]

_EAGER_WALK: Final = 1 << 20  # bytes of types that are walked at once
_MANY_NAMES: Final = 16  # names that are looked for one by one; more of them in one pass
_CACHE_TYPES: Final = 1 << 14  # decoded types kept; beyond that the cache starts anew
_MODIFIER_STEPS: Final = 32  # as the kernel's and libbpf's limit for chains of modifiers
VOID: Final = k.Void()

KindClass = type[k.Type]
Kind = KindClass | int  # a class of kinds.py, or its KIND number


class Btf:
    """Types by id and by name; ids and string offsets continue those of the ``base``."""

    __slots__ = (
        "__weakref__",
        "_cache",
        "_data",
        "_lookup",
        "_place",
        "_strings_end",
        "_tags",
        "_types",
        "_walk",
        "_words",
        "base",
        "name",
        "start_id",
        "start_str_off",
    )

    def __init__(self, data: bytes | mmap, base: Btf | None, name: str) -> None:
        """Take over a blob; use :meth:`parse` or :meth:`open`."""
        self.base = base
        self.name = name  # of the module or file; "vmlinux" for the kernel's own
        self._data = data
        place = self._place = read_geometry(data[:24], len(data), split=base is not None)
        self._strings_end = place.strings_at + place.strings_size
        if place.strings_size and data[self._strings_end - 1]:
            raise bad("BTF strings do not end with a NUL", self._strings_end - 1)
        if base is None and data[place.strings_at]:
            raise bad("BTF strings do not begin with a NUL", place.strings_at)
        types = memoryview(data)[place.types_at : place.types_at + place.types_size]
        self._types = types
        self._words = read_words(types, place.byteorder)
        self._walk = TypeWalk(self._words)
        self._cache: dict[int, k.Type] = {0: VOID}
        self._tags: dict[int, list[tuple[str, int]]] | None = None
        self.start_id = base.type_count if base else 1
        self.start_str_off = base.strings_size if base else 0
        self._lookup = NameLookup(data, place, self._words, self._walk, self.start_str_off)

    @classmethod
    def parse(
        cls,
        data: bytes | bytearray | memoryview | mmap,
        base: Btf | None = None,
        name: str = "",
        starts: array[int] | None = None,
    ) -> Btf:
        """Read a blob.  ``starts`` is :attr:`starts` of an earlier parse of the same bytes."""
        btf = cls(data if isinstance(data, bytes | mmap) else bytes(data), base, name)
        if starts is not None:
            btf._walk.adopt(starts)
        elif btf._place.types_size <= _EAGER_WALK:
            btf._walk.finish()
        return btf

    @classmethod
    def open(cls, path: str | PathLike[str], base: Btf | None = None) -> Btf:
        """Read a file: a raw blob, an ELF file with a .BTF section, or either gzip-compressed.

        Files under /sys/kernel/btf are mapped where the kernel allows it, else read.
        """
        from bpfemu.btf.source import open_blob

        data, name = open_blob(path)
        btf = cls.parse(data, base, name)
        if btf._place.types_size > _EAGER_WALK:
            from bpfemu.btf.index import use_index

            use_index(btf, btf._types, btf._words, btf._walk, btf._lookup)
        return btf

    def __repr__(self) -> str:
        return f"<Btf {self.name or 'without a name'}, ids from {self.start_id}>"

    # --- the blob ---------------------------------------------------------------------------

    @property
    def raw(self) -> bytes:
        """The blob's bytes."""
        return bytes(self._data)

    @property
    def byteorder(self) -> str:
        """``little`` or ``big``."""
        return self._place.byteorder

    @property
    def starts(self) -> array[int]:
        """Word indices of all own type records; what :meth:`parse` takes to skip the walk."""
        self._walk.finish()
        return self._walk.starts

    @property
    def strings_size(self) -> int:
        """Bytes of strings, including those of the base."""
        return self.start_str_off + self._place.strings_size

    def string(self, offset: int) -> str:
        """Return the string at an offset; bytes that are not UTF-8 become surrogates."""
        if offset < self.start_str_off and self.base:
            return self.base.string(offset)
        at = self._place.strings_at + offset - self.start_str_off
        if not self._place.strings_at <= at < self._strings_end:
            raise bad(f"BTF string offset {offset}, there are {self.strings_size} bytes of strings")
        end = self._data.find(b"\0", at, self._strings_end)
        return self._data[at:end].decode("utf-8", "surrogateescape")

    # --- types by id ------------------------------------------------------------------------

    @property
    def type_count(self) -> int:
        """How many ids there are, counting void and those of the base."""
        return self.start_id + self._walk.finish()

    def ids(self) -> range:
        """Return the ids of the blob's own types (void and the base's left out)."""
        return range(self.start_id, self.type_count)

    def types(self) -> Iterator[tuple[int, k.Type]]:
        """Yield the blob's own types with their ids, without keeping them."""
        words, text = self._words, self.string
        for number, at in enumerate(self.starts):
            yield self.start_id + number, decode_type(words, at, text)

    def type(self, id: int) -> k.Type:
        """Return the type with this id."""
        found = self._cache.get(id)
        if found is None:
            if 0 <= id < self.start_id and self.base:
                return self.base.type(id)
            if id < self.start_id or not self._walk.to_type(id - self.start_id):
                raise bad(f"BTF type id {id}, there are {self.type_count}")
            if len(self._cache) >= _CACHE_TYPES:
                self._cache = {0: VOID}
            at = self._walk.starts[id - self.start_id]
            found = self._cache[id] = decode_type(self._words, at, self.string)
        return found

    def record_words(self, id: int) -> tuple[Words, int]:
        """Return the words that hold a type's record, and where in them it starts."""
        if id < self.start_id and self.base:
            return self.base.record_words(id)
        self.type(id)
        return self._words, self._walk.starts[id - self.start_id]

    def has_id(self, id: int) -> bool:
        """Whether there is a type with this id."""
        if id < self.start_id:
            return id >= 0
        return self._walk.to_type(id - self.start_id)

    def resolve(self, id: int) -> int:
        """Skip typedefs, qualifiers and type tags; 32 steps at most."""
        return self._skip(id, k.MODIFIERS)

    def skip_mods(self, id: int) -> int:
        """Skip qualifiers and type tags, but not typedefs."""
        return self._skip(id, (k.Const, k.Volatile, k.Restrict, k.TypeTag))

    def _skip(self, id: int, kinds: tuple[KindClass, ...]) -> int:
        for _ in range(_MODIFIER_STEPS + 1):
            found = self.type(id)
            if not isinstance(found, kinds):
                return id
            id = found.type  # type: ignore[union-attr]  # all of ``kinds`` have it
        raise bad(f"BTF type {id}: more than {_MODIFIER_STEPS} modifiers in a row")

    # --- types by name ----------------------------------------------------------------------

    def find(self, name: str, *kinds: Kind) -> int | None:
        """Return the first id of that name and one of those kinds (any kind, if none is given)."""
        if self.base and (found := self.base.find(name, *kinds)) is not None:
            return found
        return next(self._own_named(name, kinds), None)

    def find_all(self, name: str, *kinds: Kind) -> list[int]:
        """Return all ids of that name and one of those kinds, in order."""
        found = self.base.find_all(name, *kinds) if self.base else []
        return found + sorted(set(self._own_named(name, kinds)))

    def find_beginning(self, prefix: str, *kinds: Kind) -> list[int]:
        """Return all ids whose name begins with ``prefix`` (not empty), in order."""
        if not prefix:
            return []
        found = self.base.find_beginning(prefix, *kinds) if self.base else []
        offsets = self._string_hits(NameLookup.strings_beginning, _bytes(prefix))
        return found + sorted(set(self._own_at(list(offsets), kinds)))

    def find_string(self, text: str) -> int | None:
        """Return the offset of a string, of the base's if it has it."""
        return next(self._string_hits(NameLookup.string_starts, _bytes(text)), None)

    def _own_named(self, name: str, kinds: tuple[Kind, ...]) -> Iterator[int]:
        """Yield own types of a name: first those of whole strings, then those of tails."""
        if name:
            text = _bytes(name)
            yield from self._own_at(self._string_hits(NameLookup.string_starts, text), kinds)
            yield from self._own_at(self._string_hits(NameLookup.string_tails, text), kinds)

    def _own_at(self, name_offs: Iterable[int], kinds: tuple[Kind, ...]) -> Iterator[int]:
        wanted = {kind if isinstance(kind, int) else kind.KIND for kind in kinds}
        if isinstance(name_offs, list) and len(name_offs) > _MANY_NAMES:
            numbers = self._lookup.numbers_among(set(name_offs))
        else:
            numbers = (number for at in name_offs for number in self._lookup.numbers(at))
        for number in numbers:
            if not wanted or self._words[self._walk.starts[number] + 1] >> 24 & 31 in wanted:
                yield self.start_id + number

    def _string_hits(
        self, search: Callable[[NameLookup, bytes], Iterable[int]], text: bytes
    ) -> Iterator[int]:
        """Search the strings of the base and our own; yield offsets."""
        if self.base:
            yield from self.base._string_hits(search, text)
        for at in search(self._lookup, text):
            yield self.start_str_off + at

    def decl_tags(self, id: int) -> list[tuple[str, int]]:
        """Return the texts tagged to a type with their component index (-1: the whole type)."""
        found = self.base.decl_tags(id) if self.base else []
        if self._tags is None:
            self._tags = {}
            for tag_id in self.ids_of(k.DeclTag):
                tag = self.type(tag_id)
                assert isinstance(tag, k.DeclTag)
                self._tags.setdefault(tag.type, []).append((tag.name, tag.component))
        return found + self._tags.get(id, [])

    def ids_of(self, kind: Kind) -> list[int]:
        """Return the own types of one kind, in order."""
        words, wanted = self._words, kind if isinstance(kind, int) else kind.KIND
        starts = self.starts
        return [
            self.start_id + number
            for number, at in enumerate(starts)
            if words[at + 1] >> 24 & 31 == wanted
        ]

    # --- layout -----------------------------------------------------------------------------

    def size_of(self, id: int) -> int:
        """Return the size of a type in bytes."""
        return size_of(self, id)

    def align_of(self, id: int) -> int:
        """Return the alignment of a type in bytes; 1 for a packed struct."""
        return align_of(self, id)

    def members(self, id: int) -> list[MemberAt]:
        """Return the named members of a struct or union, with those of anonymous ones inside."""
        return list(flatten_members(self, id))

    def find_member(self, id: int, path: str) -> MemberAt | None:
        """Return the member at a path such as ``mm.mmap_base`` or ``comm[3]``, None if absent."""
        return find_member(self, id, path)

    def func_proto(self, id: int) -> k.FuncProto:
        """Return the prototype behind a FUNC, a pointer to a function, or a FUNC_PROTO itself."""
        found = self.type(self.resolve(id))
        if isinstance(found, k.Ptr | k.Func):
            found = self.type(self.resolve(found.type))
        if not isinstance(found, k.FuncProto):
            raise bad(f"BTF type {id} is a {k.KIND_NAMES[found.KIND]}, not a function")
        return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
