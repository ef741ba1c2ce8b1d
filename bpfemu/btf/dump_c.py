"""BTF → a C header that compiles and has the same layouts, like a kernel's vmlinux.h.

C wants a type declared before it is used.  Behind a pointer a struct's name is enough, everywhere
else its body must be known; a typedef or an enum must always stand first.  So each type is made
*known by name* or *complete* just before the first that needs it, depth first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.c_body import BodyWriter
from bpfemu.btf.c_names import CNames, is_c_number, number_typedef
from bpfemu.btf.parse import bad
from bpfemu.btf.spelling import tag_word
from bpfemu.btf.types import Btf

__all__ = ["dump_c"]

_PUSH: Final = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif
"""
_POP: Final = """\
#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif
"""
_NESTING: Final = 64  # struct in struct in struct; real kernels stay below 20
_Tagged = k.Struct | k.Union | k.Enum | k.Enum64


def dump_c(
    btf: Btf,
    ids: Iterable[int] | None = None,
    guard: str = "__VMLINUX_H__",
    *,
    order: Iterable[int] | None = None,
) -> str:
    """Return a header with some types and what they need; with all types by default.

    ``order`` are the ids of all types in the order to follow where C leaves a choice.
    """
    header = _Header(btf)
    if ids is None:
        header.add_all(range(1, btf.type_count) if order is None else order)
    else:
        for id in ids:
            header.complete(id)
    body = "\n".join(header.text)
    return f"#ifndef {guard}\n#define {guard}\n\n{_PUSH}\n{body}\n{_POP}\n#endif /* {guard} */\n"


class _Header:
    """Declarations in an order that C accepts."""

    def __init__(self, btf: Btf) -> None:
        self.text: list[str] = []
        self._btf = btf
        self._names = CNames(btf)
        self._body = BodyWriter(btf, self._names)
        self._named: set[int] = set()
        self._complete: set[int] = set()
        self._depth = 0

    def add_all(self, ids: Iterable[int]) -> None:
        """Add every type that a header can hold."""
        used = self._anonymous_in_use()
        for id in ids:
            match self._btf.type(id):
                case k.Enum(name="") | k.Enum64(name="") if id not in used:
                    self.complete(id)
                    self.text.append(f"{self._body.tagged(id, 0)};\n")
                case k.Struct(name="") | k.Union(name="") | k.Enum(name="") | k.Enum64(name=""):
                    pass
                case k.Struct() | k.Union() | k.Enum() | k.Enum64():
                    self.complete(id)
                case k.Typedef() | k.Fwd():
                    self.name(id)

    def _anonymous_in_use(self) -> set[int]:
        used: set[int] = set()
        for id in range(1, self._btf.type_count):
            match self._btf.type(id):
                case k.Struct(members=members) | k.Union(members=members):
                    used.update(member.type for member in members)
                case k.FuncProto(ret, params):
                    used.update([ret, *(param.type for param in params)])
                case k.Array(elem, _, _):
                    used.add(elem)
                case k.Ptr(type) | k.Typedef(_, type) | k.Const(type) | k.Volatile(type):
                    used.add(type)
                case k.Restrict(type) | k.TypeTag(_, type, _) | k.Var(_, type, _):
                    used.add(type)
        return used

    def name(self, id: int) -> None:
        """Make sure that the type may stand behind a pointer from here on."""
        if id in self._named:
            return
        self._enter(id)
        found = self._btf.type(id)
        match found:
            case k.Struct() | k.Union() | k.Fwd() if found.name:
                self._named.add(id)
                self._forward(id, found)
            case k.Typedef():
                self._typedef(id, found)
            case k.Ptr() | k.Const() | k.Volatile() | k.Restrict() | k.TypeTag():
                self.name(found.type)
            case k.FuncProto():
                for one in [found.ret, *(param.type for param in found.params)]:
                    self.name(one)
            case _:
                self.complete(id)
        self._named.add(id)
        self._depth -= 1

    def complete(self, id: int) -> None:
        """Make sure that the type may be a member from here on."""
        if id in self._complete:
            return
        self._enter(id)
        found = self._btf.type(id)
        match found:
            case k.Struct() | k.Union():
                self._define(id, found)
            case k.Enum() | k.Enum64():
                if found.name:
                    self.text.append(f"{self._body.tagged(id, 0)};\n")
            case k.Typedef():
                self.name(id)
                self.complete(found.type)
            case k.Const() | k.Volatile() | k.Restrict() | k.TypeTag():
                self.complete(found.type)
            case k.Array():
                self.complete(found.elem)
            case k.Int() | k.Float() if not is_c_number(found.name):
                self.text.append(number_typedef(found, self._names.ordinary(id, found.name)))
            case k.Ptr() | k.FuncProto() | k.Fwd():
                self.name(id)
        self._complete.add(id)
        self._depth -= 1

    def _enter(self, id: int) -> None:
        self._depth += 1
        if self._depth > _NESTING:
            raise bad(f"BTF type {id} contains itself or is nested deeper than {_NESTING}")

    def _forward(self, id: int, found: k.Struct | k.Union | k.Fwd) -> None:
        declared = f"{tag_word(found)} {self._names.tag(id, found)};\n"
        if self._names.first_use(declared):
            self.text.append(declared)

    def _define(self, id: int, found: k.Struct | k.Union) -> None:
        for member in found.members:
            self.complete(member.type)
        if found.name:
            self._named.add(id)
            self.text.append(f"{self._body.tagged(id, 0)};\n")

    def _typedef(self, id: int, found: k.Typedef) -> None:
        anonymous = isinstance(target := self._btf.type(found.type), _Tagged) and not target.name
        if anonymous or isinstance(target, k.Array):
            self.complete(found.type)
        else:
            self.name(found.type)
        name = self._names.ordinary(id, found.name)
        if not is_builtin_typedef(name):
            self.text.append(f"typedef {self._body.declare(found.type, name, 0)};\n")


def is_builtin_typedef(name: str) -> bool:
    """Whether compilers already know the name and refuse to hear it again."""
    return name == "__builtin_va_list"
