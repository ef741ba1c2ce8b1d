"""The ``btf`` group: its commands are found when they are there, and imported when called."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.calling import Cli, cli

__all__ = ["cli"]


def test_help_lists_the_commands(cli: Cli) -> None:
    status, out, _ = cli("btf", "--help")

    assert status == 0
    assert "dump    Dump the types of a file: raw, C or JSON." in out
    assert "check   What a 6.18 kernel would refuse, and why." in out
    assert "policy  What modules do under each loading policy." in out


def test_an_unknown_command_is_a_usage_error(cli: Cli) -> None:
    status, _, err = cli("btf", "squash")

    assert status == 2 and "No such command 'squash'" in err


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from bpfemu.cli import run_cli; run_cli(['btf', '-h'])\n"
        "print([m for m in sys.modules if m.startswith('bpfemu.btf')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "[]"
