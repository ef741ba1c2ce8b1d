"""Generated functions: what they look like, and the liberties they take."""

from __future__ import annotations

import pytest

from bpfemu.engine.interp import InterpEngine
from bpfemu.engine.interp.block import PATH_LIMIT, way_to
from bpfemu.engine.interp.engine import InterpCode
from bpfemu.machine.memory import READ_ONLY, VALID, LoadKind
from bpfemu.machine.stop import FaultKind, StopKind
from tests.engine.ways import WAYS, build, finish, machine_for, start

every_way = pytest.mark.parametrize("way", WAYS)


def code_of(text: str, *, uninit: tuple[int, ...] = ()) -> InterpCode:
    return InterpEngine().prepare(build(text, uninit=uninit))


def source_of(text: str, head: int = 0) -> str:
    return code_of(text).block(head).source


# ---- shape ------------------------------------------------------------------------------


def test_a_block_loads_what_it_reads_and_writes_back_what_it_wrote() -> None:
    assert source_of("r2 = r1; r3 = 5; exit") == (
        "def block(r, left):\n"
        " r1 = r[1]\n"
        " r2 = r1\n"
        " r3 = 0x5\n"
        " r[2] = r2; r[3] = r3; return 2, left - 2\n"
    )


def test_a_loop_counts_by_what_its_iterator_has_left() -> None:
    source = source_of("l: r1 ^= r2; if r1 != 0 goto l; exit")

    assert " rounds = repeat(None, left // 2)\n for _ in rounds:\n" in source
    assert "\n   continue\n" in source
    assert "return 2, rounds.__length_hint__() * 2 + left % 2\n" in source


def test_ways_of_different_length_put_what_they_lack_aside() -> None:
    source = source_of("l: if r1 == 0 goto l; r1 = r2; if r1 != 0 goto l; exit")

    assert " spare = 0\n" in source
    assert "spare += 2; continue" in source


def test_a_way_out_that_is_longer_than_a_round_is_kept_in_reserve() -> None:
    source = source_of("l: if r1 == 0 goto l; r1 = r2; r3 = r2; exit")

    assert " left -= 2\n rounds = repeat(None, left // 1)\n" in source


def test_an_inner_loop_is_a_function_of_its_own() -> None:
    code = code_of("o: r1 = 3; i: r1 += -1; if r1 != 0 goto i; r2 += -1; if r2 != 0 goto o; exit")

    assert "for _ in" not in code.block(0).source
    assert set(code.block(0).exits) == {1}
    assert "for _ in" in code.block(1).source
    assert set(code.block(1).exits) == {0, 5}


def test_a_breakpoint_cuts_functions() -> None:
    code = code_of("l: r1 += 1; r2 += 1; if r1 != 9 goto l; exit")

    assert set(code.block(0, frozenset({1})).exits) == {1}
    assert set(code.block(1, frozenset({1})).exits) == {0, 3}
    assert set(code.block(0, frozenset({0})).exits) == {0, 3}


def test_calls_end_a_function() -> None:
    block = code_of("r1 = 1; call f; exit; f: r0 = 1; exit").block(0)

    assert set(block.exits) == {1}
    assert way_to(block.exits[1]) == [0]
    assert way_to(None) == []


def test_a_function_is_never_longer_than_its_limit() -> None:
    text = "; ".join(["r1 += 1"] * 1000) + "; exit"

    block = code_of(text).block(0)

    (end,) = block.exits
    assert 0 < end <= PATH_LIMIT


def test_many_conditions_do_not_make_a_function_explode() -> None:
    text = "; ".join(f"if r1 == {at} goto +1; r2 += 1" for at in range(300)) + "; exit"

    block = code_of(text).block(0)

    assert len(block.source.splitlines()) < 2000


def test_unneeded_masks_are_left_out() -> None:
    source = source_of("w1 = w2; w1 ^= 5; w3 = w1; if w1 > 7 goto +0; exit")

    assert source.count("& 0xFFFFFFFF") == 2  # w2 may be wide, the xor is of the table
    assert "r3 = r1\n" in source


def test_checks_of_what_was_checked_are_left_out() -> None:
    image = build("r2 = r1; r2 += r1; r2 += r1; exit")

    source = InterpEngine().prepare(image).block(0).source

    assert source.count("is None") == 1


def test_functions_take_only_the_names_they_use() -> None:
    assert "(r, left, q8=q8, s8=s8, load=load)" in source_of("r1 = *(u64 *)(r10 - 8); exit")
    assert "(r, left, cast=cast)" in source_of("r1 = addr_space_cast(r2, 0, 1); exit")


# ---- words that are used again ----------------------------------------------------------

UPDATE = "{0} = *(u32 *)(r1 + 4); {0} += 1; *(u32 *)(r1 + 4) = {0}"


def test_a_word_that_is_used_again_is_looked_up_once() -> None:
    source = source_of(UPDATE.format("r2") + "; exit")

    assert source.count("s4[") == 1
    assert source.count("r1 - 0x") == 1


def test_a_word_of_the_frame_that_was_written_is_known() -> None:
    source = source_of("*(u64 *)(r10 - 8) = r1; r2 = *(u64 *)(r10 - 8); exit")

    assert "r2 = q8[fp8 - 1]\n" in source
    assert "load" not in source


@every_way
def test_a_word_is_not_the_same_once_its_pointer_has_moved(way: str) -> None:
    text = f"{UPDATE.format('r2')}; r1 += 8; {UPDATE.format('r3')}; r0 = 0; exit"
    bare = machine_for(bytes(range(16)))

    finish(way, start(way, build(text), bare))

    data = bare.machine.memory.read(bare.addr, 16)
    assert data == bytes([0, 1, 2, 3, 5, 5, 6, 7, 8, 9, 10, 11, 13, 13, 14, 15])


@every_way
def test_a_word_is_not_the_same_when_its_pointer_was_read_from_it(way: str) -> None:
    text = (
        "r2 = r1; *(u64 *)(r1 + 0) = r2; r1 = *(u64 *)(r1 + 0); *(u64 *)(r1 + 0) = 7; r0 = 0; exit"
    )
    bare = machine_for(bytes(16))

    finish(way, start(way, build(text), bare))

    assert bare.machine.memory.read_int(bare.addr, 8) == 7


@every_way
def test_a_word_that_is_misaligned_in_a_later_round_is_still_right(way: str) -> None:
    text = f"r5 = 3; l: {UPDATE.format('r2')}; r1 += 1; r5 += -1; if r5 != 0 goto l; r0 = 0; exit"
    bare = machine_for(bytes(16))

    finish(way, start(way, build(text), bare))

    assert bare.machine.memory.read(bare.addr, 16) == bytes([0] * 4 + [1, 1, 1] + [0] * 9)


@every_way
def test_a_word_that_may_be_read_may_still_not_be_written(way: str) -> None:
    bare = machine_for(bytes(16))
    bare.machine.memory.set_state(bare.addr, 16, READ_ONLY)

    stop = finish(way, start(way, build(UPDATE.format("r2") + "; r0 = 0; exit"), bare))

    assert stop.fault is not None
    assert (stop.fault.kind, stop.pc, stop.insns) == (FaultKind.READ_ONLY, 2, 2)


@every_way
@pytest.mark.parametrize("kind", [LoadKind.STACK, LoadKind.MAP_VALUE, LoadKind.UNKNOWN])
@pytest.mark.parametrize("place", ["r10 - 8", "r10 - 6", "r1 + 0", "r1 + 1"])
def test_a_word_that_is_written_first_can_be_read(way: str, kind: LoadKind, place: str) -> None:
    text = f"*(u16 *)({place}) = 9; r0 = *(s16 *)({place}); *(u16 *)({place}) = 3; exit"
    kinds = {0: kind, 1: kind, 2: kind}

    stop = finish(way, start(way, build(text, kinds=kinds), machine_for(bytes(16))))

    assert (stop.kind, stop.r0, stop.findings) == (StopKind.EXIT, 9, ())


def test_a_word_of_the_frame_that_nobody_wrote_stays_unwritten_when_read() -> None:
    text = "r0 = *(u64 *)(r10 - 8); r0 = *(u64 *)(r10 - 8); *(u64 *)(r10 - 8) = 1; exit"
    bare = machine_for()

    stop = finish("compiled", start("compiled", build(text), bare))

    assert [found.pc for found in stop.findings] == [0, 1]
    assert bare.machine.memory.state_of(bare.machine.stack[0] - 8) == VALID
