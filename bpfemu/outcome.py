"""Station: what happened.  engine, kernel → Outcome → the caller."""

from __future__ import annotations

from bpfemu.machine.stop import Fault, Finding, Site, Stop, StopKind
from bpfemu.record import dataclass, field

__all__ = ["CacheStats", "IterReport", "Leak", "Outcome", "Record", "errno_name"]


@dataclass(frozen=True, slots=True)
class Leak:
    """Something the program still owned at exit; ``message`` in the kernel's words."""

    kind: str  # "iterator", "reference", "lock", "rcu", "irq", "preempt", "object", "mmap_lock"
    what: str  # "bpf_iter_num at fp-8", "task_struct pid 7"
    message: str  # "Unreleased reference id=1 alloc_insn=3"
    site: Site | None = None  # where it was acquired


@dataclass(frozen=True, slots=True)
class IterReport:
    """What one open-coded iterator did."""

    type: str  # "task_vma"
    pc: int  # slot of the call to new
    line: str
    result: int  # what new returned, signed
    elements: int
    ended: str  # "drained", "left early", "new failed", "never destroyed", "overwritten"


@dataclass(frozen=True, slots=True)
class CacheStats:
    """One size class of ``bpf_mem_alloc`` on one CPU after the run."""

    cpu: int
    unit_size: int  # bytes
    allocs: int
    frees: int
    failed: int
    free_cnt: int  # objects
    low_watermark: int  # objects
    high_watermark: int  # objects
    refills: int


@dataclass(frozen=True, slots=True)
class Record:
    """A ring buffer record or perf sample that user space would have received."""

    map: str
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The result of one run; compares equal to its return value's number.

    ``r0`` is the raw 64-bit register; ``retval`` what BPF_PROG_TEST_RUN reports, the low 32 bits.
    """

    program: str
    stop: Stop
    profile: str
    seed: int
    context: str = "task"
    fault: Fault | None = None
    leaks: tuple[Leak, ...] = ()
    findings: tuple[Finding, ...] = ()
    iterators: tuple[IterReport, ...] = ()
    allocator: tuple[CacheStats, ...] = ()
    printk: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    injected: tuple[str, ...] = ()
    ctx_out: bytes = b""
    data_out: bytes = b""
    duration: int = 0  # emulated nanoseconds
    memory_used: int = 0  # bytes of the arena
    trail: tuple[str, ...] = field(default=(), repr=False)  # last instructions before a fault
    report: str = field(default="", repr=False)  # the fault report, ready to print

    @property
    def r0(self) -> int:
        """The raw r0, unsigned 64 bits."""
        return self.stop.r0

    @property
    def retval(self) -> int:
        """The low 32 bits of r0, unsigned, as BPF_PROG_TEST_RUN reports them."""
        return self.stop.r0 & 0xFFFF_FFFF

    @property
    def value(self) -> int:
        """The low 32 bits of r0 as a C int: negative errno come out negative."""
        low = self.retval
        return low - (1 << 32) if low >> 31 else low

    @property
    def insns(self) -> int:
        """Instructions executed."""
        return self.stop.insns

    @property
    def ok(self) -> bool:
        """Ended by itself, and left nothing behind."""
        return self.stop.kind in (StopKind.EXIT, StopKind.THROW) and not self.leaks

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.stop.kind in (StopKind.EXIT, StopKind.THROW) and other in (
                self.value,
                self.retval,
                self.r0,
            )
        if isinstance(other, Outcome):
            return all(
                getattr(self, name) == getattr(other, name) for name in Outcome.__dataclass_fields__
            )
        return NotImplemented

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        if self.fault is not None:
            end = f"fault: {self.fault.kind.value}: {self.fault.detail}"
        elif self.stop.kind is StopKind.EXIT:
            end = f"returned {errno_name(self.value)}"
        else:
            end = f"{self.stop.kind.value} (r0 {self.r0:#x})"
        leaks = f", {len(self.leaks)} leaked" if self.leaks else ""
        return (
            f"{self.program}: {end}{leaks}; {self.insns} insns, "
            f"kernel {self.profile}, {self.context} context, seed {self.seed}"
        )


def errno_name(value: int) -> str:
    """'-12 (-ENOMEM)' for a negative errno, else the plain number."""
    if -4095 <= value < 0:
        from bpfemu.machine.errno import ERRNO_NAMES

        name = ERRNO_NAMES.get(-value)
        if name:
            return f"{value} (-{name})"
    return str(value)
