"""Images and objects as data: lines and subprograms by slot, constant, comparable."""

from __future__ import annotations

import pytest

from bpfemu.errors import BpfemuError
from bpfemu.image import CallTarget, MapSlot, ProgramImage, Segment, SourceLine, Subprog
from bpfemu.isa.insn import Alu, CallSub, Exit, Imm, Insn, Reg
from bpfemu.isa.ops import AluOp
from bpfemu.machine.memory import LoadKind
from bpfemu.object import BpfObject, DataSection, Extern, FuncDef, LineInfo, MapDef
from bpfemu.record import replace

MOV = Alu(AluOp.MOV, 64, Reg(0), Imm(0))
CODE: tuple[Insn, ...] = (CallSub(2), Exit(), MOV, Exit())
LINES = (SourceLine("dir/a.c", 12, 3, "\treturn f();  "), None, None, None)


def image() -> ProgramImage:
    """``main`` calls ``f``: two subprograms of two slots."""
    return ProgramImage(
        name="main",
        section="xdp",
        prog_type=6,
        attach_type=37,
        attach_to="",
        sleepable=False,
        gpl=True,
        code=CODE,
        subprogs=(Subprog("main", 0, 2), Subprog("f", 2, 4)),
        calls=(),
        maps=(),
        segments=(),
        loads=(LoadKind.UNKNOWN,) * 4,
        uninit=frozenset(),
        lines=LINES,
        arena_base=0xFFFF_8880_0000_0000,
        arena_size=1 << 20,
    )


@pytest.mark.parametrize(("slot", "index"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 0), (-1, 0)])
def test_a_slot_belongs_to_a_subprogram_else_to_the_first(slot: int, index: int) -> None:
    assert image().subprog_at(slot) == index


@pytest.mark.parametrize(
    ("slot", "text"), [(0, "a.c:12: return f();"), (1, ""), (4, ""), (-1, ""), (1 << 20, "")]
)
def test_a_slot_has_the_text_of_its_line_or_none(slot: int, text: str) -> None:
    assert image().line_text(slot) == text


@pytest.mark.parametrize("file", ["x/y/a.c", "C:\\src\\a.c", "a.c"])
def test_a_line_names_its_file_without_the_folder(file: str) -> None:
    assert str(SourceLine(file, 1, 1, "int a;")) == "a.c:1: int a;"


def test_stations_cannot_be_changed() -> None:
    stations = (
        image(),
        CallTarget("bpf_x", None),
        Segment(".bss", "x.bss", 0, b"", True),
        MapSlot(MapDef("m", 2), 0),
        BpfObject("x", "x.o", "GPL", ()),
        FuncDef("f", "xdp", 0, CODE),
        LineInfo(0, "a.c", 1, 1, ""),
        DataSection(".bss", b"", True),
        Extern("bpf_x", "kfunc", False, 0),
    )
    for station in stations:
        name = next(iter(type(station).__dataclass_fields__))
        with pytest.raises(AttributeError, match=f"cannot assign to {name!r}"):
            setattr(station, name, None)
        assert not issubclass(AttributeError, BpfemuError)


def test_images_with_the_same_content_are_equal_and_hash_alike() -> None:
    assert image() == image() and hash(image()) == hash(image())
    assert image() != replace(image(), entry=2)
