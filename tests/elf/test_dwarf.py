"""What DWARF says of an object, where it has any."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from bpfemu.elf.dwarf import read_producer
from bpfemu.errors import ObjectError

CLANGS = [name for name in ("clang-19", "clang-16", "clang-14", "clang") if shutil.which(name)]


@pytest.fixture
def with_dwarf(tmp_path: Path) -> bytes:
    if not CLANGS:
        pytest.skip("no clang to make an object with DWARF")
    source = tmp_path / "x.bpf.c"
    source.write_text("int entry(void *ctx) { return 1; }\n")
    out = tmp_path / "x.o"
    command = [CLANGS[0], "-g", "-O2", "-target", "bpf", "-c", str(source), "-o", str(out)]
    subprocess.run(command, check=True)
    return out.read_bytes()


def test_the_compiler_is_named_as_it_names_itself(with_dwarf: bytes) -> None:
    version = subprocess.run([CLANGS[0], "--version"], capture_output=True, text=True).stdout

    assert read_producer(with_dwarf).split("(")[0].strip() in version.splitlines()[0]


def test_an_object_without_dwarf_has_no_producer() -> None:
    data = Path(__file__).parent.parent / "data/skel.bpf.o"

    assert read_producer(data.read_bytes()) == ""


def test_broken_dwarf_is_an_object_error_and_nothing_else(with_dwarf: bytes) -> None:
    dice = random.Random(1)
    for _ in range(150):
        data = bytearray(with_dwarf)
        for _ in range(dice.randint(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        with contextlib.suppress(ObjectError):
            assert isinstance(read_producer(bytes(data)), str)
