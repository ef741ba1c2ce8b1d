"""Is a kfunc's BTF what the kernel expects?  At registration, and when a program calls it.

Each function returns None, or in words what is wrong; the errno is EINVAL throughout.  Kernel
``btf_check_kfunc_protos``, ``btf_check_iter_kfuncs`` and ``btf_distill_func_proto``; BTF notes,
sections 5.1 and 9.3.
"""

from __future__ import annotations

from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.spelling import type_name
from bpfemu.errors import ObjectError
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT

__all__ = ["call_problem", "destructor_problem", "registration_problem"]

_ITER: Final = {KF_ITER_NEW: "new", KF_ITER_NEXT: "next", KF_ITER_DESTROY: "destroy"}
_ITER_FLAGS: Final = KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY
_MOST_ARGS: Final = 12
_WIDEST_ARG: Final = 16  # bytes
_PREFIX: Final = "bpf_iter_"


def registration_problem(btf: Btf, id: int, flags: int) -> str | None:
    """What registering this FUNC id with these KF_* flags runs into."""
    try:
        func = _function(btf, id)
        if isinstance(func, str):
            return func
        return _iterator_problem(btf, *func, flags) if flags & _ITER_FLAGS else None
    except ObjectError as problem:
        return str(problem)


def destructor_problem(btf: Btf, id: int) -> str | None:
    """What registering this FUNC id as a destructor runs into: it is void f(any pointer)."""
    try:
        func = _function(btf, id)
        if isinstance(func, str):
            return func
        name, proto = func
        if proto.ret or len(proto.params) != 1 or not _is_ptr(btf, proto.params[0].type):
            return f"destructor {name} must be void f(pointer)"
    except ObjectError as problem:
        return str(problem)
    return None


def call_problem(btf: Btf, id: int) -> str | None:
    """What a call of this FUNC id runs into before its arguments are looked at."""
    try:
        func = btf.type(id) if btf.has_id(id) else None
        if not isinstance(func, k.Func):
            return f"kernel btf_id {id} is not a function"
        proto = btf.type(func.type) if btf.has_id(func.type) else None
        if not isinstance(proto, k.FuncProto):
            return f"kernel function btf_id {id} does not have a valid func_proto"
        return _prototype_problem(btf, func.name, proto)
    except ObjectError as problem:
        return str(problem)


def _function(btf: Btf, id: int) -> tuple[str, k.FuncProto] | str:
    """A function's name and prototype, or why it is none."""
    found = btf.type(id) if btf.has_id(id) else None
    if not isinstance(found, k.Func) or not found.name:
        return f"BTF id {id} is not a function"
    proto = btf.type(found.type) if btf.has_id(found.type) else None
    if not isinstance(proto, k.FuncProto):
        return f"function {found.name} has no prototype"
    return found.name, proto


def _iterator_problem(btf: Btf, name: str, proto: k.FuncProto, flags: int) -> str | None:
    suffix = _ITER.get(flags & _ITER_FLAGS)
    if suffix is None:
        return f"kfunc {name} has more than one of KF_ITER_NEW, _NEXT and _DESTROY"
    struct = _pointed_struct(btf, proto.params[0].type) if proto.params else None
    if struct is None or not struct.name.startswith(_PREFIX):
        return f"kfunc {name}: its first argument must be a struct {_PREFIX}… pointer"
    if not struct.size or struct.size % 8:
        return f"kfunc {name}: struct {struct.name} has {struct.size} bytes, must fill 8-byte slots"
    if name != f"{struct.name}_{suffix}":
        return f"kfunc {name} must be named {struct.name}_{suffix}"
    if suffix != "new" and len(proto.params) != 1:
        return f"kfunc {name}: {suffix} takes nothing but the iterator"
    if suffix == "next" and not _is_ptr(btf, proto.ret):
        return f"kfunc {name}: next must return a pointer"
    if suffix == "destroy" and proto.ret:
        return f"kfunc {name}: destroy must return nothing"
    return None


def _is_ptr(btf: Btf, id: int) -> bool:
    return isinstance(btf.type(btf.resolve(id)), k.Ptr)


def _pointed_struct(btf: Btf, id: int) -> k.Struct | None:
    pointer = btf.type(btf.resolve(id))
    target = btf.type(btf.resolve(pointer.type)) if isinstance(pointer, k.Ptr) else None
    return target if isinstance(target, k.Struct) else None


def _prototype_problem(btf: Btf, name: str, proto: k.FuncProto) -> str | None:
    if len(proto.params) > _MOST_ARGS:
        return f"The function {name} has {len(proto.params)} arguments. Too many."
    size = _register_size(btf, proto.ret)
    if size is None or isinstance(btf.type(btf.resolve(proto.ret)), k.Struct | k.Union):
        return f"The function {name} return type {type_name(btf, proto.ret)} is unsupported."
    for number, param in enumerate(proto.params):
        if not param.type and number == len(proto.params) - 1:
            return f"The function {name} with variable args is unsupported."
        size = _register_size(btf, param.type)
        if size == 0:
            return f"The function {name} has malformed void argument."
        if size is None or size > _WIDEST_ARG:
            shown = type_name(btf, param.type)
            return f"The function {name} arg{number} type {shown} is unsupported."
    return None


def _register_size(btf: Btf, id: int) -> int | None:
    """Bytes that a value takes when it is passed; None for types that cannot be."""
    found = btf.type(btf.resolve(id))
    match found:
        case k.Void():
            return 0
        case k.Ptr():
            return 8
        case k.Int() | k.Enum() | k.Enum64() | k.Struct() | k.Union():
            return found.size
        case _:
            return None
