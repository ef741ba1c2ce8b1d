"""The BTF side of one emulated kernel: its own types, modules, kfuncs, /sys/kernel/btf.

Everything here is made when somebody asks for ``kernel.btf``, ``kernel.sysfs`` or
``kernel.modules``, or when the configuration says that programs may find types missing; an
ordinary run never imports it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from bpfemu.btf import Btf, Func
from bpfemu.errors import BindError, InputError
from bpfemu.kernel.btf_mmap import BtfSection
from bpfemu.kernel.btf_notifier import BtfNotifier, Module
from bpfemu.kernel.btf_objects import BtfObject, BtfObjects
from bpfemu.kernel.cand_cache import CandidateCache
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kfunc_calls import ENOTSUPP, FoundKfunc, check_registered
from bpfemu.kernel.kfunc_protos import call_problem
from bpfemu.kernel.modules import ModuleTable, kfunc_sets
from bpfemu.kernel.registration import KfuncRecord, KfuncSet, KfuncTable, own_function
from bpfemu.kernel.sysfs import BtfFile, BtfFolder, Sysfs, error
from bpfemu.kernel.vmlinux_state import BtfLink, Provider, VmlinuxBtf, parse_kernel_btf
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.spec import KfuncSpec

if TYPE_CHECKING:
    from bpfemu.image import CallTarget, ProgramImage

__all__ = ["KernelBtf"]

TEXT_BASE: Final = 0xFFFF_FFFF_8100_0000
"""Where the kernel's functions have their addresses."""


class KernelBtf:
    """What the kernel knows of types, for programs, modules and user space.

    ``kernel_btf`` are the kernel's types (None: it was built without); ``provider`` is where the
    blob comes from when it is not those types' own, ``link`` what the kernel image records of it.
    ``place`` puts a module's variable into memory and returns its address; ``symbols`` is the
    kernel's own kallsyms.
    """

    def __init__(
        self,
        config: KernelConfig,
        catalog: Catalog,
        kernel_btf: Btf | None,
        *,
        provider: Provider | None = None,
        link: BtfLink | None = None,
        place: Callable[[str, bytes], int] | None = None,
        symbols: Callable[[str], int | None] | None = None,
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.dmesg: list[str] = []
        self.objects = BtfObjects()
        self._kernel_btf = kernel_btf
        self._symbols = symbols or self._own_symbol
        self._held: dict[int, tuple[ProgramImage, list[Module]]] = {}
        if provider is None and kernel_btf is not None:
            provider = lambda: kernel_btf.raw  # noqa: E731 - one expression, two lines
        self._provider = provider
        module = config.btf_vmlinux == "module"
        self.vmlinux = VmlinuxBtf(
            provider, self.objects, self.log, module=module, link=link, parse=self._parse_vmlinux
        )
        self.kfuncs = KfuncTable(self, lazy=config.kfunc_registration == "lazy")
        self.candidates = CandidateCache(self.vmlinux_btf, self._module_objects)
        folder = BtfFolder() if module or provider is not None else None
        self.modules = self._make_modules(folder, place or _nowhere)
        self.sysfs = Sysfs(folder)
        if folder is not None:
            folder.add(self._vmlinux_file())
        self.vmlinux.when_ready(self.modules.vmlinux_ready)
        self._boot()

    def _make_modules(
        self, folder: BtfFolder | None, place: Callable[[str, bytes], int]
    ) -> ModuleTable:
        notifier = BtfNotifier(
            self.vmlinux,
            self.objects,
            folder,
            self.candidates.purge,
            self.log,
            allow_mismatch=self.config.btf_mismatch,
            keep_early=self.config.early_module_btf == "keep",
        )
        return ModuleTable(
            self.vmlinux,
            notifier,
            self.kfuncs,
            self.log,
            build=self._build_module,
            place=place,
        )

    # --- what others ask --------------------------------------------------------------------

    def log(self, text: str) -> None:
        """A line of dmesg."""
        self.dmesg.append(text)

    def vmlinux_btf(self) -> BtfObject | None:
        """The kernel's types, loaded now if need be; None without, or when they are malformed."""
        try:
            return self.vmlinux.get()
        except OSError:
            return None

    def btf_of(self, owner: str) -> BtfObject | None:
        """The BTF of the kernel ("") or of a module, as far as it is there."""
        if not owner:
            return self.vmlinux.get()
        return self.modules[owner].btf if owner in self.modules else None

    def btf_configured(self) -> bool:
        """CONFIG_DEBUG_INFO_BTF."""
        return self.vmlinux.is_module or self._provider is not None

    def pin(self, name: str) -> Module:
        """Take a reference on a module for a program."""
        return self.modules.pin(name)

    def unpin(self, pinned: object) -> None:
        """Give it back."""
        assert isinstance(pinned, Module)
        self.modules.unpin(pinned)

    def use_kfunc(self, owner: str, id: int, prog_type: int) -> KfuncRecord | None:
        """The registered kfunc, if programs of that type may call it."""
        return self.kfuncs.use(owner, id, prog_type)

    def _own_symbol(self, name: str) -> int | None:
        """Every function of the kernel's BTF has an address, 16 bytes for each id."""
        found = self._kernel_btf.find(name, Func) if self._kernel_btf else None
        return None if found is None else TEXT_BASE + 16 * found

    def find_symbol(self, name: str) -> int | None:
        """kallsyms: the kernel's, then those of modules."""
        found = self._symbols(name)
        return self.modules.find_symbol(name) if found is None else found

    # --- programs ---------------------------------------------------------------------------

    def admit(self, image: ProgramImage) -> None:
        """A program is loaded: its types must be there, its modules are held until it goes.

        BindError has the verifier's words and errno.
        """
        if id(image) in self._held:
            return
        held: dict[str, Module] = {}
        try:
            for target in image.calls:
                if isinstance(target.spec, KfuncSpec) and not target.poisoned:
                    self._admit_call(image, target, held)
            for _, _, module in image.ksyms:
                self._hold(image, module, held)
            if image.attach_btf_id and self.vmlinux_btf() is None:
                raise BindError("kernel has no BTF", program=image.name, errno=errno.EINVAL)
        except BindError:
            for pinned in held.values():
                self.modules.unpin(pinned)
            raise
        self._held[id(image)] = image, list(held.values())

    def release(self, image: ProgramImage) -> None:
        """A program is gone; its modules may be unloaded."""
        _, held = self._held.pop(id(image), (image, []))
        for module in held:
            self.modules.unpin(module)

    def _admit_call(self, image: ProgramImage, target: CallTarget, held: dict[str, Module]) -> None:
        if self.vmlinux_btf() is None:
            text = "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF"
            raise BindError(text, program=image.name, symbol=target.name, errno=ENOTSUPP)
        self._hold(image, target.module, held)
        btf = self.btf_of(target.module)
        assert btf is not None
        why = call_problem(btf.btf, target.btf_id)
        if why is not None:
            raise BindError(why, program=image.name, symbol=target.name, errno=errno.EINVAL)
        found = FoundKfunc(target.name, target.module, target.btf_id, 0, 0)
        check_registered(self, found, image.prog_type)

    def _hold(self, image: ProgramImage, name: str, held: dict[str, Module]) -> None:
        """A program uses a module's BTF, for calls or for variables: it pins the module once."""
        if not name or name in held:
            return
        try:
            held[name] = self.modules.pin(name)
        except OSError as problem:
            raise BindError(
                f"{problem.strerror}: its BTF cannot be used",
                program=image.name,
                errno=problem.errno,
            ) from None

    # --- making things ------------------------------------------------------------------------

    def _boot(self) -> None:
        """The kernel's own kfunc sets: registered at boot, or when its BTF has come."""
        if self.kfuncs.lazy:
            self._register_own(None)
        elif self.vmlinux.is_module:
            self.vmlinux.when_ready(lambda: self._register_own(self.vmlinux.ready))
        else:
            self._register_own(self.vmlinux_btf())

    def _register_own(self, found: BtfObject | None) -> None:
        """Register what the catalog has; of what the BTF lacks, the kernel lacks the code."""
        specs = self.catalog.select(self.config.profile).values()
        for kset in kfunc_sets([spec.body for spec in specs]):
            there = kset.kfuncs
            if found is not None:
                there = tuple(one for one in there if own_function(found.btf, str(one.id)))
            if there:
                self.kfuncs.register("", KfuncSet(kset.hook, there))

    def _parse_vmlinux(self, blob: bytes) -> Btf:
        """The types that were given, if this is their blob: they were checked when made."""
        known = self._kernel_btf
        if known is not None and known.raw == blob:
            return known
        return parse_kernel_btf(blob, None, "vmlinux")

    def _module_objects(self) -> Iterable[BtfObject]:
        found = (self.modules[name].btf for name in self.modules)
        return [btf for btf in found if btf is not None]

    def _build_module(self, name: str, definitions: Sequence[Any]) -> tuple[Btf, Catalog]:
        """A module's BTF from declarations, built against this kernel's types."""
        from bpfemu.kernel.module_btf import build_module_btf

        if self._kernel_btf is None:
            rule = "there are no kernel types to build its BTF on"
            raise InputError(f"module {name}: {rule}", errno=errno.EINVAL)
        own = Catalog.of(*definitions)
        profile = self.config.profile
        return build_module_btf(name, own, self.catalog, profile, self._kernel_btf), own

    def _vmlinux_file(self) -> BtfFile:
        chosen = self.config.btf_mmap
        handler = self.config.profile.btf_mmap if chosen == "profile" else chosen
        return BtfFile(
            "vmlinux",
            self._vmlinux_bytes,
            handler=None if handler in (None, "none") else handler,
            section=lambda: self._section,
            listed=lambda: self.vmlinux.state not in ("absent", "failed"),
        )

    def _vmlinux_bytes(self) -> bytes:
        """The file's content; a carrier is loaded for it, and without one there is no file."""
        if not self.vmlinux.is_module:
            blob = self._provider() if self._provider else None
        else:
            found = self.vmlinux.get()
            blob = found.data if found else None
        if not blob:
            raise error(errno.ENOENT, "/sys/kernel/btf/vmlinux")
        return blob

    @cached_property
    def _section(self) -> BtfSection:
        return BtfSection(self._vmlinux_bytes(), self.config.profile.page_size)


def _nowhere(name: str, data: bytes) -> int:
    raise InputError(f"module symbol {name!r}: there is no memory to put it in", errno=errno.ENOMEM)
