"""User memory: sparse pages with permissions."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.machine.user import EXEC, READ, WRITE, UserMemory


@pytest.fixture
def memory():
    made = UserMemory()
    made.map(0x2000, 0x4000, READ | WRITE, b"hello")
    made.map(0x4000, 0x5000, READ)
    made.map(0x6000, 0x7000, 0)
    made.map(0x7000, 0x8000, EXEC)
    return made


def test_content_comes_first_and_zeroes_follow(memory):
    assert memory.read(0x2000, 8) == b"hello\0\0\0"
    assert memory.read(0x3FFF, 1) == b"\0"


def test_reads_cross_pages_and_ranges(memory):
    memory.poke(0x3FFE, b"abcd")

    assert memory.read(0x3FFE, 4) == b"abcd"
    assert memory.read(0x2000, 0x3000)[-1] == 0


@pytest.mark.parametrize(
    ("addr", "size"),
    [(0x1FFF, 1), (0x1FFF, 2), (0x5000, 1), (0x4FFF, 2), (0, 1), (0x6000, 1), (0x8000, 1)],
)
def test_what_is_not_mapped_or_not_readable_gives_none(memory, addr, size):
    assert memory.read(addr, size) is None


def test_no_bytes_can_be_read_anywhere(memory):
    assert memory.read(0, 0) == b""


def test_executable_memory_is_readable_as_on_x86(memory):
    assert memory.read(0x7000, 4) == bytes(4)


def test_writes_need_permission_for_every_byte(memory):
    assert memory.write(0x2FFF, b"xy")
    assert memory.read(0x2FFF, 2) == b"xy"
    assert not memory.write(0x3FFF, b"xy")
    assert memory.read(0x3FFF, 2) == b"\0\0"
    assert not memory.write(0x7000, b"x")


def test_poke_ignores_permissions(memory):
    memory.poke(0x4000, b"ro")

    assert memory.read(0x4000, 2) == b"ro"


@pytest.mark.parametrize(
    ("start", "end"), [(0x2000, 0x3000), (0x1000, 0x3000), (0x3000, 0x9000), (0x4000, 0x4000)]
)
def test_overlapping_or_empty_ranges_are_refused(memory, start, end):
    with pytest.raises(InputError):
        memory.map(start, end, READ)


@pytest.mark.parametrize(("start", "end"), [(1, 0x1000), (0, 0xFFF), (-0x1000, 0x1000)])
def test_ranges_are_made_of_whole_pages(start, end):
    with pytest.raises(InputError, match="not made of whole pages"):
        UserMemory().map(start, end, READ)


def test_unmap_cuts_ranges_and_forgets_their_bytes(memory):
    memory.poke(0x3000, b"lost")

    memory.unmap(0x3000, 0x4800)

    assert list(memory.ranges())[:2] == [(0x2000, 0x3000, 3), (0x4800, 0x5000, 1)]
    assert memory.read(0x3000, 1) is None
    memory.map(0x3000, 0x4000, READ)
    assert memory.read(0x3000, 4) == bytes(4)
    assert memory.read(0x2000, 5) == b"hello"
