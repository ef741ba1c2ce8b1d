"""Damaged objects and random code: bound, or refused with an error of our own."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.bind import bind
from bpfemu.elf import read_object
from bpfemu.errors import BpfemuError, InputError
from bpfemu.isa.insn import CallSub, Exit, Insn, Jump, LoadImm64, MayGoto, Tail
from bpfemu.object import BpfObject, FuncDef
from bpfemu.record import replace
from tests.bind.small import options
from tests.builders.insns import codes
from tests.builders.mutate import mutants

OBJECTS = Path(__file__).parent.parent / "elf" / "objects"
ORIGINALS = [path.read_bytes() for path in sorted(OBJECTS.glob("*.o"))]


def check(found: BpfObject, name: str) -> None:
    """Bind; an image has something to say about each of its slots."""
    try:
        image = bind(found, name, options())
    except BpfemuError as error:
        assert isinstance(error, InputError) and str(error)
        return
    size = len(image.code)
    assert len(image.loads) == len(image.lines) == size
    assert all(0 <= slot < size for slot in image.uninit)
    assert [sub.end for sub in image.subprogs][-1] == size
    for insn in image.code:
        target = getattr(insn, "target", 0)
        limit = len(image.calls) if type(insn).__name__ == "Call" else size
        assert 0 <= target < limit


@given(mutants(ORIGINALS))
@settings(max_examples=200, deadline=None)
def test_a_damaged_object_is_bound_or_refused(data: bytes) -> None:
    try:
        found = read_object(data, "damaged.o")
    except BpfemuError:
        return
    for function in found.functions:
        if function.section != ".text":
            check(found, function.name)


@given(codes(max_insns=30), st.sampled_from(["raw_tp/x", "xdp", "tp_btf/sched_switch", "syscall"]))
@settings(max_examples=200, deadline=None)
def test_random_code_is_bound_or_refused(code: tuple[Insn, ...], section: str) -> None:
    check(BpfObject("x", "x.o", "GPL", (FuncDef("main", section, 0, (*code, Exit())),)), "main")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_random_code_of_good_shape_is_bound(data: st.DataObject) -> None:
    """Jumps that stay inside, so that the type pass is reached."""
    code = list(data.draw(codes(max_insns=30)))
    starts = [slot for slot, insn in enumerate(code) if not isinstance(insn, Tail)]
    for slot, insn in enumerate(code):
        if isinstance(insn, Jump | MayGoto):
            code[slot] = replace(insn, target=data.draw(st.sampled_from([*starts, len(code)])))
        elif isinstance(insn, CallSub):
            code[slot] = Exit()
        elif isinstance(insn, LoadImm64):
            code[slot] = LoadImm64(insn.dst, insn.value)
    check(BpfObject("x", "x.o", "GPL", (FuncDef("main", "xdp", 0, (*code, Exit())),)), "main")
