"""Reads that may fail: the policy of x86-64 (iterator notes, section 2.7)."""

from __future__ import annotations

from typing import Any

import pytest

from bpfemu.kernel.probe_read import NoFaultReader
from bpfemu.machine.memory import PAGE, RegionKind
from bpfemu.proto.profile import find_profile
from tests.kernel.conftest import Parts
from tests.kernel.doubles import ARENA_BASE, ARENA_SIZE

EFAULT, ERANGE = -14, -34


class User:
    """One readable page at 0x10000, writable in its first half."""

    def __init__(self) -> None:
        self.data = bytearray(PAGE)

    def read(self, addr: int, size: int) -> bytes | None:
        low = addr - 0x10000
        return bytes(self.data[low : low + size]) if 0 <= low <= PAGE - size else None

    def write(self, addr: int, data: bytes) -> bool:
        low = addr - 0x10000
        if not 0 <= low <= PAGE // 2 - len(data):
            return False
        self.data[low : low + len(data)] = data
        return True


def reader(parts: Parts, user: User | None = None, profile: str = "6.18.44") -> NoFaultReader:
    return NoFaultReader(parts.memory, find_profile(profile), lambda task: user)


@pytest.mark.parametrize(
    "addr",
    [
        0,
        8,
        0x7FFF_FFFF_EFFF,  # the last user page
        0x7FFF_FFFF_F000,  # TASK_SIZE_MAX: the guard page
        0x8000_0000_0000,  # the first non-canonical address
        0x1234_5678_9ABC_DEF0,
        0xFFFF_7FFF_FFFF_FFFF,  # the last non-canonical address
        0xFFFF_FFFF_FF60_0000,  # the vsyscall page
        0xFFFF_FFFF_FF60_0FFF,
    ],
)
def test_what_is_not_kernel_space_by_policy_is_erange(parts: Parts, addr: int) -> None:
    assert reader(parts).kernel(addr, 8) == ERANGE


@pytest.mark.parametrize(
    "addr",
    [
        0xFFFF_8000_0000_0000,
        ARENA_BASE - 8,
        ARENA_BASE + ARENA_SIZE,
        ARENA_BASE + ARENA_SIZE - 4,
        0xFFFF_FFFF_FF60_1000,
        (1 << 64) - 8,
    ],
)
def test_kernel_addresses_that_are_not_mapped_are_efault(parts: Parts, addr: int) -> None:
    assert reader(parts).kernel(addr, 8) == EFAULT


def test_before_6_8_the_vsyscall_page_was_tried_and_faulted(parts: Parts) -> None:
    assert reader(parts, profile="6.7").kernel(0xFFFF_FFFF_FF60_0000, 8) == EFAULT


def test_mapped_memory_is_read_whatever_its_state(parts: Parts) -> None:
    region = parts.memory.allocate(16, RegionKind.OBJECT, "thing")
    parts.memory.write(region.addr, bytes(range(16)))
    assert reader(parts).kernel(region.addr + 4, 8) == bytes(range(4, 12))
    parts.memory.free(region.addr)  # freed slab memory is mapped all the same
    assert reader(parts).kernel(region.addr, 4) == bytes(range(4))
    assert reader(parts).kernel(region.addr, 0) == b""
    assert reader(parts).kernel(parts.memory.base + parts.memory.used + PAGE, 8) == EFAULT


def test_user_memory_is_that_of_the_task(parts: Parts) -> None:
    user = User()
    user.data[8:12] = b"abcd"
    read: Any = reader(parts, user)

    assert read.user(0x10008, 4) == b"abcd"
    assert read.task_user(object(), 0x10008, 4) == b"abcd"
    assert read.user(0x10FFD, 4) == EFAULT
    assert read.write_user(0x10000, b"xy") == 0
    assert read.user(0x10000, 2) == b"xy"
    assert read.write_user(0x10FF0, b"xy") == EFAULT


def test_beyond_user_space_and_without_an_mm_there_is_nothing(parts: Parts) -> None:
    read = reader(parts, User())
    assert read.user(0x7FFF_FFFF_EFFF, 2) == EFAULT  # ends above TASK_SIZE_MAX
    assert read.write_user(ARENA_BASE, b"x") == EFAULT
    nobody = reader(parts, None)
    assert nobody.user(0x10000, 1) == EFAULT
    assert nobody.write_user(0x10000, b"x") == EFAULT
