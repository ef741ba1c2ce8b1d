"""Kernel modules: loading, unloading, who holds them, and their symbols.

``modules.load`` does what ``insmod`` does and in its order; ``unload`` is ``rmmod``, and
``delete_module`` the system call behind it.  A module may come from a file, from bytes, from
declarations in Python, or from an installed package (entry points of the group
``bpfemu.modules``).  BTF notes, section 6.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from bpfemu.btf import Btf, Func
from bpfemu.errors import InputError, ObjectError
from bpfemu.kernel.btf_notifier import BtfNotifier, Module, ModuleBlob, ModuleBtf, ModuleState
from bpfemu.kernel.registration import KfuncId, KfuncSet, KfuncTable, need_hook
from bpfemu.kernel.vmlinux_state import CARRIER, VmlinuxBtf
from bpfemu.proto.marks import KfuncMark
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.proto.catalog import Catalog

__all__ = ["ModuleSource", "ModuleTable"]

_LONGEST_NAME: Final = 55  # bytes; struct module has 56 with the NUL
TEXT_BASE: Final = 0xFFFF_FFFF_C000_0000
"""Where the functions of modules get addresses: the kernel's module area, 16 bytes each."""

BtfLike = bytes | str | os.PathLike[str] | Btf | None
Kfuncs = Sequence[Any]
Symbols = Mapping[str, int | bytes]
Init = Callable[[Module], int]
Build = Callable[[str, Sequence[Any]], tuple[Btf, "Catalog"]]
Place = Callable[[str, bytes], int]


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """What a module is made of, wherever it comes from."""

    blob: ModuleBlob | None
    sets: tuple[KfuncSet, ...] = ()
    destructors: tuple[tuple[int, int], ...] = ()
    symbols: Mapping[str, int | bytes] | None = None
    catalog: Catalog | None = None


class ModuleTable:
    """The modules that are loaded, by name, in the order of loading."""

    def __init__(
        self,
        vmlinux: VmlinuxBtf,
        notifier: BtfNotifier,
        kfuncs: KfuncTable,
        log: Callable[[str], None],
        *,
        build: Build,
        place: Place,
    ) -> None:
        self._vmlinux = vmlinux
        self._notifier = notifier
        self._kfuncs = kfuncs
        self._log = log
        self._build = build
        self._place = place
        self._modules: dict[str, Module] = {}
        self._catalogs: dict[str, Catalog] = {}
        self._queued: list[tuple[Module, ModuleSource]] = []
        self._next_text = TEXT_BASE

    def __getitem__(self, name: str) -> Module:
        found = self._modules.get(_clean(name))
        if found is None:
            raise InputError(f"no module {name!r} is loaded", errno=errno.ENOENT)
        return found

    def __contains__(self, name: object) -> bool:
        return _clean(str(name)) in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    # --- insmod ----------------------------------------------------------------------------

    def load(
        self,
        name: str,
        btf: BtfLike = None,
        kfuncs: Kfuncs = (),
        ksyms: Symbols | None = None,
        *,
        base: bytes = b"",
        destructors: Sequence[tuple[int, int]] = (),
        init: Init | None = None,
        has_exit: bool = True,
    ) -> Module:
        """Load a module; InputError with the errno that init_module returns.

        ``btf`` is its split BTF: bytes, a :class:`Btf`, or a file (a module, whose own kfunc sets
        are then used unless ``kfuncs`` are given, or a raw blob); ``base`` its ``.BTF.base``.
        ``kfuncs`` are marked functions, :class:`KfuncSet`\\ s, or names and ids for every program
        type.  Without ``btf``, that of marked functions is made from their declarations; without
        either, an installed package of that name is looked for.  ``ksyms`` are addresses, or
        bytes that are placed in memory.  ``init`` runs while the module is COMING, after its
        kfuncs were registered; what it returns is 0 or a negative errno.
        """
        module = self._new(name, has_exit)
        if module.name == CARRIER:
            return self._load_carrier(module, btf)
        source = self._source(module.name, btf, base, kfuncs, destructors)
        self._come(module, source.blob)
        self._add_symbols(module, source, ksyms or {})
        if source.catalog is not None:
            self._catalogs[module.name] = source.catalog
        number = -(self._register(module, source) or (init(module) if init else 0))
        module.history.append(f"init {-number}")
        if number:
            self._leave(module)
            raise InputError(f"module {module.name}: its init returned {-number}", errno=number)
        module.state = ModuleState.LIVE
        module.history.append("LIVE")
        self._notifier.live(module)
        return module

    def _new(self, name: str, has_exit: bool) -> Module:
        clean = _clean(name)
        if not clean or len(clean.encode()) > _LONGEST_NAME:
            rule = f"a module's name has 1 to {_LONGEST_NAME} bytes"
            raise InputError(f"module {name!r}: {rule}", errno=errno.EINVAL)
        if clean in self._modules:
            raise InputError(f"module {clean} is loaded already", errno=errno.EEXIST)
        return Module(clean, has_exit=has_exit)

    def _come(self, module: Module, blob: ModuleBlob | None) -> None:
        """The module is in the list; who wants to know is told, and may refuse it."""
        self._modules[module.name] = module
        module.blob = blob
        module.history.append("COMING")
        number = self._notifier.coming(module)
        if number:
            self._leave(module)
            why = f"failed to validate module [{module.name}] BTF: {-number}"
            raise InputError(f"module {module.name}: {why}", errno=number)

    def _source(
        self,
        name: str,
        btf: BtfLike,
        base: bytes,
        kfuncs: Kfuncs,
        destructors: Sequence[tuple[int, int]],
    ) -> ModuleSource:
        """What the arguments of ``load`` stand for."""
        if btf is None and not kfuncs:
            from bpfemu.kernel.module_package import find_package

            package = find_package(name)
            if package is None:
                return ModuleSource(None, (), tuple(destructors))
            own, declared = self._build(name, (*package.kfuncs, *package.structs))
            sets = kfunc_sets(package.kfuncs)
            return ModuleSource(ModuleBlob(own.raw), sets, (), package.symbols, declared)
        marked = [item for item in kfuncs if hasattr(item, "__bpf_mark__")]
        made = self._build(name, marked) if marked else None
        if btf is None and made is not None:
            blob: ModuleBlob | None = ModuleBlob(made[0].raw)
        elif isinstance(btf, str | os.PathLike):
            from bpfemu.kernel.module_file import read_module

            file = read_module(btf)
            blob = ModuleBlob(file.blob.data, base or file.blob.base) if file.blob else None
            kfuncs = kfuncs or file.sets
        else:
            data = btf.raw if isinstance(btf, Btf) else btf
            blob = None if data is None else ModuleBlob(bytes(data), base)
        catalog = made[1] if made else None
        return ModuleSource(blob, kfunc_sets(kfuncs), tuple(destructors), None, catalog)

    def _load_carrier(self, module: Module, btf: BtfLike) -> Module:
        """The module that carries vmlinux BTF: known by name, with an init and without an exit."""
        blob: bytes | None
        if isinstance(btf, str | os.PathLike):
            from bpfemu.btf.source import open_blob

            blob = bytes(open_blob(btf)[0])
        else:
            blob = btf.raw if isinstance(btf, Btf) else btf
        if blob is None:
            raise InputError(f"module {CARRIER}: it has no BTF", errno=errno.EINVAL)
        if not self._vmlinux.is_module:
            rule = "this kernel has its BTF built in"
            raise InputError(f"module {CARRIER}: {rule}", errno=errno.EEXIST)
        try:
            self._vmlinux.accept(blob)
        except OSError as problem:
            raise InputError(f"module {CARRIER}: {problem.strerror}", errno=problem.errno) from None
        return self._modules[CARRIER]

    def vmlinux_ready(self) -> None:
        """vmlinux BTF came as a module: it is loaded now, and what waited for it goes on."""
        if self._vmlinux.is_module:
            carrier = Module(CARRIER, state=ModuleState.LIVE, has_exit=False)
            carrier.history += ["COMING", "init 0", "LIVE"]
            self._modules[CARRIER] = carrier
        for module in self._notifier.drain():
            if module.btf is None:
                module.btf_state = ModuleBtf.REJECTED
        queued, self._queued = self._queued, []
        for module, source in queued:
            number = self._register_now(module, source)
            if number:
                self._log(f"module {module.name}: registering its kfuncs failed: {number}")

    def _register(self, module: Module, source: ModuleSource) -> int:
        """What a module's init does first; sets of a module whose BTF waits wait with it."""
        if module.btf_state is ModuleBtf.STASHED and not self._kfuncs.lazy:
            if source.sets or source.destructors:
                module.history.append("kfuncs queued")
                self._queued.append((module, source))
            return 0
        return self._register_now(module, source)

    def _register_now(self, module: Module, source: ModuleSource) -> int:
        for kset in source.sets:
            number = self._kfuncs.register(module.name, kset)
            module.history.append(f"kfuncs for {kset.hook}: {number}")
            if number:
                return number
        if source.destructors:
            return self._kfuncs.register_destructors(module.name, source.destructors)
        return 0

    def _add_symbols(
        self, module: Module, source: ModuleSource, symbols: Mapping[str, int | bytes]
    ) -> None:
        """kallsyms: what was given, and an address for each kfunc that has none."""
        for name, value in {**(source.symbols or {}), **symbols}.items():
            module.symbols[name] = value if isinstance(value, int) else self._place(name, value)
        names = [kfunc.id for kset in source.sets for kfunc in kset.kfuncs]
        for id in names:
            name = id if isinstance(id, str) else _function_name(module, id)
            if name and name not in module.symbols:
                module.symbols[name] = self._next_text
                self._next_text += 16

    # --- rmmod -----------------------------------------------------------------------------

    def unload(self, name: str) -> None:
        """rmmod: EBUSY when somebody uses the module, as rmmod finds by looking first."""
        module = self[name]
        if module.references:
            users = f"in use by {module.references} program(s)"
            raise InputError(f"module {module.name} is {users}", errno=errno.EBUSY)
        self.delete_module(name)

    def delete_module(self, name: str) -> None:
        """The system call: EBUSY unless live and with an exit, EAGAIN while it is in use."""
        module = self[name]
        if module.state is not ModuleState.LIVE or not module.has_exit:
            raise InputError(f"module {module.name} cannot be unloaded", errno=errno.EBUSY)
        if module.references:
            raise InputError(f"module {module.name} is in use", errno=errno.EAGAIN)
        self._leave(module)

    def _leave(self, module: Module) -> None:
        module.state = ModuleState.GOING
        module.history.append("GOING")
        self._notifier.going(module)
        self._kfuncs.unregister(module.name)
        self._queued = [(other, source) for other, source in self._queued if other is not module]
        self._catalogs.pop(module.name, None)
        del self._modules[module.name]
        module.symbols.clear()
        module.state = ModuleState.GONE

    # --- users -----------------------------------------------------------------------------

    def pin(self, name: str) -> Module:
        """Take a reference for a program; ENXIO while the module is not live."""
        module = self._modules.get(name)
        if module is None or not module.live_flag:
            raise OSError(errno.ENXIO, f"module {name} is not live")
        module.references += 1
        return module

    def unpin(self, module: Module) -> None:
        """A program is gone."""
        module.references -= 1

    def find_symbol(self, name: str) -> int | None:
        """A module symbol's address; of several modules, the first loaded has it."""
        for module in self._modules.values():
            if name in module.symbols:
                return module.symbols[name]
        return None

    def btfs(self) -> dict[str, Btf]:
        """The types of every module that has some, by name: what programs are bound to."""
        return {name: one.btf.btf for name, one in self._modules.items() if one.btf is not None}

    def catalog(self, kernel: Catalog) -> Catalog:
        """The kernel's definitions with those of the modules behind them."""
        merged = kernel
        for catalog in self._catalogs.values():
            merged = catalog.merged(merged)
        return merged


def kfunc_sets(kfuncs: Kfuncs) -> tuple[KfuncSet, ...]:
    """One set per hook from marked functions; sets stay as they are; names are for every type."""
    sets = [item for item in kfuncs if isinstance(item, KfuncSet)]
    by_hook: dict[str, list[KfuncId]] = {}
    for item in kfuncs:
        if isinstance(item, KfuncSet):
            continue
        if isinstance(item, KfuncId):
            by_hook.setdefault("common", []).append(item)
        elif isinstance(item, int | str):
            by_hook.setdefault("common", []).append(KfuncId(item))
        elif isinstance(mark := getattr(item, "__bpf_mark__", None), KfuncMark):
            for hook in mark.hooks:
                kfunc = KfuncId(item.__name__, mark.flags)
                by_hook.setdefault(need_hook(hook), []).append(kfunc)
        else:
            rule = "a kfunc is a function marked @kfunc, a KfuncSet, a name or an id"
            raise InputError(f"{item!r}: {rule}", errno=errno.EINVAL)
    return (*sets, *(KfuncSet(hook, tuple(found)) for hook, found in by_hook.items()))


def _clean(name: str) -> str:
    """A module's name as the kernel has it: ``-`` becomes ``_``."""
    return name.replace("-", "_")


def _function_name(module: Module, id: int) -> str:
    if module.btf is None:
        return ""
    found, btf = module.btf.built_id(id), module.btf.btf
    try:
        func = btf.type(found) if btf.has_id(found) else None
    except ObjectError:
        return ""
    return func.name if isinstance(func, Func) else ""
