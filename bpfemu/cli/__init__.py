"""The command line: one file per noun, imported when it is used.

Exit status: 0 good, 1 the program faulted or leaked (findings), 2 usage or bad input.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from bpfemu.errors import BpfemuError

__all__ = ["main", "run_cli"]

COMMANDS = {
    "run": ("bpfemu.cli.run", "run", "Run a program of an object and show what happened."),
    "prog": ("bpfemu.cli.prog", "prog", "Show and dump programs: show, dump xlated."),
    "kfunc": ("bpfemu.cli.kfunc", "kfunc", "The kernel functions there are: list, show."),
    "conformance-plugin": (
        "bpfemu.cli.conformance",
        "conformance",
        "Speak the protocol of the bpf_conformance runner.",
    ),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        where = COMMANDS.get(cmd_name)
        if where is None:
            return None
        command: click.Command = getattr(import_module(where[0]), where[1])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table's own help lines, so that help imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[2]) for name, row in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bpfemu")
def main() -> None:
    """Run real BPF objects with open-coded iterators off the kernel."""


def run_cli(args: list[str]) -> int:
    """Run the command line with ``args``; the exit status."""
    try:
        result: Any = main.main(args, prog_name="bpfemu", standalone_mode=False)
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
