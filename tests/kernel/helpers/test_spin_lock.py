"""bpf_spin_lock in map values."""

from __future__ import annotations

from typing import Any

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.image import MapSlot
from bpfemu.kernel.locks import LockTable
from bpfemu.machine.memory import KERNEL, RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.object import MapDef
from tests.kernel.helpers.env import HelperBench
from tests.kernel.maps.env import u32

LOCK = "bpf_spin_lock"
UNLOCK = "bpf_spin_unlock"


def locked_map(type: int = 1, flags: int = 0) -> tuple[HelperBench, Any]:
    """A map whose values are a number, a lock at 4, and a number."""
    build = BtfBuilder()
    number = build.int_("int", 4)
    lock = build.struct("bpf_spin_lock", 4, [("val", number, 0)])
    value = build.struct("value", 12, [("a", number, 0), ("l", lock, 32), ("b", number, 64)])
    bench = HelperBench()
    bench.services["locks"] = LockTable(bench.memory)
    handle = bench.memory.allocate(512, RegionKind.MAP, "m", state=KERNEL)
    definition = MapDef("m", type, 4, 12, 4, flags, key_type=number, value_type=value)
    found = bench.table.create(MapSlot(definition, handle.addr), build.build())
    found.user_update(u32(1), bytes(12))
    return bench, found


@pytest.mark.parametrize(("type", "flags"), [(1, 0), (1, 1), (2, 0), (5, 0), (6, 0)])
def test_the_bytes_of_a_lock_are_not_the_programs(type: int, flags: int) -> None:
    bench, found = locked_map(type, flags)
    addr = found.lookup(u32(1))

    bench.memory.store(addr, 4, 1)
    bench.memory.store(addr + 8, 4, 1)

    for bad in (addr + 4, addr + 7, addr + 12):
        with pytest.raises(Trap):
            bench.memory.load(bad, 1)


def test_a_lock_is_taken_and_released() -> None:
    bench, found = locked_map()
    lock = found.lookup(u32(1)) + 4

    bench.call(LOCK, lock)
    assert bench.memory.read_int(lock, 4) == 1
    bench.call(UNLOCK, lock)

    assert bench.memory.read_int(lock, 4) == 0
    bench.call(LOCK, lock)


def test_a_lock_that_is_held_is_a_deadlock() -> None:
    bench, found = locked_map()
    lock = found.lookup(u32(1)) + 4
    bench.services["locks"].hold(lock)

    with pytest.raises(Trap, match=r"deadlock: .* is held by another CPU") as caught:
        bench.call(LOCK, lock)
    assert caught.value.fault.kind is FaultKind.LOCK_STATE


def test_a_lock_that_is_not_held_cannot_be_released() -> None:
    bench, found = locked_map()

    with pytest.raises(Trap) as caught:
        bench.call(UNLOCK, found.lookup(u32(1)) + 4)
    assert caught.value.fault.kind is FaultKind.LOCK_STATE


@pytest.mark.parametrize("helper", [LOCK, UNLOCK])
@pytest.mark.parametrize("where", ["value", "outside", "null"])
def test_only_a_lock_is_a_lock(helper: str, where: str) -> None:
    bench, found = locked_map()
    addr = {"value": found.lookup(u32(1)), "outside": bench.memory.base + (3 << 20), "null": 0}

    with pytest.raises(Trap) as caught:
        bench.call(helper, addr[where])
    assert caught.value.fault.kind is FaultKind.BAD_CALL
    assert "is not a bpf_spin_lock in a map value" in caught.value.fault.detail


def test_a_copy_leaves_a_held_lock_alone() -> None:
    bench, found = locked_map()
    addr = found.lookup(u32(1))
    bench.call(LOCK, addr + 4)

    assert found.user_update(u32(1), b"a" * 12, 4) == 0

    assert bench.memory.read(addr, 12) == b"aaaa\1\0\0\0aaaa"
    assert found.user_lookup(u32(1)) == b"aaaa\0\0\0\0aaaa"
