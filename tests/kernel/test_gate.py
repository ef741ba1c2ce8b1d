"""The call gate: steps in order, faults in the verifier's words."""

from __future__ import annotations

from tests.kernel.doubles import bench

SUM = """
    r1 = r10; r1 += -8; r2 = 0; r3 = 5; call bpf_iter_num_new; r6 = 0
loop: r1 = r10; r1 += -8; call bpf_iter_num_next; if r0 == 0 goto out
    r1 = *(u32 *)(r0 +0); r6 += r1; goto loop
out: r1 = r10; r1 += -8; call bpf_iter_num_destroy; r0 = r6; exit
"""


def test_a_num_loop_runs_through_the_gate_and_leaves_nothing() -> None:
    outcome = bench().run(SUM)

    assert outcome == 0 + 1 + 2 + 3 + 4
    assert outcome.ok
    (report,) = outcome.iterators
    assert (report.type, report.elements, report.ended, report.pc) == ("num", 5, "drained", 4)
