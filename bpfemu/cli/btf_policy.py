"""``bpfemu btf policy FILE...``: what modules do under each way of loading the kernel's BTF."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from bpfemu.cli.btf_file import VMLINUX
from bpfemu.cli.console import heading, write
from bpfemu.cli.json_text import json_text
from bpfemu.machine.errno import ERRNO_NAMES

if TYPE_CHECKING:
    from bpfemu.btf import Btf
    from bpfemu.kernel.policy import ModuleFate

__all__ = ["policy"]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("-B", "--base-btf", "base", metavar="FILE", help="The kernel's BTF.")
@click.option("-j", "--json", "as_json", is_flag=True)
@click.option("-p", "--pretty", is_flag=True, help="Pretty JSON (implies -j).")
def policy(files: tuple[str, ...], base: str | None, as_json: bool, pretty: bool) -> int:
    """Explain what module FILES do under each policy, loaded in this order.

    FILES are modules (.ko, also compressed) or split BTF as /sys/kernel/btf shows it.  The kernel
    is the one of -B, else the running one, else the emulated one.  Exit status 1: a module would
    be refused, or a kfunc of it could not be used, through a fault of its own.
    """
    from bpfemu.kernel.module_file import read_module
    from bpfemu.kernel.policy import play

    fates = play([read_module(file) for file in files], _vmlinux(base))
    if as_json or pretty:
        click.echo(json_text([_row(fate) for fate in fates], pretty))
    else:
        _print(fates)
    return 1 if any(fate.defective for fate in fates) else 0


def _vmlinux(base: str | None) -> Btf:
    if base is None and not os.path.exists(VMLINUX):
        from bpfemu.proto.profile import find_profile
        from bpfemu.session import Options, kernel_btf, make_catalog

        options = Options()
        return kernel_btf(options, make_catalog(), find_profile(options.kernel))
    from bpfemu.btf import Btf

    return Btf.open(base or VMLINUX)


def _print(fates: list[ModuleFate]) -> None:
    last = ""
    for fate in fates:
        if fate.module != last:
            heading(f"module {fate.module}")
            last = fate.module
        write(f"  {fate.policy.name:8}{fate.policy.text}")
        write(f"\t{_summary(fate)}", "red" if fate.defective else "")
        for kfunc in fate.kfuncs:
            if kfunc.why:
                write(f"\t  {kfunc.name}: {kfunc.why}")
        for line in fate.log:
            write(f"\t  dmesg: {line}")


def _summary(fate: ModuleFate) -> str:
    """One sentence: is it loaded, what of its types, what of its kfuncs."""
    if fate.errno:
        return f"loading fails with {_name(fate.errno)}: {_REFUSED[fate.btf]}"
    types = _TYPES[fate.btf]
    number = f", id {fate.btf_id}" if fate.btf_id else ""
    usable = sum(not kfunc.why for kfunc in fate.kfuncs)
    kfuncs = f"; {usable} of {len(fate.kfuncs)} kfuncs usable" if fate.kfuncs else ""
    return f"loads; {types}{number}{kfuncs}"


_REFUSED = {
    "rejected": "its BTF is not accepted",
    "parsed": "its kfuncs cannot be registered",
    "none": "a module of that name is there already",
}
_TYPES = {
    "none": "it has no BTF",
    "parsed": "its BTF is there at once",
    "kept": "its BTF waits for vmlinux BTF",
    "ignored": "its BTF is ignored",
    "rejected": "its BTF is rejected when vmlinux BTF comes",
}


def _name(number: int) -> str:
    return ERRNO_NAMES.get(number, f"errno {number}")


def _row(fate: ModuleFate) -> dict[str, Any]:
    return {
        "module": fate.module,
        "policy": fate.policy.name,
        "loads": not fate.errno,
        "errno": fate.errno,
        "btf": fate.btf,
        "btf_id": fate.btf_id,
        "kfuncs": [
            {"name": one.name, "usable": not one.why, "why": one.why} for one in fate.kfuncs
        ],
        "log": list(fate.log),
    }
