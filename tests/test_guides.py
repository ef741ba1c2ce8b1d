"""Examples in docs/guides run as they stand and print what the page shows."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_points import POINTS

ROOT = Path(__file__).resolve().parent.parent
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))


def examples(text: str) -> list[tuple[str, str]]:
    """(code, what it prints): each python block that a text block follows."""
    blocks = text.split("```")[1::2]
    return [
        (code.removeprefix("python\n"), shown.removeprefix("text\n").strip())
        for code, shown in pairwise(blocks)
        if code.startswith("python\n") and shown.startswith("text\n")
    ]


CASES = [(page.name, *pair) for page in GUIDES for pair in examples(page.read_text())]


@pytest.mark.parametrize(("page", "code", "shown"), CASES, ids=[case[0] for case in CASES])
def test_an_example_prints_what_the_page_shows(page: str, code: str, shown: str) -> None:
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == shown


def test_the_page_on_faults_has_an_example_and_names_every_point_and_attribute() -> None:
    page = (ROOT / "docs" / "guides" / "faults.md").read_text()

    assert examples(page)
    for name in (*POINTS, *FaultAttr.__dataclass_fields__):
        assert f"`{name}`" in page, name


def test_the_specifications_on_the_page_are_understood() -> None:
    page = (ROOT / "docs" / "guides" / "faults.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("    ") and "--fault" in line]
    specs = [line.split("--fault ")[1] for line in lines]

    assert len(specs) == 4
    for spec in specs:
        point, _, text = spec.partition("=")
        assert point.partition("/")[0] in POINTS
        FaultAttr.parse(text)
