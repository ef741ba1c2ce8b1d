"""The emulated kernel's own BTF: read from a file of the package, or built when that is not it.

Building takes a good part of a cold start, so the BTF of each profile is kept in ``btf/`` under
the profile's name and a stamp of what it was made from: the sources of ``bpfemu.world`` and what
the catalog's sources declare.  With other declarations (a package with further kfuncs, an edited
struct) there is no such file and the BTF is built.  ``python -m bpfemu.kernel.vmlinux`` writes
the files anew.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Final
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
    if path is None or not os.path.exists(path):
        return _build(catalog, profile)
    with open(path, "rb") as file:
        return Btf.parse(file.read(), name="vmlinux")


def file_of(catalog: Catalog, profile: KernelProfile) -> str | None:
    """Where that BTF is kept, if it is; None when nobody knows what the catalog was made from."""
    sources = _source_sum()
    if catalog.source_sum is None or sources is None:
        return None
    stamp = crc32(catalog.source_sum.to_bytes(4, "little"), sources)
    return os.path.join(FILES, f"{profile.name}-{stamp:08x}.btf")


def write_files(folder: str = FILES) -> list[str]:
    """Write the BTF of every profile for what the package itself declares; returns the paths."""
    catalog = Catalog.scan(*OWN_PACKAGES)
    os.makedirs(folder, exist_ok=True)
    for old in os.listdir(folder):
        if old.endswith(".btf"):
            os.unlink(os.path.join(folder, old))
    written = []
    for profile in PROFILES.values():
        path = file_of(catalog, profile)
        assert path is not None, "the package's own sources cannot be read"
        path = os.path.join(folder, os.path.basename(path))
        with open(path, "wb") as file:
            file.write(_build(catalog, profile).raw)
        written.append(path)
    return written


def _build(catalog: Catalog, profile: KernelProfile) -> Btf:
    from bpfemu.kernel.vmlinux_build import build_btf

    catalog.complete()
    return build_btf(Catalog.discover("bpfemu.world").merged(catalog), profile)


@lru_cache(maxsize=1)
def _source_sum() -> int | None:
    """A sum of the sources of ``bpfemu.world``; None where there are none."""
    folders = (_WORLD, os.path.join(_WORLD, "uapi"))
    try:
        paths = [os.path.join(folder, n) for folder in folders for n in sorted(os.listdir(folder))]
        total = 0
        for path in [path for path in paths if path.endswith(".py")]:
            with open(path, "rb") as file:
                total = crc32(file.read().replace(b"\r\n", b"\n"), total)
    except OSError:
        return None
    return total


if __name__ == "__main__":
    for line in write_files():
        print(line)
