"""Kernel objects that programs may see: declarations, and plain data to describe a world.

``World``, ``TaskSpec``, ``VmaSpec``, ``FileSpec`` and ``KernelVariable`` describe; ``read_maps`` and ``read_smaps``
read /proc/PID texts; ``bpfemu.world.build`` has builders that take keywords.  The names are
imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bpfemu.world.build import default_world
    from bpfemu.world.maps import read_maps, read_smaps
    from bpfemu.world.spec import FileSpec, KernelVariable, TaskSpec, VmaSpec, World

__all__ = [
    "FileSpec",
    "KernelVariable",
    "TaskSpec",
    "VmaSpec",
    "World",
    "default_world",
    "read_maps",
    "read_smaps",
]

_HOME: Final = {
    **dict.fromkeys(("FileSpec", "KernelVariable", "TaskSpec", "VmaSpec", "World"), "spec"),
    **dict.fromkeys(("read_maps", "read_smaps"), "maps"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'bpfemu.world' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bpfemu.world.{_HOME.get(name, 'build')}"), name)
