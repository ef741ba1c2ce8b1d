"""A Python package as a kernel module: entry points of the group ``bpfemu.modules``.

::

    [project.entry-points."bpfemu.modules"]
    my_module = "my_package.kfuncs"        # a module or package with @kfunc functions

Its kfuncs and structs become the module's BTF; a dictionary ``KSYMS`` in it becomes symbols.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.proto.catalog import Catalog
from bpfemu.record import dataclass

__all__ = ["GROUP", "ModulePackage", "find_package", "installed_modules"]

GROUP: Final = "bpfemu.modules"
OWN: Final = {"bpf_testmod": "bpfemu.modules.bpf_testmod"}  # an installed one goes first


@dataclass(frozen=True, slots=True)
class ModulePackage:
    """What a package declares: kfuncs, structs, symbols."""

    kfuncs: tuple[Any, ...]
    structs: tuple[Any, ...]
    symbols: Mapping[str, int | bytes]


def installed_modules() -> dict[str, str]:
    """The modules that installed packages offer: name → Python package."""
    return {
        found.name.replace("-", "_"): found.value for found in metadata.entry_points(group=GROUP)
    }


def find_package(name: str) -> ModulePackage | None:
    """The package installed as module ``name``; InputError when it cannot be imported."""
    package = installed_modules().get(name) or OWN.get(name)
    return None if package is None else read_package(name, package)


def read_package(name: str, package: str) -> ModulePackage:
    """What a Python package declares for module ``name``."""
    try:
        catalog = Catalog.discover(package)
    except ImportError as problem:
        raise InputError(f"module {name}: package {package!r}: {problem}") from problem
    kfuncs = (spec.body for specs in catalog.kfuncs.values() for spec in specs)
    symbols = getattr(sys.modules[package], "KSYMS", {})
    return ModulePackage(tuple(kfuncs), tuple(catalog.structs.values()), symbols)
