"""Random programs: cold, compiled and stepped runs do the same, to the last byte and count."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpfemu.engine.interp import InterpRun
from bpfemu.isa.insn import (
    Alu,
    Atomic,
    CallSub,
    Exit,
    Imm,
    Insn,
    Jump,
    Load,
    LoadImm64,
    Reg,
    Store,
    Swap,
    Tail,
)
from bpfemu.isa.ops import AluOp, AtomicOp, JmpOp, SwapOp
from bpfemu.machine.memory import Memory
from bpfemu.machine.stop import Stop, StopKind
from tests.builders.insns import s32, u64
from tests.engine.ways import WAYS, build, finish, machine_for, start

MEM_SIZE = 64  # bytes at r1, kept in r9
FREE = st.integers(0, 7).map(Reg)  # r8 counts rounds, r9 points at memory
SIZES = st.sampled_from([1, 2, 4, 8])
_CONDITIONS = st.sampled_from([op for op in JmpOp if op is not JmpOp.JA])


def _alu(op: AluOp) -> st.SearchStrategy[Insn]:
    src = st.just(Imm(0)) if op is AluOp.NEG else FREE | s32.map(Imm)
    if op.name.startswith("MOVSX"):
        src = FREE
    width = st.just(64) if op is AluOp.MOVSX32 else st.sampled_from([32, 64])
    return st.builds(Alu, st.just(op), width, FREE, src)


# Offsets may leave the memory or the stack by a few bytes: then all ways must fault alike.
# A few places come often, so that one word is used several times on one way.
_OFFSETS = st.one_of(
    st.sampled_from([0, 0, 8, 3, 64, -8]),
    st.integers(-2, MEM_SIZE // 2).map(lambda word: 2 * word),
    st.integers(0, MEM_SIZE - 8),
)
_PLACES = st.one_of(
    st.tuples(st.just(Reg(9)), _OFFSETS),
    st.tuples(st.just(Reg(7)), _OFFSETS),  # written now and then, or no pointer at all
    st.tuples(st.just(Reg(10)), st.sampled_from([-8, -8, -16, -12])),
    st.tuples(st.just(Reg(10)), st.integers(-5, -1).map(lambda word: 8 * word)),
    st.tuples(st.just(Reg(10)), st.integers(-40, 0)),
)


@st.composite
def _access(draw: st.DrawFn) -> Insn:
    base, offset = draw(_PLACES)
    what = draw(st.integers(0, 3))
    if what == 0:
        return Load(draw(SIZES), False, draw(FREE), base, offset)
    if what == 1:
        return Load(draw(st.sampled_from([1, 2, 4])), True, draw(FREE), base, offset)
    if what == 2:
        return Store(draw(SIZES), base, offset, draw(FREE | s32.map(Imm)))
    op = draw(st.sampled_from([*AtomicOp]))
    ordered = op in (AtomicOp.LOAD_ACQ, AtomicOp.STORE_REL)
    size = draw(SIZES if ordered else st.sampled_from([4, 8]))
    return Atomic(op, size, base, offset // size * size, draw(FREE))


_PLAIN: st.SearchStrategy[Insn] = st.one_of(
    *(_alu(op) for op in AluOp),
    _access(),
    _access(),
    st.builds(Swap, st.sampled_from(SwapOp), st.sampled_from([16, 32, 64]), FREE),
    st.builds(LoadImm64, FREE, u64),
    st.just(Alu(AluOp.MOV, 64, Reg(7), Reg(9))),
)


@st.composite
def _update(draw: st.DrawFn) -> list[Insn]:
    """One word read and written, its pointer moved, and once more."""
    (base, offset), size, reg = draw(_PLACES), draw(SIZES), draw(FREE)
    again = [
        Load(size, False, reg, base, offset),
        Alu(AluOp.ADD, 64, reg, Imm(1)),
        Store(size, base, offset, reg),
    ]
    step = draw(st.sampled_from([1, 8, -8]))
    move: list[Insn] = [Alu(AluOp.ADD, 64, base, Imm(step))] if base.n == 7 else []
    return [*again, *move, *again]


@st.composite
def _body(draw: st.DrawFn, base: int, size: int) -> list[Insn]:
    """Straight code with forward jumps; starts at slot ``base``."""
    chosen: list[Insn] = []
    while len(chosen) < size:
        chosen += draw(_update()) if draw(st.integers(0, 4)) == 0 else [draw(_PLAIN)]
    code: list[Insn] = []
    holes = []
    for insn in chosen:
        if draw(st.integers(0, 3)) == 0:
            holes.append(len(code))
            code.append(Exit())  # becomes a jump once it is known where to
        code.append(insn)
        if isinstance(insn, LoadImm64):
            code.append(Tail())
    places = [at for at, insn in enumerate(code) if not isinstance(insn, Tail)] + [len(code)]
    for hole in holes:
        target = base + draw(st.sampled_from([at for at in places if at > hole]))
        op = draw(_CONDITIONS | st.just(JmpOp.JA))
        width = draw(st.sampled_from([32, 64]))
        code[hole] = Jump(op, width, draw(FREE), draw(FREE | s32.map(Imm)), target)
    return code


def _number(reg: int, value: int) -> list[Insn]:
    return [LoadImm64(Reg(reg), value), Tail()]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Insn, ...]:
    """Numbers in registers; a loop, maybe one within it, maybe a subprogram; the sum of all."""
    code: list[Insn] = [Alu(AluOp.MOV, 64, Reg(9), Reg(1))]
    for reg in range(8):
        code += _number(reg, draw(u64))
    code.append(Alu(AluOp.MOV, 64, Reg(7), Reg(9)))
    code.append(Alu(AluOp.MOV, 64, Reg(8), Imm(draw(st.integers(1, 6)))))
    head = len(code)
    code += draw(_body(head, draw(st.integers(0, 8))))
    call = len(code) if draw(st.booleans()) else None
    if call is not None:
        code.append(Exit())
        for reg in range(1, 6):
            code += _number(reg, draw(u64))
    middle = len(code)
    code += draw(_body(middle, draw(st.integers(0, 6))))
    code += [
        Alu(AluOp.SUB, 64, Reg(8), Imm(1)),
        Jump(JmpOp.JNE, 64, Reg(8), Imm(0), draw(st.sampled_from([head, middle]))),
    ]
    code += [Alu(AluOp.XOR, 64, Reg(0), Reg(reg)) for reg in range(1, 8)]
    code.append(Exit())
    if call is not None:
        code[call] = CallSub(len(code))
        code += [Alu(AluOp.MOV, 64, Reg(0), Reg(1)), Alu(AluOp.ADD, 64, Reg(0), Reg(2)), Exit()]
    return tuple(code)


def _state(run: InterpRun, memory: Memory, stop: Stop) -> tuple[object, ...]:
    tops = run.machine.stack
    low, high = tops[0] - 512 - memory.base, tops[-1] + 512 - memory.base
    return (
        stop,
        run.regs,
        run.pc,
        run.insns,
        memory.data[low:high],
        memory.shadow[low:high],
        memory.findings,
        memory.clobbered,
    )


def _play(way: str, code: Sequence[Insn], budget: int) -> tuple[object, ...]:
    bare = machine_for(bytes(range(MEM_SIZE)), budget=budget)
    run = start(way, build(code), bare)
    stop = finish(way, run)
    return _state(run, bare.machine.memory, stop)


_settings = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_settings
@given(programs())
def test_all_ways_end_in_the_same_state(code: tuple[Insn, ...]) -> None:
    cold, compiled, stepped = (_play(way, code, 5000) for way in WAYS)

    assert cold == stepped
    assert compiled == stepped


@_settings
@given(programs(), st.integers(0, 120))
def test_all_ways_stop_at_the_same_instruction_when_the_budget_ends(
    code: tuple[Insn, ...], budget: int
) -> None:
    cold, compiled, stepped = (_play(way, code, budget) for way in WAYS)

    assert cold == stepped
    assert compiled == stepped
    stop = stepped[0]
    assert isinstance(stop, Stop)
    assert stop.insns <= budget
    assert (stop.insns == budget) or stop.kind is not StopKind.BUDGET


@_settings
@given(programs(), st.sets(st.integers(0, 60), max_size=4))
def test_breakpoints_are_met_in_the_same_states(code: tuple[Insn, ...], cuts: set[int]) -> None:
    seen = []
    for way in ("cold", "compiled", "asked"):
        bare = machine_for(bytes(range(MEM_SIZE)), budget=5000)
        run = start(way, build(code), bare)
        until = (lambda run: run.pc in cuts) if way == "asked" else cuts
        stops = []
        while not stops or stops[-1][0].kind is StopKind.BREAKPOINT:
            stop = run.resume(until)
            stops.append((stop, list(run.regs), run.pc, run.insns))
        seen.append(stops)

    assert seen[0] == seen[2]
    assert seen[1] == seen[2]
