"""BTF → Python types, as ``btf.values.value_to_python`` makes values of them."""

from __future__ import annotations

from json import dumps
from keyword import iskeyword
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.values import is_char

__all__ = ["TypeNames", "is_name", "python_name"]

_TAKEN: Final = frozenset(
    [
        *("Any", "Generic", "Iterator", "Literal", "Mapping", "Sequence", "TypeVar", "TypedDict"),
        *("overload", "bool", "bytes", "dict", "float", "int", "list", "object", "str", "tuple"),
        *("DataView", "MapView", "Names", "Outcome", "ProgView", "Skeleton", "K", "T", "V"),
    ]
)
_METHODS: Final = frozenset(vars(dict))
_NUMBERS: Final = (2, 4, 8)  # bytes of a float that Python can hold


def is_name(text: str) -> bool:
    """Can it stand in a class body as it is?  ``__x`` cannot: Python would mangle it."""
    return text.isidentifier() and not iskeyword(text) and not text.startswith("__")


def python_name(text: str) -> str:
    """``vma_census`` → ``VmaCensus``; characters that no identifier has are left out."""
    words = "".join(char if char.isalnum() else " " for char in text).split()
    made = "".join(word[:1].upper() + word[1:] for word in words)
    return made if made.isidentifier() and not iskeyword(made) else f"Skel{made}"


class TypeNames:
    """Names types; structs become TypedDicts, which are kept in ``definitions``.

    No name begins with ``_`` and none is in ``taken``.
    """

    def __init__(self, btf: Btf, *taken: str) -> None:
        self.definitions: list[str] = []
        self._btf = btf
        self._names: dict[tuple[int, bool], str] = {}
        self._used: set[str] = {*_TAKEN, *taken}

    def name(self, id: int, hint: str) -> str:
        """The annotation of a value of that type; ``hint`` names a struct that has no name."""
        btf, real = self._btf, self._btf.resolve(id)
        found = btf.type(real)
        match found:
            case k.Int():
                return "bool" if found.encoding & k.IntEncoding.BOOL else "int"
            case k.Ptr():
                return "int"
            case k.Float():
                return "float" if found.size in _NUMBERS else "int"
            case k.Enum() | k.Enum64():
                return "str | int"
            case k.Array() if found.nelems and is_char(btf, found.elem):
                return "str | list[int]"
            case k.Array():
                return f"list[{self.name(found.elem, hint)}]"
            case k.Struct() | k.Union():
                return self.struct(real, hint)
            case _:
                return "Any"

    def struct(self, id: int, hint: str, *, given: bool = False) -> str:
        """The TypedDict of a struct; ``given``: one that a caller fills in, with what he likes."""
        key = id, given
        if key not in self._names:
            found = self._btf.type(id)
            wanted = getattr(found, "name", "") or hint
            self._names[key] = name = self._free(f"{wanted}_fields" if given else wanted)
            self._define(name, id, given)
        return self._names[key]

    def _free(self, wanted: str) -> str:
        base = "".join(c if c.isalnum() else "_" for c in wanted).strip("_")
        base = base if is_name(base) else f"type_{base}"
        name, number = base, 1
        while name in self._used:
            number += 1
            name = f"{base}_{number}"
        self._used.add(name)
        return name

    def _define(self, name: str, id: int, given: bool) -> None:
        members = {
            member.name: self._member(member.type, f"{name}_{member.name}", given)
            for member in self._btf.members(id)
        }
        total = ", total=False" if given else ""
        if all(is_name(member) and member not in _METHODS for member in members):
            lines = [f"    {member}: {text}" for member, text in members.items()] or ["    ..."]
            self.definitions.append("\n".join([f"class {name}(TypedDict{total}):", *lines]))
        else:
            rows = ", ".join(f"{dumps(member)}: {text}" for member, text in members.items())
            self.definitions.append(f'{name} = TypedDict("{name}", {{{rows}}}{total})')

    def _member(self, id: int, hint: str, given: bool) -> str:
        array = isinstance(self._btf.type(self._btf.resolve(id)), k.Array)
        if given and array:
            return "bytes | Sequence[int]"
        return self.name(id, hint)
