"""Vocabulary: what a C type is, in BTF.

``Btf.open(path)`` and ``Btf.parse(data)`` read, ``BtfBuilder`` writes, ``kinds`` are the types.
The names below are imported when first used: a run that never renders a type pays nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bpfemu.btf import kinds as kinds
    from bpfemu.btf.encode import BtfBuilder as BtfBuilder
    from bpfemu.btf.encode import encode as encode
    from bpfemu.btf.types import Btf as Btf
    from bpfemu.btf.types import MemberAt as MemberAt

_HOME: Final = {
    "Btf": "types",
    "BtfBuilder": "encode",
    "MemberAt": "types",
    "encode": "encode",
}
_KINDS: Final = [
    "Array",
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

__all__ = sorted([*_HOME, *_KINDS])


def __getattr__(name: str) -> object:
    home = "kinds" if name in _KINDS else _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'bpfemu.btf' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bpfemu.btf.{home}"), name)
