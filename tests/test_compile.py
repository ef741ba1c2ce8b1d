"""Compiling C: which compiler is taken, what is said when there is none, what objects contain."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from bpfemu import compile as subject
from bpfemu.compile import Compiler, compile_c, find_compilers, main
from bpfemu.elf import read_object
from bpfemu.errors import InputError

PROGRAM = """
#include <vmlinux.h>
#include <bpfemu.h>
char LICENSE[] SEC("license") = "GPL";
SEC("raw_tp") int p(void *ctx) { return 42; }
"""

needs_clang = pytest.mark.skipif(
    next(find_compilers(), None) is None, reason="no clang that compiles for BPF"
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A program that compiles."""
    path = tmp_path / "x.bpf.c"
    path.write_text(PROGRAM)
    return path


def tool(folder: Path, name: str, script: str = "exit 1") -> Path:
    """An executable that runs a shell script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without compilers: PATH is the folder returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CLANG", raising=False)
    monkeypatch.setattr(subject, "_has_ziglang", lambda: False)
    return folder


def test_clang_on_path_comes_before_numbered_ones_and_ziglang(bare, monkeypatch):
    monkeypatch.setattr(subject, "_has_ziglang", lambda: True)
    for name in ("clang-17", "clang", "clang-19"):
        tool(bare, name)

    found = [compiler.command for compiler in find_compilers()]

    assert found == [
        (str(bare / "clang"),),
        (str(bare / "clang-19"),),
        (str(bare / "clang-17"),),
        (sys.executable, "-m", "ziglang", "cc"),
    ]


def test_the_variable_clang_allows_no_other(bare, monkeypatch):
    monkeypatch.setattr(subject, "_has_ziglang", lambda: True)
    tool(bare, "clang")
    tool(bare, "my-clang")
    monkeypatch.setenv("CLANG", "my-clang")

    assert [compiler.command for compiler in find_compilers()] == [(str(bare / "my-clang"),)]


def test_strip_is_the_one_that_belongs_to_the_compiler(bare, tmp_path):
    tool(bare, "clang-19")
    tool(bare, "llvm-strip")
    assert [compiler.strip for compiler in find_compilers()] == [None]

    tool(bare, "llvm-strip-19")
    assert [compiler.strip for compiler in find_compilers()] == [str(bare / "llvm-strip-19")]


def test_a_machine_without_a_compiler_is_told_how_to_get_one(bare, source):
    with pytest.raises(InputError, match=r"install clang or `pip install bpfemu\[clang\]`"):
        compile_c(source)


def test_a_clang_without_bpf_is_passed_over(bare, source, tmp_path):
    tool(
        bare, "clang", "echo \"error: unable to create target: 'No available targets'\" >&2; exit 1"
    )
    tool(bare, "clang-18", "echo 'from clang-18' >&2; exit 1")

    with pytest.raises(InputError, match=r"clang-18 refused it:\nfrom clang-18"):
        compile_c(source)


def test_a_chosen_clang_without_bpf_is_named(bare, source, monkeypatch):
    tool(bare, "apple", "echo \"error: unknown target triple 'bpf'\" >&2; exit 1")
    monkeypatch.setenv("CLANG", "apple")

    with pytest.raises(InputError, match=r"\$CLANG is 'apple', which cannot compile for BPF"):
        compile_c(source)


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.c: no such file") as caught:
        compile_c(tmp_path / "none.c")
    assert caught.value.errno == 2


def test_an_unknown_instruction_set_is_named(source):
    with pytest.raises(InputError, match="cpu is 'v9', must be one of v1, v2, v3, v4"):
        compile_c(source, cpu="v9")


def test_the_compilers_own_messages_are_passed_on(source):
    if next(find_compilers(), None) is None:
        pytest.skip("no clang that compiles for BPF")
    source.write_text("int x = y;\n")

    with pytest.raises(InputError, match=r"x\.bpf\.c:1:9: error: .*'y'"):
        compile_c(source)


@needs_clang
def test_warnings_go_to_standard_error(source, tmp_path, capsys):
    source.write_text(PROGRAM + "#warning look here\n")

    compile_c(source, tmp_path / "x.bpf.o")

    assert "look here" in capsys.readouterr().err


@needs_clang
def test_an_object_without_a_place_goes_into_a_folder_of_its_own(source):
    path = compile_c(source)

    assert path.name == "x.bpf.o" and path.parent != source.parent
    assert [f.name for f in read_object(path).functions] == ["p"]


@needs_clang
def test_the_same_source_gives_the_same_bytes_wherever_it_is(source, tmp_path):
    other = tmp_path / "elsewhere" / "x.bpf.c"
    other.parent.mkdir()
    other.write_text(PROGRAM)

    one = compile_c(source, tmp_path / "1.o").read_bytes()
    two = compile_c(other, tmp_path / "2.o").read_bytes()

    assert one == two
    assert str(tmp_path).encode() not in one


@needs_clang
def test_line_info_names_the_source_beside_its_folder(source, tmp_path):
    obj = read_object(compile_c(source, tmp_path / "x.o"))

    line = obj.functions[0].lines[0]
    assert line.file == "./x.bpf.c"
    assert line.line == 5 and "return 42" in line.text


@needs_clang
def test_the_callers_folders_are_searched_first(source, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "bpfemu.h").write_text("#include <bpf/bpf_helpers.h>\n#define FROM_MINE 7\n")
    source.write_text(PROGRAM.replace("42", "FROM_MINE"))

    obj = read_object(compile_c(source, tmp_path / "x.o", include=[folder]))

    assert obj.functions[0].code


@needs_clang
def test_headers_of_the_system_are_found_behind_ours(source, tmp_path):
    if not os.path.exists("/usr/include/linux/bpf.h"):
        pytest.skip("this machine has no kernel headers")
    source.write_text("#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nint x = BPF_ANY;\n")

    assert compile_c(source, tmp_path / "x.o").exists()


def test_an_object_of_a_compiler_without_strip_stays_as_it_is(source, tmp_path, monkeypatch):
    compiler = Compiler((str(tool(tmp_path / "bin", "cc", "exit 0")),), "bpf")
    monkeypatch.setattr(subject, "find_compilers", lambda: iter([compiler]))
    target = tmp_path / "x.o"
    target.write_bytes(b"as it was")

    assert compile_c(source, target).read_bytes() == b"as it was"


@needs_clang
@pytest.mark.parametrize(
    "arguments", [("x.bpf.c",), ("x.bpf.c", "x.bpf.o"), ("x.bpf.c", "x.bpf.o", "v2")]
)
def test_the_command_compiles(source, monkeypatch, arguments):
    monkeypatch.chdir(source.parent)

    assert main(arguments) == 0
    assert [f.name for f in read_object(source.with_suffix(".o")).functions] == ["p"]


def test_the_command_says_what_it_takes(capsys):
    assert main(()) == 2
    assert "usage: python -m bpfemu.compile SOURCE" in capsys.readouterr().err


def test_the_command_reports_errors_without_a_traceback(tmp_path, capsys):
    assert main([str(tmp_path / "none.c")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_ziglang_is_asked_for_by_name(monkeypatch):
    import importlib.util

    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: asked.append(name))

    assert not subject._has_ziglang()
    assert asked == ["ziglang"]


def test_ziglang_compiles_when_it_is_installed(source, tmp_path, monkeypatch):
    pytest.importorskip("ziglang")
    zig = Compiler((sys.executable, "-m", "ziglang", "cc"), "bpfel-freestanding")
    monkeypatch.setattr(subject, "find_compilers", lambda: iter([zig]))

    obj = read_object(compile_c(source, tmp_path / "x.o"))

    assert [f.name for f in obj.functions] == ["p"]
    assert obj.btf is not None and obj.functions[0].lines
