"""The emulated kernel's own BTF: read from a file of the package, or built when that is not it.

Building takes a good part of a cold start, so the BTF of each profile is kept in ``btf/`` under
the profile's name and a stamp of everything it was made from: the sources of ``bpfemu.world``,
and what the catalog declares besides.  With other declarations (a package with further kfuncs,
an edited struct) the stamp differs and the BTF is built.  ``python -m bpfemu.kernel.vmlinux``
writes the files anew.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Final
from zlib import crc32

from bpfemu.btf import Btf
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import PROFILES, KernelProfile

__all__ = ["OWN_PACKAGES", "vmlinux_btf", "write_files"]

OWN_PACKAGES: Final = (
    "bpfemu.kernel.helpers",
    "bpfemu.kernel.maps",
    "bpfemu.kernel.progs",
    "kfuncs",
)
"""Where the package's own definitions are, the world's declarations aside."""

_ROOM: Final = os.path.dirname(__file__)
FILES: Final = os.path.join(_ROOM, "btf")
_WORLD: Final = os.path.join(os.path.dirname(_ROOM), "world")


@lru_cache(maxsize=16)
def vmlinux_btf(catalog: Catalog, profile: KernelProfile) -> Btf:
    """The BTF of a kernel of that profile which offers what ``catalog`` declares."""
    path = file_of(catalog, profile)
    if os.path.exists(path):
        with open(path, "rb") as file:
            return Btf.parse(file.read(), name="vmlinux")
    return _build(catalog, profile)


def file_of(catalog: Catalog, profile: KernelProfile) -> str:
    """Where that BTF is kept, if it is."""
    return os.path.join(FILES, f"{profile.name}-{stamp(catalog, profile):08x}.btf")


def stamp(catalog: Catalog, profile: KernelProfile) -> int:
    """A 32-bit sum of everything that goes into the BTF."""
    total = _world_sum()
    if catalog.source_sum is not None:
        return crc32(catalog.source_sum.to_bytes(4, "little"), total)
    for name, spec in catalog.select(profile).items():
        total = crc32(f"{name} {spec.params} {spec.returns} {spec.flags}".encode(), total)
    for name in sorted(catalog.structs):
        total = crc32(_described(name, catalog.structs[name]), total)
    for name in sorted(catalog.types):
        total = crc32(_described(name, catalog.types[name]), total)
    return total


def write_files(folder: str = FILES) -> list[str]:
    """Write the BTF of every profile for what the package itself declares; returns the paths."""
    catalog = Catalog.scan(*OWN_PACKAGES)
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if old.endswith(".btf"):
            os.unlink(os.path.join(folder, old))
    written = []
    for profile in PROFILES.values():
        path = os.path.join(folder, os.path.basename(file_of(catalog, profile)))
        with open(path, "wb") as file:
            file.write(_build(catalog, profile).raw)
        written.append(path)
    return written


def _build(catalog: Catalog, profile: KernelProfile) -> Btf:
    from bpfemu.kernel.vmlinux_build import build_btf

    catalog.complete()
    return build_btf(Catalog.discover("bpfemu.world").merged(catalog), profile)


def _described(name: str, cls: type[Any]) -> bytes:
    """A declaration outside ``bpfemu.world`` in words; b"" for those inside, summed as sources."""
    if cls.__module__.startswith("bpfemu.world"):
        return b""
    own = {k: v for k, v in vars(cls).items() if k.startswith("c_") or isinstance(v, int)}
    return f"{name} {own} {vars(cls).get('__annotations__')}".encode()


@lru_cache(maxsize=1)
def _world_sum() -> int:
    """A sum of the sources of ``bpfemu.world``; 0 where they are not installed as files."""
    total = 0
    for folder in (_WORLD, os.path.join(_WORLD, "uapi")):
        if not os.path.isdir(folder):
            return 0
        for name in sorted(os.listdir(folder)):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as file:
                    total = crc32(file.read().replace(b"\r\n", b"\n"), total)
    return total


if __name__ == "__main__":
    for line in write_files():
        print(line)
