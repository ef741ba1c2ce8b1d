"""``bpfemu btf``: BTF files in bpftool's words."""

from __future__ import annotations

import click

from bpfemu.cli.lazy import LazyGroup

__all__ = ["btf"]

COMMANDS = {
    "dump": ("bpfemu.cli.btf_dump", "dump", "Dump the types of a file: raw, C or JSON."),
    "check": ("bpfemu.cli.btf_check", "check", "What a 6.18 kernel would refuse, and why."),
    "policy": ("bpfemu.cli.btf_policy", "policy", "What modules do under each loading policy."),
}


@click.group(cls=LazyGroup.of(COMMANDS))
def btf() -> None:
    """Look at BTF: raw blobs, ELF files with a .BTF section, either gzip-compressed."""
