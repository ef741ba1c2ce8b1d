"""Tagged objects as tests of their own: what a failed, skipped or broken one shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_pytest_plugin import _everything, _plugin

pytest_plugins = ["pytester"]
__all__ = ["_everything", "_plugin"]

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"


def changed(path: Path, name: str, old: bytes, new: bytes) -> None:
    """A copy of one of the objects with a tag of the same length in place of another."""
    data = (PROGRAMS / name).read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def test_a_wrong_return_value_fails_with_both_values_and_the_report(
    pytester: pytest.Pytester,
) -> None:
    changed(
        pytester.path / "num.bpf.o",
        "iters/num_basics.bpf.o",
        b"comment:test_retval=45\0",
        b"comment:test_retval=46\0",
    )

    result = pytester.runpytest("num.bpf.o", "-k", "num_sum")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["returned 45, expected 46", "*BPF replay*", "bpfemu run *num_sum*"]
    )
    assert "Traceback" not in result.stdout.str()


def test_what_only_the_verifier_can_judge_is_skipped_with_the_reason(
    pytester: pytest.Pytester,
) -> None:
    changed(
        pytester.path / "num.bpf.o",
        "iters/num_basics.bpf.o",
        b"comment:test_expect_success\0",
        b"comment:test_expect_failure\0",
    )

    result = pytester.runpytest("num.bpf.o", "-k", "num_sum", "-rs")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*the kernel's verifier must refuse it*"])


def test_a_program_that_cannot_be_loaded_fails_in_words(pytester: pytest.Pytester) -> None:
    changed(
        pytester.path / "no_kfunc.bpf.o",
        "faults/no_kfunc.bpf.o",
        b"comment:test_expect_failure\0",
        b"comment:test_expect_success\0",
    )

    result = pytester.runpytest("no_kfunc.bpf.o")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*extern (func ksym) 'bpf_no_such_kfunc': not found in kernel*"])
    assert "Traceback" not in result.stdout.str()


def test_a_fault_shows_the_last_instructions_and_the_report(pytester: pytest.Pytester) -> None:
    changed(
        pytester.path / "memory.bpf.o",
        "faults/memory.bpf.o",
        b"comment:test_fault=NULL_DEREF\0",
        b"comment:test_fault=READ_ONLY\0\0",
    )

    result = pytester.runpytest("memory.bpf.o", "-k", "null_value")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "expected the fault READ_ONLY",
            "*Captured bpf trace (last * insns)*",
            "*BPF fault report*",
            "NULL dereference: *",
        ]
    )


def test_outcomes_are_compared_in_words(pytester: pytest.Pytester) -> None:
    num, memory = PROGRAMS / "iters/num_basics.bpf.o", PROGRAMS / "faults/memory.bpf.o"
    pytester.makepyfile(
        f"""
        def test_value(bpf):
            assert bpf.open({str(num)!r}).progs.num_backwards.run() == 0

        def test_fault(bpf):
            skel = bpf.open({str(memory)!r})
            skel.progs.null_value.autoload = True
            assert skel.progs.null_value.run() == 0

        def test_other_way(bpf):
            assert "ten" == bpf.open({str(num)!r}).progs.num_sum.run()

        def test_order(bpf):
            assert bpf.open({str(num)!r}).progs.num_sum.run() is None
        """
    )

    result = pytester.runpytest()

    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        ["*fault NULL_DEREF == 0*", "*'ten' == 45*"],
    )
