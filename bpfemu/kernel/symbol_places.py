"""What binding a program and running it must agree on: layouts, and addresses at the arena's end.

The idle task is the last thing in the arena, the kernel's variables lie below it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from bpfemu.proto.layout import Layouts

if TYPE_CHECKING:
    from bpfemu.btf import Btf
    from bpfemu.proto.catalog import Catalog

__all__ = ["init_task_address", "kernel_layouts", "place_below"]

GAP: Final = 64  # bytes kept free between neighbours
_ALIGN: Final = 64  # bytes


def place_below(top: int, size: int) -> int:
    """Where ``size`` bytes go that lie below ``top``, with a gap between."""
    return top - GAP - size & -_ALIGN


def init_task_address(layouts: Layouts, end: int) -> int:
    """Where init_task is in an arena that ends at ``end``: the last thing in it."""
    return place_below(end, layouts.named("task_struct").size)


@lru_cache(maxsize=16)
def kernel_layouts(catalog: Catalog, kernel_btf: Btf | None) -> Layouts:
    """Where members lie; kernels with the same types share what was found out."""
    return Layouts(kernel_btf, catalog.structs)
