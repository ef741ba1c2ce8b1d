"""Does a fault point fail now?  The checks of lib/fault-inject.c, in their order."""

from __future__ import annotations

from collections.abc import Callable

from bpfemu.kernel.fault_attr import FaultAttr, FrameFilter, parse_filter
from bpfemu.kernel.random import RandomStream
from bpfemu.record import dataclass

__all__ = ["FaultState", "Moment", "StackFrame"]


@dataclass(frozen=True, slots=True)
class StackFrame:
    """One frame of a call stack: a function, and where in it."""

    function: str
    pc: int = -1  # slot, -1 in the kernel's own functions
    line: int = 0  # 0 where unknown
    text: str = ""  # 'file.c:12: source text'

    def __str__(self) -> str:
        where = f"{self.function}+{self.pc}" if self.pc >= 0 else self.function
        return f"{where} ({self.text})" if self.text else where


@dataclass(frozen=True, slots=True)
class Moment:
    """One call of a fault point.

    ``size`` is what counts against ``space``; ``call`` the number of the call in this run.
    """

    call: int
    size: int = 1
    in_task: bool = True
    marked: Callable[[], bool] = lambda: False  # is the current task to fail?
    stack: tuple[StackFrame, ...] = ()  # innermost first


class FaultState:
    """A point's attributes with what has been counted so far."""

    def __init__(self, name: str, attr: FaultAttr, seed: int) -> None:
        self.name = name
        self.attr = attr
        self.times = attr.times
        self.space = attr.space
        self.fail_nth = attr.fail_nth
        self.count = 0
        self._dice = RandomStream(seed, f"fault {name}")
        self._require = tuple(parse_filter(text) for text in attr.require)
        self._reject = tuple(parse_filter(text) for text in attr.reject)

    def should_fail(self, now: Moment) -> bool:
        """One call: True when it is to fail; counts it either way."""
        attr = self.attr
        if now.call in attr.calls:
            return True
        if self.fail_nth and (now.in_task or attr.contexts == "all"):
            if not self._stack_fits(now.stack):
                return False
            self.fail_nth -= 1
            return not self.fail_nth
        if attr.probability == 0:
            return False
        if attr.task_filter and not (now.in_task and now.marked()):
            return False
        if self.times == 0 or not self._stack_fits(now.stack):
            return False
        if self.space > now.size:
            self.space -= now.size
            return False
        if attr.interval > 1:
            self.count += 1
            if self.count % attr.interval:
                return False
        return attr.probability > self._dice.below(100)

    def failed(self) -> None:
        """The failure has been logged; one fewer is left."""
        if self.times > 0:
            self.times -= 1

    def log_lines(self, stack: tuple[StackFrame, ...]) -> list[str]:
        """What the kernel writes into its log about a failure, as ``verbose`` says."""
        if not self.attr.verbose:
            return []
        lines = ["FAULT_INJECTION: forcing a failure.", self.describe()]
        if self.attr.verbose > 1:
            lines += ["Call Trace:", *(f" {frame}" for frame in stack)]
        return lines

    def describe(self) -> str:
        """The kernel's line about the attributes, as they stand before the failure counts."""
        return (
            f"name {self.name}, interval {self.attr.interval}, "
            f"probability {self.attr.probability}, space {self.space}, times {self.times}"
        )

    def _stack_fits(self, stack: tuple[StackFrame, ...]) -> bool:
        """No rejected frame, and a required one if there are any; no depth sees no frame."""
        found = not self._require
        if not self.attr.stacktrace_depth:
            return found
        for frame in stack[: self.attr.stacktrace_depth]:
            if _matches(self._reject, frame):
                return False
            found = found or _matches(self._require, frame)
        return found


def _matches(filters: tuple[FrameFilter, ...], frame: StackFrame) -> bool:
    return any(one.matches(frame.function, frame.line) for one in filters)
