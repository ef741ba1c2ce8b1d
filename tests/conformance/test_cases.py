"""The conformance data itself: it reads, it is well formed, it leaves no instruction out."""

from __future__ import annotations

from collections import Counter

import pytest

from bpfemu.isa.encoding import encode
from bpfemu.isa.flow import check_structure
from bpfemu.isa.insn import Alu, Atomic, Call, Exit, Insn, Swap
from bpfemu.isa.ops import AluOp, AtomicOp, SwapOp
from bpfemu.machine.stop import FaultKind
from tests.conformance import oracle
from tests.conformance.cases import Case, load_cases, parse_cases
from tests.isa.test_encoding import KNOWN_OPCODES

CASES = load_cases()


def _all_insns() -> list[Insn]:
    return [insn for case in CASES for insn in case.code]


def test_there_are_many_cases_each_with_its_own_name() -> None:
    names = Counter(case.name for case in CASES)

    assert [name for name, count in names.items() if count > 1] == []
    assert sum(not name.startswith("matrix/") for name in names) >= 150


def test_every_case_is_a_well_formed_program() -> None:
    for case in CASES:
        check_structure(case.code)
        encode(case.code)


def test_every_error_is_a_fault_kind() -> None:
    errors = {case.error for case in CASES if case.error is not None}

    assert errors <= {kind.name for kind in FaultKind}


def test_every_opcode_is_run_but_those_that_need_a_kernel() -> None:
    opcodes = {data[0] for case in CASES for data in _slots(case)}

    assert set(KNOWN_OPCODES) - opcodes == set()


def _slots(case: Case) -> list[bytes]:
    data = encode(case.code)
    return [data[at : at + 8] for at in range(0, len(data), 8)]


def test_every_operation_is_run() -> None:
    insns = _all_insns()

    assert {insn.op for insn in insns if isinstance(insn, Alu)} == set(AluOp)
    assert {insn.op for insn in insns if isinstance(insn, Swap)} == set(SwapOp)
    assert {insn.op for insn in insns if isinstance(insn, Atomic)} == set(AtomicOp)
    assert not any(isinstance(insn, Call) for insn in insns)  # helpers belong to the kernel


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("== a\n-- asm\nexit\n", "either a result or an error"),
        ("== a\n-- asm\nexit\n-- result\n0\n-- error\nx\n", "either a result or an error"),
        ("== a\n-- result\n0\n", "either asm or raw"),
        ("== a\n-- asm\nexit\n-- results\n0\n", "no such section: results"),
    ],
)
def test_a_malformed_case_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"f/a: .*{message}"):
        list(parse_cases(text, "f"))


def test_a_file_may_hold_one_case_without_a_name() -> None:
    text = "# says nothing\n-- raw\n9500000000000000\n-- mem\n01 02\n03\n-- result\n0xff\n"

    assert list(parse_cases(text, "plain")) == [Case("plain", (Exit(),), b"\1\2\3", 255, None)]


@pytest.mark.parametrize(
    ("op", "width", "a", "b", "expected"),
    [
        ("SDIV", 64, 2**64 - 7, 2, 2**64 - 3),
        ("SDIV", 64, 2**63, 2**64 - 1, 2**63),
        ("SMOD", 64, 2**64 - 7, 3, 2**64 - 1),
        ("MOD", 32, 0x1234567812345678, 0, 0x12345678),
        ("ARSH", 32, 0x80000000, 31, 0xFFFFFFFF),
        ("MOVSX8", 32, 0, 0x80, 0xFFFFFF80),
    ],
)
def test_the_oracle_agrees_with_hand_arithmetic(
    op: str, width: int, a: int, b: int, expected: int
) -> None:
    assert oracle.alu(op, width, a, b) == expected
