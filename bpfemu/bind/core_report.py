"""CO-RE of one program against one kernel, told and not done: which relocations would fail?

A relocation *fails* where control can reach what it left: a poisoned instruction, or one that no
kernel loads.  What a guard (``bpf_core_field_exists`` and its kin) keeps from being reached does
not count, as in the kernel, which removes that code before it looks at it.
"""

from __future__ import annotations

from bpfemu.bind.core import CoreResult, explain_core
from bpfemu.bind.link import link, source_lines
from bpfemu.bind.options import BindOptions
from bpfemu.bind.program import reached_slots
from bpfemu.errors import BpfemuError
from bpfemu.image import SourceLine
from bpfemu.object import BpfObject, FuncDef
from bpfemu.record import dataclass

__all__ = ["CoreReport", "CoreRow", "report_core"]


@dataclass(frozen=True, slots=True)
class CoreRow:
    """One relocation and where it stands; ``slot`` counts within the linked program."""

    result: CoreResult
    slot: int
    function: str
    line: SourceLine | None
    reached: bool

    @property
    def fails(self) -> bool:
        """Does it keep the program from being loaded, or from running to its end?"""
        return bool(self.result.error) or (self.reached and bool(self.result.poison))


@dataclass(frozen=True, slots=True)
class CoreReport:
    """A program's relocations.

    ``note`` says why it could not be found out what control reaches; then everything counts.
    """

    program: str
    rows: tuple[CoreRow, ...]
    note: str = ""


def report_core(obj: BpfObject, function: FuncDef, options: BindOptions) -> CoreReport:
    """Relocate a program for ``options.kernel_btf`` and report; BindError if it cannot be linked.

    The object itself stays as it is.
    """
    linked = link(obj, function)
    results, poisoned = explain_core(linked, obj.btf, options.kernel_btf, options.modules)
    lines = source_lines(linked)
    names = [part.function.name for part in linked.parts for _ in part.function.code]
    note = ""
    try:
        reached = reached_slots(obj, linked, poisoned, options)
    except BpfemuError as error:
        note, reached = str(error), bytearray(b"\1") * len(linked.code)
    rows = [
        CoreRow(result, slot, names[slot], lines[slot], bool(reached[slot]))
        for result in results
        for slot in [result.relo.slot]
    ]
    return CoreReport(function.name, tuple(rows), note)
