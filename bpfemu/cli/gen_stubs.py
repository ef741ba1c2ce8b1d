"""The ``.pyi`` of an object's skeleton: every map, global and program with its types."""

from __future__ import annotations

import os
from collections.abc import Iterator
from json import dumps
from typing import Final

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.cli.gen_types import TypeNames, is_name, python_name
from bpfemu.object import BpfObject, DataSection, FuncDef, MapDef

__all__ = ["render_stubs"]

_PER_CPU: Final = (5, 6, 10, 21)  # BPF_MAP_TYPE_{PERCPU_HASH,PERCPU_ARRAY,LRU_PERCPU_HASH,…}
_STRICT: Final = (
    "    __getattr__: None  # type: ignore[assignment, misc]  # only what is here is there"
)
_OWN: Final = ("section", "image")  # attributes of a DataView itself

_HEAD: Final = '''\
"""Types of the skeleton of {file}, made by `bpfemu gen stubs`; made anew, not edited.

    import bpfemu
    from typing import TYPE_CHECKING, cast

    if TYPE_CHECKING:
        from {module} import {name}

    skel = cast("{name}", bpfemu.open("{file}"))
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypedDict, TypeVar, overload

from bpfemu.outcome import Outcome
from bpfemu.skeleton import DataView, MapView, Names, ProgView, Skeleton

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

class _TypedMap(MapView, Generic[K, V]):
    def __getitem__(self, key: K | bytes) -> V: ...
    def __setitem__(self, key: K | bytes, value: V | bytes) -> None: ...
    def __delitem__(self, key: K | bytes) -> None: ...
    def __iter__(self) -> Iterator[K]: ...
    @overload  # type: ignore[override]
    def get(self, key: K | bytes) -> V | None: ...
    @overload
    def get(self, key: K | bytes, default: T) -> V | T: ...
    def update(self, key: K | bytes, value: V | bytes, flags: int = ...) -> None: ...
    def keys(self) -> list[K]: ...
    def values(self) -> list[V]: ...
    def items(self) -> list[tuple[K, V]]: ...

class _PerCpuMap(_TypedMap[K, list[V]], Generic[K, V]):
    def __setitem__(self, key: K | bytes, value: V | list[V] | bytes) -> None: ...
    def update(self, key: K | bytes, value: V | list[V] | bytes, flags: int = ...) -> None: ...
'''


def render_stubs(obj: BpfObject, file: str, name: str = "") -> str:
    """The stub; ``name`` is the skeleton's class, by default the object's name in CamelCase."""
    name = name or python_name(obj.name)
    base = dumps(os.path.basename(file))[1:-1]
    module = base.split(".")[0]
    types = TypeNames(obj.btf if obj.btf is not None else BtfBuilder().build(), name)
    body = [
        _names("_Maps", [_map(types, one) for one in obj.maps]),
        *_programs(types, obj),
        *(_section(types, obj.btf, one) for one in obj.data if is_name(_attribute(one))),
        _skeleton(name, obj),
    ]
    head = _HEAD.format(file=base, module=module if is_name(module) else "stubs", name=name)
    return "\n".join([head, *(text + "\n" for text in [*types.definitions, *body])])


def _names(name: str, rows: list[tuple[str, str]]) -> str:
    """A class of things by name; those that no attribute can be called are in a comment."""
    lines = [
        f"    {thing}: {text}" if is_name(thing) else f"    # [{dumps(thing)}]: {text}"
        for thing, text in rows
    ]
    return "\n".join([f"class {name}(Names):", _STRICT, *lines])


def _map(types: TypeNames, given: MapDef) -> tuple[str, str]:
    if not given.key_size:
        return given.name, "MapView"
    key = types.name(given.key_type, f"{given.name}_key") if given.key_type else "bytes"
    value = types.name(given.value_type, f"{given.name}_value") if given.value_type else "bytes"
    kind = "_PerCpuMap" if given.type in _PER_CPU else "_TypedMap"
    return given.name, f"{kind}[{key}, {value}]"


def _programs(types: TypeNames, obj: BpfObject) -> Iterator[str]:
    programs = [func for func in obj.functions if func.section != ".text"]
    for func in programs:
        yield _program(types, obj.btf, func)
    yield _names("_Progs", [(func.name, _class_name("Prog", func.name)) for func in programs])


def _program(types: TypeNames, btf: Btf | None, func: FuncDef) -> str:
    """One program; ``run`` takes what RunOptions has, with the context's own type."""
    from bpfemu.kernel.config import CONTEXTS, RunOptions

    told = dict(vars(RunOptions)["__annotations__"])
    told["ctx"] = _ctx(types, btf, func, str(told["ctx"]))
    told["context"] = f"Literal[{', '.join(repr(one) for one in CONTEXTS)}]".replace("'", '"')
    lines = [f"        {name}: {text} = ...," for name, text in told.items()]
    return "\n".join(
        [
            f"class {_class_name('Prog', func.name)}(ProgView):",
            "    def run(  # type: ignore[override]  # fewer keywords than any",
            "        self,",
            "        *,",
            *lines,
            "    ) -> Outcome: ...",
        ]
    )


def _ctx(types: TypeNames, btf: Btf | None, func: FuncDef, otherwise: str) -> str:
    """The type of a context: fields of the struct that the program's first parameter points to."""
    if btf is None or not func.btf_id:
        return otherwise
    params = btf.func_proto(func.btf_id).params
    pointer = btf.type(btf.resolve(params[0].type)) if params else None
    if not isinstance(pointer, k.Ptr):
        return otherwise
    target = btf.resolve(pointer.type)
    if not isinstance(btf.type(target), k.Struct | k.Union):
        return otherwise
    fields = types.struct(target, f"{func.name}_ctx", given=True)
    return f"bytes | {fields} | Sequence[object] | None"


def _section(types: TypeNames, btf: Btf | None, section: DataSection) -> str:
    """The variables of a section."""
    found = btf.type(section.btf_id) if btf is not None and section.btf_id else None
    rows = []
    for entry in found.entries if isinstance(found, k.DataSec) else ():
        var = btf.type(entry.type) if btf is not None else None
        if isinstance(var, k.Var):
            rows.append((var.name, types.name(var.type, var.name)))
    lines = [f"    {name}: {text}" for name, text in rows if is_name(name) and name not in _OWN]
    return "\n".join([f"class {_class_of(section)}(DataView):", _STRICT, *lines])


def _class_of(section: DataSection) -> str:
    return _class_name("Data", _attribute(section))


def _class_name(kind: str, text: str) -> str:
    """A class of ours for a thing of that name, whatever characters it has."""
    return f"_{kind}_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in text)


def _attribute(section: DataSection) -> str:
    """``.data.foo`` is the skeleton's ``data_foo``."""
    return section.name.lstrip(".").replace(".", "_")


def _skeleton(name: str, obj: BpfObject) -> str:
    sections = [
        f"    {_attribute(section)}: {_class_of(section)}"
        for section in obj.data
        if is_name(_attribute(section))
    ]
    lines = [
        _STRICT,
        "    maps: _Maps",
        "    progs: _Progs",
        *sections,
        f"    def __enter__(self) -> {name}: ...",
        f"    def load(self) -> {name}: ...",
    ]
    return "\n".join([f"class {name}(Skeleton):", *lines])
