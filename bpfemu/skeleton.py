"""Skeleton-shaped access to an object, as libbpf's generated skeletons have it.

::

    with bpfemu.open("prog.bpf.o", kernel="6.18.44") as skel:
        skel.rodata.limit = 16          # before load only
        skel.load()
        outcome = skel.progs.census.run(task=7)
        skel.bss.seen, skel.maps.counts[5]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bpfemu.btf import Btf, kinds
from bpfemu.btf.pack import python_to_bytes
from bpfemu.btf.values import value_to_python
from bpfemu.errors import InputError
from bpfemu.session import Options, Session, read

if TYPE_CHECKING:
    from bpfemu.kernel.faults import FaultTable
    from bpfemu.object import BpfObject, DataSection, FuncDef
    from bpfemu.objects import Program
    from bpfemu.outcome import Outcome

__all__ = ["DataView", "MapView", "Names", "ProgView", "Skeleton", "open_object"]


def open_object(path: str | os.PathLike[str], **options: Any) -> Skeleton:
    """Open an object file (or a C source, compiled first); see :class:`Options` for keywords.

    ``engine``, ``kernel``, ``btf``, ``seed``, ``cpus``, ``world``, ``kfuncs``, ``kconfig``,
    ``budget``; unknown keywords are refused by name.
    """
    unknown = set(options) - set(Options.__dataclass_fields__)
    if unknown:
        raise InputError(
            f"open() has no option {sorted(unknown)[0]!r}; "
            f"there are {', '.join(Options.__dataclass_fields__)}"
        )
    return Skeleton(read(path), Options(**options))


class Names:
    """Things by name, as attributes, items and iteration."""

    def __init__(self, what: str, things: Mapping[str, Any]) -> None:
        self._what = what
        self._things = dict(things)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._things[name]
        except KeyError:
            if name.startswith("__"):
                raise AttributeError(name) from None
            there = ", ".join(self._things) or "none"
            raise AttributeError(f"no {self._what} {name!r}; there are {there}") from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._things[name]
        except KeyError:
            there = ", ".join(self._things) or "none"
            raise InputError(f"no {self._what} {name!r}; there are {there}") from None

    def __iter__(self) -> Iterator[Any]:
        return iter(self._things.values())

    def __len__(self) -> int:
        return len(self._things)

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __dir__(self) -> list[str]:
        return sorted(self._things)


class Skeleton:
    """An open object: programs, maps, globals; loaded once, run as often as you like."""

    def __init__(self, obj: BpfObject, options: Options) -> None:
        self.session = Session(obj, options)
        self.object = obj
        self.loaded = False
        entries = [f for f in obj.functions if f.section != ".text"]
        self.progs = Names("program", {f.name: ProgView(self, f) for f in entries})
        self.maps = Names("map", {m.name: MapView(self, m.name) for m in obj.maps})
        self._data = {_attribute(section.name): section for section in obj.data}
        self._views = {name: DataView(self, section) for name, section in self._data.items()}

    def __getattr__(self, name: str) -> Any:
        views = self.__dict__.get("_views", {})
        if name in views:
            return views[name]
        raise AttributeError(
            f"{type(self).__name__} has no {name!r}; data sections: {', '.join(views) or 'none'}"
        )

    def __enter__(self) -> Skeleton:
        return self

    def __exit__(self, *_: Any) -> None:
        self.destroy()

    def load(self) -> Skeleton:
        """Bind every autoloaded program and create the maps; once only."""
        names = [prog.name for prog in self.progs if prog.autoload]
        rodata = {view.section: bytes(view.image) for view in self._views.values()}
        self.session.load(names, rodata)
        self.loaded = True
        return self

    def destroy(self) -> None:
        """Forget the kernel and everything in it."""
        self.session.kernel = None
        self.session.images = {}

    @property
    def kernel(self) -> Any:
        """The emulated kernel; loads the object when that has not happened yet."""
        if not self.loaded:
            self.load()
        return self.session.kernel

    @property
    def faults(self) -> FaultTable:
        """What is to fail on purpose, before or after load: ``skel.faults.fail_nth(3)``."""
        return self.session.boot().faults

    @cached_property
    def prog(self) -> Program:
        """The kernel's memory as C objects, this object's globals among them: bpfemu.objects."""
        from bpfemu.objects import program_of

        return program_of(self.kernel, self.session.images.values())

    @property
    def data_sections(self) -> dict[str, DataView]:
        """Views of the global data by attribute name."""
        return dict(self._views)


def _attribute(section: str) -> str:
    """``.data.foo`` becomes ``data_foo``."""
    return section.lstrip(".").replace(".", "_")


class ProgView:
    """One program of a skeleton."""

    def __init__(self, skel: Skeleton, func: FuncDef) -> None:
        self._skel = skel
        self.name = func.name
        self.section = func.section
        self.autoload = not func.section.startswith("?")
        self.tags = func.tags
        self.default_context = "task"
        self.on_outcome: Callable[[Outcome], None] | None = None

    def run(self, **options: Any) -> Outcome:
        """Run it once; keywords are those of RunOptions (ctx, data_in, task, context, cpu, …)."""
        from bpfemu.kernel.config import RunOptions

        unknown = set(options) - set(RunOptions.__dataclass_fields__)
        if unknown:
            raise InputError(
                f"run() has no option {sorted(unknown)[0]!r}; "
                f"there are {', '.join(RunOptions.__dataclass_fields__)}"
            )
        if not self._skel.loaded:
            self._skel.load()
        options.setdefault("context", self.default_context)
        outcome = self._skel.session.run(self.name, RunOptions(**options))
        if self.on_outcome is not None:
            self.on_outcome(outcome)
        return outcome

    @property
    def image(self) -> Any:
        """The bound image."""
        if not self._skel.loaded:
            self._skel.load()
        return self._skel.session.images[self.name]

    def __repr__(self) -> str:
        return f"<program {self.name} SEC({self.section!r})>"


class MapView:
    """A map as user space sees it, typed through BTF where the object has it.

    Keys and values are ints, strings, dicts and lists as ``btf.render.value_to_python`` makes
    them; bytes are always accepted.  Per-CPU values are lists, one entry a CPU.
    """

    def __init__(self, skel: Skeleton, name: str) -> None:
        self._skel = skel
        self.name = name
        self.definition = next(m for m in skel.object.maps if m.name == name)

    @property
    def map(self) -> Any:
        """The kernel's map object."""
        return self._skel.kernel.find_map(self.name)

    def _btf(self) -> Btf | None:
        return self._skel.object.btf

    def _pack(self, what: str, type_id: int, size: int, value: Any) -> bytes:
        btf = self._btf()
        if isinstance(value, bytes | bytearray):
            data = bytes(value)
        elif btf is not None and type_id:
            data = python_to_bytes(btf, type_id, value)
        elif isinstance(value, int):
            try:
                data = value.to_bytes(size, "little", signed=value < 0)
            except OverflowError:
                raise InputError(f"map {self.name}: {what} {value} needs > {size} bytes") from None
        else:
            raise InputError(f"map {self.name}: {what} has no BTF type; give bytes or a number")
        if len(data) != size:
            raise InputError(f"map {self.name}: {what} has {len(data)} bytes, must have {size}")
        return data

    def _unpack(self, type_id: int, data: bytes) -> Any:
        btf = self._btf()
        if btf is None or not type_id:
            return data
        return value_to_python(btf, type_id, data)

    def _key(self, key: Any) -> bytes:
        return self._pack("key", self.definition.key_type, self.map.key_size, key)

    def _value(self, data: Any) -> Any:
        if isinstance(data, list):
            return [self._value(one) for one in data]
        return self._unpack(self.definition.value_type, data[: self.map.value_size])

    def __getitem__(self, key: Any) -> Any:
        found = self.map.user_lookup(self._key(key))
        if found is None:
            raise KeyError(key)
        return self._value(found)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value, or ``default``."""
        found = self.map.user_lookup(self._key(key))
        return default if found is None else self._value(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update(key, value)

    def update(self, key: Any, value: Any, flags: int = 0) -> None:
        """BPF_MAP_UPDATE_ELEM; OSError with the kernel's errno when refused."""
        kind, size = self.definition.value_type, self.map.value_size
        if isinstance(value, list) and self.map.percpu:
            data: Any = [self._pack("value", kind, size, one) for one in value]
        else:
            data = self._pack("value", kind, size, value)
        self._check(self.map.user_update(self._key(key), data, flags))

    def __delitem__(self, key: Any) -> None:
        result = self.map.user_delete(self._key(key))
        if result == -2:
            raise KeyError(key)
        self._check(result)

    def _check(self, result: int) -> None:
        if result < 0:
            raise OSError(-result, f"map {self.name}: {os.strerror(-result)}")

    def __contains__(self, key: Any) -> bool:
        return self.map.user_lookup(self._key(key)) is not None

    def keys(self) -> list[Any]:
        """Every key, in the map's own order."""
        return [key for key, _ in self.items()]

    def values(self) -> list[Any]:
        """Every value."""
        return [value for _, value in self.items()]

    def items(self) -> list[tuple[Any, Any]]:
        """Every (key, value)."""
        out = []
        for key in self.map.user_keys():
            found = self.map.user_lookup(key)
            if found is not None:
                out.append((self._unpack(self.definition.key_type, key), self._value(found)))
        return out

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.map.user_keys())

    def drain(self) -> list[bytes]:
        """Take the records that user space would receive (ring buffers)."""
        return list(self.map.drain())

    def __repr__(self) -> str:
        return f"<map {self.name}>"


class DataView:
    """Global variables of one section as attributes; rodata can be set before load only."""

    _OWN = frozenset({"_skel", "section", "image", "_vars", "_writable"})

    def __init__(self, skel: Skeleton, section: DataSection) -> None:
        self._skel = skel
        self.section = section.name
        self.image = bytearray(section.data)
        self._writable = section.writable
        self._vars = _variables(skel.object.btf, section)

    def _find(self, name: str) -> tuple[int, int, int]:
        found = self._vars.get(name)
        if found is None:
            there = ", ".join(self._vars) or "none (the object has no BTF for it)"
            raise AttributeError(f"{self.section} has no variable {name!r}; there are {there}")
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        type_id, offset, size = self._find(name)
        btf = self._skel.object.btf
        assert btf is not None
        return value_to_python(btf, type_id, self._read(offset, size))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._OWN:
            object.__setattr__(self, name, value)
            return
        type_id, offset, size = self._find(name)
        btf = self._skel.object.btf
        assert btf is not None
        data = value if isinstance(value, bytes) else python_to_bytes(btf, type_id, value)
        if len(data) != size:
            raise InputError(f"{self.section}.{name} has {size} bytes, got {len(data)}")
        self._write(name, offset, data)

    def _segment(self) -> Any:
        every = (one for image in self._skel.session.images.values() for one in image.segments)
        return next((segment for segment in every if segment.name == self.section), None)

    def _initial(self, name: str, data: bytes | None = None) -> Any:
        """What a variable held, or holds, at load; ``data``: in these bytes of the section."""
        type_id, offset, size = self._find(name)
        btf = self._skel.object.btf
        assert btf is not None
        return value_to_python(btf, type_id, bytes((data or self.image)[offset : offset + size]))

    def _read(self, offset: int, size: int) -> bytes:
        segment = self._segment() if self._skel.loaded else None
        if segment is None:
            return bytes(self.image[offset : offset + size])
        return bytes(self._skel.kernel.memory.read(segment.addr + offset, size))

    def _write(self, name: str, offset: int, data: bytes) -> None:
        if not self._skel.loaded:
            self.image[offset : offset + len(data)] = data
            return
        if not self._writable:
            raise InputError(f"{self.section}.{name} is read-only once the object is loaded")
        segment = self._segment()
        if segment is not None:
            self._skel.kernel.memory.write(segment.addr + offset, data)

    def __dir__(self) -> list[str]:
        return sorted(self._vars)

    def __iter__(self) -> Iterator[str]:
        return iter(self._vars)


def _variables(btf: Btf | None, section: DataSection) -> dict[str, tuple[int, int, int]]:
    """Name → (type id, offset in bytes, size in bytes), from the section's DATASEC."""
    if btf is None or not section.btf_id:
        return {}
    sec = btf.type(section.btf_id)
    out: dict[str, tuple[int, int, int]] = {}
    if isinstance(sec, kinds.DataSec):
        for entry in sec.entries:
            var = btf.type(entry.type)
            if isinstance(var, kinds.Var):
                out[var.name] = (var.type, entry.offset, entry.size)
    return out
