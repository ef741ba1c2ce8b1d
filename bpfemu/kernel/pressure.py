"""Allocator pressure without injected faults: states that a busy kernel gets into by itself.

::

    with kernel.pressure.held_irq_work():          refills wait, as while interrupts stay off
        ...
    with kernel.pressure.inside(128):              an NMI struck in the middle of unit_alloc
        skel.progs.walk.run(context="nmi")
    kernel.pressure.free_count(512, 0)             the class is used up on this CPU

Source: iterator notes, sections 3.4 to 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bpfemu.errors import InputError
from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.mem_alloc import BpfMemAlloc
from bpfemu.kernel.mem_units import HEADER

__all__ = ["Pressure"]


class Pressure:
    """Puts ``bpf_global_ma`` and the irq_work of CPUs into a chosen state."""

    def __init__(self, cpus: Cpus, allocator: BpfMemAlloc) -> None:
        self._cpus = cpus
        self._allocator = allocator

    def free_count(self, unit_size: int, count: int, cpu: int = 0) -> Pressure:
        """The free list of a class is ``count`` units long, whatever the watermarks say."""
        if count < 0:
            raise InputError(f"free count is {count}, must be a number from 0 up")
        self._allocator.cache(unit_size, cpu).force_free_count(count)
        return self

    @contextmanager
    def held_irq_work(self, cpu: int = 0) -> Iterator[None]:
        """irq_work queued on that CPU waits, through any number of runs, until this ends."""
        state = self._cpus.state(cpu)
        before, state.held = state.held, True
        try:
            yield
        finally:
            state.held = before
            state.service()

    @contextmanager
    def inside(self, unit_size: int, cpu: int = 0) -> Iterator[None]:
        """What runs meanwhile interrupted unit_alloc or unit_free of that class (active busy)."""
        with self._allocator.inside(unit_size, cpu):
            yield

    def pass_units(self, unit_size: int, count: int, source: int, target: int) -> int:
        """Units of one CPU are freed on another; how many there were to pass on."""
        here, allocator = self._cpus.here, self._allocator
        allocator.cache(unit_size, source)  # InputError for a class that there is not
        try:
            self._cpus.switch(source)
            got = [allocator.alloc(unit_size - HEADER) for _ in range(count)]
            self._cpus.switch(target)
            for addr in got:
                allocator.free(addr)
        finally:
            self._cpus.here = here
        return sum(1 for addr in got if addr)
