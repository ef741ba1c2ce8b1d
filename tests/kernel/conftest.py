"""A memory, CPUs, RCU and an allocator to play with."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.mem_alloc import BpfMemAlloc
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.machine.memory import Memory
from tests.kernel.doubles import ARENA_BASE, ARENA_SIZE


@dataclass
class Parts:
    """What allocators stand on."""

    memory: Memory
    cpus: Cpus
    rcu: ReadCopyUpdate

    def allocator(self, size: int = 0, *, percpu: bool = False) -> BpfMemAlloc:
        """A bpf_mem_alloc on these parts."""
        return BpfMemAlloc(self.memory, self.cpus, self.rcu, size=size, percpu=percpu)


@pytest.fixture
def parts() -> Parts:
    return make_parts()


def make_parts(cpus: int = 2, *, preempt_rt: bool = False) -> Parts:
    """Fresh parts; also for Hypothesis, whose tests outlive a fixture."""
    memory = Memory(ARENA_BASE, ARENA_SIZE)
    return Parts(memory, Cpus(cpus, preempt_rt=preempt_rt), ReadCopyUpdate())
