"""``bpfemu gen stubs prog.o [-o FILE]``: files generated from an object."""

from __future__ import annotations

from pathlib import Path

import click

from bpfemu.errors import InputError

__all__ = ["gen"]


@click.group()
def gen() -> None:
    """Generate files from an object."""


@gen.command()
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="Write here instead of standard output.")
@click.option("--class", "name", default="", help="Name of the skeleton's class.")
def stubs(file: str, output: str | None, name: str) -> None:
    """Types of FILE's skeleton, for mypy and editors: maps, globals, programs, from its BTF."""
    from bpfemu.cli.gen_stubs import render_stubs
    from bpfemu.session import read

    if name and not name.isidentifier():
        raise InputError(f"--class {name!r} must be a Python identifier")
    text = render_stubs(read(file), file, name)
    if output is None:
        click.echo(text, nl=False)
    else:
        Path(output).write_text(text, encoding="utf-8")
