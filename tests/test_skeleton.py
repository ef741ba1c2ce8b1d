"""Skeleton-shaped access: globals, maps and programs of one object on one kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

import bpfemu
from bpfemu.errors import BindError, InputError
from bpfemu.machine.stop import FaultKind, StopKind
from bpfemu.skeleton import Skeleton

OBJECT = Path(__file__).parent / "data/skel.bpf.o"


@pytest.fixture
def skel() -> Skeleton:
    return bpfemu.open(OBJECT)


def test_rodata_set_before_load_reaches_the_program(skel: Skeleton) -> None:
    skel.rodata.factor = 7

    assert skel.progs.bump.run() == 7
    assert skel.rodata.factor == 7


def test_rodata_is_read_only_once_loaded_and_other_data_is_not(skel: Skeleton) -> None:
    skel.load()

    with pytest.raises(InputError, match=r"\.rodata\.factor is read-only once the object is"):
        skel.rodata.factor = 1
    skel.bss.runs = 4

    assert skel.progs.bump.run() == 5 * 3
    assert skel.bss.runs == 5


def test_globals_are_typed_and_sections_with_dots_become_underscores(skel: Skeleton) -> None:
    skel.progs.bump.run()

    assert skel.data.signed_value == -5
    assert skel.data_wide.wide == 0x123456789ABCDEF1
    assert skel.rodata.label == "plain"
    assert skel.bss.both == {"a": 0, "b": -1, "name": "pair"}


def test_maps_and_globals_live_as_long_as_the_skeleton(skel: Skeleton) -> None:
    for expected in (3, 6, 9):
        assert skel.progs.bump.run() == expected

    assert skel.maps.slots[0] == 9
    assert sorted(skel.maps.table) == [0, 1, 2]


def test_map_elements_are_read_written_and_deleted_through_btf(skel: Skeleton) -> None:
    table = skel.maps.table

    table[9] = {"a": 1, "b": -2, "name": "nine"}

    assert table[9] == {"a": 1, "b": -2, "name": "nine"}
    assert 9 in table and 8 not in table and len(table) == 1
    assert table.items() == [(9, {"a": 1, "b": -2, "name": "nine"})]
    assert table.keys() == [9] and table.values() == [table[9]]
    assert table.get(8, "none") == "none" and table.get(9) == table[9]
    del table[9]
    with pytest.raises(KeyError):
        table[9]
    with pytest.raises(KeyError):
        del table[9]


def test_per_cpu_values_are_lists_with_one_entry_a_cpu() -> None:
    skel = bpfemu.open(OBJECT, cpus=3)
    skel.maps.per_cpu[0] = [1, 2, 3]

    skel.progs.bump.run(cpu=1)

    assert skel.maps.per_cpu[0] == [1, 3, 3]


def test_a_refused_update_is_an_os_error_with_the_kernels_errno(skel: Skeleton) -> None:
    skel.maps.table[1] = {"a": 0, "b": 0, "name": ""}

    with pytest.raises(OSError) as caught:
        skel.maps.table.update(1, {"a": 0, "b": 0, "name": ""}, flags=1)  # BPF_NOEXIST
    assert caught.value.errno == 17  # EEXIST
    with pytest.raises(OSError) as caught:
        skel.maps.slots[3] = 1  # one past the end of an array: E2BIG
    assert caught.value.errno == 7


def test_values_that_do_not_fit_are_refused_by_name(skel: Skeleton) -> None:
    with pytest.raises(InputError, match="b"):
        skel.maps.table[1] = {"a": 0, "b": 70000, "name": ""}
    with pytest.raises(InputError, match="map slots: value has 3 bytes, must have 8"):
        skel.maps.slots[0] = b"abc"
    with pytest.raises(InputError):
        skel.rodata.factor = "many"


def test_ring_buffer_records_come_with_the_outcome(skel: Skeleton) -> None:
    outcome = skel.progs.bump.run()

    assert [(r.map, r.data) for r in outcome.records] == [("events", bytes([1] + [0] * 7))]
    assert outcome.printk == ("run 1 of plain",)


def test_programs_of_sections_with_a_question_mark_wait_to_be_asked_for(skel: Skeleton) -> None:
    assert not skel.progs.broken.autoload
    with pytest.raises(InputError, match="program 'broken' is not loaded"):
        skel.progs.broken.run()

    other = bpfemu.open(OBJECT)
    other.progs.broken.autoload = True
    outcome = other.progs.broken.run(data_in=bytes(64))

    assert outcome.stop.kind is StopKind.FAULT and not outcome.ok
    assert outcome.fault is not None and outcome.fault.kind is FaultKind.NULL_DEREF
    assert "skel.bpf.c:91" in outcome.fault.line
    assert outcome != 0


def test_an_object_is_loaded_once(skel: Skeleton) -> None:
    skel.load()

    with pytest.raises(InputError, match="load can't be attempted twice"):
        skel.load()


def test_run_options_reach_the_run(skel: Skeleton) -> None:
    outcome = skel.progs.context.run(cpu=1, context="hardirq")

    assert outcome == 1 - 5
    assert outcome.context == "hardirq"


def test_a_small_budget_stops_the_run_at_the_exact_instruction(skel: Skeleton) -> None:
    outcome = skel.progs.bump.run(budget=10)

    assert (outcome.stop.kind, outcome.insns) == (StopKind.BUDGET, 10)
    assert not outcome.ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.progs.bump.run(colour=1), r"run\(\) has no option 'colour'"),
        (lambda s: s.progs.bump.run(context="sauna"), "context 'sauna' must be one of"),
        (lambda s: s.progs.bump.run(cpu=9), "CPU 9 must be from 0 to 1"),
        (lambda s: bpfemu.open(OBJECT, colour=1), r"open\(\) has no option 'colour'"),
        (lambda s: bpfemu.open(OBJECT, kernel="2.4"), "no kernel profile '2.4'; there are 6.7"),
        (lambda s: bpfemu.open(OBJECT, seed=-1), "seed is -1"),
        (lambda s: bpfemu.open("absent.bpf.o"), "absent.bpf.o: no such file"),
        (lambda s: bpfemu.open(OBJECT, engine="warp").progs.bump.run(), "warp"),
        (lambda s: bpfemu.open(OBJECT, kfuncs=("no_such_pkg",)), "no package 'no_such_pkg'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(skel: Skeleton, call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        call(skel)


def test_names_that_are_not_there_list_those_that_are(skel: Skeleton) -> None:
    with pytest.raises(AttributeError, match="no program 'nope'; there are bump, context, broken"):
        skel.progs.nope  # noqa: B018
    with pytest.raises(InputError, match="no map 'nope'; there are"):
        skel.maps["nope"]
    with pytest.raises(AttributeError, match=r"\.bss has no variable 'nope'; there are"):
        skel.bss.nope  # noqa: B018
    with pytest.raises(AttributeError, match="data sections: rodata"):
        skel.nope  # noqa: B018
    assert "bump" in dir(skel.progs) and "runs" in dir(skel.bss) and "table" in skel.maps


def test_the_same_seed_gives_the_same_run_and_another_seed_other_addresses() -> None:
    def outcome(seed: int) -> tuple[int, int, str]:
        skel = bpfemu.open(OBJECT, seed=seed)
        run = skel.progs.bump.run()
        return run.r0, skel.kernel.memory.base, str(run)

    assert outcome(5) == outcome(5)
    assert outcome(5)[1] != outcome(6)[1]
    assert "seed 5" in outcome(5)[2]


def test_leaving_the_context_manager_forgets_the_kernel() -> None:
    with bpfemu.open(OBJECT) as skel:
        skel.load()
        assert skel.session.kernel is not None
    assert skel.session.kernel is None


def test_a_kernel_that_lacks_what_the_object_wants_says_so_before_anything_runs() -> None:
    skel = bpfemu.open(OBJECT, kernel="6.7")

    assert skel.progs.bump.run() == 3
    assert issubclass(BindError, InputError)
