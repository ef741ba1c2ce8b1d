"""Kernel objects that programs may see: declarations, and plain data to describe a world.

``World``, ``TaskSpec``, ``VmaSpec``, ``FileSpec`` and ``KernelVariable`` describe; ``read_maps``
and ``read_smaps`` read /proc/PID texts; ``CgroupSpec``, ``KmemCacheSpec``, ``DmaBufSpec`` and
``DsqSpec`` are what else a machine has, ``read_cgroup_tree`` and ``read_slabinfo`` read it;
``bpfemu.world.build`` has builders that take keywords.  The names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bpfemu.world.build import default_world
    from bpfemu.world.listings import read_cgroup_tree, read_proc_cgroup, read_slabinfo
    from bpfemu.world.maps import read_maps, read_smaps
    from bpfemu.world.resources import CgroupSpec, DmaBufSpec, DsqSpec, KmemCacheSpec
    from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World
    from bpfemu.world.variables import KernelVariable

__all__ = [
    "CgroupSpec",
    "DmaBufSpec",
    "DsqSpec",
    "FileSpec",
    "KernelVariable",
    "KmemCacheSpec",
    "TaskSpec",
    "VmaSpec",
    "World",
    "default_world",
    "read_cgroup_tree",
    "read_maps",
    "read_proc_cgroup",
    "read_slabinfo",
    "read_smaps",
]

_HOME: Final = {
    **dict.fromkeys(("FileSpec", "TaskSpec", "VmaSpec", "World"), "spec"),
    "KernelVariable": "variables",
    **dict.fromkeys(("read_maps", "read_smaps"), "maps"),
    **dict.fromkeys(("CgroupSpec", "DmaBufSpec", "DsqSpec", "KmemCacheSpec"), "resources"),
    **dict.fromkeys(("read_cgroup_tree", "read_proc_cgroup", "read_slabinfo"), "listings"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'bpfemu.world' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bpfemu.world.{_HOME.get(name, 'build')}"), name)
