"""How the command line ends: every kind of end has its exit status and at most one line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import bpfemu
from bpfemu import __main__, hashing
from bpfemu.cli import behind, main, run_cli
from bpfemu.errors import InternalError

ROOT = Path(__file__).parents[2]
OBJECT = ROOT / "tests/data/skel.bpf.o"


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit status when a command ends with this."""

    def raise_it(*args: object, **kwargs: object) -> object:
        raise error

    monkeypatch.setattr(main, "main", raise_it)
    return run_cli([])


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InternalError("a broken invariant"), 2, "bpfemu: a broken invariant\n"),
        (click.UsageError("no such thing"), 2, "Error: no such thing\n"),
        (click.exceptions.Exit(7), 7, ""),
        (click.Abort(), 130, ""),
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "/x"), 2, "bpfemu: /x: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "bpfemu: : No space left on device\n"),
    ],
)
def test_every_end_has_its_status(
    error: BaseException,
    status: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(monkeypatch, error) == status
    assert capsys.readouterr() == ("", text)


def test_a_reader_that_has_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    assert ending(monkeypatch, BrokenPipeError()) == 0


def test_our_own_bugs_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        ending(monkeypatch, ZeroDivisionError())


def test_a_pipe_that_is_closed_early_ends_quietly() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "bpfemu", "kfunc", "list"]

    found = subprocess.run(command, cwd=ROOT, stdout=writes, stderr=subprocess.PIPE)
    os.close(writes)

    assert found.stderr == b"" and found.returncode in (0, 1)  # 1: click met it before us


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["btf", "dump"], ["btf", "dump"]),
        (["-j", "btf"], ["btf", "-j"]),
        (
            ["-B", "vmlinux", "--pretty", "btf", "dump"],
            ["btf", "dump", "-B", "vmlinux", "--pretty"],
        ),
        (["-B"], ["-B"]),
        ([], []),
    ],
)
def test_options_before_the_noun_go_behind_it(given: list[str], told: list[str]) -> None:
    assert behind(given) == told


def test_the_module_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bpfemu", "prog", "show", str(OBJECT)])

    with pytest.raises(SystemExit) as stop:
        __main__.main()

    assert stop.value.code == 0 and "name bump" in capsys.readouterr().out


def test_a_context_comes_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ctx").write_bytes((40).to_bytes(8, "little") + (2).to_bytes(8, "little"))
    typed = str(ROOT / "programs/contexts/typed.bpf.o")

    assert run_cli(["run", typed, "answer", "--ctx-in", str(tmp_path / "ctx")]) == 0
    assert "returned" in capsys.readouterr().out
    assert run_cli(["run", typed, "answer", "--ctx-in", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.endswith("none: No such file or directory\n")


def test_text_can_be_set_in_rodata(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_cli(["run", str(OBJECT), "bump", "--set", "label=night", "--set", "factor=0x10"]) == 0
    )
    shown = capsys.readouterr().out

    assert "label = 'night'" in shown and "factor = 16" in shown


def test_the_package_has_only_what_it_lists() -> None:
    assert dir(bpfemu) == sorted(bpfemu.__all__)
    assert all(getattr(bpfemu, name) is not None for name in bpfemu.__all__)
    with pytest.raises(AttributeError, match="module 'bpfemu' has no attribute 'teapot'"):
        bpfemu.teapot  # noqa: B018 the look-up is the test


# FIPS 180-2, appendix B.1
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("missing", [(), ("_sha2",), ("_sha2", "_sha256")])
def test_any_python_has_a_sha_256(
    missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)

    assert hashing.sha256(b"abc") == ABC


def test_a_python_without_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_sha2", "_sha256", "hashlib"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ImportError, match="no SHA-256 in this Python"):
        hashing.sha256(b"abc")
