"""The global variables of loaded BPF programs, as variables of their kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.objects.program import Place, Program
from bpfemu.objects.types import Type

if TYPE_CHECKING:
    from bpfemu.kernel.kernel import Kernel

__all__ = ["program_of"]


def program_of(kernel: Kernel | None, images: Iterable[ProgramImage] = ()) -> Program:
    """A kernel's program that knows the types and globals of what was loaded into it, too."""
    if kernel is None:
        raise InputError("there is no kernel any more: it was destroyed")
    loaded = list(images)
    btfs = [image.btf for image in loaded if image.btf is not None]
    variables: dict[str, Place] = {}
    for image in loaded:
        for name, place in _globals(image):
            variables.setdefault(name, place)
    return Program(kernel, list(dict.fromkeys(btfs)), variables)


def _globals(image: ProgramImage) -> Iterable[tuple[str, Place]]:
    """Each variable of each data section: its type and address."""
    btf = image.btf
    for segment in image.segments if btf is not None else ():
        section = btf.type(segment.btf_id) if btf is not None and segment.btf_id else None
        for entry in section.entries if isinstance(section, k.DataSec) else ():
            var = btf.type(entry.type) if btf is not None else None
            if isinstance(var, k.Var):
                yield var.name, (Type(btf, var.type), segment.addr + entry.offset)
