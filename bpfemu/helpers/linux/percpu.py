"""Per-CPU variables: what is at an address of the per-CPU section, on one CPU."""

from __future__ import annotations

from bpfemu.errors import InputError
from bpfemu.objects import Object

__all__ = ["per_cpu", "per_cpu_ptr"]


def per_cpu_ptr(ptr: Object, cpu: int) -> Object:
    """A per-CPU pointer as a plain one, to a CPU's copy."""
    number = cpu.__index__()
    found = ptr.prog_.kernel.services["variables"].per_cpu(int(ptr), max(number, 0))
    if found is None:
        raise InputError(f"{int(ptr):#x} is not the address of a per-CPU variable")
    if not found or number < 0:
        raise InputError(f"CPU {number}; there are {ptr.prog_.kernel.config.cpus}")
    return Object(ptr.prog_, ptr.type_, found)


def per_cpu(var: Object, cpu: int) -> Object:
    """A per-CPU variable on a CPU: ``per_cpu(prog["runqueues"], 0)``."""
    return per_cpu_ptr(var.address_of_(), cpu)[0]
