"""``bpfemu btf check F``: what a 6.18 kernel would refuse, with its errno and its words."""

from __future__ import annotations

import os
from typing import Any

import click

from bpfemu.btf.check import BtfRefusal
from bpfemu.cli.btf_file import VMLINUX, base_of, open_btf
from bpfemu.cli.console import write
from bpfemu.cli.json_text import json_text
from bpfemu.errors import BpfemuError
from bpfemu.machine.errno import ERRNO_NAMES

__all__ = ["check"]

_EM_BPF = 247


@click.command()
@click.argument("file", type=click.Path())
@click.option("-B", "--base-btf", "base", metavar="FILE", help="FILE is a module's, split from it.")
@click.option("--kernel", is_flag=True, help="FILE is a kernel's own BTF, which is trusted more.")
@click.option("-j", "--json", "as_json", is_flag=True)
@click.option("-p", "--pretty", is_flag=True, help="Pretty JSON (implies -j).")
def check(file: str, base: str | None, kernel: bool, as_json: bool, pretty: bool) -> int:
    """Say what a 6.18 kernel would refuse in FILE's BTF.

    A BPF object is checked as its loader would load it, a file with a base as a module's, any
    other as BPF_BTF_LOAD does.  Exit status 0: accepted; 1: refused; 2: not BTF at all.
    """
    data, trusted = _blob(file), kernel or os.path.abspath(file) == VMLINUX
    refusal = _check(file, data, base, trusted)
    if as_json or pretty:
        click.echo(json_text(_row(file, refusal), pretty))
    elif refusal is None:
        write(f"{file}: accepted", "green")
    else:
        write(f"{file}: refused: {_text(refusal)}", "red")
        for line in refusal.log:
            write(f"  {line}")
    return 0 if refusal is None else 1


def _check(file: str, data: bytes, base: str | None, trusted: bool) -> BtfRefusal | None:
    from bpfemu.btf.check import check as check_blob

    under = base_of(file, base)
    return check_blob(data, open_btf(under) if under else None, kernel=trusted)


def _blob(file: str) -> bytes:
    """The bytes that would be loaded; those of the file where they are not even a BPF object's."""
    from bpfemu.btf.source import open_blob

    data = bytes(open_blob(file)[0])
    with open(file, "rb") as stream:
        head = stream.read(20)
    if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != _EM_BPF:
        return data
    from bpfemu.cli.btf_loaded import as_loaded
    from bpfemu.elf import read_object

    try:
        btf = read_object(file).btf
        return as_loaded(btf) if btf is not None else data
    except BpfemuError:  # nothing can be completed in types that cannot be read
        return data


def _text(refusal: BtfRefusal) -> str:
    where = f"type [{refusal.type_id}]: " if refusal.type_id is not None else ""
    return f"{where}{refusal.message} ({_name(refusal.errno)})"


def _name(number: int) -> str:
    return ERRNO_NAMES.get(number, f"errno {number}")


def _row(file: str, refusal: BtfRefusal | None) -> dict[str, Any]:
    if refusal is None:
        return {"file": file, "accepted": True}
    return {
        "file": file,
        "accepted": False,
        "errno": refusal.errno,
        "error": _name(refusal.errno),
        "message": refusal.message,
        "type_id": refusal.type_id,
        "log": list(refusal.log),
    }
