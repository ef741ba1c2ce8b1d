"""The bodies of structs, unions and enums in C, laid out exactly as BTF says.

The compiler places members by itself; where that would not give BTF's offset, the gap is written
out as unnamed bitfields (``long: 64;``), and a struct that C could not lay out so at all is packed.
Alignments here are those that a compiler gives to the text we write, on 64-bit targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.c_names import CNames, c_identifier
from bpfemu.btf.layout import bitfield_of
from bpfemu.btf.parse import bad
from bpfemu.btf.spelling import Speller, tag_word
from bpfemu.btf.types import Btf

__all__ = ["BodyWriter"]

_PADS: Final = ((64, "long"), (32, "int"), (16, "short"), (8, "char"))  # bits, type
_LONG_GAP: Final = 64 * 64  # bits; longer ones become an array
_MODES: Final = {1: "QI", 2: "HI", 4: "SI", 8: "DI"}  # GCC's names of integer sizes
_NESTING: Final = 64
_MOST_LINES: Final = 1 << 16  # of one declaration, bodies inside it included

_Composite = k.Struct | k.Union


class BodyWriter:
    """Writes declarations; types without a name are written out where they are used."""

    def __init__(self, btf: Btf, names: CNames) -> None:
        self._btf = btf
        self._names = names
        self._aligns: dict[int, int] = {}
        self._lines = 0

    def declare(self, id: int, name: str, indent: int) -> str:
        """Declare ``name`` to be of a type, at an indentation in tabs."""
        if indent == 0:
            self._lines = 0

        def spell(type_id: int, found: k.Type) -> str:
            if getattr(found, "name", ""):
                return self._names.name(type_id, found)
            return self._inside(type_id, indent)

        return Speller(self._btf, _attribute, spell).declare(id, name)

    def tagged(self, id: int, indent: int) -> str:
        """Return the definition of a struct, union or enum, without the semicolon."""
        found = self._btf.type(id)
        self._lines = 0
        name = getattr(found, "name", "")
        tag = f"{self._names.tag(id, found)} " if name else ""
        return f"{tag_word(found)} {tag}{self._inside(id, indent)}"

    def _inside(self, id: int, indent: int) -> str:
        found = self._btf.type(id)
        match found:
            case k.Struct() | k.Union():
                packed = self._packed(found)
                lines = list(self._members(found, packed, indent + 1))
                suffix = " __attribute__((packed))" if packed else ""
            case k.Enum() | k.Enum64():
                lines, suffix = self._values(found, indent + 1), _mode(found)
            case _:
                raise bad(f"BTF type {id}: a {k.KIND_NAMES[found.KIND]} without a name")
        self._lines += len(lines) + 1
        if self._lines > _MOST_LINES or indent > _NESTING:
            raise bad(f"BTF type {id}: its C text has no end")
        inner = "".join("\t" * (indent + 1) + line + "\n" for line in lines)
        return "{\n" + inner + "\t" * indent + "}" + suffix

    def _values(self, found: k.Enum | k.Enum64, indent: int) -> list[str]:
        if not found.values:
            return [self._names.fresh(f"{c_identifier(found.name)}__none") + " = 0,"]
        suffix = "" if isinstance(found, k.Enum) else "LL" if found.signed else "ULL"
        return [
            f"{self._names.fresh(value.name)} = {value.value}{suffix}," for value in found.values
        ]

    # --- members ----------------------------------------------------------------------------

    def _members(self, found: _Composite, packed: bool, indent: int) -> Iterator[str]:
        """Yield the lines of members and of the gaps between them."""
        end = 0  # bits
        union = isinstance(found, k.Union)
        for member in found.members:
            at, bits = bitfield_of(self._btf, member)
            natural = self._natural(member.type, 0 if union else end, bits, packed)
            if not union and natural != at:
                yield from _gap(end, at)
            name = c_identifier(member.name) if member.name else ""
            text = self.declare(member.type, name, indent)
            yield text + (f": {bits}" if bits else "") + ";"
            end = max(end, at + bits) if bits else max(end, at + 8 * self._size(member.type))
        align = 1 if packed else self._strictest(found)
        if -(-end // (8 * align)) * 8 * align != 8 * found.size:
            if union:
                yield f"char __padding[{found.size}];"
            else:
                yield from _gap(end, 8 * found.size)

    def _natural(self, id: int, end: int, bits: int, packed: bool) -> int:
        """Return the bit offset at which a compiler puts a member that follows bit ``end``."""
        align = 8 * (1 if packed else self._align(id))
        if not bits:
            return -(-end // align) * align
        unit = 8 * max(self._size(id), 1)
        crosses = not packed and end % unit + bits > unit
        return -(-end // unit) * unit if crosses else end

    def _packed(self, found: _Composite) -> bool:
        """Whether C could not lay the members out so without packing."""
        if self._strictest(found) == 1 and not any(m.bit_size for m in found.members):
            return False
        if found.size % self._strictest(found):
            return True
        for member in found.members:
            at, bits = bitfield_of(self._btf, member)
            unit = 8 * ((self._size(member.type) or 1) if bits else self._align(member.type))
            if at % unit + bits > unit if bits else at % unit:
                return True
        return False

    def _strictest(self, found: _Composite) -> int:
        return max((self._align(member.type) for member in found.members), default=1)

    def _align(self, id: int) -> int:
        """Return the alignment that our text of a type has."""
        id = self._btf.resolve(id)
        found = self._btf.type(id)
        match found:
            case k.Struct() | k.Union():
                if id not in self._aligns:
                    self._aligns[id] = 1 if self._packed(found) else self._strictest(found)
                return self._aligns[id]
            case k.Array():
                return self._align(found.elem)
            case k.Int() | k.Enum() | k.Enum64() | k.Float():
                return 1 << max(min(found.size, 16) - 1, 0).bit_length() if found.size != 12 else 4
            case _:
                return 8

    def _size(self, id: int) -> int:
        return self._btf.size_of(id)


def _attribute(tag: k.TypeTag) -> str:
    if tag.kind_flag:
        return f"__attribute__(({tag.name}))"
    text = tag.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'__attribute__((btf_type_tag("{text}")))'


def _gap(start: int, end: int) -> Iterator[str]:
    """Yield unnamed bitfields that fill the bits from ``start`` to ``end``, or one long array."""
    while start < end:
        if start % 8 == 0 and end - start > _LONG_GAP:
            count = (end - start) // 8
            yield f"char __padding_{start // 8}[{count}];"
            start += 8 * count
            continue
        odd = -start % 8 or 8
        fitting = (pad for pad in _PADS if start % pad[0] == 0 and start + pad[0] <= end)
        bits, name = next(fitting, (min(odd, end - start), "char"))
        yield f"{name}: {bits};"
        start += bits


def _mode(found: k.Enum | k.Enum64) -> str:
    """Return the attribute that gives an enum its size, if a compiler would choose another."""
    numbers = [value.value for value in found.values] or [0]
    low, high = min(numbers), max(numbers)
    fits = low >= -(1 << 31) and high < (1 << 31 if low < 0 else 1 << 32)
    natural = 4 if fits else 8
    if found.size in (natural, 0) or found.size not in _MODES:
        return ""
    return f" __attribute__((mode({_MODES[found.size]})))"
