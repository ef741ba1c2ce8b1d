"""Faults on purpose: which points are to fail, which a run has met, which did fail.

::

    kernel.faults.set("fail_bpf_mem_alloc/512", FaultAttr(probability=100))
    kernel.faults.fail_nth(3)
    kernel.faults.function("bpf_iter_task_vma_new", retval=-ENOMEM)
    kernel.faults.watch()          also note every point that nothing is set for
    kernel.faults.met              the points that the last run met, in order

Points count while a program runs: what user space does between runs never fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_check import FaultState, Moment, StackFrame
from bpfemu.kernel.fault_hooks import FaultHooks
from bpfemu.kernel.fault_points import POINTS, Points, errno_of, split_point
from bpfemu.kernel.printk import TraceBuffer
from bpfemu.record import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from bpfemu.kernel.gate import Gate
    from bpfemu.kernel.kernel import Kernel
    from bpfemu.kernel.mem_alloc import BpfMemAlloc
    from bpfemu.kernel.run import Run
    from bpfemu.proto.spec import HelperSpec, KfuncSpec

__all__ = ["FaultTable", "MetPoint"]


@dataclass(frozen=True, slots=True)
class MetPoint:
    """A fault point that a run came by."""

    point: str  # "fail_bpf_mem_alloc/512"
    call: int  # the how manieth call of this point in this run, from 1
    pc: int  # slot of the program's call; -1 after the program has ended
    line: str  # 'file.c:12: source text', "" without line info
    injected: bool  # it was made to fail
    retval: int | None = None  # what was chosen for it to return then
    stack: tuple[StackFrame, ...] = ()  # innermost first


class FaultTable:
    """The faults of one kernel."""

    def __init__(
        self, kernel: Kernel, runs: list[Run], gates: Mapping[int, tuple[Any, Gate]]
    ) -> None:
        self._kernel = kernel
        self._runs = runs  # open ones, innermost last
        self._points = Points(kernel.catalog, kernel.config.profile)
        self._states: dict[str, FaultState] = {}
        self._watched: frozenset[str] = frozenset()
        self._marked: set[int] = set()
        self.log = TraceBuffer()  # what the kernel log (dmesg) says about failures
        self._hooks = FaultHooks(kernel, gates, self.failing)

    # ---- what is to fail ----------------------------------------------------------------------

    def set(self, point: str, attr: FaultAttr) -> None:
        """Give a point its attributes, counted from now on; see ``POINTS`` for the names."""
        if not isinstance(attr, FaultAttr):
            raise InputError(f"{point}: {attr!r} is no FaultAttr")
        self._points.check(point, attr)
        self._states[point] = FaultState(point, attr, self._kernel.config.seed)
        self._install()

    def set_all(self, attributes: Mapping[str, FaultAttr]) -> FaultTable:
        """Several points at once."""
        for point, attr in attributes.items():
            self.set(point, attr)
        return self

    def fail_nth(
        self, n: int, point: str = "fail_bpf_mem_alloc", *, contexts: str = "all"
    ) -> FaultTable:
        """The n-th call from now on fails; the point's other attributes stay."""
        state = self._states.get(point)
        attr = state.attr if state is not None else FaultAttr()
        self.set(point, replace(attr, fail_nth=n, contexts=contexts))
        return self

    def function(self, name: str, retval: int | None = None, **attributes: Any) -> FaultTable:
        """A kfunc or helper fails with ``retval``: once, unless attributes say otherwise."""
        unknown = set(attributes) - set(FaultAttr.__dataclass_fields__)
        if unknown:
            there = ", ".join(FaultAttr.__dataclass_fields__)
            raise InputError(f"no attribute {sorted(unknown)[0]!r}; there are {there}")
        attr = FaultAttr(**{"probability": 100, **attributes, "retval": retval})
        self.set(f"{self._points.kind_of(name)}/{name}", attr)
        return self

    def plan(self, schedule: Mapping[str, tuple[int, ...]]) -> FaultTable:
        """Exactly these calls of each run fail, by point; everything else set is cleared."""
        self._states.clear()
        for point, calls in schedule.items():
            self.set(point, FaultAttr(calls=tuple(calls)))
        self._install()
        return self

    def watch(self, *kinds: str) -> FaultTable:
        """Note every call of these kinds of points (none given: of all) in ``met``."""
        for kind in kinds:
            if split_point(kind)[1]:
                raise InputError(f"watch takes kinds of points, not {kind!r}")
        self._watched = frozenset(kinds or POINTS)
        self._install()
        return self

    def make_it_fail(self, pid: int, on: bool = True) -> FaultTable:
        """/proc/PID/make-it-fail: the tasks that ``task_filter`` lets fail."""
        (self._marked.add if on else self._marked.discard)(pid)
        return self

    def clear(self) -> FaultTable:
        """Nothing fails and nothing is watched any more."""
        self._states.clear()
        self._watched = frozenset()
        self._marked.clear()
        self._install()
        return self

    # ---- what has happened --------------------------------------------------------------------

    def nth(self, point: str = "fail_bpf_mem_alloc") -> int:
        """What /proc/self/fail-nth reads: calls still to come, 0 once the failure has happened."""
        state = self._states.get(point)
        return state.fail_nth if state is not None else 0

    @property
    def attributes(self) -> dict[str, FaultAttr]:
        """What is set, by point, with ``times`` and ``space`` as they stand now."""
        return {
            point: replace(state.attr, times=state.times, space=state.space)
            for point, state in self._states.items()
        }

    @property
    def met(self) -> tuple[MetPoint, ...]:
        """The points that the open run, else the last one, has met, in order."""
        run = self._runs[-1] if self._runs else self._kernel.last_run
        return tuple(run.met) if run is not None else ()

    def replay(self) -> tuple[str, ...]:
        """``--fault`` arguments that make the same calls fail in a run on a fresh kernel."""
        plan: dict[tuple[str, int | None], list[str]] = {}
        for met in self.met:
            if met.injected:
                plan.setdefault((met.point, met.retval), []).append(str(met.call))
        return tuple(
            f"{point}=calls={'+'.join(calls)}" + ("" if retval is None else f",retval={retval}")
            for (point, retval), calls in plan.items()
        )

    # ---- asked by the hooks -------------------------------------------------------------------

    def body(self, spec: KfuncSpec | HelperSpec) -> Callable[..., Any]:
        """A function's body, or one around it that may fail."""
        return self._hooks.body(spec)

    def follow(self, allocator: BpfMemAlloc) -> None:
        """A bpf_mem_alloc has been made."""
        self._hooks.follow(allocator)

    def failing(self, kind: str, which: str, size: int = 1) -> FaultAttr | None:
        """One call of a point: the attributes that make it fail, None when it goes well."""
        if not self._runs:
            return None
        run, name = self._runs[-1], f"{kind}/{which}" if which else kind
        call = run.point_calls[name] = run.point_calls.get(name, 0) + 1
        stack = self._stack(run)
        now = Moment(
            call,
            size,
            in_task=not self._kernel.cpus.in_interrupt(),
            marked=self._is_marked,
            stack=stack,
        )
        state = self._first_failing((name, kind), now)
        site = self._kernel.memory.site
        pc, line = (site.pc, site.line) if site is not None else (-1, "")
        chosen = state.attr.retval if state is not None else None
        run.met.append(MetPoint(name, call, pc, line, state is not None, chosen, stack))
        if state is None:
            return None
        where = f" at {site}" if site is not None else ""
        run.injected.append(
            f"FAULT_INJECTION: forcing a failure. {state.describe()}; {name} call {call}{where}"
        )
        return self._failed(state, stack)

    def btf_load_error(self) -> int:
        """BPF_BTF_LOAD: 0, or the negative errno that it is to give."""
        state = self._first_failing(("fail_btf_load",), Moment(1))
        return 0 if state is None else errno_of("fail_btf_load", self._failed(state, ()))

    def _first_failing(self, names: tuple[str, ...], now: Moment) -> FaultState | None:
        for name in dict.fromkeys(names):
            state = self._states.get(name)
            if state is not None and state.should_fail(now):
                return state
        return None

    def _failed(self, state: FaultState, stack: tuple[StackFrame, ...]) -> FaultAttr:
        for line in state.log_lines(stack):
            self.log.trace(line)
        state.failed()
        return state.attr

    def _is_marked(self) -> bool:
        return int(self._kernel.services["tasks"].current_pid) in self._marked

    def _stack(self, run: Run) -> tuple[StackFrame, ...]:
        """The kernel function called, then the program's frames; none once it has ended."""
        site, image = self._kernel.memory.site, run.image
        if site is None or run.machine is None:
            return ()
        frames = [StackFrame(site.what.removeprefix("call "))]
        pc = site.pc
        for frame in reversed(run.machine.frames):
            name = image.subprogs[frame.subprog].name if image.subprogs else image.name
            at = image.lines[pc] if 0 <= pc < len(image.lines) else None
            frames.append(StackFrame(name, pc, at.line if at else 0, image.line_text(pc)))
            pc = frame.return_to - 1 if frame.return_to >= 0 else -1
        return tuple(frames)

    def _install(self) -> None:
        armed = {split_point(point) for point in self._states}
        self._hooks.install(armed | {(kind, "") for kind in self._watched})
