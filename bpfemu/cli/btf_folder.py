"""The kernels that ``--btf`` names: files, and folders with BTF files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final

from bpfemu.btf import Btf
from bpfemu.cli.btf_file import open_btf
from bpfemu.errors import InputError, ObjectError
from bpfemu.record import dataclass, field

__all__ = ["KernelTypes", "find_kernels"]

_MAGICS: Final = (b"\x9f\xeb", b"\xeb\x9f", b"\x1f\x8b", b"\x7fE")
_BASE: Final = "vmlinux"


@dataclass(frozen=True, slots=True)
class KernelTypes:
    """One kernel's BTF with those of its modules."""

    name: str  # the path as it was given, or below the folder that was given
    btf: Btf
    modules: dict[str, Btf] = field(default_factory=dict)


def find_kernels(places: Iterable[str]) -> list[KernelTypes]:
    """Every kernel in these files and folders, in order; InputError where there is none."""
    found = [kernel for place in places for kernel in _at(place)]
    if not found:
        raise InputError(f"no BTF in {', '.join(places) or 'nothing; give --btf FILE'}")
    return found


def _at(place: str) -> Iterator[KernelTypes]:
    if not os.path.isdir(place):
        yield KernelTypes(place, open_btf(place))
        return
    for folder, folders, files in os.walk(place):
        folders.sort()
        names = [name for name in sorted(files) if _is_btf(os.path.join(folder, name))]
        yield from _in_folder(place, folder, names)


def _is_btf(path: str) -> bool:
    """Do a file's first bytes look like BTF, ELF or gzip?"""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(2) in _MAGICS


def _in_folder(place: str, folder: str, names: list[str]) -> Iterator[KernelTypes]:
    """The kernels of one folder; where there is a ``vmlinux``, split files are its modules."""
    base = Btf.open(os.path.join(folder, _BASE)) if _BASE in names else None
    modules: dict[str, Btf] = {}
    kernels: list[KernelTypes] = []
    for name in names:
        path = os.path.join(folder, name)
        shown = os.path.relpath(path, place)
        if name == _BASE and base is not None:
            kernels.append(KernelTypes(shown, base, modules))
            continue
        try:
            kernels.append(KernelTypes(shown, Btf.open(path)))
        except ObjectError as error:
            if error.section == ".BTF" and error.errno == 2:
                continue  # an ELF file without BTF
            if base is None:
                raise
            modules[name] = Btf.open(path, base)
    yield from kernels
