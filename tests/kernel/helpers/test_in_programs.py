"""Maps and helpers as programs meet them: through the call gate, on the reference engine."""

from __future__ import annotations

from typing import Any

import pytest

from bpfemu.image import MapSlot
from bpfemu.kernel.maps.base import BpfMap
from bpfemu.machine.machine import CODE_BASE
from bpfemu.machine.stop import FaultKind
from bpfemu.object import MapDef
from bpfemu.outcome import Outcome, Record
from bpfemu.proto.catalog import Catalog
from tests.kernel.doubles import ARENA_BASE, Bench, bench

CATALOG = Catalog.discover("bpfemu.kernel.helpers", "bpfemu.kernel.maps")
FIRST = ARENA_BASE + 4096  # the handle of the first map


class Loaded:
    """A kernel with one map, at FIRST, and a program."""

    def __init__(
        self, type: int, key: int, value: int, entries: int, text: str, **more: Any
    ) -> None:
        definition = MapDef("counts", type, key, value, entries, **more)
        values = FIRST + 4096 if type == 2 else 0
        self.bench: Bench = bench(catalog=CATALOG, cpus=2)
        self.image = self.bench.image(
            text.replace("MAP", f"{FIRST:#x} ll"), maps=(MapSlot(definition, FIRST, values),)
        )
        self.bench.kernel.load(self.image)

    @property
    def map(self) -> BpfMap:
        found: BpfMap = self.bench.kernel.find_map("counts")
        return found

    def run(self, **options: Any) -> Outcome:
        return self.bench.run(self.image, **options)


COUNT = """
    *(u32 *)(r10 - 4) = 7
    *(u64 *)(r10 - 16) = 1
    r1 = MAP
    r2 = r10; r2 += -4
    call bpf_map_lookup_elem
    if r0 != 0 goto found
    r1 = MAP
    r2 = r10; r2 += -4
    r3 = r10; r3 += -16
    r4 = 0
    call bpf_map_update_elem
    exit
found:
    r1 = 1
    lock *(u64 *)(r0 + 0) += r1
    r0 = 1
    exit
"""


@pytest.mark.parametrize(
    ("type", "flags", "results", "value"),
    [
        (1, 0, [0, 1, 1, 1], [4]),
        (1, 1, [0, 1, 1, 1], [4]),
        (2, 0, [1, 1, 1, 1], [4]),  # an array's elements are there from the start, at zero
        (5, 0, [0, 1, 1, 1], [3, 1]),
        (5, 1, [0, 1, 1, 1], [3, 1]),
        (6, 0, [1, 1, 1, 1], [3, 1]),
    ],
)
def test_a_program_counts_in_a_map(
    type: int, flags: int, results: list[int], value: list[int]
) -> None:
    loaded = Loaded(type, 4, 8, 16, COUNT, flags=flags)

    returned = [loaded.run(cpu=cpu).value for cpu in (0, 0, 0, 1)]

    found = loaded.map.user_lookup((7).to_bytes(4, "little"))
    values = found if isinstance(found, list) else [found]
    assert returned == results
    assert [int.from_bytes(one, "little") for one in values] == value


RESERVE = """
    r1 = MAP; r2 = 16; r3 = 0
    call bpf_ringbuf_reserve
    if r0 == 0 goto out
    r6 = r0
    *(u64 *)(r6 + 0) = 1
    *(u64 *)(r6 + 8) = 2
"""
SUBMIT = """
    r1 = r6; r2 = 0
    call bpf_ringbuf_submit
"""
END = """
out:
    r0 = 0
    exit
"""


def test_a_submitted_record_reaches_the_outcome() -> None:
    outcome = Loaded(27, 0, 0, 4096, RESERVE + SUBMIT + END).run()

    assert outcome.ok
    assert outcome.records == (Record("counts", bytes([1, *[0] * 7, 2, *[0] * 7])),)


def test_a_record_that_is_never_submitted_leaks() -> None:
    outcome = Loaded(27, 0, 0, 4096, RESERVE + END).run()

    (leak,) = outcome.leaks
    assert leak.kind == "reference"
    assert "ringbuf record" in leak.what
    assert outcome.records == ()


def test_a_record_is_submitted_once() -> None:
    outcome = Loaded(27, 0, 0, 4096, RESERVE + SUBMIT + SUBMIT + END).run()

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.REFERENCE_STATE


def test_a_record_is_not_touched_after_submit() -> None:
    late = "*(u64 *)(r6 + 0) = 3\n"
    outcome = Loaded(27, 0, 0, 4096, RESERVE + SUBMIT + late + END).run()

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.USE_AFTER_FREE


def test_a_write_behind_a_record_is_caught() -> None:
    late = "*(u8 *)(r6 + 16) = 3\n"
    outcome = Loaded(27, 0, 0, 4096, RESERVE + late + SUBMIT + END).run()

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.OUT_OF_BOUNDS


def test_a_lookup_that_is_not_tested_for_null_faults_with_the_address_zero() -> None:
    text = """
        *(u32 *)(r10 - 4) = 99
        r1 = MAP; r2 = r10; r2 += -4
        call bpf_map_lookup_elem
        r0 = *(u64 *)(r0 + 0)
        exit
    """
    outcome = Loaded(1, 4, 8, 4, text).run()

    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.addr) == (FaultKind.NULL_DEREF, 0)


def test_a_read_past_a_value_names_the_map() -> None:
    text = COUNT.replace("*(u64 *)(r0 + 0) += r1", "*(u64 *)(r0 + 8) += r1")
    outcome = Loaded(2, 4, 8, 1, text.replace("= 7", "= 0")).run()

    assert outcome.fault is not None
    assert outcome.fault.kind is FaultKind.OUT_OF_BOUNDS
    assert outcome.fault.region == "0 bytes behind the 8-byte map value 'map 'counts' values'"


SUM_BY_CALLBACK = """
    *(u64 *)(r10 - 8) = 0
    r1 = MAP
    r2 = CALLBACK ll
    r3 = r10; r3 += -8
    r4 = 0
    call bpf_for_each_map_elem
    r1 = *(u64 *)(r10 - 8)
    r0 <<= 32
    r0 |= r1
    exit
    r5 = *(u64 *)(r3 + 0)
    r1 = *(u32 *)(r2 + 0)
    r5 *= r1
    r1 = *(u64 *)(r4 + 0)
    r1 += r5
    *(u64 *)(r4 + 0) = r1
    r0 = 0
    exit
"""


def test_a_callback_sees_every_element_of_a_hash() -> None:
    # Slots: the two ld_imm64 take two each, so the callback begins at slot 13.
    text = SUM_BY_CALLBACK.replace("CALLBACK", f"{CODE_BASE + 8 * 13:#x}")
    loaded = Loaded(1, 4, 8, 8, text)
    for key in range(1, 5):
        loaded.map.user_update(key.to_bytes(4, "little"), (10).to_bytes(8, "little"))

    assert loaded.run().r0 == 4 << 32 | 10 * (1 + 2 + 3 + 4)
