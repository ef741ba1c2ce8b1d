"""Regions without preemption (kernel/bpf/helpers.c)."""

from __future__ import annotations

from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Cpu


@kfunc(since=(6, 10))
def bpf_preempt_disable(*, cpu: Cpu) -> None:
    """Enter one; they nest."""
    cpu.preempt_disable()


@kfunc(since=(6, 10))
def bpf_preempt_enable(*, cpu: Cpu) -> None:
    """Leave one."""
    cpu.preempt_enable()
