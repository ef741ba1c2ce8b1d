"""Worker: BpfObject + kernel → ProgramImage.  All decisions of loading are taken here.

The passes, in order::

    link      called subprograms into one code array
    core      CO-RE relocations
    layout    addresses of maps and global data
    relocate  every other relocation: maps, data, kfuncs, symbols, settings
    check     is the control flow well formed?
    targets   what each call calls, and whether it may
    kinds     what each load reads through; dead code
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.bind.layout import arena_base
from bpfemu.bind.options import BindOptions

if TYPE_CHECKING:
    from bpfemu.image import ProgramImage
    from bpfemu.object import BpfObject

__all__ = ["BindOptions", "arena_base", "bind", "bind_all"]


def bind(obj: BpfObject, program: str, options: BindOptions) -> ProgramImage:
    """One program, linked, addressed, ready to run; BindError says what the kernel lacks."""
    from bpfemu.bind.program import bind_program

    return bind_program(obj, program, options)


def bind_all(obj: BpfObject, options: BindOptions) -> dict[str, ProgramImage]:
    """Every program that would be loaded (a leading ``?`` of its section excuses it)."""
    from bpfemu.bind.program import autoloaded

    return {name: bind(obj, name, options) for name in autoloaded(obj)}
