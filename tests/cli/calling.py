"""Calling the command line within the test's process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bpfemu.cli import run_cli

Cli = Callable[..., tuple[int, str, str]]
"""Arguments → (exit status, standard output, standard error)."""


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Call ``bpfemu`` with some arguments."""

    def call(*args: object) -> tuple[int, str, str]:
        status = run_cli([str(arg) for arg in args])
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    return call
