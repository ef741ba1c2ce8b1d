"""A run: ends, faults in the middle of functions, budgets, stopping and going on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bpfemu.engine.interp import InterpEngine
from bpfemu.engine.interp.run import TRAIL_SIZE
from bpfemu.errors import InputError, InternalError
from bpfemu.image import SourceLine
from bpfemu.isa.insn import Alu, Exit, Imm, Insn, Reg
from bpfemu.isa.ops import AluOp
from bpfemu.machine.stop import Fault, FaultKind, FrameInfo, Stop, StopKind
from bpfemu.record import replace
from tests.engine.ways import WAYS, build, finish, go, machine_for, start

every_way = pytest.mark.parametrize("way", WAYS)

SUM = "r0 = 0; r6 = 10; l: r0 += r6; r6 += -1; if r6 != 0 goto l; exit"
LONG = "r0 = 0; r6 = 100000; l: r0 += r6; r6 += -1; if r6 != 0 goto l; exit"


def fault_of(stop: Stop) -> Fault:
    assert stop.fault is not None
    return stop.fault


# ---- ends -------------------------------------------------------------------------------


@every_way
def test_an_exit_counts_and_is_where_the_run_stopped(way: str) -> None:
    stop = go(way, SUM)

    assert (stop.kind, stop.r0, stop.insns, stop.pc) == (StopKind.EXIT, 55, 2 + 30 + 1, 5)


def test_a_long_loop_gives_what_arithmetic_says() -> None:
    stop = go("cold", LONG)

    assert (stop.r0, stop.insns) == (5000050000, 2 + 300000 + 1)


@every_way
def test_a_run_that_has_ended_stays_so(way: str) -> None:
    run = start(way, build(SUM), machine_for())
    stop = finish(way, run)

    assert run.stop is stop
    assert run.step() is stop
    assert run.resume() is stop
    assert run.resume([0]) is stop


def test_registers_at_entry_are_the_arguments_and_the_stack() -> None:
    bare = machine_for()
    run = start("cold", build("exit"), bare, (1, -1))

    assert run.regs == [None, 1, 2**64 - 1, *[None] * 7, bare.machine.stack[0]]
    assert run.pc == run.insns == 0


def test_a_context_can_be_one_number() -> None:
    code = InterpEngine().prepare(build("r0 = r1; exit"))

    assert code.run(machine_for().machine, 5).r0 == 5


def test_a_run_can_start_at_another_subprogram() -> None:
    code = InterpEngine().prepare(build("call f; exit; f: r0 = r1; exit"))
    run = code.start(machine_for().machine, 9, entry=2)

    assert run.resume().r0 == 9
    assert run.frames[0].subprog == 1


def test_more_arguments_than_registers_are_refused() -> None:
    code = InterpEngine().prepare(build("exit"))

    with pytest.raises(InputError, match="6 arguments"):
        code.run(machine_for().machine, (0,) * 6)


def test_an_image_bound_to_another_arena_is_refused() -> None:
    code = InterpEngine().prepare(replace(build("exit"), arena_base=0x1000))

    with pytest.raises(InternalError, match="bound to an arena at 0x1000"):
        code.run(machine_for().machine)


# ---- faults in the middle ---------------------------------------------------------------

MIDDLE = """
    r6 = 3
    r0 = 0
l:  r6 += 1
    r0 += r6
    if r6 > 100 goto l
    r2 = *(u64 *)(r0 + 4096)
    r6 = 77
    if r6 != 0 goto l
    exit
"""


@every_way
def test_a_fault_in_the_middle_of_a_function_is_exact(way: str) -> None:
    stop = go(way, MIDDLE)

    fault = fault_of(stop)
    assert (stop.kind, stop.pc, stop.insns) == (StopKind.FAULT, 5, 5)
    assert (fault.kind, fault.pc, fault.addr, fault.size) == (
        FaultKind.OUT_OF_BOUNDS,
        5,
        4100,
        8,
    )
    assert fault.regs[:3] == (4, 0, 0)
    assert (fault.regs[6], fault.regs[7]) == (4, None)
    assert fault.frames == (FrameInfo(5, "bare", ""),)


@every_way
@pytest.mark.parametrize("bad", [1, 2, 3, 7, 50])
def test_a_fault_in_a_later_round_is_exact(way: str, bad: int) -> None:
    text = f"""
        r6 = 0
        r0 = 0
    l:  r6 += 1
        if r6 != {bad} goto ok
        r1 = 0
    ok: r0 = *(u8 *)(r1 + 0)
        r7 = r6
        if r6 < 60 goto l
        exit
    """
    bare = machine_for(b"\x05")
    run = start(way, build(text), bare)

    stop = finish(way, run)

    fault = fault_of(stop)
    rounds = bad - 1
    assert (fault.kind, fault.pc) == (FaultKind.NULL_DEREF, 5)
    assert stop.insns == 2 + rounds * 5 + 3
    assert fault.regs[6] == bad
    assert fault.regs[7] == (rounds or None)
    assert fault.regs[0] == (5 if rounds else 0)


@every_way
@pytest.mark.parametrize("uninit", [None, ()])
def test_a_register_that_nobody_wrote_is_a_fault_even_where_bind_saw_none(
    way: str, uninit: Sequence[int] | None
) -> None:
    image = build("r0 = 1; r0 += r6; exit", uninit=uninit)

    stop = finish(way, start(way, image, machine_for()))

    fault = fault_of(stop)
    assert (fault.kind, fault.detail, fault.pc) == (FaultKind.UNINITIALISED, "R6 !read_ok", 1)
    assert stop.insns == 1


@every_way
@pytest.mark.parametrize(
    ("text", "reg"),
    [
        ("r2 = r3; exit", 3),
        ("r3 += 1; exit", 3),
        ("r3 = be16 r3; exit", 3),
        ("r2 = *(u64 *)(r3 + 0); exit", 3),
        ("*(u64 *)(r3 + 0) = 1; exit", 3),
        ("*(u64 *)(r10 - 8) = r3; exit", 3),
        ("*(u32 *)(r10 - 8) = r3; exit", 3),
        ("if r3 == 0 goto +0; exit", 3),
        ("r1 = 1; if r1 == r3 goto +0; exit", 3),
        ("lock *(u64 *)(r10 - 8) += r3; exit", 3),
        ("r1 = 1; r0 = cmpxchg_64(r10 - 8, r0, r1); exit", 0),
        ("r2 = addr_space_cast(r3, 0, 1); exit", 3),
    ],
)
def test_every_family_checks_what_it_reads(way: str, text: str, reg: int) -> None:
    stop = finish(way, start(way, build(text), machine_for(b"x"), ()))

    assert fault_of(stop).detail == f"R{reg} !read_ok"


@every_way
def test_a_register_written_from_nothing_is_checked_where_it_is_read_first(way: str) -> None:
    stop = finish(way, start(way, build("r2 = r5; r3 = r2; exit", uninit=[0]), machine_for()))

    assert (fault_of(stop).detail, stop.pc) == ("R5 !read_ok", 0)


@every_way
def test_faults_and_frames_name_source_lines(way: str) -> None:
    text = "r6 = 0; call f; exit; f: r1 = 0; r0 = *(u8 *)(r1 + 0); exit"
    image = build(text)
    lines = tuple(SourceLine("/src/a.c", 10 + slot, 1, f"  line{slot}();") for slot in range(6))

    stop = finish(way, start(way, replace(image, lines=lines), machine_for()))

    fault = fault_of(stop)
    assert fault.line == "a.c:14: line4();"
    assert fault.frames == (
        FrameInfo(4, "bare_3", "a.c:14: line4();"),
        FrameInfo(1, "bare", "a.c:11: line1();"),
    )


class Broken(Exception):
    """What the gate raises in the middle of a function."""


@every_way
def test_an_exception_in_the_middle_leaves_the_run_at_its_instruction(way: str) -> None:
    def fail(addr: int, to_space: int, from_space: int) -> int:
        raise Broken

    bare = machine_for()
    bare.machine.gate.arena_cast = fail  # type: ignore[method-assign]
    run = start(way, build("r6 = 1; r6 += 1; r6 = addr_space_cast(r6, 1, 0); exit"), bare)

    with pytest.raises(Broken):
        finish(way, run)

    assert (run.pc, run.insns, run.regs[6], run.stop) == (2, 2, 2, None)


@every_way
def test_an_interrupted_run_can_go_on(way: str) -> None:
    bare = machine_for()
    cast = bare.machine.gate.arena_cast
    rounds = []

    def interrupt(addr: int, to_space: int, from_space: int) -> int:
        rounds.append(addr)
        if len(rounds) == 4:
            raise KeyboardInterrupt
        return cast(addr, to_space, from_space)

    bare.machine.gate.arena_cast = interrupt  # type: ignore[method-assign]
    text = "r0 = 0; l: r0 += 1; r0 = addr_space_cast(r0, 1, 0); if r0 != 9 goto l; exit"
    run = start(way, build(text), bare)

    with pytest.raises(KeyboardInterrupt):
        finish(way, run)
    at = (run.pc, run.insns, run.regs[0])
    stop = finish(way, run)

    assert at == (2, 1 + 3 * 3 + 1, 4)
    assert (stop.r0, stop.insns) == (9, 1 + 9 * 3 + 1)


# ---- budgets ----------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("budget", [0, 1, 2, 3, 4, 199, 200, 201, 202, 203, 1000, 5001])
def test_a_budget_ends_at_the_exact_instruction(way: str, budget: int) -> None:
    bare = machine_for(budget=budget)
    run = start(way, build(LONG), bare)

    stop = finish(way, run)

    assert (stop.kind, stop.insns) == (StopKind.BUDGET, budget)
    assert stop.pc == run.pc == ([0, 1][budget] if budget < 2 else 2 + (budget - 2) % 3)
    rounds = max(0, budget) // 3 if budget < 2 else (budget - 2 + 2) // 3
    assert (run.regs[0] or 0) == sum(100000 - at for at in range(rounds))


@every_way
def test_a_budget_that_just_suffices_is_enough(way: str) -> None:
    assert go(way, SUM, budget=33).kind is StopKind.EXIT
    assert go(way, SUM, budget=32).kind is StopKind.BUDGET


@every_way
def test_a_run_goes_on_when_its_budget_is_raised(way: str) -> None:
    bare = machine_for(budget=1000)
    run = start(way, build(LONG), bare)

    first = finish(way, run)
    again = run.resume()
    bare.machine.budget = 10**6
    last = finish(way, run)

    assert first.kind is again.kind is StopKind.BUDGET
    assert (last.kind, last.r0, last.insns) == (StopKind.EXIT, 5000050000, 300003)


def test_a_callee_keeps_waiting_when_the_budget_ends_in_its_callback() -> None:
    from tests.engine.interp.test_call import LOOP, loop

    bare = machine_for(b"", loop, budget=12)
    run = start("cold", build(LOOP % 4), bare)

    run.resume()
    bare.machine.budget = 1000

    assert run.resume().r0 == 1000 + 4 + 6


# ---- stopping and going on --------------------------------------------------------------


def test_steps_count_exactly() -> None:
    run = start("cold", build(SUM), machine_for())

    assert run.step(7) is None
    assert (run.insns, run.pc) == (7, 4)
    assert run.step(0) is None
    assert run.insns == 7


@every_way
def test_a_breakpoint_stops_before_its_instruction(way: str) -> None:
    run = start(way, build(SUM), machine_for())

    stops = [run.resume([3]) for _ in range(3)]

    assert [stop.kind for stop in stops] == [StopKind.BREAKPOINT] * 3
    assert [(stop.pc, stop.insns) for stop in stops] == [(3, 3), (3, 6), (3, 9)]
    assert run.stop is None
    assert run.resume().r0 == 55


@every_way
def test_a_breakpoint_where_the_run_stands_is_left_behind(way: str) -> None:
    run = start(way, build(SUM), machine_for())

    assert run.resume([0, 5]).pc == 5


def test_a_breakpoint_stops_a_loop_that_has_become_hot() -> None:
    text = LONG.replace("exit", "r7 = 1; r0 += r7; exit")
    run = start("cold", build(text), machine_for())

    stop = run.resume([6])

    assert (stop.pc, stop.insns, run.regs[7]) == (6, 2 + 300000 + 1, 1)


def test_a_breakpoint_can_be_at_the_head_of_a_hot_loop() -> None:
    run = start("compiled", build(LONG), machine_for())

    stops = [run.resume([2]) for _ in range(4)]

    assert [stop.insns for stop in stops] == [2, 5, 8, 11]


@every_way
def test_until_is_asked_before_each_instruction_but_the_first(way: str) -> None:
    asked = []
    run = start(way, build(SUM), machine_for())

    stop = run.resume(lambda run: asked.append(run.pc) or run.regs[6] == 8)

    assert stop.kind is StopKind.BREAKPOINT
    assert asked == [1, 2, 3, 4, 2, 3, 4]
    assert run.pc == 4


def test_breakpoints_and_budgets_go_together() -> None:
    run = start("compiled", build(LONG), machine_for(budget=250))

    kinds = [run.resume([4]).kind for _ in range(83)]

    assert set(kinds[:-1]) == {StopKind.BREAKPOINT}
    assert kinds[-1] is StopKind.BUDGET
    assert run.insns == 250


def test_registers_can_be_changed_while_a_run_is_paused() -> None:
    run = start("compiled", build(SUM), machine_for())
    run.resume([2])

    run.regs[6] = 2

    assert run.resume().r0 == 2 + 1


# ---- what is hot ------------------------------------------------------------------------


def test_a_second_run_starts_with_the_functions_of_the_first() -> None:
    code = InterpEngine().prepare(build(LONG))

    first = code.start(machine_for().machine)
    first.resume()
    block = code.known(2)
    second = code.start(machine_for().machine).resume()

    assert block is not None
    assert code.known(2) is block
    assert second == first.stop


def test_many_short_runs_make_a_program_hot() -> None:
    code = InterpEngine().prepare(build("r0 = 1; r0 += 2; exit"))

    results = {code.run(machine_for().machine).r0 for _ in range(40)}

    assert results == {3}
    assert code.known(0) is not None


def test_code_that_runs_once_is_not_compiled() -> None:
    code = InterpEngine().prepare(build(SUM))

    code.run(machine_for().machine)

    assert code.known(0) is code.known(2) is None


def test_hot_loops_around_calls_keep_going_through_the_gate() -> None:
    calls = []
    text = "r6 = 3000; r7 = 0; l: call 0; r7 += r0; r6 += -1; if r6 != 0 goto l; r0 = r7; exit"
    bare = machine_for(b"", lambda machine, regs: calls.append(machine.insns) or 2)
    run = start("cold", build(text), bare)

    stop = run.resume()

    assert stop.r0 == 6000
    assert calls == [2 + 4 * at for at in range(3000)]
    assert run.code.known(3) is not None


# ---- the trail --------------------------------------------------------------------------


@every_way
def test_the_trail_shows_the_way_to_a_fault(way: str) -> None:
    run = start(way, build(MIDDLE), machine_for())

    finish(way, run)

    assert run.trail == (0, 1, 2, 3, 4, 5)


def test_the_trail_of_a_stepped_run_is_exact_and_short() -> None:
    run = start("cold", build(SUM), machine_for())

    run.step(32)

    assert run.trail == (0, 1, *[2, 3, 4] * 10)
    run.step()
    assert run.trail[-1] == 5
    assert len(run.trail) == 33 < TRAIL_SIZE


def test_the_trail_of_a_hot_loop_ends_with_its_last_round() -> None:
    text = "r6 = 100000; l: r7 = r6; r6 += -1; if r6 != 0 goto l; r0 = *(u64 *)(r6 + 0); exit"
    run = start("cold", build(text), machine_for())

    stop = run.resume()

    assert fault_of(stop).kind is FaultKind.NULL_DEREF
    assert run.trail[-4:] == (1, 2, 3, 4)
    assert len(run.trail) <= TRAIL_SIZE


@every_way
def test_a_stop_brings_its_trail_unless_the_program_just_ended(way: str) -> None:
    fault, over, done = go(way, MIDDLE), go(way, SUM, budget=3), go(way, SUM)

    assert fault.trail == (0, 1, 2, 3, 4, 5)
    assert over.trail == (0, 1, 2)
    assert done.trail == ()


@every_way
def test_the_trail_goes_through_calls(way: str) -> None:
    run = start(way, build("r1 = 1; call f; exit; f: r0 = r1; exit"), machine_for())

    finish(way, run)

    assert run.trail == (0, 1, 3, 4, 2)


def test_an_empty_run_has_no_trail() -> None:
    assert start("cold", build("exit"), machine_for()).trail == ()


def test_a_very_long_straight_program_runs_in_pieces() -> None:
    code: list[Insn] = [Alu(AluOp.MOV, 64, Reg(0), Imm(0))]
    code += [Alu(AluOp.ADD, 64, Reg(0), Imm(at)) for at in range(1000)]
    code.append(Exit())

    for way in WAYS:
        stop = go(way, code)
        assert (stop.r0, stop.insns) == (499500, 1002)
