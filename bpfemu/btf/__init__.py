"""Vocabulary: what a C type is, in BTF.

``Btf.open(path)`` and ``Btf.parse(data)`` read, ``BtfBuilder`` writes, ``kinds`` are the types;
``encode``, ``render``, ``compat`` and ``check`` are modules of their own.  The names below are
imported when first used: a run that never writes BTF pays nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bpfemu.btf.encode import BtfBuilder
    from bpfemu.btf.kinds import (
        Array,
        Const,
        DataSec,
        DeclTag,
        Enum,
        Enum64,
        EnumValue,
        Float,
        Func,
        FuncProto,
        Fwd,
        Int,
        IntEncoding,
        Linkage,
        Member,
        Param,
        Ptr,
        Restrict,
        SecVar,
        Struct,
        Type,
        Typedef,
        TypeTag,
        Union,
        Var,
        Void,
        Volatile,
    )
    from bpfemu.btf.types import Btf, MemberAt

__all__ = [
    "Array",
    "Btf",
    "BtfBuilder",
    "Const",
    "DataSec",
    "DeclTag",
    "Enum",
    "Enum64",
    "EnumValue",
    "Float",
    "Func",
    "FuncProto",
    "Fwd",
    "Int",
    "IntEncoding",
    "Linkage",
    "Member",
    "MemberAt",
    "Param",
    "Ptr",
    "Restrict",
    "SecVar",
    "Struct",
    "Type",
    "TypeTag",
    "Typedef",
    "Union",
    "Var",
    "Void",
    "Volatile",
]

_HOME: Final = {"Btf": "types", "BtfBuilder": "encode", "MemberAt": "types"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'bpfemu.btf' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bpfemu.btf.{_HOME.get(name, 'kinds')}"), name)
