"""The ledger: what the program has open, and what it would be refused for, in the kernel's words.

The verifier proves these rules for every path; here they are checked on the one that runs.  The
shadow of the stack is the truth about an iterator's slots: a frame that ends, or a store over
them, makes them something else, and the reference stays unreleased.
Source: iterator notes 1.5; verifier notes 2.3, 3.5 and 9.
"""

from __future__ import annotations

from typing import Final

from bpfemu.machine.frame import STACK_SIZE
from bpfemu.machine.memory import ITER, UNINIT, WRITE, Memory
from bpfemu.machine.stop import Fault, FaultKind, Site, Trap
from bpfemu.outcome import IterReport, Leak
from bpfemu.record import dataclass

__all__ = ["IrqFlag", "IterRecord", "Ledger", "Reference", "refuse"]

_MAIN_EXIT: Final = "BPF_EXIT instruction in main prog"


def refuse(kind: FaultKind, detail: str, addr: int | None = None) -> Trap:
    """The Trap for what the kernel would not have let the program do."""
    return Trap(Fault(kind, detail, addr=addr))


@dataclass(slots=True)
class IterRecord:
    """One open-coded iterator, from its ``new`` on."""

    type: str  # "num"
    addr: int
    size: int  # bytes
    ref_id: int
    site: Site  # the call to new
    result: int  # what new returned, signed
    rcu: bool  # made under KF_RCU_PROTECTED: dies with the RCU section
    where: str  # "fp-8"
    span: slice  # of the shadow
    pattern: bytes  # what the shadow holds there while the iterator is whole
    elements: int = 0
    drained: bool = False
    untrusted: bool = False  # its RCU section has ended
    ended: str = ""  # how, once it has


@dataclass(slots=True)
class Reference:
    """A counted object that the program owns."""

    ref_id: int
    type: str  # "task_struct"
    addr: int
    site: Site


@dataclass(slots=True)
class IrqFlag:
    """A saved interrupt state in a stack slot."""

    ref_id: int
    addr: int
    site: Site
    family: str  # "native" or "lock"


class Ledger:
    """What one run has open.  ``tops`` are the tops of the frames, outermost first."""

    def __init__(self, memory: Memory, tops: tuple[int, ...]) -> None:
        self._memory = memory
        self._tops = tuple(sorted(tops))
        self._low = self._tops[0] - STACK_SIZE if tops else 0
        self._high = self._tops[-1] if tops else -1
        self._ids = 0
        self._open: dict[int | None, IterRecord] = {}  # by stack address
        self._refs: dict[int, Reference] = {}  # by id
        self._gone: set[int] = set()  # addresses whose reference was released
        self.iterators: list[IterRecord] = []  # every one of this run, in order
        self.irq_flags: list[IrqFlag] = []
        self.preempt: list[Site] = []
        self.rcu: Site | None = None  # where the explicit section began

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    # ---- the stack ------------------------------------------------------------------------

    def frame_offset(self, addr: int) -> int | None:
        """Bytes from the top of the frame that ``addr`` lies in (≤ 0); None off the stack."""
        if not self._low <= addr <= self._high:
            return None
        return addr - next(top for top in self._tops if addr <= top)

    def _slots(self, addr: int, size: int, arg: int, wanted: str) -> str:
        """Check where an iterator is to live; its place in words."""
        offset = self.frame_offset(addr)
        if offset is None:
            raise refuse(
                FaultKind.ITERATOR_STATE, f"arg#{arg} expected pointer to an iterator on stack"
            )
        if offset < -STACK_SIZE or (offset == 0 and size == 8):
            raise refuse(
                FaultKind.OUT_OF_BOUNDS,
                f"invalid write to stack R{arg + 1} off={offset} size=8",
                addr,
            )
        if offset % 8 or offset + size > 0:
            raise refuse(
                FaultKind.ITERATOR_STATE,
                f"cannot pass in iter at an offset={offset}; {wanted}",
                addr,
            )
        return f"fp{offset}"

    def _states(self, addr: int, size: int) -> bytes:
        low = addr - self._memory.base
        return self._memory.shadow[low : low + size]

    def first_iter_byte(self, addr: int, size: int) -> int:
        """Which of ``size`` bytes at ``addr`` is the first that an iterator owns."""
        return max(self._states(addr, size).find(ITER), 0)

    # ---- iterators ------------------------------------------------------------------------

    def check_new(self, kind: str, addr: int, size: int, arg: int = 0) -> str:
        """May ``new`` put an iterator there?  Its place in words ("fp-8")."""
        wanted = f"expected uninitialized iter_{kind} as arg #{arg}"
        where = self._slots(addr, size, arg, wanted)
        states = self._states(addr, size)
        if ITER in states:
            raise refuse(FaultKind.ITERATOR_STATE, wanted, addr)
        if not all(state & WRITE for state in states):
            raise self._memory.trap(addr, size, "write")
        return where

    def opened(
        self, kind: str, addr: int, size: int, result: int, site: Site, where: str, *, rcu: bool
    ) -> IterRecord:
        """``new`` is done; also when it failed the slots now hold an iterator."""
        old = self._open.get(addr)
        if old is not None:
            self._lose(old)
        low = addr - self._memory.base
        span, pattern = slice(low, low + size), _PATTERN[:size]
        record = IterRecord(
            kind, addr, size, self._next_id(), site, result, rcu, where, span, pattern
        )
        self._open[addr] = record
        self.iterators.append(record)
        self._memory.set_state(addr, size, ITER)
        return record

    def check_live(
        self, kind: str, addr: int | None, size: int, kfunc: str, arg: int = 0
    ) -> IterRecord:
        """The initialised iterator of that type at ``addr``."""
        record = self._open.get(addr)
        if (
            record is None
            or record.type != kind
            or record.untrusted
            or self._memory.shadow[record.span] != record.pattern
        ):
            raise self._not_live(record, kind, addr, size, kfunc, arg)
        return record

    def _not_live(
        self,
        record: IterRecord | None,
        kind: str,
        addr: int | None,
        size: int,
        kfunc: str,
        arg: int,
    ) -> Trap:
        """Why there is no such iterator."""
        wanted = f"expected an initialized iter_{kind} as arg #{arg}"
        self._slots(-1 if addr is None else addr, size, arg, wanted)
        if record is not None and record.untrusted and record.type == kind:
            wanted = f"expected an RCU CS when using {kfunc}"
        return refuse(FaultKind.ITERATOR_STATE, wanted, addr)

    def closed(self, record: IterRecord) -> None:
        """``destroy`` is done: plain stack again, with nothing in it."""
        del self._open[record.addr]
        if record.result < 0:
            record.ended = f"new failed ({record.result})"
        else:
            record.ended = "drained" if record.drained else "left early"
        self._memory.set_state(record.addr, record.size, UNINIT)

    def rcu_ended(self) -> None:
        """The explicit RCU section is over: what it protected may not be used any more."""
        for record in self._open.values():
            record.untrusted |= record.rcu

    def _lose(self, record: IterRecord) -> None:
        """Its slots hold something else now; nobody can destroy it any more."""
        del self._open[record.addr]
        record.ended = "overwritten"

    # ---- references -----------------------------------------------------------------------

    def acquire(self, kind: str, addr: int, site: Site) -> int:
        """The program owns one more reference; its id."""
        ref = Reference(self._next_id(), kind, addr, site)
        self._refs[ref.ref_id] = ref
        return ref.ref_id

    def release(self, addr: int, function: str, number: int, *, kfunc: bool = True) -> None:
        """The program hands a reference back; the newest one to that object goes."""
        for ref in reversed(self._refs.values()):
            if ref.addr == addr:
                del self._refs[ref.ref_id]
                self._gone.add(addr)
                return
        what = "kfunc" if kfunc else "func"
        if addr in self._gone:
            detail = f"{what} {function}#{number} reference has not been acquired before"
        elif kfunc:
            detail = f"release kernel function {function} expects refcounted PTR_TO_BTF_ID"
        else:
            detail = "R1 must be referenced when passed to release function"
        raise refuse(FaultKind.REFERENCE_STATE, detail, addr)

    # ---- interrupt flags ------------------------------------------------------------------

    def check_irq_flag(self, addr: int, arg: int, *, fresh: bool, family: str = "native") -> None:
        """May interrupts be saved to, or restored from, that stack slot?"""
        offset = self.frame_offset(addr)
        if offset is None or offset % 8 or offset >= 0 or offset < -STACK_SIZE:
            raise refuse(FaultKind.LOCK_STATE, f"arg#{arg} doesn't point to an irq flag on stack")
        states = self._states(addr, 8)
        if fresh:
            if ITER in states:
                detail = f"expected uninitialized irq flag as arg#{arg}"
                raise refuse(FaultKind.LOCK_STATE, detail, addr)
            return
        flags = [flag for flag in self.irq_flags if flag.addr == addr]
        if not flags or states != _PATTERN[:8]:
            detail = f"expected an initialized irq flag as arg#{arg}"
            raise refuse(FaultKind.LOCK_STATE, detail, addr)
        last = self.irq_flags[-1]
        if flags[-1].family != family:
            raise refuse(
                FaultKind.LOCK_STATE,
                f"irq flag acquired by {flags[-1].family} kfuncs cannot be restored with "
                f"{family} kfuncs",
                addr,
            )
        if flags[-1] is not last:
            raise refuse(
                FaultKind.LOCK_STATE,
                f"cannot restore irq state out of order, expected id={last.ref_id} "
                f"acquired at insn_idx={last.site.pc}",
                addr,
            )

    def irq_saved(self, addr: int, site: Site, family: str = "native") -> None:
        """A slot now holds an interrupt state."""
        self.irq_flags.append(IrqFlag(self._next_id(), addr, site, family))
        self._memory.set_state(addr, 8, ITER)

    def irq_restored(self, addr: int) -> None:
        """The newest one was used up."""
        self.irq_flags.pop()
        self._memory.set_state(addr, 8, UNINIT)

    # ---- the end --------------------------------------------------------------------------

    def references_open(self) -> bool:
        """Is anything unreleased?  Each iterator that was not destroyed holds a reference."""
        return bool(self._refs) or any(
            record.ended in ("", "overwritten") for record in self.iterators
        )

    def finish(self, *, ended: bool) -> None:
        """The run is over; ``ended`` by itself, or stopped in the middle of things."""
        for record in list(self._open.values()):
            if self._memory.shadow[record.span] != record.pattern:
                self._lose(record)
            else:
                record.ended = "never destroyed" if ended else "still open"
        self._open.clear()

    def leaks(self, prefix: str = _MAIN_EXIT) -> list[Leak]:
        """References that nobody released, in the verifier's words and order."""
        found = [
            (record.ref_id, "iterator", f"bpf_iter_{record.type} at {record.where}", record.site)
            for record in self.iterators
            if record.ended in ("never destroyed", "overwritten")
        ]
        found += [
            (ref.ref_id, "reference", f"{ref.type} at {ref.addr:#x}", ref.site)
            for ref in self._refs.values()
        ]
        leaks = [
            Leak(kind, what, f"Unreleased reference id={number} alloc_insn={site.pc}", site)
            for number, kind, what, site in sorted(found, key=lambda leak: leak[0])
        ]
        if leaks:
            last = leaks[-1]
            message = f"{last.message}; {prefix} would lead to reference leak"
            leaks[-1] = Leak(last.kind, last.what, message, last.site)
        return leaks

    def sections(self, prefix: str = _MAIN_EXIT) -> list[Leak]:
        """Regions that the program did not leave, in the verifier's order."""
        regions: list[tuple[str, str, str, Site | None]] = []
        if self.irq_flags:
            regions.append(("irq", "interrupts off", "bpf_local_irq_save", self.irq_flags[-1].site))
        if self.rcu is not None:
            regions.append(("rcu", "RCU read section", "bpf_rcu_read_lock", self.rcu))
        if self.preempt:
            regions.append(("preempt", "preemption off", "bpf_preempt_disable", self.preempt[-1]))
        return [
            Leak(kind, what, f"{prefix} cannot be used inside {name}-ed region", site)
            for kind, what, name, site in regions
        ]

    def reports(self) -> tuple[IterReport, ...]:
        """What each iterator did, in the order they were made."""
        return tuple(
            IterReport(r.type, r.site.pc, r.site.line, r.result, r.elements, r.ended)
            for r in self.iterators
        )


_PATTERN: Final = bytes([ITER]) * STACK_SIZE
