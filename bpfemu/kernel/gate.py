"""The call gate: one call out of the program, step by step.

::

    1 who      image.calls[target] → spec            4 convert  r1–r5 → arguments   (convert.py)
    2 may it   context, RCU, locks (context_checks)  5 run      body(*args, **services)
    3 state    iterators, references (accounts.py)   6 back     result → r0, r1–r5 scratched
                                                     7 account  what has changed    (accounts.py)

Which of these a target needs is decided once, from its flags; a call then runs only those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

from bpfemu.errors import BodyError, BpfemuError
from bpfemu.image import CallTarget, ProgramImage
from bpfemu.kernel.accounts import Account, Books, accounts, combined
from bpfemu.kernel.clock import EmulatedClock
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.context_checks import (
    Check,
    lock_rule,
    rcu_rule,
    section_rule,
    sleep_rule,
)
from bpfemu.kernel.convert import Converter, converters, r0_of
from bpfemu.kernel.cpu import Cpus
from bpfemu.kernel.ledger import Ledger, refuse
from bpfemu.kernel.locks import LockTable
from bpfemu.kernel.may_goto import timed_may_goto, untimed_may_goto
from bpfemu.kernel.random import RandomStream
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.kernel.run import Run
from bpfemu.machine.gate import UNSET, ProgramExit, Throw, Upcall
from bpfemu.machine.machine import CODE_BASE
from bpfemu.machine.memory import Memory
from bpfemu.machine.stop import FaultKind, Site, Trap
from bpfemu.proto.space import Space
from bpfemu.proto.spec import HelperSpec, KfuncSpec
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.kernel.faults import FaultTable

__all__ = ["Gate", "GateParts"]

CallOut: TypeAlias = Callable[[int, list[int]], Upcall | None]
_SCRATCHED = [UNSET] * 5
_CARRIERS = (Trap, Throw, ProgramExit, BpfemuError)


@dataclass(frozen=True, slots=True)
class GateParts:
    """What the gate reads and writes; one per kernel."""

    config: KernelConfig
    memory: Memory
    space: Space
    services: Mapping[str, Any]
    cpus: Cpus
    rcu: ReadCopyUpdate
    locks: LockTable
    clock: EmulatedClock
    random: RandomStream
    faults: Callable[[], FaultTable | None] = lambda: None


class Gate:
    """The gate of one image; ``begin`` gives it a run."""

    def __init__(self, image: ProgramImage, parts: GateParts) -> None:
        self._image = image
        self._parts = parts
        self._memory = parts.memory
        self._calls: list[CallOut | None] = [None] * len(image.calls)
        self._sites: dict[int, Site] = {}
        self._timed = parts.config.profile.at_least((6, 15))
        self._run: Run
        self._books = Books(Ledger(parts.memory, ()), parts.space.layouts)

    def begin(self, run: Run) -> None:
        """From now on calls are those of this run."""
        self._run = run
        self._books.ledger = run.ledger

    def forget_calls(self) -> None:
        """Targets are made anew when they are next called: what they rest on has changed."""
        self._calls = [None] * len(self._image.calls)

    # ---- what engines ask -------------------------------------------------------------------

    def call(self, target: int, pc: int, regs: list[int]) -> Upcall | None:
        """One call through the gate."""
        self._run.calls += 1
        return (self._calls[target] or self._make(target))(pc, regs)

    def packet_load(self, size: int, offset: int, pc: int, regs: list[int]) -> None:
        """LD_ABS and LD_IND: out of the packet's bounds the program ends with 0."""
        if self._books.ledger.references_open():
            raise refuse(FaultKind.REFERENCE_STATE, "BPF_LD_[ABS|IND] would lead to reference leak")
        packet = self._run.packet
        value = None if packet is None else packet.load(self._memory, size, offset)
        if value is None:
            raise ProgramExit(0)
        regs[0] = value
        regs[1:6] = _SCRATCHED

    def may_goto(self, counters: dict[str, int]) -> bool:
        """One execution of may_goto; True when the jump is taken."""
        if not self._timed:
            return untimed_may_goto(counters)
        return timed_may_goto(counters, self._parts.clock)

    def code_slot(self, addr: int) -> int | None:
        """The slot that a function pointer of this program points at."""
        slot, rest = divmod(addr - CODE_BASE, 8)
        return None if rest or not 0 <= slot < len(self._image.code) else slot

    def arena_cast(self, addr: int, to_space: int, from_space: int) -> int:
        """addr_space_cast; without an arena map the low half is all there is."""
        arena = self._run.arena
        if arena is None:
            return addr & 0xFFFF_FFFF
        cast: int = arena.cast(addr, to_space, from_space)
        return cast

    # ---- making a call ----------------------------------------------------------------------

    def site(self, pc: int) -> Site:
        """Who calls: the place of the call at ``pc``, for reports."""
        site = self._sites.get(pc)
        if site is None:
            image = self._image
            name = image.subprogs[image.subprog_at(pc)].name if image.subprogs else image.name
            called = getattr(image.code[pc], "target", -1) if pc < len(image.code) else -1
            what = f"call {image.calls[called].name}" if 0 <= called < len(image.calls) else "call"
            site = self._sites[pc] = Site(pc, name, what, image.line_text(pc))
        return site

    def _make(self, index: int) -> CallOut:
        target = self._image.calls[index]
        poisoned = target.poisoned or target.spec is None
        made = self._calls[index] = _poisoned(target) if poisoned else self._made(target)
        return made

    def _made(self, target: CallTarget) -> CallOut:
        spec = target.spec
        assert spec is not None
        checks = self._checks(spec)
        entry = combined(accounts(spec, target.btf_id, self._books))
        args = converters(spec, self._parts.space, self._parts.services, self.code_slot)
        if spec.generator:
            return self._upcall(spec, checks, entry, args)
        return self._plain(spec, checks, entry, args)

    def _checks(self, spec: KfuncSpec | HelperSpec) -> list[Check]:
        """Step 2 for this target."""
        parts = self._parts
        rules = (
            lock_rule(spec, parts.locks),
            sleep_rule(spec, parts.cpus, parts.rcu, lambda: self._books.ledger),
            rcu_rule(spec, parts.rcu, parts.locks),
            section_rule(spec.name, parts.rcu, lambda: self._books.ledger),
        )
        return [rule for rule in rules if rule is not None]

    def _body(self, spec: KfuncSpec | HelperSpec) -> Callable[..., Any]:
        """What step 5 calls: the body, or something around it that may fail on purpose."""
        faults = self._parts.faults()
        return spec.body if faults is None else faults.body(spec)

    def _entered(
        self, spec: KfuncSpec | HelperSpec, args: list[tuple[int, Converter]]
    ) -> Callable[[list[int]], Any]:
        """Steps 4 and 5: registers → what the body returns."""
        names = [name for name in spec.services if name != "args"]
        services = {name: self._parts.services[name] for name in names}
        body = _with_services(self._body(spec), services)
        if len(names) == len(spec.services):
            return _called(body, args)

        def raw(regs: list[int]) -> Any:
            values = [convert(regs[reg]) for reg, convert in args]
            return body(*values, args=[reg or 0 for reg in regs[1:6]])

        return raw

    def _r0(self, spec: KfuncSpec | HelperSpec) -> Callable[[Any], int | None]:
        garbage = self._parts.config.r0_garbage and isinstance(spec, KfuncSpec)
        return r0_of(spec.returns, self._parts.random.u32 if garbage else None)

    def _plain(
        self,
        spec: KfuncSpec | HelperSpec,
        checks: list[Check],
        entry: Account,
        args: list[tuple[int, Converter]],
    ) -> CallOut:
        """A body that returns."""
        body, to_r0 = self._entered(spec, args), self._r0(spec)
        before, after = entry.before, entry.after
        memory, sites, name = self._memory, self._sites, spec.name

        def call(pc: int, regs: list[int]) -> None:
            for check in checks:
                check()
            token = before(regs)
            memory.site = site = sites.get(pc) or self.site(pc)
            try:
                result = body(regs)
            except _CARRIERS:
                raise
            except Exception as error:
                raise BodyError(name, error) from error
            finally:
                memory.site = None
            try:
                r0 = to_r0(result)
            except Exception as error:
                raise BodyError(name, error) from error
            regs[0] = r0  # type: ignore[assignment]
            regs[1:6] = _SCRATCHED
            after(token, site, r0 or 0)

        return call

    def _upcall(
        self,
        spec: KfuncSpec | HelperSpec,
        checks: list[Check],
        entry: Account,
        args: list[tuple[int, Converter]],
    ) -> CallOut:
        """A body that calls back into the program: a generator that the engine drives."""
        body, to_r0 = self._entered(spec, args), self._r0(spec)
        before, after = entry.before, entry.after

        def call(pc: int, regs: list[int]) -> Upcall:
            for check in checks:
                check()
            token = before(regs)
            site = self.site(pc)
            result = yield from self._drive(spec.name, body(regs), site)
            try:
                r0 = to_r0(result)
            except Exception as error:
                raise BodyError(spec.name, error) from error
            regs[0] = r0  # type: ignore[assignment]
            regs[1:6] = _SCRATCHED
            after(token, site, r0 or 0)

        return call

    def _drive(self, name: str, body: Any, site: Site) -> Any:
        """Run a generator body; only while it runs itself is it the one that allocates."""
        memory, sent = self._memory, None
        try:
            while True:
                memory.site = site
                request = body.send(sent)
                memory.site = None
                sent = yield request
        except StopIteration as stop:
            return stop.value
        except _CARRIERS:
            raise
        except Exception as error:
            raise BodyError(name, error) from error
        finally:
            memory.site = None
            body.close()


def _with_services(body: Callable[..., Any], services: dict[str, Any]) -> Callable[..., Any]:
    """The body with its services for defaults: cheaper than handing them over at each call."""
    if not services:
        return body
    if not isinstance(body, FunctionType) or not body.__code__.co_kwonlyargcount:
        return partial(body, **services)  # something around the real one
    bound = FunctionType(
        body.__code__, body.__globals__, body.__name__, body.__defaults__, body.__closure__
    )
    bound.__kwdefaults__ = services
    return bound


def _called(
    body: Callable[..., Any], args: list[tuple[int, Converter]]
) -> Callable[[list[int]], Any]:
    """Convert the arguments, then call; most functions have one or two."""
    converts = [convert for _, convert in args]
    if len(args) == 1:
        [first] = converts
        return lambda regs: body(first(regs[1]))
    if len(args) == 2:
        first, second = converts
        return lambda regs: body(first(regs[1]), second(regs[2]))
    return lambda regs: body(*[convert(regs[reg]) for reg, convert in args])


def _poisoned(target: CallTarget) -> CallOut:
    why = target.why or f"calling kernel function {target.name} is not allowed"

    def call(pc: int, regs: list[int]) -> Upcall | None:
        raise refuse(FaultKind.BAD_CALL, why)

    return call
