"""bpf_per_cpu_ptr and bpf_this_cpu_ptr (BTF notes, section 7.6)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bpfemu.kernel.helpers.percpu import bpf_per_cpu_ptr, bpf_this_cpu_ptr
from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.proto.types import Ptr, u32

BASE = 0xFFFF_8880_0000_0000
HITS = 0x1000


class Variables:
    """One per-CPU variable, two CPUs."""

    def per_cpu(self, addr: int, cpu: int) -> int | None:
        """CPU 0 has it at 0x2000, CPU 1 at 0x3000."""
        if addr != HITS:
            return None
        return 0x2000 + 0x1000 * cpu if cpu < 2 else 0


MEMORY = Memory(BASE, 1 << 16)


def per_cpu(addr: int, cpu: int) -> int:
    return int(bpf_per_cpu_ptr(Ptr(addr), u32(cpu), memory=MEMORY, variables=Variables()))


@pytest.mark.parametrize(
    ("cpu", "addr"), [(0, 0x2000), (1, 0x3000), (2, 0), (0xFFFF_FFFF, 0), (-1, 0)]
)
def test_each_cpu_has_its_copy_and_no_cpu_has_none(cpu: int, addr: int) -> None:
    assert per_cpu(HITS, cpu) == addr


@pytest.mark.parametrize("cpu", [0, 1])
def test_this_cpu_is_the_one_that_runs(cpu: int) -> None:
    here: Any = SimpleNamespace(id=cpu)
    found = bpf_this_cpu_ptr(Ptr(HITS), cpu=here, memory=MEMORY, variables=Variables())
    assert int(found) == per_cpu(HITS, cpu)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (RegionKind.STACK, "fp"),
        (RegionKind.CTX, "ctx"),
        (RegionKind.MAP, "map_ptr"),
        (RegionKind.VALUE, "map_value"),
        (RegionKind.OBJECT, "ptr_"),
        (RegionKind.RECORD, "ringbuf_mem"),
        (None, "scalar"),
    ],
)
def test_other_arguments_are_refused_in_the_verifiers_words(
    kind: RegionKind | None, word: str
) -> None:
    addr = 0 if kind is None else MEMORY.allocate(8, kind, "it").addr
    with pytest.raises(Trap) as caught:
        per_cpu(addr, 0)
    assert caught.value.fault.kind is FaultKind.BAD_CALL
    words = f"R1 type={word} expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"
    assert caught.value.fault.detail == words
