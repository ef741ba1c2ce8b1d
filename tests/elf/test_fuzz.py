"""Damaged objects: read, or refused with an error of our own, never anything else."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings

from bpfemu.elf import read_object
from bpfemu.errors import BpfemuError, InputError
from tests.builders.mutate import mutants

ORIGINALS = [p.read_bytes() for p in sorted((Path(__file__).parent / "objects").glob("*.o"))]


@given(mutants(ORIGINALS))
@settings(max_examples=200, deadline=None)
def test_a_damaged_object_is_read_or_refused(data: bytes) -> None:
    try:
        found = read_object(data, "damaged.o")
    except BpfemuError as error:
        assert isinstance(error, InputError) and str(error)
    else:
        assert sum(len(f.code) for f in found.functions) <= len(data) // 8
