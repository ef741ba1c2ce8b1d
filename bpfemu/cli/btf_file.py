"""A BTF file from the command line, with the base that a module's file needs."""

from __future__ import annotations

import os

from bpfemu.btf import Btf
from bpfemu.btf.locate import FOLDER
from bpfemu.btf.source import btf_section
from bpfemu.errors import ObjectError

__all__ = ["base_of", "open_btf"]

VMLINUX = f"{FOLDER}/vmlinux"


def base_of(path: str, base: str | None) -> str | None:
    """The file of the base: the one given; for a module in sysfs that of the kernel."""
    whole = os.path.abspath(path)
    in_sysfs = os.path.dirname(whole) == FOLDER and whole != VMLINUX
    return VMLINUX if base is None and in_sysfs else base


def open_btf(path: str, base: str | None = None) -> Btf:
    """The types of a file.

    A module that was built out of tree carries a distilled base (``.BTF.base``): its types are
    relocated to ``base``, or stand on the distilled one when there is no other.
    """
    from bpfemu.btf.distill import relocate

    found = base_of(path, base)
    under = Btf.open(found) if found is not None else None
    distilled = _distilled(path)
    if distilled is None:
        return Btf.open(path, under)
    split = Btf.open(path, distilled)
    return split if under is None else relocate(split, under).btf


def _distilled(path: str) -> Btf | None:
    """The ``.BTF.base`` of an ELF file, None when there is none."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                return None
            file.seek(0)
            data = file.read()
        return Btf.parse(btf_section(data, path, ".BTF.base"), name="base")
    except OSError:
        return None
    except ObjectError as error:
        if error.section == ".BTF.base" and error.errno == 2:
            return None
        raise
