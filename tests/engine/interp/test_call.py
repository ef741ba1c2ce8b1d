"""Frames, calls through the gate, callbacks, ends: in every way a program can be run."""

from __future__ import annotations

import pytest

from bpfemu.isa.insn import Alu, CallSub, Exit, Imm, Insn, Reg
from bpfemu.isa.ops import AluOp
from bpfemu.machine.gate import UNSET, ProgramExit, Throw, Upcall
from bpfemu.machine.machine import CODE_BASE, Machine
from bpfemu.machine.memory import REDZONE
from bpfemu.machine.stop import Fault, FaultKind, Stop, StopKind, Trap
from bpfemu.record import replace
from tests.engine.ways import WAYS, build, finish, go, machine_for, start

every_way = pytest.mark.parametrize("way", WAYS)


def fault_of(stop: Stop) -> Fault:
    assert stop.kind is StopKind.FAULT
    assert stop.fault is not None
    return stop.fault


# ---- subprograms ------------------------------------------------------------------------


@every_way
def test_a_callee_gets_arguments_and_returns_r0(way: str) -> None:
    stop = go(way, "r1 = 5; r2 = 7; call f; exit; f: r0 = r1; r0 -= r2; exit")

    assert (stop.kind, stop.r0, stop.insns) == (StopKind.EXIT, 2**64 - 2, 7)


@every_way
def test_callee_saved_registers_and_the_stack_are_the_callers_own(way: str) -> None:
    stop = go(
        way,
        """r6 = 1; r7 = 2; r8 = 3; r9 = 4; *(u64 *)(r10 - 8) = 100; r1 = r10; call f
        r0 += r6; r0 += r7; r0 += r8; r0 += r9; r1 = *(u64 *)(r10 - 8); r0 += r1; exit
        f: r6 = 50; r7 = 50; r8 = 50; r9 = 50; *(u64 *)(r10 - 8) = 9
        r0 = *(u64 *)(r1 - 8); exit""",
    )

    assert stop.r0 == 1 + 2 + 3 + 4 + 100 + 100


@every_way
@pytest.mark.parametrize("reg", [1, 2, 3, 4, 5])
def test_argument_registers_are_nobodys_after_a_call(way: str, reg: int) -> None:
    stop = go(way, f"r{reg} = 1; call f; r0 = r{reg}; exit; f: r0 = 0; exit")

    fault = fault_of(stop)
    assert (fault.kind, fault.pc) == (FaultKind.UNINITIALISED, 2)
    assert fault.detail == f"R{reg} !read_ok"


@every_way
@pytest.mark.parametrize("reg", [0, 6, 7, 8, 9])
def test_a_callee_cannot_read_its_callers_other_registers(way: str, reg: int) -> None:
    stop = go(way, f"r{reg} = 1; call f; exit; f: r0 = r{reg}; exit")

    fault = fault_of(stop)
    assert (fault.detail, fault.pc) == (f"R{reg} !read_ok", 3)
    assert [frame.pc for frame in fault.frames] == [3, 1]


@every_way
def test_a_subprogram_may_return_nothing_if_nobody_asks(way: str) -> None:
    stop = go(way, "call f; r0 = 3; exit; f: exit")

    assert (stop.kind, stop.r0) == (StopKind.EXIT, 3)


def _chain(depth: int) -> str:
    """Main calls f1, which calls f2 …: ``depth`` frames in all."""
    parts = ["r0 = 0; call f1; exit"]
    parts += [f"f{i}: call f{i + 1}; exit" for i in range(1, depth - 1)]
    return "; ".join([*parts, f"f{depth - 1}: r0 = {depth}; exit"])


@every_way
def test_eight_frames_fit(way: str) -> None:
    assert go(way, _chain(8)).r0 == 8


@every_way
def test_a_ninth_frame_is_a_fault_at_its_call(way: str) -> None:
    stop = go(way, _chain(9))

    fault = fault_of(stop)
    assert fault.kind is FaultKind.STACK_DEPTH
    assert fault.detail == "the call stack of 9 frames is too deep"
    assert len(fault.frames) == 8
    assert fault.pc == fault.frames[0].pc == 3 + 2 * 6
    assert fault.frames[-1].pc == 1
    assert stop.insns == 1 + 7


@every_way
def test_a_new_frame_holds_nothing_that_was_written(way: str) -> None:
    text = "call f; call f; exit; f: r0 = *(u64 *)(r10 - 16); *(u64 *)(r10 - 16) = 7; exit"

    stop = go(way, text)

    assert stop.kind is StopKind.EXIT
    assert [(finding.kind, finding.pc) for finding in stop.findings] == [
        (FaultKind.UNINITIALISED, 3)
    ]


@every_way
def test_the_stack_of_a_frame_that_was_left_is_out_of_bounds(way: str) -> None:
    stop = go(way, "call f; r0 = *(u64 *)(r0 - 8); exit; f: r0 = r10; *(u64 *)(r10 - 8) = 7; exit")

    fault = fault_of(stop)
    assert (fault.kind, fault.pc) == (FaultKind.OUT_OF_BOUNDS, 1)
    assert "stack of frame 1" in fault.region


@every_way
def test_the_stack_of_the_program_itself_stays_readable_for_the_kernel(way: str) -> None:
    bare = machine_for()
    run = start(way, build("*(u64 *)(r10 - 8) = 7; r0 = 0; exit"), bare)

    finish(way, run)

    assert bare.machine.memory.read_int(bare.machine.stack[0] - 8, 8) == 7


def test_left_stacks_are_a_red_zone() -> None:
    bare = machine_for()
    run = start("cold", build("call f; exit; f: r0 = 0; exit"), bare)

    run.resume()

    assert bare.machine.memory.state_of(bare.machine.stack[1] - 8) == REDZONE


@every_way
def test_a_call_through_a_register_enters_the_function_it_points_at(way: str) -> None:
    stop = go(way, f"r1 = 20; r2 = {CODE_BASE + 8 * 5} ll; callx r2; exit; r0 = r1; r0 += 1; exit")

    assert stop.r0 == 21


@every_way
@pytest.mark.parametrize("addr", [0, CODE_BASE + 4, CODE_BASE - 8, CODE_BASE + 8 * 400])
def test_a_call_through_anything_else_is_a_fault(way: str, addr: int) -> None:
    stop = go(way, f"r2 = {addr} ll; callx r2; exit")

    fault = fault_of(stop)
    assert (fault.kind, fault.pc, fault.addr) == (FaultKind.BAD_CALL, 2, addr)


@every_way
@pytest.mark.parametrize("uninit", [None, ()])
def test_a_call_through_a_register_that_nobody_wrote_is_a_fault(
    way: str, uninit: tuple[int, ...] | None
) -> None:
    stop = finish(way, start(way, build("callx r7; exit", uninit=uninit), machine_for()))

    assert fault_of(stop).detail == "R7 !read_ok"


@every_way
def test_a_call_out_of_the_code_is_a_bad_instruction(way: str) -> None:
    code: tuple[Insn, ...] = (CallSub(99), Exit())

    fault = fault_of(go(way, code))

    assert fault.kind is FaultKind.BAD_INSN
    assert fault.detail == "control leaves the code of 2 slots"


@every_way
def test_running_off_the_end_is_a_bad_instruction(way: str) -> None:
    code: tuple[Insn, ...] = (Alu(AluOp.MOV, 64, Reg(0), Imm(1)),)

    stop = go(way, code)

    assert fault_of(stop).kind is FaultKind.BAD_INSN
    assert (stop.insns, stop.pc) == (1, 1)


@every_way
def test_the_second_half_of_a_wide_load_cannot_run(way: str) -> None:
    stop = go(way, "goto +1; r0 = 1 ll; exit")

    assert fault_of(stop).detail == "slot 2 is the second half of a 64-bit load"


@every_way
def test_a_program_must_leave_something_in_r0(way: str) -> None:
    stop = go(way, "r1 = 1; exit")

    assert (fault_of(stop).detail, stop.pc, stop.insns) == ("R0 !read_ok", 1, 1)


# ---- the gate ---------------------------------------------------------------------------


def _sum(machine: Machine, regs: list[int]) -> int:
    return regs[1] + regs[2]


@every_way
def test_a_call_through_the_gate_gets_r1_to_r5_and_gives_r0(way: str) -> None:
    bare = machine_for(b"", _sum)
    run = start(way, build("r1 = 2; r2 = 40; call 0; exit"), bare)

    stop = finish(way, run)

    assert stop.r0 == 42
    assert bare.machine.gate.calls == [(0, 2, 2)]  # type: ignore[attr-defined]
    assert run.regs[1:6] == [None] * 5


@every_way
def test_a_trap_in_the_gate_is_a_fault_of_the_call(way: str) -> None:
    def refuse(machine: Machine, regs: list[int]) -> int:
        raise Trap(Fault(FaultKind.CONTEXT, "may sleep"))

    stop = go(way, "r6 = 9; r1 = 1; call 0; exit", b"", refuse)

    fault = fault_of(stop)
    assert (fault.kind, fault.pc, fault.detail) == (FaultKind.CONTEXT, 2, "may sleep")
    assert (fault.regs[1], fault.regs[6]) == (1, 9)
    assert stop.insns == 2


@every_way
def test_findings_before_a_trap_are_kept(way: str) -> None:
    def read(machine: Machine, regs: list[int]) -> int:
        machine.memory.load_bytes(regs[10] - 8, 8)
        raise Trap(Fault(FaultKind.CONTEXT, "may sleep"))

    stop = go(way, "r6 = 1; call 0; exit", b"", read)

    assert fault_of(stop).kind is FaultKind.CONTEXT
    assert [(found.kind, found.pc) for found in stop.findings] == [(FaultKind.UNINITIALISED, 1)]


@every_way
def test_other_exceptions_pass_through_and_leave_the_run_where_it_stood(way: str) -> None:
    def broken(machine: Machine, regs: list[int]) -> int:
        raise TypeError("the body's own")

    bare = machine_for(b"", broken)
    run = start(way, build("r6 = 9; r1 = 1; call 0; exit"), bare)

    with pytest.raises(TypeError, match="the body's own"):
        finish(way, run)

    assert (run.pc, run.insns, run.regs[6], run.stop) == (2, 2, 9, None)


@every_way
def test_findings_of_a_call_are_noted_at_the_call(way: str) -> None:
    def read(machine: Machine, regs: list[int]) -> int:
        return len(machine.memory.load_bytes(regs[1], 8))

    stop = go(way, "r1 = r10; r1 += -8; call 0; exit", b"", read)

    assert stop.r0 == 8
    assert [(found.kind, found.pc) for found in stop.findings] == [(FaultKind.UNINITIALISED, 2)]


@every_way
def test_findings_of_a_call_that_calls_back_are_noted_at_the_call(way: str) -> None:
    def read(machine: Machine, regs: list[int]) -> Upcall:
        top = regs[10]
        yield 3, ()
        machine.memory.load_bytes(top - 8, 8)
        regs[0] = 4

    stop = go(way, "r6 = 1; call 0; exit; cb: r0 = 0; exit", b"", read)

    assert stop.r0 == 4
    assert [(found.kind, found.pc) for found in stop.findings] == [(FaultKind.UNINITIALISED, 1)]


@every_way
def test_the_program_can_end_inside_a_call(way: str) -> None:
    def leave(machine: Machine, regs: list[int]) -> int:
        raise ProgramExit(77)

    stop = go(way, "r1 = 1; call 0; r0 = 5; exit", b"", leave)

    assert (stop.kind, stop.r0, stop.insns, stop.pc) == (StopKind.EXIT, 77, 2, 1)


# ---- callbacks --------------------------------------------------------------------------


def loop(machine: Machine, regs: list[int]) -> Upcall:
    """As bpf_loop: r1 rounds of the callback r2 with (index, r3), until it returns 1."""
    rounds, callback, ctx = regs[1:4]
    slot = (callback - CODE_BASE) // 8

    def body() -> Upcall:
        done = 0
        for index in range(rounds):
            done += 1
            if (yield slot, (index, ctx)) == 1:
                break
        regs[1:6] = [UNSET] * 5
        regs[0] = done

    return body()


LOOP = f"""
    *(u64 *)(r10 - 8) = 0
    r6 = 1000
    r1 = %d
    r2 = {CODE_BASE + 8 * 12} ll
    r3 = r10
    r3 += -8
    call 0
    r1 = *(u64 *)(r10 - 8)
    r0 += r1
    r0 += r6
    exit
cb: r6 = *(u64 *)(r2 + 0)
    r6 += r1
    *(u64 *)(r2 + 0) = r6
    r0 = 0
    if r1 != 6 goto +1
    r0 = 1
    exit
"""


@every_way
def test_a_callee_calls_back_with_arguments_and_sees_results(way: str) -> None:
    stop = go(way, LOOP % 4, b"", loop)

    assert stop.kind is StopKind.EXIT
    assert stop.r0 == 1000 + 4 + (0 + 1 + 2 + 3)
    assert stop.insns == 7 + 4 * 6 + 4


@every_way
def test_a_callback_can_end_the_loop(way: str) -> None:
    stop = go(way, LOOP % 100, b"", loop)

    assert stop.r0 == 1000 + 7 + sum(range(7))
    assert stop.insns == 7 + 6 * 6 + 7 + 4


@every_way
def test_a_loop_of_no_rounds_calls_nothing(way: str) -> None:
    assert go(way, LOOP % 0, b"", loop).r0 == 1000


NESTED = f"""
    *(u64 *)(r10 - 8) = 0
    r1 = 3
    r2 = {CODE_BASE + 8 * 9} ll
    r3 = r10
    r3 += -8
    call 0
    r0 = *(u64 *)(r10 - 8)
    exit
outer: r3 = r2
    r1 = 4
    r2 = {CODE_BASE + 8 * 16} ll
    call 0
    r0 = 0
    exit
inner: r1 = *(u64 *)(r2 + 0)
    r1 += 1
    *(u64 *)(r2 + 0) = r1
    r0 = 0
    exit
"""


@every_way
def test_callbacks_nest(way: str) -> None:
    assert go(way, NESTED, b"", loop).r0 == 12


def test_a_run_can_stop_and_go_on_at_each_instruction_of_nested_callbacks() -> None:
    image = build(NESTED)
    whole = start("cold", image, machine_for(b"", loop)).resume()

    for at in range(whole.insns + 1):
        bare = machine_for(b"", loop)
        run = start("compiled" if at % 2 else "cold", image, bare)
        early = run.step(at)
        if early is None:
            assert run.insns == at
            assert run.stop is None
        stop = run.resume()

        assert stop == whole, at


def test_a_run_can_pause_at_each_slot_of_nested_callbacks() -> None:
    image = build(NESTED)
    whole = start("cold", image, machine_for(b"", loop)).resume()

    for slot in range(len(image.code)):
        for way in ("cold", "compiled"):
            run = start(way, image, machine_for(b"", loop))
            stop = run.resume([slot])
            while stop.kind is StopKind.BREAKPOINT:
                assert run.pc == stop.pc == slot
                stop = run.resume([slot])

            assert stop == whole, slot


FAULTY = f"""
    r1 = 3; r2 = {CODE_BASE + 8 * 7} ll; r3 = 0; call 0; r0 = 0; exit
cb: r0 = *(u64 *)(r2 + 0); exit
"""


@every_way
def test_a_fault_in_a_callback_has_the_callers_chain_and_closes_the_callee(way: str) -> None:
    closed = []

    def watched(machine: Machine, regs: list[int]) -> Upcall:
        inner = loop(machine, regs)

        def body() -> Upcall:
            try:
                yield from inner
            finally:
                closed.append(True)

        return body()

    stop = go(way, FAULTY, b"", watched)

    fault = fault_of(stop)
    assert (fault.kind, fault.pc, fault.addr) == (FaultKind.NULL_DEREF, 7, 0)
    assert [frame.pc for frame in fault.frames] == [7, 4]
    assert closed == [True]
    assert stop.insns == 4


@every_way
def test_a_trap_after_a_callback_is_a_fault_of_the_call(way: str) -> None:
    def body(slot: int) -> Upcall:
        yield slot, ()
        raise Trap(Fault(FaultKind.LOCK_STATE, "the lock is gone"))

    text = f"r6 = 4; r2 = {CODE_BASE + 8 * 5} ll; call 0; exit; cb: r6 = 1; r0 = 0; exit"
    stop = go(way, text, b"", lambda machine, regs: body(5))

    fault = fault_of(stop)
    assert (fault.kind, fault.pc, fault.regs[6]) == (FaultKind.LOCK_STATE, 3, 4)
    assert [frame.pc for frame in fault.frames] == [3]
    assert stop.insns == 3 + 3


@every_way
def test_a_callback_must_leave_something_in_r0(way: str) -> None:
    text = f"r2 = {CODE_BASE + 8 * 4} ll; call 0; exit; cb: exit"
    stop = go(way, text, b"", lambda machine, regs: _once(4))

    assert (fault_of(stop).detail, stop.pc) == ("R0 !read_ok", 4)


def _once(slot: int, *args: int) -> Upcall:
    yield slot, args


@every_way
def test_callbacks_count_as_frames(way: str) -> None:
    code = _chain(8).replace("r0 = 8", "call 0")
    last = len(build(code).code)

    stop = go(way, f"{code}; cb: r0 = 0; exit", b"", lambda machine, regs: _once(last))

    assert fault_of(stop).kind is FaultKind.STACK_DEPTH
    assert fault_of(stop).pc == last - 2


@every_way
def test_a_callback_outside_the_code_is_a_bad_instruction(way: str) -> None:
    stop = go(way, "call 0; exit", b"", lambda machine, regs: _once(500))

    assert fault_of(stop).kind is FaultKind.BAD_INSN


# ---- exceptions -------------------------------------------------------------------------


def throw(machine: Machine, regs: list[int]) -> int:
    raise Throw(regs[1])


@every_way
def test_throw_ends_the_program_with_its_cookie(way: str) -> None:
    stop = go(way, "call f; r0 = 5; exit; f: r1 = 33; call 0; r0 = 1; exit", b"", throw)

    assert (stop.kind, stop.r0, stop.insns) == (StopKind.THROW, 33, 3)


@every_way
def test_an_exception_callback_makes_the_result_of_the_cookie(way: str) -> None:
    text = "r6 = 1; call f; exit; f: r1 = 33; call 0; r0 = 1; exit; r0 = r1; r0 *= 2; exit"
    bare = machine_for(b"", throw)
    run = start(way, replace(build(text), exception_callback=7), bare)

    stop = finish(way, run)

    assert (stop.kind, stop.r0, stop.insns) == (StopKind.THROW, 66, 7)
    assert [frame.fp for frame in run.frames] == [bare.machine.stack[0]]


@every_way
def test_a_throw_out_of_callbacks_closes_their_callers(way: str) -> None:
    closed = []

    def outer(machine: Machine, regs: list[int]) -> Upcall:
        def body() -> Upcall:
            try:
                yield 3, ()
            finally:
                closed.append("outer")

        return body()

    text = "call 0; r0 = 0; exit; cb: r1 = 8; call 1; exit; r0 = r1; exit"
    image = replace(build(text), exception_callback=6)
    run = start(way, image, machine_for(b"", outer, throw))

    stop = finish(way, run)

    assert (stop.kind, stop.r0, closed) == (StopKind.THROW, 8, ["outer"])


@every_way
def test_a_throw_in_the_exception_callback_is_a_fault(way: str) -> None:
    image = replace(build("r1 = 1; call 0; exit; call 0; exit"), exception_callback=3)

    stop = finish(way, start(way, image, machine_for(b"", throw)))

    assert (fault_of(stop).kind, stop.pc) == (FaultKind.BAD_CALL, 3)


# ---- the rest ---------------------------------------------------------------------------


@every_way
def test_may_goto_leaves_a_loop_when_its_budget_is_used_up(way: str) -> None:
    text = "r0 = 0; l: may_goto out; r0 += 1; goto l; out: exit"
    bare = machine_for()
    rounds = []
    bare.machine.gate.may_goto = (  # type: ignore[method-assign]
        lambda counters: rounds.append(id(counters)) or len(rounds) > 5
    )
    run = start(way, build(text), bare)

    stop = finish(way, run)

    assert stop.r0 == 5
    assert len(set(rounds)) == 1


@every_way
def test_each_frame_has_its_own_may_goto_budget(way: str) -> None:
    seen = []
    bare = machine_for()

    def count(counters: dict[str, int]) -> bool:
        counters["n"] = counters.get("n", 0) + 1
        seen.append(counters["n"])
        return True

    bare.machine.gate.may_goto = count  # type: ignore[method-assign]
    image = build("may_goto +0; call f; call f; may_goto +0; r0 = 0; exit; f: may_goto +0; exit")

    finish(way, start(way, image, bare))

    assert seen == [1, 1, 1, 2]


@every_way
def test_an_exception_callback_has_a_may_goto_budget_of_its_own(way: str) -> None:
    seen = []
    bare = machine_for(b"", throw)

    def count(counters: dict[str, int]) -> bool:
        counters["n"] = counters.get("n", 0) + 1
        seen.append(counters["n"])
        return True

    bare.machine.gate.may_goto = count  # type: ignore[method-assign]
    image = build("may_goto +0; r1 = 1; call 0; exit; may_goto +0; r0 = 0; exit")

    finish(way, start(way, replace(image, exception_callback=4), bare))

    assert seen == [1, 1]


@every_way
def test_packet_loads_are_big_endian_and_scratch_the_arguments(way: str) -> None:
    stop = go(way, "r6 = r1; r7 = 3; r1 = 1; r0 = *(u16 *)skb[r7 + -1]; r0 += r1; exit")

    assert fault_of(stop).detail == "R1 !read_ok"
    assert fault_of(stop).regs[0] == 0x3344


@every_way
def test_a_packet_load_out_of_bounds_ends_the_program_with_0(way: str) -> None:
    stop = go(way, "r6 = r1; r0 = *(u32 *)skb[6]; r0 = 5; exit")

    assert (stop.kind, stop.r0, stop.insns) == (StopKind.EXIT, 0, 2)


@every_way
@pytest.mark.parametrize(
    ("text", "reg"),
    [("r6 = 1; r0 = *(u8 *)skb[r7 + 0]; exit", 7), ("r0 = *(u8 *)skb[0]; exit", 6)],
)
def test_a_packet_load_needs_its_registers(way: str, text: str, reg: int) -> None:
    for uninit in (None, ()):
        stop = finish(way, start(way, build(text, uninit=uninit), machine_for()))

        assert fault_of(stop).detail == f"R{reg} !read_ok"


@every_way
def test_the_index_of_a_packet_load_is_a_signed_32_bit_sum(way: str) -> None:
    stop = go(way, "r6 = r1; r7 = 0x1fffffffe ll; r0 = *(u8 *)skb[r7 + 4]; exit")

    assert stop.r0 == 0x33


@every_way
def test_address_casts_ask_the_gate(way: str) -> None:
    stop = go(way, "r1 = 0x1122334455667788 ll; r0 = addr_space_cast(r1, 1, 0); exit")

    assert stop.r0 == 0x5566_7788
