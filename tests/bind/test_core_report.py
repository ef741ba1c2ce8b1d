"""CO-RE told and not done: what each relocation becomes, and whether control reaches it."""

from __future__ import annotations

from bpfemu.bind.core_report import CoreReport, report_core
from bpfemu.btf import Btf
from bpfemu.object import CoreRelo
from tests.bind.small import obj, options
from tests.bind.test_core import BYTE_OFF, ENUM_VALUE, FIELD_EXISTS, LOCAL_ID, Types

GUARDED = """
    r6 = r1
    r1 = 1
    if r1 == 0 goto out
    r0 = *(u64 *)(r6 + 8)
out:
    r0 = 0
    exit
"""


def local() -> Types:
    types = Types()
    return types.struct("thing", 16, ("old", types.u32, 0), ("young", types.u64, 64))


def kernel(young: int | None) -> Btf:
    """A kernel whose ``young`` is at that byte, or not there at all."""
    types = Types()
    rows = [("old", types.u32, 32)] + ([] if young is None else [("young", types.u64, 8 * young)])
    return types.struct("thing", 64, *rows).build()


def report(text: str, relos: list[CoreRelo], young: int | None, **more: str) -> CoreReport:
    given = obj(text, section="raw_tp", btf=local().build(), relos=relos)
    function = next(f for f in given.functions if f.name == "main")
    return report_core(given, function, options(kernel_btf=kernel(young), **more))


def relos() -> list[CoreRelo]:
    thing = local().ids["thing"]
    return [CoreRelo(1, thing, "0:1", FIELD_EXISTS), CoreRelo(3, thing, "0:1", BYTE_OFF)]


def test_a_field_that_is_there_is_reached_and_has_its_offset() -> None:
    exists, offset = report(GUARDED, relos(), young=24).rows

    assert (exists.result.value, exists.reached, exists.fails) == (1, True, False)
    assert (offset.result.value, offset.reached, offset.fails) == (24, True, False)
    assert offset.result.local == "<byte_off> [6] struct thing.young (0:1 @ offset 8)"
    assert offset.result.target == "<byte_off> [6] struct thing.young (0:1 @ offset 24)"
    assert (offset.slot, offset.function) == (3, "main")


def test_behind_a_guard_a_missing_field_does_not_fail() -> None:
    exists, offset = report(GUARDED, relos(), young=None).rows

    assert (exists.result.value, exists.result.target, exists.fails) == (0, "", False)
    assert offset.result.value is None and not offset.reached and not offset.fails
    assert "failed to resolve CO-RE relocation <byte_off>" in offset.result.poison


def test_without_a_guard_it_fails() -> None:
    thing = local().ids["thing"]
    (row,) = report(
        "r0 = *(u64 *)(r1 + 8); exit", [CoreRelo(0, thing, "0:1", BYTE_OFF)], young=None
    ).rows

    assert row.reached and row.fails


def test_what_cannot_be_loaded_fails_wherever_it_stands() -> None:
    thing = local().ids["thing"]
    bad = [CoreRelo(0, thing, "0:9", BYTE_OFF), CoreRelo(0, thing, "0:1", 99)]
    first, second = report("r0 = 0; exit", bad, young=24).rows

    assert first.result.error.startswith("member 9 of type [6], which has 2")
    assert first.result.local == "[6] + 0:9" and first.fails
    assert second.result.error == "unrecognized CO-RE relocation kind 99"


def test_an_instruction_with_another_value_than_recorded_is_an_error() -> None:
    thing = local().ids["thing"]
    (row,) = report(
        "r0 = *(u64 *)(r1 + 16); exit", [CoreRelo(0, thing, "0:1", BYTE_OFF)], young=24
    ).rows

    assert "got 16, exp 8 -> 24" in row.result.error
    assert row.result.value is None and row.fails


def test_ids_of_the_programs_own_types_need_no_kernel() -> None:
    thing = local().ids["thing"]
    (row,) = report(f"r0 = {thing}; exit", [CoreRelo(0, thing, "0", LOCAL_ID)], young=24).rows

    assert row.result.value == thing and row.result.target == row.result.local


def test_a_target_that_the_kernel_lacks_says_nothing_about_the_code() -> None:
    given = obj(GUARDED, section="fentry/nowhere", btf=local().build(), relos=relos())
    found = report_core(given, given.functions[0], options(kernel_btf=kernel(None)))

    assert found.note == ""
    assert [row.fails for row in found.rows] == [False, False]


def test_where_reaching_cannot_be_found_out_everything_counts_as_reached() -> None:
    given = obj(GUARDED, section="mystery", btf=local().build(), relos=relos())
    found = report_core(given, given.functions[0], options(kernel_btf=kernel(None)))

    assert "missing BPF prog type, check ELF section name 'mystery'" in found.note
    assert [row.fails for row in found.rows] == [False, True]


def test_an_object_without_btf_has_nothing_to_relocate() -> None:
    given = obj("r0 = 0; exit", section="raw_tp")

    assert report_core(given, given.functions[0], options(kernel_btf=kernel(None))).rows == ()


def test_enumerators_too() -> None:
    types = local()
    state = types.btf.enum("state", 4, [("FROZEN", 7)])
    given = obj(
        "r0 = 7; exit",
        section="raw_tp",
        btf=types.build(),
        relos=[CoreRelo(0, state, "0", ENUM_VALUE)],
    )
    other = Types()
    other.btf.enum("state", 4, [("FROZEN", 9)])
    (row,) = report_core(given, given.functions[0], options(kernel_btf=other.build())).rows

    assert row.result.value == 9
    assert row.result.target == "<enumval_value> [6] enum state::FROZEN = 9"
