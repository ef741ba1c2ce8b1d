"""Kernel structs put into memory, member by member name.

Members are written where the layout says they are: our own or that of a real kernel's BTF.  A
member that this kernel's layout lacks is left out: kernels differ in what they record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from bpfemu.errors import InputError
from bpfemu.machine.memory import READ_ONLY, RegionKind
from bpfemu.proto.layout import CType, StructType
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr

__all__ = ["StructPlacer", "Values"]

Values: TypeAlias = Mapping[str, Any]
"""Member paths ("usage.refs.counter") and what to put there."""


class StructPlacer:
    """Allocates kernel objects, which programs may only read, and fills in members."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._paths: dict[tuple[str, str], tuple[int, CType] | None] = {}

    def at_end(self, struct: str, name: str, addr: int) -> Ptr[Any]:
        """A zeroed ``struct`` at a fixed address at the end of memory."""
        size = self.space.layouts.named(struct).size
        self.space.memory.place_last(addr, size, RegionKind.OBJECT, name, READ_ONLY)
        return self.space.pointer(addr, struct)

    def new(
        self, struct: str, name: str, values: Values | None = None, *, tail: int = 0
    ) -> Ptr[Any]:
        """A zeroed ``struct`` called ``name`` in reports, ``tail`` bytes longer than it says."""
        layout = self.space.layouts.named(struct)
        addr = self._take(layout.size + tail, name, max(layout.align, 8))
        made = self.space.pointer(addr, struct)
        if values:
            self.fill(made, values)
        return made

    def bytes(self, data: bytes, name: str) -> int:
        """The address of bytes of their own (names, strings)."""
        addr = self._take(len(data), name, 8)
        self.space.memory.write(addr, data)
        return addr

    def _take(self, size: int, name: str, align: int) -> int:
        """Memory for an object; whatever the program is doing just now, it did not allocate it."""
        memory = self.space.memory
        site, memory.site = memory.site, None
        try:
            return memory.allocate(size, RegionKind.OBJECT, name, align=align, state=READ_ONLY).addr
        finally:
            memory.site = site

    def free(self, object: Ptr[Any]) -> None:
        """Free an object: reading it is a use after free from now on."""
        self.space.memory.free(int(object))

    def fill(self, object: Ptr[Any], values: Values) -> None:
        """Write members; those that the layout lacks are left out."""
        struct = self.space.layout(object).name
        for path, value in values.items():
            found = self.find(struct, path)
            if found is not None:
                self.space.write(int(object) + found[0], found[1], value)

    def read(self, object: Ptr[Any], path: str) -> Any:
        """A member by path; InputError when the layout lacks it."""
        offset, ctype = self.need(self.space.layout(object).name, path)
        return self.space.read(int(object) + offset, ctype)

    def find(self, struct: str, path: str) -> tuple[int, CType] | None:
        """Offset in bytes and type of a member, None when the layout lacks it."""
        key = struct, path
        if key not in self._paths:
            self._paths[key] = self._walk(struct, path)
        return self._paths[key]

    def need(self, struct: str, path: str) -> tuple[int, CType]:
        """The same; InputError when the layout lacks it."""
        found = self.find(struct, path)
        if found is None:
            raise InputError(f"the kernel's struct {struct} has no member {path!r}")
        return found

    def first(self, struct: str, *paths: str) -> str:
        """The first of the paths that the layout has, "" when it has none."""
        return next((path for path in paths if self.find(struct, path) is not None), "")

    def _walk(self, struct: str, path: str) -> tuple[int, CType] | None:
        offset = 0
        found: CType = StructType(struct)
        for name in path.split("."):
            if not isinstance(found, StructType):
                return None
            field = self.space.layouts.of(found).fields.get(name)
            if field is None:
                return None
            offset, found = offset + field.offset, field.type
        return offset, found
