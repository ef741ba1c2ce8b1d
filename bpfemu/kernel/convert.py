"""Steps 4 and 6 of the call gate: registers → arguments, result → r0.

A converter is made once per parameter and takes the register's content (None: nobody has written
it).  Messages are the verifier's (notes 3.5).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

from bpfemu.kernel.ledger import refuse
from bpfemu.machine.memory import U64, Memory, RegionKind
from bpfemu.machine.stop import FaultKind
from bpfemu.proto.flags import (
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU,
    KF_RELEASE,
    KF_TRUSTED_ARGS,
)
from bpfemu.proto.layout import CType, IntType, PtrType, StructType
from bpfemu.proto.marshal import result
from bpfemu.proto.space import Space
from bpfemu.proto.spec import HelperSpec, KfuncSpec, Param
from bpfemu.proto.types import NULL, Ptr

__all__ = ["Converter", "ProgramCallback", "converters", "r0_of"]

Converter: TypeAlias = Callable[[int | None], Any]

ITER_FLAGS: Final = KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY
_NEVER_NULL: Final = KF_TRUSTED_ARGS | KF_RELEASE | KF_RCU
_SIZES: Final = ("__sz", "__szk")
_OBJECTS: Final = frozenset({RegionKind.OBJECT, RegionKind.HEAP, RegionKind.PERCPU})


class ProgramCallback:
    """A function of the program as an argument: ``r0 = yield from callback_fn(a, b)``."""

    __slots__ = ("slot",)

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def __call__(self, *args: int) -> Generator[tuple[int, tuple[int, ...]], int, int]:
        """Run it with up to five arguments in r1…; the result is its r0, u64."""
        result = yield self.slot, tuple(int(arg) & U64 for arg in args)
        return result


def converters(
    spec: KfuncSpec | HelperSpec,
    space: Space,
    services: Mapping[str, Any],
    code_slot: Callable[[int], int | None],
) -> list[tuple[int, Converter]]:
    """(register, converter) of each parameter, in order."""
    kfunc = isinstance(spec, KfuncSpec)
    made: list[tuple[int, Converter]] = []
    for index, param in enumerate(spec.params):
        if param.role == "map":
            converter = _map(index, services)
        elif param.role == "callback":
            converter = _callback(index, code_slot)
        elif param.role == "scalar":
            converter = _scalar(index, param, space, kfunc)
        else:
            converter = _pointer(index, param, space, _may_be_null(spec, index))
            refusal = _trust(spec, index)
            if refusal:
                converter = _trusted(converter, space.memory, refusal)
        made.append((index + 1, converter))
    return made


def _may_be_null(spec: KfuncSpec | HelperSpec, index: int) -> bool:
    """Is NULL this function's own business?  Iterators are checked before, by the ledger."""
    if isinstance(spec, HelperSpec) or not spec.flags & _NEVER_NULL:
        return True
    param = spec.params[index]
    if param.suffix in ("__nullable", "__ign", "__opt") or (index == 0 and spec.flags & ITER_FLAGS):
        return True
    after = spec.params[index + 1] if index + 1 < len(spec.params) else None
    return after is not None and after.suffix in _SIZES


def _trust(spec: KfuncSpec | HelperSpec, index: int) -> str:
    """What the verifier says to an untrusted pointer; "" where it takes any.

    Structs called ``bpf_…`` are the program's own (list heads, dynptrs), wherever they lie.
    """
    param = spec.params[index]
    target = param.ctype.target if isinstance(param.ctype, PtrType) else None
    if isinstance(spec, HelperSpec) or not isinstance(target, StructType):
        return ""
    if target.name.startswith("bpf_") or param.suffix == "__ign":
        return ""
    if spec.flags & KF_TRUSTED_ARGS:
        return f"R{index + 1} must be referenced or trusted"
    return f"R{index + 1} must be a rcu pointer" if spec.flags & KF_RCU else ""


def _trusted(convert: Converter, memory: Memory, refusal: str) -> Converter:
    """A pointer to a kernel object: what lies in the program's own memory is none."""

    def check(value: int | None) -> Any:
        pointer = convert(value)
        if value:
            region = memory.find_region(value)
            if region is None or region.kind not in _OBJECTS:
                raise refuse(FaultKind.BAD_CALL, refusal, value)
        return pointer

    return check


def _scalar(index: int, param: Param, space: Space, kfunc: bool) -> Converter:
    reg = index + 1
    missing = f"R{reg} is not a scalar" if kfunc else f"R{reg} !read_ok"
    ctype = param.ctype
    assert isinstance(ctype, IntType)
    truncate = _truncate(ctype)
    if param.suffix == "__ign":
        return lambda value: truncate(value or 0)

    def convert(value: int | None) -> Any:
        if value is None:
            raise refuse(FaultKind.UNINITIALISED, missing)
        return truncate(value)

    return convert


def _truncate(ctype: IntType) -> Callable[[int], int]:
    """The low bytes of a register as that integer type; bool is its lowest byte's truth."""
    mask = (1 << 8 * ctype.size) - 1
    sign = mask + 1 >> 1 if ctype.signed else 0
    if ctype.name == "bool":
        return lambda value: bool(value & mask)
    return lambda value: (value & mask ^ sign) - sign


def _pointer(index: int, param: Param, space: Space, may_be_null: bool) -> Converter:
    assert isinstance(param.ctype, PtrType)
    target = param.ctype.target
    reg = index + 1
    if param.suffix == "__ign":
        return lambda value: space.pointer(value or 0, target)
    last, pointer = -1, NULL  # loops come with the same pointer again and again

    def convert(value: int | None) -> Any:
        nonlocal last, pointer
        if value == last:
            return pointer
        if value is None:
            raise refuse(FaultKind.UNINITIALISED, f"R{reg} !read_ok")
        if not value and not may_be_null:
            raise refuse(
                FaultKind.BAD_CALL, f"Possibly NULL pointer passed to trusted arg{index}", 0
            )
        last, pointer = value, space.pointer(value, target)
        return pointer

    return convert


def _map(index: int, services: Mapping[str, Any]) -> Converter:
    reg = index + 1

    def convert(value: int | None) -> Any:
        found = None if value is None else services["maps"].at(value)
        if found is None:
            raise refuse(FaultKind.BAD_CALL, f"pointer in R{reg} isn't map pointer", value)
        return found

    return convert


def _callback(index: int, code_slot: Callable[[int], int | None]) -> Converter:
    def convert(value: int | None) -> Any:
        slot = None if value is None else code_slot(value)
        if slot is None:
            raise refuse(FaultKind.BAD_CALL, f"arg{index} expected pointer to func", value)
        return ProgramCallback(slot)

    return convert


def r0_of(returns: CType | None, upper: Callable[[], int] | None) -> Callable[[Any], int | None]:
    """Result → r0.  ``upper`` fills the high half after a 32-bit result; None leaves zeros."""
    if isinstance(returns, PtrType):
        return _address
    plain = _number(returns)
    if upper is None or not isinstance(returns, IntType) or returns.size > 4:
        return plain
    fill = upper

    def convert(value: Any) -> int | None:
        low = plain(value)
        return None if low is None else low | fill() << 32

    return convert


def _address(value: Any) -> int:
    return value._addr if isinstance(value, Ptr) else int(value) & U64


def _number(returns: CType | None) -> Callable[[Any], int | None]:
    """``result`` of one type; what needs neither sign nor mask is seen at once."""
    if not isinstance(returns, IntType):
        return lambda value: result(returns, value)
    last = 1 if returns.name == "bool" else (1 << 8 * min(returns.size, 8) - 1) - 1

    def convert(value: Any) -> int | None:
        if value is not None and 0 <= (number := int(value)) <= last:
            return number
        return result(returns, value)

    return convert
