"""Every engine gives what the conformance data says, fast and stepped."""

from __future__ import annotations

import pytest

from bpfemu.engine.base import ENGINES, Engine, find_engine
from bpfemu.engine.conformance import run_case, run_cases
from bpfemu.engine.interp import InterpCode, InterpEngine, InterpRun
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Alu, Exit, Imm, Insn, Reg
from bpfemu.isa.ops import AluOp
from bpfemu.machine.machine import Machine
from tests.conformance.cases import Case, load_cases

CASES = load_cases()


ALL_ENGINES = [*map(find_engine, sorted(ENGINES)), InterpEngine(eager=True)]
NAMES = [*sorted(ENGINES), "interp compiled"]


@pytest.mark.parametrize("engine", ALL_ENGINES, ids=NAMES)
def test_every_case_gives_what_it_says(engine: Engine) -> None:
    verdicts = list(run_cases(engine, CASES))

    assert [(verdict.name, verdict.why) for verdict in verdicts if not verdict.passed] == []
    assert len(verdicts) == len(CASES)


def _case(result: int | None, error: str | None = None) -> Case:
    code: tuple[Insn, ...] = (Alu(AluOp.MOV, 64, Reg(0), Imm(7)), Exit())
    return Case("seven", code, b"", result, error)


def test_a_wrong_result_is_said_in_words() -> None:
    assert run_case(find_engine("interp"), _case(8)).why == "expected 0x8, got 0x7"


def test_a_missing_fault_is_said_in_words() -> None:
    verdict = run_case(find_engine("interp"), _case(None, "BAD_CALL"))

    assert verdict.why == "expected BAD_CALL, got 0x7"


def test_an_unexpected_fault_is_said_with_its_detail() -> None:
    case = Case("nothing", (Exit(),), b"", 0, None)

    verdict = run_case(find_engine("interp"), case)

    assert verdict.why == "expected 0x0, got UNINITIALISED (R0 !read_ok)"


class Forgetful(InterpEngine):
    """Counts one instruction too many when it is stepped."""

    def prepare(self, image: ProgramImage) -> InterpCode:
        code = super().prepare(image)
        start = code.start

        def strange(machine: Machine, ctx: int | tuple[int, ...] = ()) -> InterpRun:
            run = start(machine, ctx)
            run.origin += 1
            return run

        code.start = strange  # type: ignore[method-assign]
        code.run = lambda machine, ctx=(): start(machine, ctx).resume()  # type: ignore[method-assign]
        return code


def test_a_difference_between_fast_and_stepped_is_said() -> None:
    verdict = run_case(Forgetful(), _case(7))

    assert not verdict.passed
    assert verdict.why.startswith("at full speed Stop(")
    assert "insns=3" in verdict.why
