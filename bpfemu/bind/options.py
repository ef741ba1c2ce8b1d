"""What ``bind`` is told besides the object: the kernel, its configuration, the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bpfemu.btf import Btf
from bpfemu.object import MapDef
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import KernelProfile
from bpfemu.record import dataclass, field

__all__ = ["ARENA_SIZE", "BindOptions", "no_symbols"]

ARENA_SIZE: Final = 256 << 20  # bytes


def no_symbols(name: str) -> int | None:
    """kallsyms when nobody gives any: functions have addresses all the same."""
    return None


@dataclass(frozen=True, slots=True)
class BindOptions:
    """The kernel an object is bound to.

    ``kconfig`` gives CONFIG_* values (as Python values or in the words of a config file),
    ``rodata`` replaces the initial bytes of read-only (or other) data sections by name,
    ``map_overrides`` replaces map definitions by name, ``ksyms`` is kallsyms as the kernel
    knows it (name → address), ``kallsyms`` what /proc/kallsyms shows (every address of a name;
    None: the same), ``modules`` are the BTFs of loaded modules by name.
    """

    catalog: Catalog
    profile: KernelProfile
    kernel_btf: Btf
    seed: int = 0
    arena_size: int = ARENA_SIZE
    kconfig: Mapping[str, object] = field(default_factory=dict)
    rodata: Mapping[str, bytes] = field(default_factory=dict)
    map_overrides: Mapping[str, MapDef] = field(default_factory=dict)
    ksyms: Callable[[str], int | None] = no_symbols
    kallsyms: Callable[[str], Sequence[int]] | None = None
    modules: Mapping[str, Btf] = field(default_factory=dict)
