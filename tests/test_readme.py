"""The README's first example is ten lines, runs as it stands, and prints what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_first_example_runs_as_it_stands_and_prints_what_the_page_shows() -> None:
    blocks = (ROOT / "README.md").read_text().split("```")
    code, shown = blocks[1].removeprefix("python\n"), blocks[3].strip()

    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == shown
    assert 8 <= len([line for line in code.splitlines() if line.strip()]) <= 11
