"""The end of a run: leave its context as the kernel does, and write down what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpfemu.kernel.ledger import Ledger
from bpfemu.kernel.run import Run
from bpfemu.machine.stop import Fault, FaultKind, Stop, StopKind
from bpfemu.outcome import CacheStats, Leak, Outcome, Record
from bpfemu.record import replace

if TYPE_CHECKING:
    from bpfemu.kernel.kernel import Kernel
    from bpfemu.kernel.mem_alloc import BpfMemAlloc
    from bpfemu.machine.memory import Memory

__all__ = ["close_run"]

_PREFIX = {StopKind.EXIT: "BPF_EXIT instruction in main prog", StopKind.THROW: "bpf_throw"}


def close_run(kernel: Kernel, run: Run, stop: Stop) -> Outcome:
    """Leave the run's context, end grace periods, name leaks; the outcome."""
    prefix = _PREFIX.get(stop.kind, "")
    kernel.clock.follow(None)
    run.ledger.finish(ended=bool(prefix))
    held = _held_spin_locks(kernel, prefix)
    sections = run.ledger.sections(prefix)
    _leave(kernel, run)
    leaks = held + run.ledger.leaks(prefix) + sections + _mmap_leaks(kernel, bool(prefix))
    leaks += _object_leaks(kernel, run)
    fault = _told(kernel, run, stop.fault)
    outcome = Outcome(
        program=run.image.name,
        stop=replace(stop, fault=fault) if fault is not stop.fault else stop,
        profile=kernel.config.profile.name,
        seed=kernel.config.seed,
        context=run.options.context,
        fault=fault,
        leaks=tuple(leaks) if prefix else (),
        findings=stop.findings,
        iterators=run.ledger.reports(),
        allocator=_allocator_stats(kernel, run),
        printk=kernel.printk.drain(),
        records=_records(kernel),
        injected=tuple(run.injected),
        ctx_out=run.ctx_block.ctx_out(),
        data_out=run.ctx_block.data_out(),
        duration=kernel.clock.now - run.started,
        memory_used=kernel.memory.used,
    )
    run.ctx_block.free()
    if fault is not None or stop.kind is StopKind.BUDGET:
        from bpfemu.kernel.report import render_report, render_trail

        outcome = replace(outcome, trail=render_trail(run.image, stop.trail))
        outcome = replace(outcome, report=render_report(outcome, run.image))
    return outcome


def _leave(kernel: Kernel, run: Run) -> None:
    """Undo what the program left undone, then its context; irq_work runs where it would."""
    here = kernel.cpus.here
    for _ in run.ledger.preempt:
        kernel.cpus.preempt_enable()
    if run.ledger.rcu is not None:
        kernel.rcu.explicit = 0
    here.leave()
    if here.threaded and here.irqs_on:
        here.run_thread()
    kernel.cpus.migrate_enable()
    if run.image.sleepable:
        kernel.rcu.trace -= 1
    else:
        kernel.rcu.implicit -= 1
    if kernel.config.grace_periods:
        kernel.rcu.barrier()


def _held_spin_locks(kernel: Kernel, prefix: str) -> list[Leak]:
    leaks = [
        Leak(
            "lock",
            f"spin lock at {addr:#x}",
            f"{prefix} cannot be used inside bpf_spin_lock-ed region",
            site,
        )
        for addr, site in kernel.locks.own.items()
    ]
    for addr in list(kernel.locks.own):
        kernel.locks.drop(addr)
    return leaks


def _mmap_leaks(kernel: Kernel, ended: bool) -> list[Leak]:
    """mmap locks that nobody will release any more; after a fault they are simply released."""
    return [
        Leak(
            "mmap_lock",
            f"mmap lock of mm {mm:#x}",
            f"the mmap lock of mm {mm:#x} is still read-held at the end of the program",
            site,
        )
        for mm, site in kernel.locks.forget_readers(release=not ended)
    ]


def _object_leaks(kernel: Kernel, run: Run) -> list[Leak]:
    """What the call of some iterator's ``new`` allocated and nobody freed."""
    if "mem_alloc" not in kernel.services:
        return []
    makers = {record.site for record in run.ledger.iterators}
    allocator: BpfMemAlloc = kernel.services["mem_alloc"]
    return [
        Leak("object", f"{size} bytes at {addr:#x}", f"{size} bytes were never freed", site)
        for addr, size, site in allocator.allocated_since(run.serial_before)
        if site in makers
    ]


def _allocator_stats(kernel: Kernel, run: Run) -> tuple[CacheStats, ...]:
    if "mem_alloc" not in kernel.services:
        return ()
    allocator: BpfMemAlloc = kernel.services["mem_alloc"]
    return allocator.stats(run.stats_before)


def _records(kernel: Kernel) -> tuple[Record, ...]:
    if "maps" not in kernel.services:
        return ()
    return tuple(
        Record(found.name, data) for found in kernel.services["maps"] for data in found.drain()
    )


def _told(kernel: Kernel, run: Run, fault: Fault | None) -> Fault | None:
    """The fault with the kernel's words, and with what is known of its address."""
    fault = _in_kernel_words(fault, run.ledger)
    if fault is None or not fault.addr:
        return fault
    if not fault.region:
        fault = _with_owner(fault, kernel.memory)
    if run.image.ksyms:
        from bpfemu.kernel.ksym_words import in_ksym_words

        fault = in_ksym_words(fault, run.image, kernel.services["variables"].symbols)
    return fault


def _with_owner(fault: Fault, memory: Memory) -> Fault:
    """The fault with what lies at its address, and who allocated and who freed that."""
    assert fault.addr is not None
    owner = memory.owner(fault.addr)
    return replace(
        fault,
        region=memory.describe(fault.addr),
        allocated_by=owner.allocated_by if owner else None,
        freed_by=owner.freed_by if owner else None,
    )


def _in_kernel_words(fault: Fault | None, ledger: Ledger) -> Fault | None:
    """A read of an iterator's own bytes, as the verifier says it."""
    if fault is None or fault.kind is not FaultKind.ITERATOR_STATE or fault.addr is None:
        return fault
    offset = ledger.frame_offset(fault.addr)
    if offset is None or not fault.detail.startswith("read of "):
        return fault
    index = ledger.first_iter_byte(fault.addr, fault.size)
    detail = f"invalid read from stack off {offset}+{index} size {fault.size}"
    return replace(fault, detail=detail)
