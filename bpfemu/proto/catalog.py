"""Catalog: finds marked definitions in packages, checks the kernel's rules, answers look-ups."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from bpfemu.errors import BpfemuError, DeclarationError
from bpfemu.proto.decl import Enumeration
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT
from bpfemu.proto.layout import Layouts, PtrType, StructType
from bpfemu.proto.marks import HelperMark, KfuncMark, MapMark, ProgMark
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.scan import LazyTable, scan
from bpfemu.proto.spec import HelperSpec, KfuncSpec, read_helper, read_kfunc
from bpfemu.proto.types import Scalar, Struct
from bpfemu.record import dataclass, field

__all__ = ["Catalog", "check_iterator"]

ITER_SUFFIX = {KF_ITER_NEW: "new", KF_ITER_NEXT: "next", KF_ITER_DESTROY: "destroy"}


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """What a kernel offers; ``select`` narrows it to one profile.  Equal only to itself."""

    kfuncs: dict[str, tuple[KfuncSpec, ...]] = field(default_factory=dict)
    helpers: dict[int, HelperSpec] = field(default_factory=dict)
    map_types: dict[int, type[Any]] = field(default_factory=dict)
    prog_types: dict[int, type[Any]] = field(default_factory=dict)
    structs: dict[str, type[Struct]] = field(default_factory=dict)
    types: dict[str, type[Any]] = field(default_factory=dict)  # typedefs of integers, enums
    modules: tuple[str, ...] = ()  # scanned, imported when needed
    _loaded: set[str] = field(default_factory=set, repr=False)
    source_sum: int | None = None  # 32-bit sum of the declarations' text; None: not scanned

    @classmethod
    def discover(cls, *packages: str) -> Catalog:
        """Import every module of the packages (by string, now) and collect what is marked.

        A package's files are found by folder.  DeclarationError names the first broken rule.
        """
        catalog = cls()
        for package in packages:
            for module in _modules(package):
                catalog._collect(module)
        catalog._check()
        return catalog

    @classmethod
    def scan(cls, *packages: str) -> Catalog:
        """As ``discover``, but a module is imported when something it defines is asked for.

        Packages whose sources cannot be read are discovered.
        """
        places = scan(*packages)
        if places is None:
            return cls.discover(*packages)

        def load(name: str) -> None:
            catalog._load_once(name)

        catalog = cls(
            LazyTable(places.kfuncs, load),
            LazyTable(places.helpers, load),
            LazyTable(places.map_types, load),
            LazyTable(places.prog_types, load),
            modules=tuple(places.modules),
            source_sum=places.total,
        )
        return catalog

    def _load_once(self, name: str) -> None:
        if name not in self._loaded:
            self._loaded.add(name)
            self._load(importlib.import_module(name))

    @classmethod
    def of(cls, *definitions: Any) -> Catalog:
        """A catalog of just these marked functions, classes and Struct subclasses."""
        catalog = cls()
        for definition in definitions:
            catalog._add(definition)
        catalog._check()
        return catalog

    def complete(self) -> Catalog:
        """Import what has only been scanned so far; the catalog itself."""
        for name in self.modules:
            self._load_once(name)
        return self

    def merged(self, other: Catalog) -> Catalog:
        """This catalog with another's definitions added; the other's win."""
        self.complete()
        other.complete()
        return Catalog(
            {**self.kfuncs, **other.kfuncs},
            {**self.helpers, **other.helpers},
            {**self.map_types, **other.map_types},
            {**self.prog_types, **other.prog_types},
            {**self.structs, **other.structs},
            {**self.types, **other.types},
        )

    def find_kfunc(self, name: str, profile: KernelProfile) -> KfuncSpec | None:
        """The definition of ``name`` that the profile's kernel has, or None."""
        for spec in self.kfuncs.get(name, ()):
            mark = spec.mark
            if not profile.at_least(mark.since) or not profile.has(mark.feature):
                continue
            if mark.until is None or not profile.at_least(mark.until):
                return spec
        return None

    def select(self, profile: KernelProfile) -> dict[str, KfuncSpec]:
        """Every kfunc that the profile's kernel has, by name."""
        found = ((name, self.find_kfunc(name, profile)) for name in sorted(self.kfuncs))
        return {name: spec for name, spec in found if spec is not None}

    def _load(self, module: ModuleType) -> None:
        """Enter a module that was just imported, checked by the rules."""
        part = Catalog()
        part._collect(module)
        layouts = Layouts(None, part.structs)
        for name, specs in part.kfuncs.items():
            for spec in specs:
                check_iterator(spec, layouts)
            others = self.kfuncs.entered(name) if isinstance(self.kfuncs, LazyTable) else None
            self.kfuncs[name] = (*(others or ()), *specs)
        self.helpers.update(part.helpers)
        self.map_types.update(part.map_types)
        self.prog_types.update(part.prog_types)
        self.structs.update(part.structs)
        self.types.update(part.types)
        for name in part.kfuncs:
            self._check_family(name, part.kfuncs[name])

    def _collect(self, module: ModuleType) -> None:
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) == module.__name__:
                self._add(value)

    def _add(self, value: Any) -> None:
        mark = getattr(value, "__bpf_mark__", None)
        match mark:
            case KfuncMark():
                spec = read_kfunc(value)
                self.kfuncs[spec.name] = (*self.kfuncs.get(spec.name, ()), spec)
            case HelperMark():
                helper = read_helper(value)
                if helper.number in self.helpers:
                    other = self.helpers[helper.number].name
                    raise DeclarationError(helper.name, f"has the number of {other}")
                self.helpers[helper.number] = helper
            case MapMark():
                self.map_types[mark.number] = value
            case ProgMark():
                self.prog_types[mark.number] = value
        if isinstance(value, type):
            if issubclass(value, Struct) and value is not Struct:
                self.structs.setdefault(value.c_name, value)
            elif issubclass(value, Scalar | Enumeration):
                self.types.setdefault(value.__name__, value)

    def _check(self) -> None:
        layouts = Layouts(None, self.structs)
        for specs in self.kfuncs.values():
            for spec in specs:
                check_iterator(spec, layouts)
        for name, specs in self.kfuncs.items():
            self._check_family(name, specs)

    def _check_family(self, name: str, specs: tuple[KfuncSpec, ...]) -> None:
        for spec in specs:
            if not spec.flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY):
                continue
            stem = name.rsplit("_", 1)[0]
            for suffix in ITER_SUFFIX.values():
                if f"{stem}_{suffix}" not in self.kfuncs:
                    raise DeclarationError(name, f"its family lacks {stem}_{suffix}")


def check_iterator(spec: KfuncSpec, layouts: Layouts) -> None:
    """The registration rules of kernel/bpf/btf.c btf_check_iter_kfuncs (verifier notes, 2.1)."""
    flags = spec.flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY)
    if not flags:
        return
    name = spec.name
    if flags not in ITER_SUFFIX:
        raise DeclarationError(name, "has more than one of KF_ITER_NEW, _NEXT and _DESTROY")
    first = spec.params[0].ctype if spec.params else None
    if not isinstance(first, PtrType) or not isinstance(first.target, StructType):
        raise DeclarationError(name, "its first argument must be a pointer to its iterator struct")
    struct = first.target
    if not struct.name.startswith("bpf_iter_"):
        raise DeclarationError(name, f"struct {struct.name} must be named bpf_iter_<type>")
    size = layouts.of(struct).size
    if size == 0 or size % 8:
        raise DeclarationError(
            name, f"sizeof({struct.name}) is {size}; an iterator fills whole 8-byte stack slots"
        )
    want = f"{struct.name}_{ITER_SUFFIX[flags]}"
    if name != want:
        raise DeclarationError(name, f"must be named {want}")
    if flags != KF_ITER_NEW and len(spec.params) != 1:
        raise DeclarationError(name, "takes only the iterator; just new has more arguments")
    if flags == KF_ITER_NEXT and not isinstance(spec.returns, PtrType):
        raise DeclarationError(name, "next must return a pointer")
    if flags == KF_ITER_DESTROY and spec.returns is not None:
        raise DeclarationError(name, "destroy must return nothing")


def _modules(package: str) -> Iterator[ModuleType]:
    """The package itself, then each module and sub-package below it, by name."""
    root = _import(package)
    yield root
    for folder in getattr(root, "__path__", ()):
        for entry in sorted(os.listdir(folder)):
            name, ext = os.path.splitext(entry)
            path = os.path.join(folder, entry)
            if ext == ".py" and name != "__init__":
                yield _import(f"{package}.{name}")
            elif os.path.isfile(os.path.join(path, "__init__.py")):
                yield from _modules(f"{package}.{name}")


def _import(name: str) -> ModuleType:
    """A module of definitions; whatever it raises is its author's to mend, and says so."""
    try:
        return sys.modules.get(name) or importlib.import_module(name)
    except BpfemuError:
        raise
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise  # there is no such package
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = f" ({at.tb_frame.f_code.co_filename}, line {at.tb_lineno})" if at else ""
        if isinstance(error, SyntaxError):
            where = ""  # its text has it
        text = f"importing it raised {type(error).__name__}: {error}{where}"
        raise DeclarationError(name, text) from error
