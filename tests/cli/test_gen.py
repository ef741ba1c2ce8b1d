"""``bpfemu gen stubs``: what mypy --strict makes of it, right and wrong uses alike."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpfemu.btf import BtfBuilder, EnumValue, IntEncoding
from bpfemu.cli.gen_stubs import render_stubs
from bpfemu.cli.gen_types import TypeNames, is_name, python_name
from bpfemu.object import BpfObject, DataSection, FuncDef, MapDef
from tests.cli.calling import Cli, cli

__all__ = ["cli"]

ROOT = Path(__file__).parent.parent.parent
OBJECT = ROOT / "tests/data/skel.bpf.o"
MORE = [*sorted(ROOT.glob("programs/*/*.bpf.o"))[::5], ROOT / "tests/elf/objects/tour.v4.o"]

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="mypy is not installed"
)

USES = """\
from typing import TYPE_CHECKING, assert_type, cast

import bpfemu

if TYPE_CHECKING:
    from skel import Skel, pair

with cast("Skel", bpfemu.open("skel.bpf.o")) as skel:
    skel.rodata.factor = 4
    skel.load()
    assert_type(skel.maps.slots[0], int)
    assert_type(skel.maps.table[3]["a"], int)
    assert_type(skel.maps.table[3]["name"], "str | list[int]")
    assert_type(skel.maps.per_cpu[0], "list[int]")
    assert_type(skel.maps.table.get(1), "pair | None")
    assert_type(skel.maps.table.get(1, 5), "pair | int")
    assert_type(skel.bss.runs, int)
    assert_type(skel.bss.both, "pair")
    skel.maps.per_cpu[0] = 7
    skel.maps.table[1] = {"a": 1, "b": 2, "name": "x"}
    skel.maps.table[b"\\0\\0\\0\\0"] = bytes(16)
    skel.maps.events.drain()
    outcome = skel.progs.broken.run(ctx={"mark": 7, "cb": [1, 2]}, context="softirq", cpu=1)
    assert_type(outcome.insns, int)
"""

MISUSES = {
    "skel.bsss": "attr-defined",
    "skel.maps.tabel": "attr-defined",
    "skel.progs.bumps": "attr-defined",
    "skel.rodata.factors": "attr-defined",
    "skel.rodata.factor = 'x'": "assignment",
    "skel.maps.table['x']": "index",
    "skel.maps.slots[0] = 'x'": "assignment",
    "skel.bss.both['c']": "typeddict-item",
    "skel.progs.bump.run(cup=1)": "call-arg",
    "skel.progs.bump.run(context='kernel')": "arg-type",
    "skel.progs.broken.run(ctx={'mark': 'x'})": "arg-type",
}


def mypy(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", *files]
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)


@needs_mypy
def test_mypy_accepts_the_stubs_and_right_uses_and_finds_wrong_ones(
    cli: Cli, tmp_path: Path
) -> None:
    for path in [OBJECT, *MORE]:
        target = tmp_path / f"{path.name.replace('.bpf.o', '').replace('.', '_')}.pyi"
        assert cli("gen", "stubs", path, "-o", target) == (0, "", "")
    wrong = "\n".join(f"    {text}" for text in MISUSES)
    (tmp_path / "uses.py").write_text(USES)
    (tmp_path / "wrong.py").write_text(USES + wrong + "\n")

    found = mypy(tmp_path, *sorted(path.name for path in tmp_path.iterdir()))

    first = len(USES.splitlines()) + 1
    errors = [line for line in found.stdout.splitlines() if ": error: " in line]
    expected = [
        (f"wrong.py:{number}", f"[{code}]") for number, code in enumerate(MISUSES.values(), first)
    ]
    assert [(line.split(": ")[0], line.rsplit(" ", 1)[1]) for line in errors] == expected


@needs_mypy
def test_unusual_names_and_types_are_accepted_too(tmp_path: Path) -> None:
    (tmp_path / "odd.pyi").write_text(render_stubs(odd_object(), "od-d.o"))

    found = mypy(tmp_path, "odd.pyi")

    assert found.returncode == 0, found.stdout


def odd_object() -> BpfObject:
    """Names that are Python's, or a class's own; every kind of type."""
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    char = b.int_("char", 1, IntEncoding.SIGNED)
    yes = b.int_("bool", 1, IntEncoding.BOOL)
    double, wide = b.float_("double", 8), b.float_("long double", 16)
    color = b.enum("color", 4, [EnumValue("RED", 1)])
    inner = b.struct("", 8, [("x", number, 0), ("items", number, 32)])
    weird = b.struct("we'ird", 4, [('"]\udcff\\', number, 0)])
    members = [
        ("from", number, 0),
        ("__state", yes, 32),
        ("d", double, 64),
        ("w", wide, 128),
        ("c", color, 256),
        ("p", b.ptr(0), 320),
        ("list", b.array(inner, number, 2), 384),
        ("text", b.array(char, number, 8), 512),
        ("none", b.array(char, number, 0), 576),
    ]
    odd = b.struct("int", 72, members)
    other = b.struct("int", 4, [("a", number, 0)])
    empty = b.struct("empty", 0, [])
    variables = [
        b.var("class", number),
        b.var("image", number),
        b.var("section", number),
        b.var("what", odd),
        b.var("other", other),
        b.var("nothing", empty),
        b.var("far", b.fwd("far")),
        b.var("anonymous", inner),
        b.var("weird", weird),
    ]
    void = b.ptr(0)
    plain = b.func("number", b.func_proto(number, [("ctx", number)]))
    nobody = b.func("nobody", b.func_proto(number))
    far = b.func("far", b.func_proto(number, [("ctx", void)]))
    section = b.datasec(".data", 8, [(var, 4 * at, 4) for at, var in enumerate(variables)])
    return BpfObject(
        name="od-d",
        path="od-d.o",
        license="GPL",
        functions=tuple(
            FuncDef(name, "syscall", 0, (), btf_id=id)
            for name, id in {"no.ne": 0, "number": plain, "nobody": nobody, "far": far}.items()
        ),
        maps=(
            MapDef("lambda", 1, 4, 4, 1, 0, number, odd),
            MapDef("plain", 1, 4, 4, 1),
            MapDef('quoted"\\n\udcff', 1, 4, 4, 1),
            MapDef("queue", 22, 0, 4, 1, 0, 0, number),
        ),
        data=(
            DataSection(".data", b"", True, section),
            DataSection(".data.1-2", b"", True),
            DataSection(".bss", b"", True),
        ),
        btf=b.build(),
    )


def test_unusual_names_are_worked_around() -> None:
    text = render_stubs(odd_object(), "od-d.o")

    assert "class OdD(Skeleton):" in text
    assert 'int_2 = TypedDict("int_2", {"from": int, "__state": bool, "d": float, "w": int' in text
    assert '"c": str | int, "p": int, "list": list[' in text
    assert '"text": str | list[int], "none": list[int]})' in text
    assert '    # ["lambda"]: _TypedMap[int, int_2]' in text
    assert "    plain: _TypedMap[bytes, bytes]\n" in text and "    queue: MapView\n" in text
    assert "    other: int_3\n    nothing: empty\n    far: Any\n" in text
    assert '    # ["no.ne"]: _Prog_no_ne' in text and "class _Prog_no_ne(ProgView):" in text
    assert '    # ["quoted\\"\\\\n\\udcff"]: _TypedMap[bytes, bytes]' in text
    assert 'we_ird = TypedDict("we_ird", {"\\"]\\udcff\\\\": int})' in text
    assert "    image: int" not in text and "    class: " not in text
    assert "class empty(TypedDict):\n    ...\n" in text
    assert text.count("ctx: bytes | Mapping[str, object] | Sequence[object] | None = ...") == 4


def test_names_do_not_collide_with_the_skeletons_own() -> None:
    b = BtfBuilder()
    maps = b.var("a", b.struct("Maps", 0, []))
    section = b.datasec(".data", 4, [(maps, 0, 4), (b.var("b", b.struct("Mapping", 0, [])), 4, 4)])
    data = (DataSection(".data", b"", True, section),)

    text = render_stubs(BpfObject("maps", "", "", (), data=data, btf=b.build()), "maps.o")

    assert "class Maps(Skeleton):" in text
    assert "    a: Maps_2\n    b: Mapping_2\n" in text


def test_the_output_goes_to_a_file_or_to_standard_output(cli: Cli, tmp_path: Path) -> None:
    status, out, _ = cli("gen", "stubs", OBJECT, "--class", "Mine")

    assert status == 0
    assert "class Mine(Skeleton):" in out and 'skel = cast("Mine", bpfemu.open("skel' in out
    cli("gen", "stubs", OBJECT, "--class", "Mine", "-o", tmp_path / "x.pyi")
    assert (tmp_path / "x.pyi").read_text() == out


def test_bad_names_and_files_are_refused(cli: Cli) -> None:
    status, _, err = cli("gen", "stubs", OBJECT, "--class", "a-b")
    assert status == 2 and "--class 'a-b' must be a Python identifier" in err
    assert cli("gen", "stubs", "/nonexistent.o")[0] == 2


def test_an_object_without_types_has_a_stub_too() -> None:
    text = render_stubs(BpfObject("bare", "bare.o", "GPL", ()), "bare.o")

    assert "class Bare(Skeleton):" in text and "from bare import Bare" in text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("vma_census", "VmaCensus"),
        ("a-b.c", "ABC"),
        ("9p", "Skel9p"),
        ("none", "SkelNone"),
        ("", "Skel"),
    ],
)
def test_class_names_are_made_from_object_names(text: str, name: str) -> None:
    assert python_name(text) == name


def test_names_that_cannot_stand_in_a_class() -> None:
    assert is_name("x") and is_name("_x")
    assert not is_name("__x") and not is_name("from") and not is_name("a-b") and not is_name("")


def test_a_struct_that_callers_fill_in_is_another_than_the_one_they_read() -> None:
    b = BtfBuilder()
    number = b.int_("int", 4)
    id = b.struct("s", 12, [("a", number, 0), ("b", b.array(number, number, 2), 32)])
    types = TypeNames(b.build())

    assert (types.struct(id, ""), types.struct(id, "", given=True)) == ("s", "s_fields")
    assert types.definitions == [
        "class s(TypedDict):\n    a: int\n    b: list[int]",
        "class s_fields(TypedDict, total=False):\n    a: int\n    b: bytes | Sequence[int]",
    ]
