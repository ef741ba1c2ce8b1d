"""Per-CPU variables.  Source: kernel/bpf/helpers.c (bpf_per_cpu_ptr, bpf_this_cpu_ptr)."""

from __future__ import annotations

from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.machine.stop import Fault, FaultKind, Trap
from bpfemu.proto.marks import helper
from bpfemu.proto.services import Cpu, Variables
from bpfemu.proto.types import Ptr, u32, void

_EXPECTED = "expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_"
_KINDS = {  # what the verifier calls a pointer into such memory
    RegionKind.STACK: "fp",
    RegionKind.CTX: "ctx",
    RegionKind.MAP: "map_ptr",
    RegionKind.VALUE: "map_value",
    RegionKind.DATA: "map_value",
    RegionKind.OBJECT: "ptr_",
    RegionKind.PERCPU: "ptr_",
    RegionKind.PACKET: "pkt",
    RegionKind.RECORD: "ringbuf_mem",
    RegionKind.HEAP: "mem",
    RegionKind.MEMORY: "mem",
}
assert set(_KINDS) == set(RegionKind), set(RegionKind) - set(_KINDS)


@helper(153)
def bpf_per_cpu_ptr(
    percpu_ptr: Ptr[void], cpu: u32, *, memory: Memory, variables: Variables
) -> Ptr[void]:
    """A CPU's copy of a per-CPU variable; NULL when there is no such CPU."""
    return _copy(int(percpu_ptr), cpu, memory, variables)


@helper(154)
def bpf_this_cpu_ptr(
    percpu_ptr: Ptr[void], *, cpu: Cpu, memory: Memory, variables: Variables
) -> Ptr[void]:
    """This CPU's copy of a per-CPU variable."""
    return _copy(int(percpu_ptr), cpu.id, memory, variables)


def _copy(addr: int, cpu: int, memory: Memory, variables: Variables) -> Ptr[void]:
    found = variables.per_cpu(addr, cpu)
    if found is None:
        region = memory.find_region(addr)
        what = _KINDS[region.kind] if region is not None else "scalar"
        raise Trap(Fault(FaultKind.BAD_CALL, f"R1 type={what} {_EXPECTED}"))
    return Ptr(found)
