"""``bpfemu btf dump`` against bpftool itself, a C compiler, and by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.cli.btf_dump import json_types
from tests.btf.samples import Sample, split_pair
from tests.btf.test_dump_c import all_named, compile_and_run, layout_program, needs_compiler
from tests.btf.test_dump_raw import needs_bpftool, one_of_each
from tests.btf.test_types import VMLINUX, needs_vmlinux
from tests.cli.calling import Cli, cli

__all__ = ["cli"]

OBJECT = Path(__file__).parent.parent / "data/skel.bpf.o"


def bpftool(*args: object) -> str:
    command = [shutil.which("bpftool") or "bpftool", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.btf"
    path.write_bytes(one_of_each().raw)
    return path


@needs_bpftool
@pytest.mark.parametrize("flags", [(), ("-j",), ("-p",)], ids=["raw", "json", "pretty"])
@pytest.mark.parametrize("file", ["sample", "object"])
def test_dumps_are_bpftools_byte_for_byte(
    cli: Cli, sample: Path, file: str, flags: tuple[str, ...]
) -> None:
    path = sample if file == "sample" else OBJECT
    expected = bpftool(*flags, "btf", "dump", "file", path)

    assert cli("btf", "dump", "file", path, *flags) == (0, expected, "")


@needs_bpftool
@needs_vmlinux
def test_a_real_kernels_json_is_bpftools() -> None:
    expected = json.loads(bpftool("-j", "btf", "dump", "file", VMLINUX))["types"]

    assert json_types(Btf.open(VMLINUX)) == expected


@needs_bpftool
def test_a_module_is_dumped_on_its_base(cli: Cli, tmp_path: Path) -> None:
    base, split = split_pair()
    (tmp_path / "base").write_bytes(base.raw)
    (tmp_path / "mod").write_bytes(split.raw)
    where = ("-B", tmp_path / "base")

    status, out, _ = cli("btf", "dump", "file", tmp_path / "mod", *where)

    assert status == 0 and out.startswith("[4] PTR '(anon)' type_id=3\n")
    assert out == bpftool(*where, "btf", "dump", "file", tmp_path / "mod")
    assert cli(*where, "btf", "dump", "file", tmp_path / "mod")[1] == out


def test_root_ids_select_types_of_the_raw_dump(cli: Cli, sample: Path) -> None:
    status, out, _ = cli("btf", "dump", "file", sample, "root_id", "2", "root_id", "0x1")

    assert status == 0
    assert [line.split(" '")[0] for line in out.splitlines()] == ["[2] INT", "[1] INT"]


def test_a_root_id_of_the_c_dump_brings_what_it_needs(cli: Cli, tmp_path: Path) -> None:
    s = Sample()
    s.b.struct("other", 4, [("x", s.int, 0)])
    inner = s.b.struct("inner", 4, [("x", s.int, 0)])
    outer = s.b.struct("outer", 4, [("i", inner, 0)])
    (tmp_path / "b").write_bytes(s.b.build().raw)

    status, out, _ = cli("btf", "dump", "file", tmp_path / "b", "format", "c", "root_id", outer)

    assert status == 0
    assert "struct inner {" in out and "struct outer {" in out
    assert "struct other" not in out


@needs_compiler
@pytest.mark.parametrize("words", [("format", "c"), ("format", "c", "unsorted")])
def test_the_c_dump_compiles_to_the_same_layouts(
    cli: Cli, tmp_path: Path, words: tuple[str, ...]
) -> None:
    btf = Btf.open(OBJECT)
    status, header, _ = cli("btf", "dump", "file", OBJECT, *words)

    assert status == 0
    ids = [id for id in all_named(btf) if "btf_ptr" not in getattr(btf.type(id), "name", "")]
    assert ids
    compile_and_run(tmp_path, layout_program(btf, header, ids))


def numbered(names: list[str]) -> bytes:
    """Structs and an enum in that order."""
    builder = BtfBuilder()
    number = builder.int_("int", 4, 1)
    for name in names:
        if name.isupper():
            builder.enum("", 4, [(name, 1)])
        else:
            builder.struct(name, 4, [("x", number, 0)])
    return builder.build().raw


def test_the_c_dump_is_sorted_so_that_ids_do_not_matter(cli: Cli, tmp_path: Path) -> None:
    dumps = {}
    for order in ("zebra ape HOT COLD", "COLD ape HOT zebra"):
        (tmp_path / "b").write_bytes(numbered(order.split()))
        for words in ("format c", "format c unsorted"):
            dumps[order[:4], words] = cli("btf", "dump", "file", tmp_path / "b", *words.split())[1]

    assert dumps["zebr", "format c"] == dumps["COLD", "format c"]
    assert dumps["zebr", "format c"].index("ape") < dumps["zebr", "format c"].index("zebra")
    assert dumps["zebr", "format c unsorted"] != dumps["COLD", "format c unsorted"]


def test_types_of_every_kind_have_json(sample: Path) -> None:
    rows = {row["id"]: row for row in json_types(Btf.open(sample))}

    assert len(rows) == 32
    assert rows[2]["kind"] == "INT" and rows[2]["encoding"] == "SIGNED"
    assert [v["val"] for v in rows[13]["values"]] == [0xFFFFFFFF_FFFFFFFF]
    assert json_types(Btf.open(sample), [0]) == [{"id": 0, "kind": "UNKN", "name": "(anon)"}]


def test_names_that_are_not_utf8_come_out_as_they_went_in(cli: Cli, tmp_path: Path) -> None:
    raw = bytearray(numbered(["ape"]))
    raw[raw.index(b"ape")] = 0xFF
    (tmp_path / "b").write_bytes(raw)

    command = ["-c", "import sys; from bpfemu.cli import run_cli; run_cli(sys.argv[1:])"]
    run = subprocess.run(
        [__import__("sys").executable, *command, "btf", "dump", "file", str(tmp_path / "b")],
        capture_output=True,
        check=True,
    )
    assert b"[2] STRUCT '\xffpe' size=4" in run.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "wants 'file FILE'"),
        ("id 7", "wants 'file FILE'"),
        ("file", "'file' wants a file after it"),
        ("file F format", "'format' wants a value after it"),
        ("file F format d", "unrecognized format specifier: 'd', possible values: raw, c"),
        ("file F format c format c", "'format' is given twice"),
        ("file F unsorted", "unexpected word 'unsorted'; expected format, root_id"),
        ("file F root_id x", "root_id 'x' must be a number from 1 up"),
        ("file F root_id 0", "root_id '0' must be a number from 1 up"),
        ("file F root_id 99", "invalid root_id 99; ids end at 32"),
        ("file F" + " root_id 1" * 17, "17 root_ids, at most 16 are allowed"),
        ("file F format c -j", "JSON output for C-syntax dump is not supported"),
        ("file /nonexistent", "cannot read it: No such file or directory"),
    ],
)
def test_bad_words_are_refused_by_name(cli: Cli, sample: Path, words: str, said: str) -> None:
    args = [str(sample) if word == "F" else word for word in words.split()]

    status, out, err = cli("btf", "dump", *args)

    assert (status, out) == (2, "")
    assert said in err
