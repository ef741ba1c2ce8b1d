"""Damaged objects from end to end: read, bound, run and shown; only errors of ours come out.

Every example is bounded: a small arena, few CPUs, a budget of instructions.
"""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfemu.cli.prog import xlated
from bpfemu.cli.show import outcome_dict, show_outcome
from bpfemu.elf import read_object
from bpfemu.errors import InputError
from bpfemu.isa.insn import Insn, Jump, LoadImm64, Tail
from bpfemu.machine.stop import StopKind
from bpfemu.object import BpfObject
from bpfemu.outcome import Outcome
from bpfemu.proto.profile import PROFILES
from bpfemu.record import replace
from bpfemu.session import Options
from bpfemu.skeleton import Skeleton
from bpfemu.world.maps import read_maps
from bpfemu.world.spec import TaskSpec, World
from tests.builders.insns import codes
from tests.fuzz.damage import damaged, parse

ROOT = Path(__file__).parents[2]
PATHS = sorted(
    [
        *ROOT.glob("programs/*/*.bpf.o"),
        *ROOT.glob("tests/data/*.bpf.o"),
        *ROOT.glob("tests/elf/objects/*.o"),
    ]
)
ORIGINALS = [path.read_bytes() for path in PATHS]
BUDGET = 2000  # instructions
ARENA_SIZE = 8 << 20  # bytes
MAPS = (ROOT / "programs/data/maps.txt").read_text()

bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def world() -> World:
    """One task with an address space."""
    return World(tasks=(TaskSpec(pid=1000, comm="task", vmas=read_maps(MAPS)),), current=1000)


def run_one(obj: BpfObject, name: str, kernel: str = "6.12.0") -> Outcome:
    """Load one program alone, run it, and say everything there is to say about it."""
    skel = Skeleton(obj, Options(arena_size=ARENA_SIZE, kernel=kernel, world=world()))
    for prog in skel.progs:
        prog.autoload = prog.name == name
    skel.load()
    assert xlated(skel.progs[name].image, linum=True, opcodes=True)
    outcome = skel.progs[name].run(budget=BUDGET)
    show_outcome(skel, outcome)
    shown = json.loads(json.dumps(outcome_dict(skel, outcome)))
    assert shown["retval"] & 0xFFFF_FFFF == outcome.retval
    return outcome


def check(obj: BpfObject, names: list[str], kernel: str = "6.12.0") -> None:
    """An outcome that makes sense, or an error that says something."""
    for name in names:
        try:
            outcome = run_one(obj, name, kernel)
        except InputError as error:
            assert str(error)
            continue
        assert outcome.insns <= BUDGET
        assert (outcome.fault is not None) is (outcome.stop.kind is StopKind.FAULT)
        assert outcome.report if outcome.fault else str(outcome)


def entries(obj: BpfObject) -> list[str]:
    """The programs of an object."""
    return [function.name for function in obj.functions if function.section != ".text"]


@given(damaged(ORIGINALS), st.data())
@settings(bounded, max_examples=200)
def test_a_damaged_object_ends_in_an_outcome_or_an_error_of_ours(
    data: bytes, more: st.DataObject
) -> None:
    try:
        obj = read_object(data, "damaged.o")
    except InputError as error:
        assert str(error).startswith("damaged.o")
        return
    names = entries(obj)
    if names:
        check(obj, [more.draw(st.sampled_from(names))])


@cache
def sound() -> list[BpfObject]:
    """Every original, read."""
    return [read_object(data, path.name) for data, path in zip(ORIGINALS, PATHS, strict=True)]


def wide(code: list[Insn], slot: int) -> bool:
    """Is the slot one half of a wide instruction, which is only ever decoded whole?"""
    return isinstance(code[slot], LoadImm64 | Tail)


@dataclass
class Case:
    """An object and one of its programs, with a short text for reports."""

    obj: BpfObject
    program: str
    edits: list[str]

    def __repr__(self) -> str:
        return f"{self.obj.path}:{self.program} after {', '.join(self.edits) or 'nothing'}"


@st.composite
def rewired(draw: st.DrawFn) -> Case:
    """A sound object with instructions of one function exchanged, and one of its programs."""
    obj = draw(st.sampled_from([one for one in sound() if entries(one)]))
    index = draw(st.integers(0, len(obj.functions) - 1))
    function = obj.functions[index]
    code = list(function.code)
    slots = st.integers(0, len(code) - 1)
    edits = []
    for _ in range(draw(st.integers(1, 5))):
        way, one, two = draw(st.sampled_from(("copy", "jump", "other"))), draw(slots), draw(slots)
        if wide(code, one):
            continue
        if way == "copy" and not wide(code, two):
            code[one] = code[two]
        elif way == "jump" and isinstance(code[one], Jump) and not isinstance(code[two], Tail):
            code[one] = replace(code[one], target=two)
        elif way == "other":
            fresh = draw(codes(max_insns=1))
            code[one] = fresh[0] if len(fresh) == 1 else code[one]
        edits.append(f"{function.name}[{one}] = {code[one]}")
    functions = list(obj.functions)
    functions[index] = replace(function, code=tuple(code))
    return Case(
        replace(obj, functions=tuple(functions)), draw(st.sampled_from(entries(obj))), edits
    )


@given(rewired(), st.sampled_from(sorted(PROFILES)))
@settings(bounded, max_examples=80)
def test_exchanged_instructions_end_in_an_outcome_or_an_error_of_ours(
    case: Case, kernel: str
) -> None:
    check(case.obj, [case.program], kernel)


# ---- damage that is worth a look at every place -----------------------------------------

SKEL = ROOT / "tests/data/skel.bpf.o"


def test_an_object_may_end_anywhere() -> None:
    data = SKEL.read_bytes()
    file = parse(data)
    ends = {0, 1, 4, 15, 16, 63, 64, file.table, file.table + 1, file.table + 64, len(data) - 1}
    for row in file.headers:
        ends |= {row[4] - 1, row[4], row[4] + 1, row[4] + row[5] - 1, row[4] + row[5]}

    for end in sorted(end for end in ends if 0 <= end < len(data)):
        try:
            read_object(data[:end], "cut.o")
        except InputError as error:
            assert str(error).startswith("cut.o"), end
        else:
            # the section headers stand at the end: without them nothing can be read
            pytest.fail(f"an object of {end} of {len(data)} bytes was read")


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 1 << 24, 1 << 63, (1 << 64) - 1])
def test_a_size_that_no_file_has_takes_no_memory(size: int) -> None:
    """Sections that claim to be huge: said by the header, held by nobody."""
    data = SKEL.read_bytes()
    file = parse(data)
    for index, row in enumerate(file.headers):
        changed = bytearray(data)
        at = file.table + 64 * index + 32  # sh_size
        changed[at : at + 8] = size.to_bytes(8, "little")
        tracemalloc.start()
        try:
            obj = read_object(bytes(changed), "huge.o")
            check(obj, entries(obj)[:1])
        except InputError as error:
            assert "huge.o" in str(error)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20, (file.names[index], row)


@pytest.mark.parametrize("field", ["key_size", "value_size", "max_entries"])
@pytest.mark.parametrize("number", [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_maps_of_absurd_sizes_are_refused_or_small(field: str, number: int) -> None:
    for obj in sound():
        if not obj.maps or not entries(obj):
            continue
        maps = tuple(replace(one, **{field: number}) for one in obj.maps)
        tracemalloc.start()
        check(replace(obj, maps=maps), entries(obj)[:1])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20, obj.name
