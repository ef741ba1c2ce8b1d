"""Mutated types and objects: every command ends with a status, and never with a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bpfemu.btf.source import btf_section
from tests.cli.calling import Cli, cli
from tests.cli.test_core_check import kernel

__all__ = ["cli"]

DATA = Path(__file__).parent.parent / "data"
OBJECTS = [(DATA / name).read_bytes() for name in ("skel.bpf.o", "core.bpf.o")]
MUTANTS = 25  # of each command

COMMANDS = {
    "raw": ("raw", "btf dump file M"),
    "json": ("raw", "btf dump file M -p"),
    "c": ("raw", "btf dump file M format c"),
    "check": ("raw", "btf check M"),
    "core-check a kernel": ("raw", f"core-check {DATA / 'core.bpf.o'} --btf M"),
    "check an object": ("object", "btf check M"),
    "core-check": ("object", "core-check M --btf K"),
    "sarif": ("object", "core-check M --btf K --sarif"),
    "stubs": ("object", "gen stubs M"),
}


def mutant(rng: random.Random, form: str) -> bytes:
    """One to eight bytes of an object, or of its types, changed."""
    elf = rng.choice(OBJECTS)
    data = bytearray(elf if form == "object" else btf_section(elf))
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 255, rng.randrange(256)))
    return bytes(data)


@pytest.mark.parametrize("name", COMMANDS)
def test_mutants_end_in_a_status(cli: Cli, tmp_path: Path, name: str) -> None:
    form, words = COMMANDS[name]
    (tmp_path / "K").write_bytes(kernel())
    rng = random.Random(name)
    paths = {"M": tmp_path / "M", "K": tmp_path / "K"}

    for _ in range(MUTANTS):
        (tmp_path / "M").write_bytes(mutant(rng, form))

        status, out, err = cli(*(paths.get(word, word) for word in words.split()))

        assert status in (0, 1, 2)
        assert out if status < 2 else err.startswith(("bpfemu: ", "Usage: "))
