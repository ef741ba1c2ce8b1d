"""Registers ⇄ arguments and results."""

from __future__ import annotations

from typing import Any, Final

from bpfemu.errors import InputError
from bpfemu.machine.memory import U64
from bpfemu.proto.layout import CType, IntType, PtrType, VoidType
from bpfemu.proto.space import Space
from bpfemu.proto.spec import Param
from bpfemu.proto.types import Ptr

__all__ = ["argument", "result"]

U32: Final = (1 << 32) - 1


def argument(param: Param, value: int, space: Space) -> Any:
    """A register as the parameter's type; maps and callbacks are the gate's business."""
    ctype = param.ctype
    if isinstance(ctype, PtrType):
        return Ptr(value, ctype.target, space)
    assert isinstance(ctype, IntType)
    value &= (1 << 8 * ctype.size) - 1
    if ctype.name == "bool":
        return bool(value & 0xFF)
    return (
        value - (1 << 8 * ctype.size) if ctype.signed and value >> (8 * ctype.size - 1) else value
    )


def result(returns: CType | None, value: Any) -> int | None:
    """r0 for what a body returned; None for void (r0 is then not initialised).

    A 32-bit result is zero-extended, as x86-64 leaves it: -EINVAL arrives as 0xffffffea
    (iterator notes, section 0).  Narrower ones are extended to 32 bits by their sign first.
    """
    if returns is None or isinstance(returns, VoidType):
        return None
    if value is None:
        raise InputError(f"the body returned None where its prototype says {returns}")
    number = int(value)
    if isinstance(returns, IntType) and returns.size < 8:
        if returns.name == "bool":
            return 1 if number else 0
        number &= (1 << 8 * returns.size) - 1
        if returns.signed and number >> (8 * returns.size - 1):
            number -= 1 << 8 * returns.size
        return number & U32
    return number & U64
