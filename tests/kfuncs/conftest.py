"""Fixtures: an arena, pointers into it, and iterator slots full of garbage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.proto.layout import Layouts, StructType
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr, Struct

BASE = 0xFFFF_8880_1234_0000


@pytest.fixture
def space() -> Space:
    """Declared layouts over a megabyte of memory."""
    return Space(Memory(BASE, 1 << 20), Layouts(None))


@pytest.fixture
def garbage(space: Space) -> Callable[[type[Struct]], Ptr[Any]]:
    """A struct in memory that starts as garbage, as stack slots do."""

    def make(cls: type[Struct]) -> Ptr[Any]:
        size = space.layouts.of(StructType(cls.c_name, cls)).size
        region = space.memory.allocate(size, RegionKind.STACK, cls.c_name)
        space.memory.write(region.addr, b"\xa5" * size)
        return space.pointer(region.addr, cls)

    return make
