"""Fault reports: what happened, where, what lies there, who was there before."""

from __future__ import annotations

from typing import Any

from bpfemu.image import CallTarget, MapSlot, ProgramImage, Segment
from bpfemu.isa.insn import Call, LoadImm64, Reg
from bpfemu.isa.ops import Pseudo
from bpfemu.kernel.report import instruction_text, render_report
from bpfemu.machine.machine import code_address
from bpfemu.machine.stop import Fault, FaultKind, FrameInfo, Site, Stop, StopKind
from bpfemu.object import MapDef
from bpfemu.outcome import IterReport, Outcome
from bpfemu.record import replace
from tests.kernel.doubles import ARENA_BASE, bench

TEXT = "r1 = 1; r2 = 2; r3 = 3; r4 = 4; r0 = *(u64 *)(r1 +8); r5 = 5; exit"


def image(text: str = TEXT, **more: Any) -> ProgramImage:
    return bench().image(text, **more)


def report(fault: Fault | None, program: ProgramImage | None = None, **more: Any) -> str:
    stop = Stop(StopKind.FAULT, 0, 5, fault=fault)
    outcome = Outcome("prog", stop, "6.12.0", 9, "nmi", fault, **more)
    return render_report(outcome, program or image())


def test_a_report_has_everything_in_its_order() -> None:
    fault = Fault(
        FaultKind.USE_AFTER_FREE,
        "read of 8 bytes at 0x1008: use after free",
        pc=4,
        addr=0x1008,
        size=8,
        region="8 bytes inside the freed 96-byte allocator unit 'x-96'",
        allocated_by=Site(1, "prog", "call bpf_iter_x_new", "a.c:1: new"),
        freed_by=Site(3, "sub", "call bpf_iter_x_destroy"),
        frames=(FrameInfo(4, "sub", "a.c:5: read"), FrameInfo(1, "prog")),
        regs=(0, 0x1000, 2, 3, 4, None, None, None, None, None, 0x2000),
    )
    iterators = (
        IterReport("x", 1, "a.c:1: new", 0, 3, "still open"),
        IterReport("num", 2, "", 0, 3, "drained"),
    )

    assert (
        report(fault, iterators=iterators)
        == """\
use after free: read of 8 bytes at 0x1008: use after free
  pc 4 in prog, x.bpf.c:5: line 4;
         1: (b7) r2 = 2
         2: (b7) r3 = 3
         3: (b7) r4 = 4
    →    4: (79) r0 = *(u64 *)(r1 +8)
         5: (b7) r5 = 5
         6: (95) exit
  address   0x1008, 8 bytes inside the freed 96-byte allocator unit 'x-96'
  allocated call bpf_iter_x_new at prog+1 (a.c:1: new)
  freed     call bpf_iter_x_destroy at sub+3
  registers r0=0x0  r1=0x1000  r2=0x2  r3=0x3
            r4=0x4  r10=0x2000
  in        sub+4 (a.c:5: read)
  called by prog+1
  iterator  bpf_iter_x, made at pc 1 (a.c:1: new): 3 elements, still open
  after 5 insns, kernel 6.12.0, nmi context, seed 9
"""
    )


def test_what_is_not_known_is_left_out() -> None:
    text = report(Fault(FaultKind.BAD_CALL, "pointer in R1 isn't map pointer"))

    assert text == (
        "bad call: pointer in R1 isn't map pointer\n"
        "  after 5 insns, kernel 6.12.0, nmi context, seed 9\n"
    )
    assert "address   0x8\n" in report(Fault(FaultKind.NULL_DEREF, "x", pc=0, addr=8))


def test_an_outcome_without_a_fault_has_no_report() -> None:
    assert report(None) == ""


def test_a_run_that_faults_brings_its_report() -> None:
    outcome = bench().run("r1 = 0; r0 = *(u64 *)(r1 +0); exit")

    assert outcome.report.startswith("NULL dereference: read of 8 bytes at 0x0")
    assert "→    1: (79) r0 = *(u64 *)(r1 +0)" in outcome.report
    assert "in        prog+1 (x.bpf.c:2: line 1;)" in outcome.report


def test_a_run_that_faults_brings_its_last_instructions() -> None:
    outcome = bench().run("r1 = 0; goto +1; r1 = 1; r0 = *(u64 *)(r1 +0); exit")

    assert outcome.trail == (
        "   0: (b7) r1 = 0",
        "   1: (05) goto pc+1",
        "   3: (79) r0 = *(u64 *)(r1 +0)",
    )


def test_a_run_that_ends_by_itself_brings_none() -> None:
    assert bench().run("r0 = 0; exit").trail == ()


def test_an_image_without_subprograms_or_lines_is_shown_all_the_same() -> None:
    bare = replace(image(), subprogs=(), lines=())

    assert "\n  pc 0 in prog\n" in report(Fault(FaultKind.BAD_INSN, "x", pc=0), bare)


# ---- instructions -------------------------------------------------------------------------------


def with_code(code: tuple[Any, ...], **more: Any) -> ProgramImage:
    return replace(image(), code=code, **more)


def test_calls_have_the_names_that_the_image_knows() -> None:
    program = image("call bpf_get_prandom_u32; call sub; exit; sub: r0 = 0; exit")

    assert instruction_text(program, 0) == "(85) call bpf_get_prandom_u32#7"
    assert instruction_text(program, 1) == "(85) call pc+1#sub_3"
    unknown = with_code((Call("kfunc", 5, 0, 9),), calls=(CallTarget("x", None),))
    assert instruction_text(unknown, 0) == "(85) call kernel-function#5"


def test_addresses_are_shown_as_what_stands_there() -> None:
    slot = MapSlot(MapDef("stats", 1), ARENA_BASE)
    segment = Segment(".data", "x.data", ARENA_BASE + 0x1000, b"abcdefgh", True)
    values = (ARENA_BASE, ARENA_BASE + 0x1004, ARENA_BASE + 0x1008, code_address(3), 0x1234)
    code = tuple(LoadImm64(Reg(1), value, Pseudo.PLAIN) for value in values)
    program = replace(
        image("call sub; r0 = 0; exit; sub: r0 = 0; exit"),
        maps=(slot,),
        segments=(segment,),
    )
    program = replace(program, code=code)

    assert [instruction_text(program, slot) for slot in range(5)] == [
        "(18) r1 = map[stats]",
        "(18) r1 = map[x.data][0]+4",
        f"(18) r1 = {ARENA_BASE + 0x1008:#x}",
        "(18) r1 = subprog[sub_3]",
        "(18) r1 = 0x1234",
    ]


def test_a_function_pointer_into_the_middle_is_a_slot() -> None:
    program = with_code((LoadImm64(Reg(1), code_address(0), Pseudo.PLAIN),), subprogs=())

    assert instruction_text(program, 0) == "(18) r1 = subprog[0]"


def test_a_spent_budget_shows_the_loop_and_its_source_line() -> None:
    outcome = bench(budget=50).run("r1 = 0; r1 += 1; if r1 != 0 goto -2; r0 = 0; exit")

    assert outcome.stop.kind is StopKind.BUDGET
    assert outcome.report.startswith(
        "budget: the program was still running after 50 instructions\n  pc "
    )
    assert "  loop      pc 1 to 2, x.bpf.c:2: line 1;\n" in outcome.report
    assert outcome.report.endswith("  after 50 insns, kernel 6.12.0, task context, seed 0\n")


def test_a_budget_spent_before_any_loop_names_none() -> None:
    outcome = bench(budget=2).run("r1 = 0; r1 += 1; r1 += 2; r0 = 0; exit")

    assert outcome.stop.kind is StopKind.BUDGET and "  loop " not in outcome.report
    assert "→    2: (07) r1 += 2" in outcome.report


def test_coming_back_from_a_function_is_no_loop() -> None:
    trail = (3, 4, 1, 2)  # the subprogram at 3, then its caller
    program = image("call sub; r0 = 0; exit; sub: r0 = 1; exit")
    outcome = Outcome("prog", Stop(StopKind.BUDGET, 0, 4, 2, trail=trail), "6.12.0", 0)

    assert "  loop " not in render_report(outcome, program)
