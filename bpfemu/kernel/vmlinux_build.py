"""The emulated kernel's own BTF, from the declared structs and the prototypes of its kfuncs.

Order, and so every id, depends on nothing but the declarations: integers, typedefs and enums,
structs by name, kfuncs by name, each with its decl tag ``bpf_kfunc``, then what programs attach
to.  A struct that is only pointed to becomes a forward declaration.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.errors import DeclarationError
from bpfemu.kernel.variables_btf import base_id, with_variables
from bpfemu.proto import decl, types
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.ctype import ArrayType, CType, IntType, PtrType, StructType, ctype_of
from bpfemu.proto.decl import Enumeration
from bpfemu.proto.flags import KF_FASTCALL
from bpfemu.proto.layout import Layouts
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.spec import KfuncSpec
from bpfemu.proto.types import Scalar, Struct
from bpfemu.world import targets
from bpfemu.world.variables import default_variables, read_type

__all__ = ["BtfWriter", "build_btf"]

_SIGNED, _CHAR, _BOOL = 1, 2, 4

INTS: Final = {
    "long unsigned int": (8, 0),
    "int": (4, _SIGNED),
    "unsigned int": (4, 0),
    "char": (1, 0),  # as gcc describes it, though it is signed
    "signed char": (1, _SIGNED),
    "unsigned char": (1, 0),
    "short int": (2, _SIGNED),
    "short unsigned int": (2, 0),
    "long int": (8, _SIGNED),
    "long long int": (8, _SIGNED),
    "long long unsigned int": (8, 0),
    "_Bool": (1, _BOOL),
}
"""C's integers: size in bytes and BTF encoding."""

WORDS: Final = {
    "bool": "_Bool",
    "__s8": "signed char",
    "__u8": "unsigned char",
    "__s16": "short int",
    "__u16": "short unsigned int",
    "__s32": "int",
    "__u32": "unsigned int",
    "__s64": "long long int",
    "__u64": "long long unsigned int",
    **{f"{sign}{bits}": f"__{sign}{bits}" for sign in "su" for bits in (8, 16, 32, 64)},
}
"""The typedefs behind the names that ``proto.types`` declares."""


def build_btf(catalog: Catalog, profile: KernelProfile) -> Btf:
    """Describe everything that ``catalog`` declares for a kernel of that profile."""
    writer = BtfWriter(catalog)
    writer.add_words()
    for name in sorted(catalog.types):
        writer.type_of(ctype_of(catalog.types[name]))
    for name in sorted(catalog.structs):
        cls = catalog.structs[name]
        if not cls.c_private and not cls.c_anonymous:
            writer.type_of(StructType(name, cls))
    writer.finish()
    for spec in catalog.select(profile).values():
        writer.add_kfunc(spec)
    writer.add_targets()
    writer.finish()
    btf = writer.builder.build("vmlinux")
    variables = [v for v in default_variables(1) if base_id(btf, read_type(v.type)) is not None]
    return with_variables(btf, variables)


class BtfWriter:
    """Types that were written so far, by what they are; structs to be filled in later.

    With a ``base`` (a module's is the kernel) what it has of a name is used and not written.
    """

    def __init__(self, catalog: Catalog, base: Btf | None = None) -> None:
        self.builder = BtfBuilder(base, base.byteorder if base else sys.byteorder)
        self._base = base
        self._structs = catalog.structs
        self._layouts = Layouts(base, catalog.structs)
        self._named: dict[str, int] = {}
        self._classes: dict[type[Any], int] = {}
        self._derived: dict[tuple[str, int, int], int] = {}
        self._todo: list[tuple[int, type[Struct], str]] = []
        self._scope = {**vars(decl), **vars(types), **catalog.types}

    def add_words(self) -> None:
        """Add C's integers and the typedefs that every header starts with."""
        for name, (size, encoding) in INTS.items():
            self._named[name] = self.builder.int_(name, size, encoding)
        for name, base in WORDS.items():
            self._named[name] = self.builder.typedef(name, self._named[base])

    def _word(self, name: str) -> int:
        """Return one of those; a base that lacks it gets it added here."""
        found = self._named.get(name) or self._in_base(name, k.Int, k.Typedef)
        if found is None:
            if name in INTS:
                found = self.builder.int_(name, *INTS[name])
            else:
                found = self.builder.typedef(name, self._word(WORDS[name]))
            self._named[name] = found
        return found

    def type_of(self, ctype: CType) -> int:
        """Return the id of a type, adding what is not there yet."""
        match ctype:
            case IntType():
                return self._integer(ctype)
            case PtrType():
                target = self.type_of(ctype.target)
                if ctype.const:
                    target = self._derive("const", target)
                return self._derive("ptr", target)
            case ArrayType():
                return self._derive("array", self.type_of(ctype.elem), ctype.count)
            case StructType():
                return self._struct(ctype)
        return 0

    def add_kfunc(self, spec: KfuncSpec) -> None:
        """Add a kfunc: prototype, function, decl tags."""
        params = [(param.name, self.type_of(param.ctype)) for param in spec.params]
        returns = 0 if spec.returns is None else self.type_of(spec.returns)
        proto = self.builder.func_proto(returns, params)
        func = self.builder.func(spec.name, proto, k.Linkage.STATIC)
        self.builder.decl_tag("bpf_kfunc", func)
        if spec.flags & KF_FASTCALL:
            self.builder.decl_tag("bpf_fastcall", func)

    def add_targets(self) -> None:
        """Add what programs attach to, named as the kernel names it."""
        for name, text in targets.TRACEPOINTS.items():
            proto = self._prototype(text, [("__data", self._derive("ptr", 0))])
            self.builder.typedef(f"btf_trace_{name}", self._derive("ptr", proto))
        kinds = (("", targets.FUNCTIONS), ("bpf_iter_", targets.ITERATORS))
        for prefix, table in (*kinds, ("bpf_lsm_", targets.HOOKS)):
            for name, text in table.items():
                self.builder.func(prefix + name, self._prototype(text, []), k.Linkage.STATIC)

    def _prototype(self, text: str, params: list[tuple[str, int]]) -> int:
        """A FUNC_PROTO from ``name: type, … -> type``."""
        before, _, returns = text.rpartition("-> ")
        for param in filter(None, before.strip().split(", ")):
            name, _, note = param.partition(": ")
            params.append((name, self.type_of(ctype_of(note, self._scope))))
        return self.builder.func_proto(self.type_of(ctype_of(returns, self._scope)), params)

    def finish(self) -> None:
        """Fill in the structs that were referred to."""
        while self._todo:
            id, cls, name = self._todo.pop()
            members = self._opaque(cls) if cls.c_opaque else self._members(cls)
            kind = k.Union if cls.c_union else k.Struct
            size = self._layouts.of(StructType(cls.c_name, cls)).size
            bitfields = any(member.bit_size for member in members)
            self.builder.set(id, kind(name, size, tuple(members), bitfields))

    def _members(self, cls: type[Struct]) -> list[k.Member]:
        members = []
        for name, field in self._layouts.members(cls):
            ctype = field.type
            bits, shift = (ctype.bits, ctype.shift) if isinstance(ctype, IntType) else (0, 0)
            shown = "" if name.startswith("_anon") else name
            at = 8 * field.offset + shift
            members.append(k.Member(shown, self.type_of(ctype), at, bits))
        return members

    def _opaque(self, cls: type[Struct]) -> list[k.Member]:
        """``__u64 __opaque[n]``: what an iterator shows of itself (iterator notes, 1.2)."""
        words = self._layouts.of(StructType(cls.c_name, cls)).size // 8
        return [k.Member("__opaque", self._derive("array", self._word("__u64"), words), 0)]

    def _in_base(self, name: str, *kinds: type[k.Type]) -> int | None:
        return self._base.find(name, *kinds) if self._base and name else None

    def _integer(self, ctype: IntType) -> int:
        decl = ctype.decl
        if decl is not None and issubclass(decl, Enumeration):
            return self._enum(decl)
        if ctype.name in INTS or ctype.name in WORDS:
            return self._word(ctype.name)
        found = self._named.get(ctype.name) or self._in_base(ctype.name, k.Int, k.Typedef)
        if found is None:
            if decl is None or not issubclass(decl, Scalar) or decl.__bases__[0] is Scalar:
                raise DeclarationError(ctype.name, "is not a C integer")
            base = self._integer(_integer_of(decl.__bases__[0]))
            found = self._named[ctype.name] = self.builder.typedef(ctype.name, base)
        return found

    def _enum(self, decl: type[Enumeration]) -> int:
        found = self._classes.get(decl) or self._in_base(decl.c_name, k.Enum, k.Enum64)
        if found is None:
            values = tuple(decl.enumerators().items())
            signed = any(value < 0 for _, value in values)
            make = self.builder.enum64 if decl.c_size == 8 else self.builder.enum
            found = self._classes[decl] = make(decl.c_name, decl.c_size, values, signed)
        return found

    def _struct(self, ctype: StructType) -> int:
        cls = self._structs.get(ctype.name) or ctype.cls
        if cls is not None and cls.c_anonymous:
            return self._classes.get(cls) or self._reserve(cls, "")
        found = self._named.get(f"struct {ctype.name}")
        if found is None:
            found = self._in_base(ctype.name, k.Struct, k.Union, k.Typedef)
        if found is None:
            found = self._new_struct(ctype.name, cls)
            self._named[f"struct {ctype.name}"] = found
        return found

    def _new_struct(self, name: str, cls: type[Struct] | None) -> int:
        if cls is None or cls.c_private:
            return self.builder.fwd(name)
        if (alias := cls.c_alias()) is not None:
            return self.builder.typedef(name, self._struct(StructType(alias.c_name, alias)))
        if cls.c_tag is not None:
            return self.builder.typedef(name, self._reserve(cls, cls.c_tag))
        return self._reserve(cls, name)

    def _reserve(self, cls: type[Struct], name: str) -> int:
        id = self._classes[cls] = self.builder.reserve()
        self._todo.append((id, cls, name))
        return id

    def _derive(self, kind: str, target: int, count: int = 0) -> int:
        """Return a pointer, const or array type, each of which is there once."""
        key = (kind, target, count)
        found = self._derived.get(key)
        if found is None:
            if kind == "array":
                found = self.builder.array(target, self._word("unsigned int"), count)
            else:
                found = self.builder.ptr(target) if kind == "ptr" else self.builder.const(target)
            self._derived[key] = found
        return found


def _integer_of(cls: type[Scalar]) -> IntType:
    ctype = ctype_of(cls)
    assert isinstance(ctype, IntType)
    return ctype
