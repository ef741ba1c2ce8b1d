"""The guide to BTF shows what the commands really print."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bpfemu.btf import BtfBuilder
from tests.cli.calling import Cli, cli
from tests.cli.test_core_check import kernel

__all__ = ["cli"]

ROOT = Path(__file__).parent.parent.parent
GUIDE = (ROOT / "docs/guides/btf.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.M | re.S)


def commands() -> list[tuple[str, str]]:
    """Each command of the guide and what it says it prints."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.M)]
    pairs = [part.partition("\n") for part in parts if part]
    return [(command, output) for command, _, output in pairs]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the guide speaks of."""
    for name in (
        "tests/data/skel.bpf.o",
        "tests/data/core.bpf.o",
        "programs/iters/vma_census.bpf.o",
    ):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels/6.1").write_bytes(kernel(young=False, frozen=None))
    (tmp_path / "kernels/6.18").write_bytes(kernel())
    btf = BtfBuilder()
    number = btf.int_("int", 4, 1)
    btf.struct("bad", 4, [("x", number, 0), ("y", number, 32)])
    (tmp_path / "bad.btf").write_bytes(btf.build().raw)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "output"), commands(), ids=[c for c, _ in commands()])
def test_commands_print_what_the_guide_shows(
    cli: Cli, folder: Path, command: str, output: str
) -> None:
    name, *args = shlex.split(command)

    assert name == "bpfemu"
    assert cli(*args)[1:] == (output, "")


def test_the_script_prints_what_the_guide_shows(folder: Path) -> None:
    (script,), (output,) = blocks("python run"), blocks("text")

    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"],
        capture_output=True,
        text=True,
    )

    assert run.stderr == ""
    assert run.stdout == output
