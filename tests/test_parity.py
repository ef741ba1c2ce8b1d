"""docs/parity.md says what is there: it is what its generator writes, and every tick has a test."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load() -> object:
    spec = importlib.util.spec_from_file_location("make_parity", ROOT / "docs/make_parity.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_generator_writes() -> None:
    page = (ROOT / "docs/parity.md").read_text()
    assert page == load().render(), "run python docs/make_parity.py"  # type: ignore[attr-defined]


def test_every_tick_names_a_test_that_exists() -> None:
    ticks = [line for line in (ROOT / "docs/parity.md").read_text().splitlines() if "| ✓" in line]
    assert len(ticks) > 100
    for line in ticks:
        test = line.rstrip(" |").rsplit("| ", 1)[1].strip()
        assert (ROOT / test).is_file(), line
