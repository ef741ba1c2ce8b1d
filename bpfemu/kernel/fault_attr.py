"""Fault attributes: when a fault point fails, in the words and with the defaults of Linux.

Source: lib/fault-inject.c and Documentation/fault-injection/fault-injection.rst.  What is ours
alone: ``contexts`` (the kernel counts ``fail_nth`` in task context only), ``calls`` and ``retval``
(which fail_function keeps in a file of its own).
"""

from __future__ import annotations

from typing import Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass

__all__ = ["FaultAttr", "FrameFilter", "parse_filter", "parse_retval", "parse_spec"]

MAX_DEPTH: Final = 32  # MAX_STACK_TRACE_DEPTH
_RANGES: Final = {
    "probability": (0, 100),
    "interval": (0, 1 << 32),
    "times": (-1, 1 << 31),
    "space": (0, 1 << 31),
    "stacktrace_depth": (0, MAX_DEPTH),
    "verbose": (0, 2),
    "fail_nth": (0, 1 << 31),
}


@dataclass(frozen=True, slots=True)
class FaultAttr:
    """When a point fails; nothing does by default, as ``probability`` is 0.

    ``probability``: percent.  ``interval``: only every n-th eligible call.  ``times``: failures at
    most, -1 no limit.  ``space``: bytes (calls, where a point has no size) that are let through
    first.  ``task_filter``: only tasks marked make-it-fail, in task context.
    ``require``/``reject``: a frame of the call stack must, must not be one of these:
    ``function``, ``function:line`` or ``function:first-last``; functions of the program, and the
    kfunc or helper it called.  ``stacktrace_depth``: frames looked at.  ``verbose``: 0 no log, 1 a
    line, 2 with the stack.  ``fail_nth``: the N-th call fails, whatever else is set; ``contexts``:
    "all" counts every call, "task" only those in task context.  ``calls``: exactly these calls of
    each run fail, from 1.  ``retval``: what the call returns, where there is a choice.
    """

    probability: int = 0
    interval: int = 1
    times: int = 1
    space: int = 0
    task_filter: bool = False
    require: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    stacktrace_depth: int = MAX_DEPTH
    verbose: int = 2
    fail_nth: int = 0
    contexts: str = "all"
    calls: tuple[int, ...] = ()
    retval: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"{name} is {value!r}, must be a number from {low} to {high}")
        if self.contexts not in ("all", "task"):
            raise InputError(f"contexts is {self.contexts!r}, must be 'all' or 'task'")
        for call in self.calls:
            if not isinstance(call, int) or call < 1:
                raise InputError(f"calls has {call!r}, must be numbers from 1 up")
        for text in (*self.require, *self.reject):
            parse_filter(text)

    @classmethod
    def parse(cls, text: str) -> FaultAttr:
        """A boot string or ``name=value,…``; see :func:`parse_spec`."""
        return cls(**parse_spec(text))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """Frames of a function, of some of its source lines where a range is given."""

    function: str
    first: int = 0  # line
    last: int = 0  # line, inclusive; 0: any line

    def matches(self, function: str, line: int) -> bool:
        """Is that frame one of them?"""
        return function == self.function and (not self.last or self.first <= line <= self.last)


def parse_filter(text: str) -> FrameFilter:
    """``walk``, ``walk:31`` or ``walk:20-31``; InputError for anything else."""
    function, colon, lines = text.partition(":")
    first, dash, last = lines.partition("-")
    good = bool(function) and (not colon or (first.isdecimal() and (not dash or last.isdecimal())))
    if not good or (dash and int(last) < int(first)):
        rule = "must be FUNCTION, FUNCTION:LINE or FUNCTION:FIRST-LAST"
        raise InputError(f"stack filter {text!r} {rule}")
    if not colon:
        return FrameFilter(function)
    return FrameFilter(function, int(first), int(last or first))


def parse_retval(text: str) -> int:
    """``-12``, ``-ENOMEM``, ``0`` or ``NULL``; InputError for anything else."""
    if text == "NULL":
        return 0
    from bpfemu.machine.errno import ERRNO_NAMES

    found = (-number for number, name in ERRNO_NAMES.items() if text == f"-{name}")
    value = next(found, None)
    return _number("retval", text) if value is None else value


def parse_spec(text: str) -> dict[str, object]:
    """The fields that a text sets.

    ``<interval>,<probability>,<space>,<times>``, as on a kernel's command line, or
    ``name=value,…`` with the names of :class:`FaultAttr`; numbers of ``calls`` and several filters
    are joined by ``+``.
    """
    parts = text.split(",")
    if "=" not in text:
        if len(parts) != 4:
            raise InputError(
                f"fault attributes {text!r} must be <interval>,<probability>,<space>,<times> "
                "or name=value,…"
            )
        names = ("interval", "probability", "space", "times")
        return {name: _number(name, part) for name, part in zip(names, parts, strict=True)}
    found: dict[str, object] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in FaultAttr.__dataclass_fields__:
            there = ", ".join(FaultAttr.__dataclass_fields__)
            raise InputError(f"fault attributes have no {part!r}; there are {there}")
        found[name] = _value(name, value.strip())
    return found


def _value(name: str, text: str) -> object:
    match name:
        case "require" | "reject":
            return tuple(text.split("+"))
        case "calls":
            return tuple(_number(name, part) for part in text.split("+"))
        case "contexts":
            return text
        case "retval":
            return parse_retval(text)
        case "task_filter":
            if text not in ("Y", "N", "0", "1"):
                raise InputError(f"task_filter is {text!r}, must be Y, N, 0 or 1")
            return text in ("Y", "1")
    return _number(name, text)


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{name} is {text!r}, must be a number") from None
