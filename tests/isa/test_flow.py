"""Where control goes, and the kernel's rules about it."""

from __future__ import annotations

import pytest
from hypothesis import given

from bpfemu.errors import DecodeError
from bpfemu.isa.encoding import decode
from bpfemu.isa.flow import (
    Block,
    back_edges,
    blocks,
    check_structure,
    func_target,
    jump_target,
    loop_heads,
    reachable,
    subprog_at,
    subprog_ranges,
    subprog_starts,
    successors,
)
from bpfemu.isa.insn import CallSub, Insn, Jump, MayGoto
from bpfemu.record import replace
from tests.builders.asm import prog
from tests.builders.insns import codes

DIAMOND = prog("if r1 == 0 goto other; r0 = 1; goto out; other: r0 = 2 ll; out: exit")
LOOP = prog("r0 = 0; head: r0 += 1; if r0 < 10 goto head; exit")
WITH_SUBPROGS = prog("""
    r2 = func(callback) ll
    call sum
    exit
sum:
    r0 = 1
    exit
callback:
    r0 = 0
    goto +0
    exit
""")


def test_successors_list_the_next_slot_before_the_target() -> None:
    assert [successors(DIAMOND, slot) for slot in (0, 1, 2, 3, 5)] == [
        (1, 3),
        (2,),
        (5,),
        (5,),
        (),
    ]


def test_a_conditional_jump_to_the_next_slot_has_one_successor() -> None:
    assert successors(prog("if r1 == 0 goto +0; exit"), 0) == (1,)
    assert successors(prog("may_goto +1; exit; exit"), 0) == (1, 2)


def test_calls_go_on_at_the_next_slot() -> None:
    assert successors(WITH_SUBPROGS, 2) == (3,)


def test_targets_of_jumps_and_of_functions() -> None:
    assert [jump_target(insn) for insn in DIAMOND] == [3, None, 5, None, None, None]
    assert [func_target(insn, slot) for slot, insn in enumerate(WITH_SUBPROGS)][:3] == [6, None, 4]
    assert func_target(prog("exit; r1 = func(-2) ll")[1], 1) == 0


def test_blocks_end_at_jumps_and_begin_at_targets() -> None:
    assert blocks(DIAMOND) == (
        Block(0, 1, (1, 3)),
        Block(1, 3, (5,)),
        Block(3, 5, (5,)),
        Block(5, 6, ()),
    )
    assert blocks(LOOP) == (Block(0, 1, (1,)), Block(1, 3, (3, 1)), Block(3, 4, ()))


def test_a_block_may_fall_through_into_the_next() -> None:
    assert blocks(prog("r0 = 1 ll; exit")) == (Block(0, 3, ()),)
    assert blocks(prog("head: r0 = 1 ll; goto head"))[0] == Block(0, 3, (0,))
    assert blocks(prog("exit; r0 = 1 ll; back: goto back"))[1] == Block(1, 3, (3,))


def test_subprograms_start_at_callees_and_callbacks() -> None:
    assert subprog_starts(WITH_SUBPROGS) == (0, 4, 6)
    assert subprog_ranges(WITH_SUBPROGS) == ((0, 4), (4, 6), (6, 9))
    assert subprog_ranges(LOOP, entries=(3,)) == ((0, 3), (3, 4))
    assert [subprog_at((0, 4, 6), slot) for slot in (0, 3, 4, 5, 6, 8)] == [0, 0, 1, 1, 2, 2]


def test_empty_code_has_no_blocks() -> None:
    assert blocks(()) == ()


def test_reachable_follows_jumps_calls_and_callbacks() -> None:
    assert reachable(WITH_SUBPROGS) == frozenset(range(9))
    assert reachable(WITH_SUBPROGS, entries=(4,)) == {4, 5}
    assert reachable(prog("goto +1; r0 = 1; exit")) == {0, 2}
    assert reachable(prog("r0 = 1 ll")) == {0, 1}  # runs off the end


def test_loops_close_at_their_back_edges() -> None:
    nested = prog("outer: r1 = 0; inner: r1 += 1; if r1 < 3 goto inner; may_goto outer; exit")

    assert back_edges(LOOP) == ((2, 1),)
    assert loop_heads(nested) == {0, 1}
    assert back_edges(nested) == ((2, 1), (3, 0))
    assert back_edges(DIAMOND) == ()


def test_a_jump_backwards_that_closes_no_loop_is_no_back_edge() -> None:
    code = prog("goto start; end: r0 = 1; exit; start: goto end")

    assert back_edges(code) == ()


def test_loops_in_subprograms_are_found() -> None:
    code = prog("call sub; exit; sub: r0 = 1; again: if r0 == 0 goto again; exit")

    assert back_edges(code) == ((3, 3),)


def test_an_entry_outside_the_code_closes_no_loop() -> None:
    assert back_edges(LOOP, entries=(99,)) == back_edges(LOOP, entries=(2,)) == ((2, 1),)


def test_loops_entered_at_two_places_are_cut() -> None:
    code = prog("if r1 == 0 goto b; a: r0 = 1; b: r0 = 2; if r2 == 0 goto a; exit")

    edges = back_edges(code)

    assert edges in (((3, 1),), ((1, 2),))


@pytest.mark.parametrize("code", [DIAMOND, LOOP, WITH_SUBPROGS, prog("exit"), prog("l: goto l")])
def test_what_is_well_formed_passes(code: tuple[Insn, ...]) -> None:
    check_structure(code)


@pytest.mark.parametrize(
    ("text", "slot", "message"),
    [
        ("r0 = 1", 0, "last insn is not an exit or jmp"),
        ("r0 = 1 ll", 1, "last insn is not an exit or jmp"),
        ("if r0 == 0 goto -1", 0, "last insn is not an exit or jmp"),
        ("may_goto -1", 0, "last insn is not an exit or jmp"),
        ("call -1; call 5", 1, "last insn is not an exit or jmp"),
        ("call sub; r0 = 1; sub: exit", 1, "last insn is not an exit or jmp"),
        ("goto +1; exit", 0, "jump out of range from insn 0 to 2"),
        ("goto -2; exit", 0, "jump out of range from insn 0 to -1"),
        ("gotol +100000; exit", 0, "jump out of range from insn 0 to 100001"),
        ("call sub; if r0 == 1 goto sub; exit; sub: exit", 1, "out of range from insn 1 to 3"),
        ("call sub; exit; sub: goto -3", 2, "jump out of range from insn 2 to 0"),
        ("call pc+7; exit", 0, "call to invalid destination 8"),
        ("r1 = func(9) ll; exit", 0, "call to invalid destination 10"),
        ("exit; r0 = 1; exit", 1, "unreachable insn 1"),
        ("l: goto l; exit", 1, "unreachable insn 1"),
        ("goto +1; r1 = 1 ll; exit", 1, "unreachable insn 1"),
        ("call pc+1; r1 = 1 ll; exit", 1, "last insn is not an exit or jmp"),
        ("if r1 == 0 goto +1; r1 = 1 ll; exit", 1, "jump into the middle of ldimm64 insn 1"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_the_kernels_words(
    text: str, slot: int, message: str
) -> None:
    with pytest.raises(DecodeError) as refused:
        check_structure(prog(text))

    assert message in str(refused.value)
    assert (refused.value.slot, refused.value.errno) == (slot, 22)


def test_an_empty_program_is_refused() -> None:
    with pytest.raises(DecodeError, match="the program is empty"):
        check_structure(())


def test_an_exception_callback_counts_as_an_entry() -> None:
    code = prog("r0 = 0; exit; r0 = 1; exit")

    check_structure(code, entries=(0, 2))
    with pytest.raises(DecodeError, match="unreachable insn 2"):
        check_structure(code)


def _stays_inside(code: tuple[Insn, ...]) -> bool:
    targets = [t for i, insn in enumerate(code) for t in (jump_target(insn), func_target(insn, i))]
    return all(target is None or 0 <= target < len(code) for target in targets)


def _folded(code: tuple[Insn, ...]) -> tuple[Insn, ...]:
    """The same code with every jump and call target brought into it."""
    return tuple(
        replace(insn, target=insn.target % len(code))
        if isinstance(insn, Jump | MayGoto | CallSub)
        else insn
        for insn in code
    )


some_code = codes(max_insns=20).map(_folded).filter(_stays_inside)


@given(some_code)
def test_blocks_cover_any_code_once(code: tuple[Insn, ...]) -> None:
    covered = [slot for block in blocks(code) for slot in range(block.start, block.end)]

    assert covered == list(range(len(code)))


@given(some_code)
def test_every_loop_has_a_head(code: tuple[Insn, ...]) -> None:
    cut = set(back_edges(code))
    inside = {slot: successors(code, slot) for slot in range(len(code))}

    # With the back edges cut, peeling off what has no successors leaves nothing.
    left = {
        slot: {t for t in following if t < len(code) and (slot, t) not in cut}
        for slot, following in inside.items()
        if slot in reachable(code, entries=subprog_starts(code))
    }
    while leaves := [slot for slot, following in left.items() if not following & left.keys()]:
        for slot in leaves:
            del left[slot]

    assert not left


@given(codes(max_insns=20))
def test_the_rules_hold_or_are_refused_for_any_code(code: tuple[Insn, ...]) -> None:
    try:
        check_structure(code)
    except DecodeError:
        return

    assert _stays_inside(code)
    assert reachable(code) == set(range(len(code)))


def test_structure_of_decoded_bytes() -> None:
    code = decode(bytes.fromhex("0500000000000000 9500000000000000"))

    check_structure(code)
    assert blocks(code) == (Block(0, 1, (1,)), Block(1, 2, ()))
