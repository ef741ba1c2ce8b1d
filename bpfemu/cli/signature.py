"""A function's head as bpftool writes it above its instructions: ``int on_exit(void * ctx)``."""

from __future__ import annotations

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k

__all__ = ["signature"]

_PREFIXES = {
    k.Struct: "struct ",
    k.Union: "union ",
    k.Enum: "enum ",
    k.Enum64: "enum ",
    k.Const: "const ",
    k.Volatile: "volatile ",
    k.Restrict: "restrict ",
}


def signature(btf: Btf | None, func_id: int, name: str) -> str:
    """The head of FUNC ``func_id``; without BTF for it all that is known is ``int name()``."""
    func = btf.type(func_id) if btf is not None and func_id else None
    if btf is None or not isinstance(func, k.Func):
        return f"int {name}()"
    return _function(btf, btf.type(func.type), func.name)


def _function(btf: Btf, proto: object, name: str) -> str:
    assert isinstance(proto, k.FuncProto)
    params = ", ".join(
        (_words(btf, param.type) + param.name).rstrip() if param.type else "..."
        for param in proto.params
    )
    return f"{_words(btf, proto.ret)}{name}({params})"


def _words(btf: Btf, type_id: int) -> str:
    """A type from left to right, with a blank behind each word and each ``*``."""
    found = btf.type(type_id)
    match found:
        case k.Void():
            return "void "
        case k.Ptr(type=target):
            return _words(btf, target) + "* "
        case k.Array(elem=elem, nelems=nelems):
            return f"{_words(btf, elem)}[{nelems}]"
        case k.FuncProto():
            return _function(btf, found, "")
        case k.Fwd(name=name, is_union=is_union):
            return f"{'union' if is_union else 'struct'} {name} "
        case k.Const(type=target) | k.Volatile(type=target) | k.Restrict(type=target):
            return _PREFIXES[type(found)] + _words(btf, target)
        case k.TypeTag(type=target):  # user, percpu, …: not part of the C type
            return _words(btf, target)
        case _:
            return f"{_PREFIXES.get(type(found), '')}{getattr(found, 'name', '')} "
