"""Tool: emulated memory as C objects, as in drgn.

::

    prog = skel.prog
    task = find_task(prog, 1000)                 # bpfemu.helpers.linux.pid
    task.mm.mmap_base, task.comm.string_()       # a dot reaches through pointers
    task.flags.write_(0x40)                      # the one verb that drgn does not have

What belongs to an object itself ends in ``_``, so that it never hides a member.  References read
memory anew each time; values do not change.
"""

from __future__ import annotations

from bpfemu.errors import FaultError, ObjectAbsentError
from bpfemu.objects.functions import (
    NULL,
    alignof,
    cast,
    container_of,
    offsetof,
    reinterpret,
    sizeof,
)
from bpfemu.objects.globals import program_of
from bpfemu.objects.object import Object
from bpfemu.objects.program import Program
from bpfemu.objects.types import Type, TypeKind, TypeMember

__all__ = [
    "NULL",
    "FaultError",
    "Object",
    "ObjectAbsentError",
    "Program",
    "Type",
    "TypeKind",
    "TypeMember",
    "alignof",
    "cast",
    "container_of",
    "offsetof",
    "program_of",
    "reinterpret",
    "sizeof",
]
