"""Globals of loaded programs as variables."""

from __future__ import annotations

from pathlib import Path

import bpfemu
from bpfemu.objects import program_of

DATA = Path(__file__).parent.parent / "data"


def test_a_program_without_images_has_no_globals() -> None:
    skel = bpfemu.open(DATA / "skel.bpf.o")
    prog = program_of(skel.kernel)

    assert "init_task" in prog and "runs" not in prog


def test_every_data_section_is_looked_into() -> None:
    prog = bpfemu.open(DATA / "skel.bpf.o").prog

    names = ["factor", "label", "runs", "signed_value", "wide", "both"]
    assert all(name in prog for name in names)
    assert prog["signed_value"].value_() == -5
    assert prog["wide"].value_() == 0x123456789ABCDEF0
