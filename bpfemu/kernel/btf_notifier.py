"""What the kernel does about a module's BTF when the module comes, is live, and goes.

::

    COMING   parse (relocate) → id → candidates purged → /sys/kernel/btf/<name>
    LIVE     from now on programs may pin the module
    GOING    id away → file away → candidates purged → one reference dropped

While vmlinux BTF is a module that is not loaded, the bytes are kept aside (STASHED) and go the
same way when it arrives.  BTF notes, sections 5.4 and 6.3 to 6.6.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from enum import StrEnum

from bpfemu.btf import Btf
from bpfemu.btf.distill import relocate
from bpfemu.errors import InputError
from bpfemu.kernel.btf_objects import BtfObject, BtfObjects
from bpfemu.kernel.sysfs import BtfFile, BtfFolder
from bpfemu.kernel.vmlinux_state import VmlinuxBtf, parse_kernel_btf
from bpfemu.record import dataclass, field

__all__ = ["BtfNotifier", "Module", "ModuleBlob", "ModuleBtf", "ModuleState"]


class ModuleState(StrEnum):
    """How far a module has come."""

    COMING = "coming"
    LIVE = "live"
    GOING = "going"
    GONE = "gone"


class ModuleBtf(StrEnum):
    """What became of a module's BTF."""

    NONE = "none"
    STASHED = "stashed"
    PARSED = "parsed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ModuleBlob:
    """The sections .BTF and .BTF.base of a module file; the second is usually not there."""

    data: bytes
    base: bytes = b""


@dataclass(slots=True)
class Module:
    """A module of the emulated kernel."""

    name: str
    blob: ModuleBlob | None = None
    state: ModuleState = ModuleState.COMING
    btf_state: ModuleBtf = ModuleBtf.NONE
    btf: BtfObject | None = None
    errno: int = 0  # why its BTF was rejected
    references: int = 0  # programs that pin it
    has_exit: bool = True  # a module with init and without exit cannot be unloaded
    live_flag: bool = False  # its BTF may be used by programs
    symbols: dict[str, int] = field(default_factory=dict)  # kallsyms: name → address
    history: list[str] = field(default_factory=list)  # what happened, in order


class BtfNotifier:
    """The module notifier of kernel/bpf/btf.c."""

    def __init__(
        self,
        vmlinux: VmlinuxBtf,
        objects: BtfObjects,
        folder: BtfFolder | None,
        purge: Callable[[BtfObject | None], None],
        log: Callable[[str], None],
        *,
        allow_mismatch: bool = False,
        keep_early: bool = True,
    ) -> None:
        self._vmlinux = vmlinux
        self._objects = objects
        self._folder = folder
        self._purge = purge
        self._log = log
        self._allow_mismatch = allow_mismatch
        self._keep_early = keep_early
        self._warned = False
        self._stashed: list[Module] = []

    def coming(self, module: Module) -> int:
        """Runs before the module's init; 0, or the positive errno that its load fails with."""
        if module.blob is None or not module.blob.data or self._folder is None:
            return 0
        try:
            vmlinux = self._vmlinux.ready if self._vmlinux.is_module else self._vmlinux.get()
        except OSError as problem:
            return self._refuse(module, problem.errno or errno.EINVAL)
        if vmlinux is not None:
            return self._arrive(module, vmlinux)
        if not self._vmlinux.is_module:
            return self._refuse(module, errno.EINVAL)
        if self._keep_early:
            module.btf_state = ModuleBtf.STASHED
            module.history.append("BTF stashed")
            self._stashed.append(module)
        else:
            module.history.append("BTF ignored")
        return 0

    def live(self, module: Module) -> None:
        """The module's init is done."""
        module.live_flag = module.btf is not None

    def going(self, module: Module) -> None:
        """The module's exit is done, or its init failed."""
        if module in self._stashed:
            self._stashed.remove(module)
        found = module.btf
        module.btf, module.live_flag = None, False
        module.btf_state = ModuleBtf.NONE
        if found is None:
            return
        module.history.append(f"id {found.id} freed")
        self._objects.free_id(found)
        assert self._folder is not None
        if module.name in self._folder and f"sysfs {module.name}" in module.history:
            self._folder.remove(module.name)
            module.history.append(f"sysfs {module.name} removed")
        self._purge(found)
        self._objects.put(found)

    def drain(self) -> list[Module]:
        """vmlinux BTF is ready: bring in what was stashed, in the order of loading."""
        waiting, self._stashed = self._stashed, []
        vmlinux = self._vmlinux.ready
        assert vmlinux is not None
        for module in waiting:
            module.errno = self._arrive(module, vmlinux)
            module.live_flag = module.btf is not None and module.state is ModuleState.LIVE
        return waiting

    def _arrive(self, module: Module, vmlinux: BtfObject) -> int:
        try:
            found = self._parse(module, vmlinux.btf)
        except InputError as problem:
            self._log(f"BPF: {problem}")
            return self._refuse(module, problem.errno or errno.EINVAL)
        module.btf = self._objects.add(found)
        module.btf_state = ModuleBtf.PARSED
        module.history.append(f"id {found.id}")
        self._purge(None)
        self._show(module, found)
        return 0

    def _parse(self, module: Module, vmlinux: Btf) -> BtfObject:
        blob = module.blob
        assert blob is not None
        if not blob.base:
            return BtfObject(parse_kernel_btf(blob.data, vmlinux, module.name), module.name)
        distilled = parse_kernel_btf(blob.base, None, f"{module.name} .BTF.base")
        split = parse_kernel_btf(blob.data, distilled, module.name)
        relocated = relocate(split, vmlinux)
        return BtfObject(relocated.btf, module.name, relocated=relocated)

    def _refuse(self, module: Module, number: int) -> int:
        """A module with wrong BTF: not loaded, or loaded without it where that is configured."""
        module.btf_state, module.errno = ModuleBtf.REJECTED, number
        if not self._allow_mismatch:
            self._log(f"failed to validate module [{module.name}] BTF: {-number}")
            return number
        if not self._warned:
            self._warned = True
            self._log(
                "Kernel module BTF mismatch detected, BTF debug info may be unavailable for some "
                "modules"
            )
        return 0

    def _show(self, module: Module, found: BtfObject) -> None:
        """Make the file in sysfs; a module does not fail for it."""
        assert self._folder is not None
        try:
            self._folder.add(BtfFile(module.name, lambda: found.data))
        except OSError as problem:
            number = -(problem.errno or 0)
            self._log(f"failed to register module [{module.name}] BTF in sysfs: {number}")
            return
        module.history.append(f"sysfs {module.name}")
