"""Kernel variables as plain data: a name, a C type, a value, one copy or one for each CPU.

::

    KernelVariable("max_lock_depth", "int", 1024)
    KernelVariable("runqueues", "struct rq", {"nr_running": 3}, percpu=True)
    KernelVariable("counters", "unsigned long", percpu=(10, 20))

Programs reach them as ``extern … __ksym``.  The build of a real kernel describes only its per-CPU
variables in BTF (BTF notes, section 7.7), so of the variables that are always there the others
have an address and no type; those of a user are described unless ``typed`` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass

__all__ = ["KernelVariable", "TypeText", "default_variables", "read_type"]

_TAGS: Final = ("struct", "union", "enum")
_QUALIFIERS: Final = frozenset({"const", "volatile"})
_INTEGER: Final = ("signed", "unsigned", "char", "short", "long", "int")
_MOST_ELEMENTS: Final = 1 << 20
_SYSTEM_RUNNING: Final = 3  # enum system_states
_PAGE_OFFSET: Final = 0xFFFF_8880_0000_0000  # x86-64, without KASLR


@dataclass(frozen=True, slots=True)
class TypeText:
    """A C type as it was written: ``stars`` pointers to the base, in arrays of these sizes."""

    base: str  # name of a struct, an integer, a typedef
    tag: str = ""  # "struct", "union", "enum"
    stars: int = 0
    dims: tuple[int, ...] = ()  # elements, outermost first


def read_type(text: str) -> TypeText:
    """Read ``struct rq *[4]``; InputError when it is not a type of that simple form."""
    head, bracket, tail = text.partition("[")
    stars = head.count("*")
    named, star, _ = head.partition("*")
    words = [word for word in named.split() if word not in _QUALIFIERS]
    tag = words.pop(0) if words and words[0] in _TAGS else ""
    base = words[0] if len(words) == 1 else _integer(words)
    rest = (head[len(named) :] if star else "").replace("*", " ").split()
    good = base.isidentifier() or base in _SPELLINGS
    if not good or (tag and len(words) != 1) or not _QUALIFIERS.issuperset(rest):
        raise InputError(f"{text!r} is no C type like 'struct rq', 'unsigned long' or 'int[4]'")
    return TypeText(
        base if tag else _SPELLINGS.get(base, base), tag, stars, _dims(text, bracket + tail)
    )


def _dims(text: str, brackets: str) -> tuple[int, ...]:
    if not brackets:
        return ()
    inner = brackets.strip()
    parts = inner[1:-1].split("][") if inner.endswith("]") else [""]
    total, dims = 1, []
    for part in parts:
        number = int(part) if part.strip().isdecimal() and len(part) < 10 else 0
        total *= number
        if not 0 < total <= _MOST_ELEMENTS:
            raise InputError(f"{text!r}: an array has 1 to {_MOST_ELEMENTS} elements")
        dims.append(number)
    return tuple(dims)


def _integer(words: list[str]) -> str:
    """The words of an integer in one order, "" when they are none."""
    if not words or any(word not in _INTEGER for word in words):
        return ""
    kept = sorted((word for word in words if word != "int"), key=_INTEGER.index)
    return " ".join(kept) or "int"


_SPELLINGS: Final[dict[str, str]] = {
    "int": "int",
    "signed": "int",
    "unsigned": "unsigned int",
    "long": "long int",
    "signed long": "long int",
    "unsigned long": "long unsigned int",
    "long long": "long long int",
    "signed long long": "long long int",
    "unsigned long long": "long long unsigned int",
    "short": "short int",
    "signed short": "short int",
    "unsigned short": "short unsigned int",
    "unsigned char": "unsigned char",
    "signed char": "signed char",
}
"""The spellings of C's integers that BTF uses, by ours."""


@dataclass(frozen=True, slots=True)
class KernelVariable:
    """One variable.

    ``type`` is C text; ``value`` a number, bytes, a list of elements, members by path (the rest is
    zero), or ``"&name"``, the address of another variable.  ``percpu`` is True for a copy for each
    CPU with that value, or the values of CPU 0, 1, … (the last one goes on).  ``module`` is the
    module that has it; ``typed`` says whether BTF describes it.
    """

    name: str
    type: str
    value: Any = 0
    percpu: bool | tuple[Any, ...] = False
    module: str = ""
    typed: bool = True

    def __post_init__(self) -> None:
        if not self.name.replace(".", "_").isidentifier():
            raise InputError(f"variable {self.name!r}: must be a C identifier", errno=22)
        if self.percpu == () or not isinstance(self.percpu, bool | tuple):
            rule = "must be True, False or the values of the CPUs in a tuple"
            raise InputError(f"variable {self.name!r}: percpu is {self.percpu!r}, {rule}")
        try:
            read_type(self.type)
        except InputError as error:
            raise InputError(f"variable {self.name!r}: type {error}", errno=22) from None
        for value in self.percpu if isinstance(self.percpu, tuple) else (self.value,):
            _check_value(f"variable {self.name!r}", value)

    def value_on(self, cpu: int) -> Any:
        """What the copy of a CPU holds at first."""
        if isinstance(self.percpu, tuple):
            return self.percpu[min(cpu, len(self.percpu) - 1)]
        return self.value


def _check_value(where: str, value: Any) -> None:
    if isinstance(value, int | bytes):
        return
    if isinstance(value, str) and value.startswith("&"):
        return
    if isinstance(value, Mapping):
        for path, inner in value.items():
            _check_value(f"{where}.{path}", inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            _check_value(f"{where}[{index}]", inner)
    else:
        rule = "must be a number, bytes, a list, members by name or '&variable'"
        raise InputError(f"{where} is {value!r}, {rule}", errno=22)


def default_variables(cpus: int) -> tuple[KernelVariable, ...]:
    """The variables that every emulated kernel has; ``cpus`` is how many CPUs there are."""
    queues = tuple(
        {"cpu": cpu, "online": 1, "idle": "&init_task", "curr": "&init_task"} for cpu in range(cpus)
    )
    return (
        KernelVariable("init_task", "struct task_struct", {}, typed=False),
        KernelVariable("jiffies", "unsigned long", typed=False),
        KernelVariable("nr_cpu_ids", "unsigned int", cpus, typed=False),
        KernelVariable("system_state", "int", _SYSTEM_RUNNING, typed=False),
        KernelVariable("page_offset_base", "unsigned long", _PAGE_OFFSET, typed=False),
        KernelVariable("runqueues", "struct rq", percpu=queues),
        KernelVariable("kernel_cpustat", "struct kernel_cpustat", {}, percpu=True),
        KernelVariable("bpf_prog_active", "int", percpu=True),
        KernelVariable("this_cpu_off", "unsigned long", percpu=True),
    )
