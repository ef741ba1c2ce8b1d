"""Facts read off a signature: KfuncSpec, HelperSpec, Param."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, get_origin

from bpfemu.errors import DeclarationError
from bpfemu.proto.layout import CType, IntType, PtrType, StructType, VoidType, ctype_of
from bpfemu.proto.marks import HelperMark, KfuncMark
from bpfemu.proto.services import SERVICES
from bpfemu.proto.types import Callback, MapPtr
from bpfemu.record import dataclass

__all__ = ["HelperSpec", "KfuncSpec", "Param", "read_helper", "read_kfunc"]

SUFFIXES: Final = (
    "__refcounted_kptr",
    "__nullable",
    "__irq_flag",
    "__uninit",
    "__alloc",
    "__const",
    "__prog",
    "__iter",
    "__map",
    "__str",
    "__szk",
    "__ign",
    "__opt",
    "__sz",
    "__k",
)
"""Parameter-name suffixes that mean something to the verifier (kfunc notes, section 9.5)."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the kernel prototype.

    ``role`` is "scalar", "ptr", "map" or "callback".
    """

    name: str
    ctype: CType
    role: str
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class KfuncSpec:
    """One kfunc: prototype, flags, who has it, and the Python body."""

    name: str
    params: tuple[Param, ...]
    returns: CType | None  # None: void
    mark: KfuncMark
    services: tuple[str, ...]
    body: Callable[..., Any]
    generator: bool  # the body calls back into the program
    doc: str
    file: str

    @property
    def flags(self) -> int:
        """KF_* bits."""
        return self.mark.flags


@dataclass(frozen=True, slots=True)
class HelperSpec:
    """One helper: number, prototype, rules, and the Python body."""

    name: str
    number: int
    params: tuple[Param, ...]
    returns: CType | None
    mark: HelperMark
    services: tuple[str, ...]
    body: Callable[..., Any]
    generator: bool
    doc: str
    file: str


def read_kfunc(body: Callable[..., Any]) -> KfuncSpec:
    """The spec of a function marked ``@kfunc``; DeclarationError names the rule it breaks."""
    mark = body.__bpf_mark__  # type: ignore[attr-defined]
    params, returns, services = _signature(body)
    code = body.__code__
    return KfuncSpec(
        body.__name__,
        params,
        returns,
        mark,
        services,
        body,
        bool(code.co_flags & 0x20),
        body.__doc__ or "",
        code.co_filename,
    )


def read_helper(body: Callable[..., Any]) -> HelperSpec:
    """The spec of a function marked ``@helper``."""
    mark = body.__bpf_mark__  # type: ignore[attr-defined]
    params, returns, services = _signature(body)
    code = body.__code__
    return HelperSpec(
        body.__name__,
        mark.number,
        params,
        returns,
        mark,
        services,
        body,
        bool(code.co_flags & 0x20),
        body.__doc__ or "",
        code.co_filename,
    )


def _signature(
    body: Callable[..., Any],
) -> tuple[tuple[Param, ...], CType | None, tuple[str, ...]]:
    code, name = body.__code__, body.__name__
    names = code.co_varnames[: code.co_argcount]
    services = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    scope = vars(sys.modules[body.__module__])
    notes = body.__annotations__
    if code.co_flags & 0x0C:
        raise DeclarationError(name, "takes *args or **kwargs; a kernel prototype has neither")
    if len(names) > 5:
        raise DeclarationError(name, f"has {len(names)} > 5 parameters")
    for service in services:
        if service not in SERVICES:
            raise DeclarationError(name, f"asks for {service!r}, which is not a kernel service")
    for param in (*names, "return"):
        if param not in notes:
            raise DeclarationError(name, f"{param} has no type")
    params = tuple(_param(name, param, _note(name, param, scope, notes)) for param in names)
    return params, _returns(name, _note(name, "return", scope, notes)), tuple(services)


def _note(function: str, param: str, scope: dict[str, Any], notes: dict[str, Any]) -> Any:
    """What an annotation stands for where the function was written."""
    note = notes[param]
    if not isinstance(note, str):
        return note
    try:
        return eval(note, scope)  # our own modules' annotations only
    except Exception as error:
        raise DeclarationError(function, f"{param}: {note!r} is not a type: {error}") from None


def _ctype(function: str, param: str, note: Any) -> CType:
    try:
        return ctype_of(note)
    except DeclarationError as error:
        raise DeclarationError(function, f"{param}: {error.name} {error.rule}") from None


def _returns(function: str, note: Any) -> CType | None:
    if getattr(get_origin(note), "__name__", "") == "Generator":
        note = note.__args__[2]  # what a body that calls back returns
    ctype = None if note is None or note is type(None) else _ctype(function, "return", note)
    return None if isinstance(ctype, VoidType) else ctype


def _param(function: str, name: str, note: Any) -> Param:
    suffix = next((s for s in SUFFIXES if name.endswith(s) and len(name) > len(s)), "")
    if note is MapPtr:
        return Param(name, PtrType(StructType("bpf_map")), "map", suffix)
    if note is Callback:
        return Param(name, PtrType(VoidType()), "callback", suffix)
    ctype = _ctype(function, name, note)
    if isinstance(ctype, PtrType):
        return Param(name, ctype, "ptr", suffix)
    if not isinstance(ctype, IntType):
        raise DeclarationError(function, f"{name}: {ctype} cannot be passed in a register")
    return Param(name, ctype, "scalar", suffix)
