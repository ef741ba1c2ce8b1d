"""The guide to iterators of one's own: its files are written, its commands and its test run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bpfemu.compile import find_compilers

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/own-iterator.md").read_text()

pytestmark = pytest.mark.skipif(
    next(find_compilers(), None) is None, reason="no clang that compiles for BPF"
)


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.M | re.S)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the guide, each named by its first line; and the wrong package."""
    for block in (*blocks("python"), *blocks("c")):
        head, _, text = block.partition("\n")
        path = tmp_path / head.strip("#/* ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{head}\n{text}")
    (tmp_path / "my_iters/__init__.py").touch()
    shutil.copytree(tmp_path / "my_iters", tmp_path / "my_wrong_iters")
    wrong = tmp_path / "my_wrong_iters/fib.py"
    before, destroy, after = wrong.read_text().partition("fib_destroy(it: Ptr[bpf_iter_fib]")
    wrong.write_text(f"{before}{destroy}, extra: u64{after}")
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"},
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip()


def test_commands_print_what_the_guide_shows(folder: Path) -> None:
    shown = [block.partition("\n") for block in blocks("console")]

    assert len(shown) == 4
    for command, _, output in shown:
        assert run(folder, *command.removeprefix("$ ").split()) == output.strip(), command


def test_the_test_of_the_guide_passes(folder: Path) -> None:
    assert "5 passed" in run(folder, "pytest", "-q", "-p", "no:cacheprovider", "test_fib.py")
