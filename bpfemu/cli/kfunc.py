"""``bpfemu kfunc list`` and ``bpfemu kfunc show NAME``."""

from __future__ import annotations

import json
from typing import Any

import click

from bpfemu.cli.console import heading, write
from bpfemu.errors import InputError
from bpfemu.proto.flags import flag_names
from bpfemu.proto.layout import PtrType, StructType
from bpfemu.proto.profile import PROFILES
from bpfemu.proto.spec import KfuncSpec
from bpfemu.session import make_catalog

__all__ = ["kfunc", "prototype"]


@click.group()
def kfunc() -> None:
    """The kernel functions that programs may call."""


@kfunc.command("list")
@click.option("--kernel", default=None, help="Only those of this profile.")
@click.option("--kfuncs", "packages", multiple=True, help="A package with further kfuncs.")
@click.option("-j", "--json", "as_json", is_flag=True)
def list_(kernel: str | None, packages: tuple[str, ...], as_json: bool) -> None:
    """List every kfunc: prototype, flags, profiles."""
    rows = _rows(packages)
    if kernel is not None:
        if kernel not in PROFILES:
            raise InputError(f"no kernel profile {kernel!r}; there are {', '.join(PROFILES)}")
        rows = [row for row in rows if kernel in row["profiles"]]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        write(f"{row['prototype']}")
        write(f"\t{' | '.join(row['flags']) or 'no flags'}  ({', '.join(row['profiles'])})")


@kfunc.command()
@click.argument("name")
@click.option("--kfuncs", "packages", multiple=True, help="A package with further kfuncs.")
@click.option("-j", "--json", "as_json", is_flag=True)
def show(name: str, packages: tuple[str, ...], as_json: bool) -> None:
    """Show one kfunc: each of its definitions, and which kernels have it."""
    rows = [row for row in _rows(packages) if row["name"] == name]
    if not rows:
        near = [n for n in make_catalog(packages).kfuncs if name in n or n in name]
        hint = f"; there is {', '.join(near[:5])}" if near else "; see bpfemu kfunc list"
        raise InputError(f"no kfunc {name!r}{hint}")
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        heading(row["prototype"])
        write(f"\tflags     {' | '.join(row['flags']) or 'none'}")
        write(f"\tprofiles  {', '.join(row['profiles']) or 'none'}")
        write(f"\thooks     {', '.join(row['hooks'])}")
        write(f"\tservices  {', '.join(row['services']) or 'none'}")
        for line in row["doc"].strip().splitlines():
            write(f"\t{line.strip()}" if line.strip() else "")


def _rows(packages: tuple[str, ...]) -> list[dict[str, Any]]:
    catalog = make_catalog(packages)
    rows = []
    for name in sorted(catalog.kfuncs):
        for spec in catalog.kfuncs[name]:
            there = [p.name for p in PROFILES.values() if catalog.find_kfunc(name, p) is spec]
            rows.append(
                {
                    "name": name,
                    "prototype": prototype(spec),
                    "flags": list(flag_names(spec.flags)),
                    "profiles": there,
                    "hooks": list(spec.mark.hooks),
                    "services": list(spec.services),
                    "doc": spec.doc,
                }
            )
    return rows


def prototype(spec: KfuncSpec) -> str:
    """The C prototype, as the kernel declares it."""
    params = ", ".join(_declare(p.ctype, p.name) for p in spec.params) or "void"
    return f"{_declare(spec.returns, spec.name)}({params})"


def _declare(ctype: Any, name: str) -> str:
    if ctype is None:
        return f"void {name}"
    stars = ""
    while isinstance(ctype, PtrType):
        stars += "*"
        ctype = ctype.target
    text = f"struct {ctype.name}" if isinstance(ctype, StructType) else _C_NAMES.get(str(ctype))
    return f"{text or ctype} {stars}{name}"


_C_NAMES = {"s32": "int", "u32": "unsigned int"}
