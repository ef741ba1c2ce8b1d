"""``bpfemu core-check prog.o --btf DIR``: would an object find its fields in those kernels?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bpfemu.cli.btf_folder import KernelTypes, find_kernels
from bpfemu.cli.console import write
from bpfemu.cli.json_text import json_text
from bpfemu.errors import BpfemuError, InputError
from bpfemu.proto.profile import DEFAULT_PROFILE
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.bind import BindOptions
    from bpfemu.bind.core_report import CoreReport, CoreRow
    from bpfemu.object import BpfObject

__all__ = ["Finding", "core_check", "findings", "row_data"]

_TITLES = ("KERNEL", "PROGRAM", "INSN", "WHERE", "RELOCATION", "RESULT")

GUARDS = {2: ("missing", "there"), 8: ("missing", "there"), 10: ("missing", "there")}
GUARDS[12] = ("differs", "matches")


@dataclass(frozen=True, slots=True)
class Finding:
    """One relocation of one program against one kernel; no ``row``: the program itself failed."""

    kernel: str
    program: str
    row: CoreRow | None = None
    note: str = ""

    @property
    def fails(self) -> bool:
        """Does it keep the program from running on that kernel?"""
        return self.row is None or self.row.fails


@click.command("core-check")
@click.argument("file", type=click.Path())
@click.argument("more", nargs=-1, type=click.Path())
@click.option("--btf", "btfs", multiple=True, type=click.Path(), help="A BTF file or a folder.")
@click.option("--program", "names", multiple=True, help="Only this program (may be repeated).")
@click.option("--kernel", default=DEFAULT_PROFILE, show_default=True, help="Kernel profile.")
@click.option("--kconfig", multiple=True, metavar="NAME=VALUE", help="A setting of the kernels.")
@click.option("--kfuncs", "packages", multiple=True, help="A package with further kfuncs.")
@click.option("-j", "--json", "as_json", is_flag=True, help="The same as JSON.")
@click.option("--sarif", is_flag=True, help="Failures as SARIF 2.1.0.")
def core_check(
    file: str,
    more: tuple[str, ...],
    btfs: tuple[str, ...],
    names: tuple[str, ...],
    as_json: bool,
    sarif: bool,
    **options: Any,
) -> int:
    """Show what each CO-RE relocation of FILE becomes on the kernels of --btf.

    Exit status 1 when one fails that control can reach: code behind a guard does not count.
    """
    from bpfemu.session import read

    obj = read(file)
    kernels = find_kernels((*btfs, *more))
    rows = list(findings(obj, kernels, names, **options))
    if sarif:
        from bpfemu.cli.sarif import core_sarif

        click.echo(json_text(core_sarif(file, rows), True))
    elif as_json:
        click.echo(json_text([row_data(row) for row in rows], True))
    else:
        show(rows, len(kernels))
    return 1 if any(row.fails for row in rows) else 0


def findings(
    obj: BpfObject,
    kernels: list[KernelTypes],
    names: tuple[str, ...] = (),
    *,
    kernel: str = DEFAULT_PROFILE,
    kconfig: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
) -> Iterator[Finding]:
    """Every relocation of every program (or of those named) against every kernel."""
    from bpfemu.bind import BindOptions
    from bpfemu.bind.link import TEXT
    from bpfemu.proto.profile import find_profile
    from bpfemu.session import make_catalog

    programs = [f for f in obj.functions if f.section != TEXT]
    for name in names:
        if name not in [program.name for program in programs]:
            known = ", ".join(program.name for program in programs) or "none"
            raise InputError(f"{obj.path}: no program {name!r}; there are {known}")
    catalog, profile = make_catalog(packages), find_profile(kernel)
    settings = dict(_setting(text) for text in kconfig)
    for types in kernels:
        options = BindOptions(catalog, profile, types.btf, kconfig=settings, modules=types.modules)
        for program in programs:
            if not names or program.name in names:
                yield from _check(obj, program.name, types.name, options)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--kconfig {text!r} must be NAME=VALUE")
    return name, value


def _check(obj: BpfObject, program: str, kernel: str, options: BindOptions) -> Iterator[Finding]:
    from bpfemu.bind.core_report import report_core

    function = next(f for f in obj.functions if f.name == program)
    try:
        report: CoreReport = report_core(obj, function, options)
    except BpfemuError as error:
        yield Finding(kernel, program, note=str(error))
        return
    for row in sorted(report.rows, key=lambda row: row.slot):
        yield Finding(kernel, program, row, report.note)


# ---- as text -------------------------------------------------------------------------------------


def show(rows: list[Finding], kernels: int) -> None:
    """A table, then a line that counts."""
    if rows:
        table = [_TITLES, *(_cells(row) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        styles = ["bold", *("red" if row.fails else "" for row in rows)]
        for line, style in zip(table, styles, strict=True):
            cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
            write("  ".join(cells).rstrip(), style)
    notes = [f"{row.kernel}: {row.program}: {row.note}" for row in rows if row.note and row.row]
    for note in dict.fromkeys(notes):
        write(f"{note}; every relocation counts as reached")
    failed = sum(row.fails for row in rows)
    text = f"{_count(len(rows), 'relocation')} against {_count(kernels, 'kernel')}: "
    write(text + (f"{failed} failed" if failed else "none failed"))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _cells(finding: Finding) -> tuple[str, ...]:
    row = finding.row
    if row is None:
        return finding.kernel, finding.program, "", "", "", f"cannot be linked: {finding.note}"
    line = row.line
    base = line.file.replace("\\", "/").rsplit("/", 1)[-1] if line else row.function
    where = f"{base}:{line.line}" if line else base
    local = _without_id(row.result.local)
    return finding.kernel, finding.program, str(row.slot), where, local, result_text(row)


def _without_id(text: str) -> str:
    """``<byte_off> [7] struct a.b (…)`` → ``<byte_off> struct a.b (…)``."""
    kind, space, rest = text.partition(" [")
    return f"{kind} {rest.partition('] ')[2]}" if space and kind.startswith("<") else text


def result_text(row: CoreRow) -> str:
    """What became of it, in words."""
    result = row.result
    if result.error:
        return f"cannot be loaded: {result.error}"
    if result.poison:
        return "POISON, reached" if row.reached else "poison, in dead code"
    value = f"{result.value}"
    guard = GUARDS.get(result.relo.kind)
    if guard is not None and result.value in (0, 1):
        value = f"{result.value} ({guard[result.value]})"
    target = _without_id(result.target).partition("> ")[2]
    return f"{value}  {target}".rstrip()


def row_data(finding: Finding) -> dict[str, Any]:
    """A finding as plain data."""
    data: dict[str, Any] = {"kernel": finding.kernel, "program": finding.program}
    row = finding.row
    if row is not None:
        result = row.result
        data |= {
            "insn": row.slot,
            "function": row.function,
            "file": row.line.file if row.line else None,
            "line": row.line.line if row.line else None,
            "relocation": result.local,
            "target": result.target or None,
            "value": result.value,
            "poison": result.poison or None,
            "error": result.error or None,
            "reached": row.reached,
        }
    return data | {"note": finding.note or None, "fails": finding.fails}
