"""Objects against their sources: nothing missing, nothing stale."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bpfemu.compile import CPUS, Compiler, compile_c, find_compilers
from bpfemu.elf import read_object
from bpfemu.object import BpfObject
from tests.programs.test_programs import OBJECTS, PROGRAMS

BUILT_WITH = "19"  # major version of the clang that made the committed objects
SOURCES = sorted(str(path.relative_to(PROGRAMS)) for path in PROGRAMS.glob("*/*.bpf.c"))
NUMBERED = re.compile(r"(.*)\.(v\d)\.bpf\.o")


def source_of(name: str) -> tuple[Path, str]:
    """The source of an object, and the instruction set version it was compiled for."""
    own = PROGRAMS / name.replace(".bpf.o", ".bpf.c")
    numbered = NUMBERED.fullmatch(name)
    cpu = numbered[2] if numbered else "v3"
    return (own if own.exists() or not numbered else PROGRAMS / f"{numbered[1]}.bpf.c"), cpu


@cache
def compiler() -> Compiler | None:
    """The compiler that tests use: the first at hand."""
    return next(find_compilers(), None)


@cache
def major() -> str:
    """The compiler's major version."""
    found = compiler()
    assert found is not None
    text = subprocess.run([*found.command, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"clang version (\d+)", text.stdout)[1]


def test_every_source_has_its_object_and_every_object_its_source():
    assert {name.replace(".bpf.c", ".bpf.o") for name in SOURCES} <= set(OBJECTS)
    for name in OBJECTS:
        assert source_of(name)[0].exists(), name


def test_objects_for_other_instruction_sets_are_there():
    assert {source_of(name)[1] for name in OBJECTS} == set(CPUS)


@pytest.mark.parametrize("name", OBJECTS)
def test_no_object_tells_where_it_was_made(name):
    data = (PROGRAMS / name).read_bytes()

    for word in (b"/home/", b"/work/", b"/tmp/", b"/usr/", str(PROGRAMS).encode()):
        assert word not in data


def facts(obj: BpfObject) -> dict[str, object]:
    """What must not change when an object is compiled again."""
    assert obj.btf is not None
    return {
        "functions": {f.name: (f.section, f.code, f.relocs, f.tags) for f in obj.functions},
        "lines": {f.name: f.lines for f in obj.functions},
        "core": {f.name: [(r.slot, r.access, r.kind) for r in f.core_relos] for f in obj.functions},
        "maps": {m.name: (m.type, m.key_size, m.value_size, m.max_entries) for m in obj.maps},
        "data": {d.name: d.data for d in obj.data},
        "btf": bytes(obj.btf.raw),
        "license": obj.license,
    }


@pytest.mark.parametrize("name", OBJECTS)
def test_compiling_again_gives_the_same_object(name, tmp_path):
    if compiler() is None:
        pytest.skip("no clang that compiles for BPF")
    source, cpu = source_of(name)

    again = facts(read_object(compile_c(source, tmp_path / Path(name).name, cpu=cpu)))

    committed = facts(read_object(PROGRAMS / name))
    if major() == BUILT_WITH:
        for what, value in committed.items():
            assert again[what] == value, f"{name}: {what} differs; run make -C programs -B"
    else:  # another clang makes other code of the same source
        assert again["functions"].keys() == committed["functions"].keys()
        assert again["maps"] == committed["maps"]
