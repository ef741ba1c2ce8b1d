"""The command line: one file per noun, imported when it is used.

Exit status: 0 good, 1 the program faulted or leaked (findings), 2 usage or bad input.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import click

from bpfemu.cli.lazy import LazyGroup
from bpfemu.errors import BpfemuError

__all__ = ["main", "run_cli"]

COMMANDS = {
    "run": ("bpfemu.cli.run", "run", "Run a program of an object and show what happened."),
    "prog": ("bpfemu.cli.prog", "prog", "Show and dump programs: show, dump xlated."),
    "kfunc": ("bpfemu.cli.kfunc", "kfunc", "The kernel functions there are: list, show."),
    "btf": ("bpfemu.cli.btf", "btf", "Look at BTF: dump, check, policy."),
    "core-check": (
        "bpfemu.cli.core_check",
        "core_check",
        "CO-RE relocations of an object against many kernels' BTF.",
    ),
    "gen": ("bpfemu.cli.gen", "gen", "Generate files from an object: stubs."),
    "conformance-plugin": (
        "bpfemu.cli.conformance",
        "conformance",
        "Speak the protocol of the bpf_conformance runner.",
    ),
}


@click.group(cls=LazyGroup.of(COMMANDS), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bpfemu")
def main() -> None:
    """Run real BPF objects with open-coded iterators off the kernel."""


def behind(args: list[str]) -> list[str]:
    """bpftool takes its options before the noun as well: ``bpfemu -j -B vmlinux btf dump …``."""
    rest, options = list(args), []
    while rest and rest[0] in ("-j", "--json", "-p", "--pretty", "-B", "--base-btf"):
        count = 2 if rest[0] in ("-B", "--base-btf") else 1
        options += rest[:count]
        rest = rest[count:]
    return rest + options


def run_cli(args: list[str]) -> int:
    """Run the command line with ``args``; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack a character that we write
            stream.reconfigure(errors="replace")
    try:
        result: Any = main.main(behind(args), prog_name="bpfemu", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return 2
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BpfemuError as error:
        print(f"bpfemu: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"bpfemu: {error.filename or ''}: {error.strerror}", file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0
