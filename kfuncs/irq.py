"""Regions without interrupts (kernel/bpf/helpers.c): bpf_local_irq_save and its counterpart.

The argument is an 8-byte stack slot, which the verifier then treats as the saved flags alone.
"""

from __future__ import annotations

from bpfemu.proto.decl import ulong
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Cpu
from bpfemu.proto.types import Ptr


@kfunc(since=(6, 14))
def bpf_local_irq_save(flags__irq_flag: Ptr[ulong], *, cpu: Cpu) -> None:
    """Disable interrupts on this CPU; the slot holds what they were before."""
    flags__irq_flag[0] = cpu.local_irq_save()


@kfunc(since=(6, 14))
def bpf_local_irq_restore(flags__irq_flag: Ptr[ulong], *, cpu: Cpu) -> None:
    """Make interrupts what they were; irq_work that waited runs now if they are on again."""
    cpu.local_irq_restore(flags__irq_flag[0])
