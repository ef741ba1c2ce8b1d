"""The straight line itself: read → bind → prepare → run.  The only file that joins rooms.

::

    .o file ──elf──▶ BpfObject ──bind──▶ ProgramImage ──engine──▶ Stop ──kernel──▶ Outcome
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from bpfemu.errors import InputError
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import DEFAULT_PROFILE, KernelProfile, find_profile
from bpfemu.record import dataclass, field

if TYPE_CHECKING:
    from bpfemu.bind import BindOptions
    from bpfemu.btf import Btf
    from bpfemu.engine.base import Code
    from bpfemu.image import ProgramImage
    from bpfemu.kernel.config import KernelConfig, RunOptions
    from bpfemu.kernel.fault_attr import FaultAttr
    from bpfemu.kernel.kernel import Kernel
    from bpfemu.kernel.variables import KernelSymbols
    from bpfemu.machine.probe import Probe
    from bpfemu.object import BpfObject
    from bpfemu.outcome import Outcome
    from bpfemu.world.spec import World

__all__ = ["Options", "Session", "kernel_btf", "make_catalog", "read"]

ARENA_SIZE = 256 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Options:
    """How a session is set up; every default in one place.

    ``kernel`` names a profile, ``btf`` a file with the kernel's BTF (None: our own), ``seed``
    decides time, randomness and addresses, ``kfuncs`` are packages with further definitions,
    ``budget`` bounds one run (instructions).  ``stale_units`` lets programs read what
    ``bpf_mem_free`` gave back, as a real kernel does, instead of faulting; ``r0_garbage`` fills the
    upper half of r0 after a 32-bit kfunc from the seed instead of with x86-64's zeros.

    ``modules`` are kernel modules to load before the programs: files, or names of installed
    packages; ``btf_vmlinux`` ("builtin", "module") and ``kfunc_registration`` ("eager", "lazy")
    are those of :class:`KernelConfig`, as is ``kallsyms`` ("all", "functions", "restricted").
    ``faults``: what fails on purpose, by fault point.
    """

    kernel: str = DEFAULT_PROFILE
    btf: str | os.PathLike[str] | None = None
    engine: str = "interp"
    seed: int = 0
    cpus: int = 2
    world: World | None = None
    kfuncs: tuple[str, ...] = ()
    kconfig: Mapping[str, object] = field(default_factory=dict)
    budget: int = 1 << 32
    stale_units: bool = False
    r0_garbage: bool = False
    modules: tuple[str, ...] = ()
    btf_vmlinux: str = "builtin"
    kfunc_registration: str = "eager"
    kallsyms: str = "all"
    faults: Mapping[str, FaultAttr] = field(default_factory=dict)
    arena_size: int = ARENA_SIZE


@cache
def make_catalog(packages: tuple[str, ...] = ()) -> Catalog:
    """What the emulated kernel offers, with the definitions of further packages on top.

    Catalogs are constant, so one per list of packages serves the whole process.
    """
    if packages:
        try:
            return make_catalog(packages[:-1]).merged(Catalog.discover(packages[-1]))
        except ModuleNotFoundError as error:
            raise InputError(f"no package {packages[-1]!r} with kfuncs: {error}") from None
    from bpfemu.kernel.vmlinux import OWN_PACKAGES

    return Catalog.scan(*OWN_PACKAGES)


def kernel_btf(options: Options, catalog: Catalog, profile: KernelProfile) -> Btf:
    """The kernel's types: our own, or those of the file that ``options.btf`` names.

    Variables of the world that these do not have are added.
    """
    if options.btf is not None:
        from bpfemu.btf import Btf

        btf = Btf.open(options.btf)
    else:
        from bpfemu.kernel.vmlinux import vmlinux_btf

        btf = vmlinux_btf(catalog, profile)
    own = [v for v in options.world.variables if not v.module] if options.world else []
    if not own:
        return btf
    from bpfemu.kernel.variables_btf import with_variables

    return with_variables(btf, own)


def read(path: str | os.PathLike[str]) -> BpfObject:
    """An object file; C sources (``.c``) are compiled first."""
    from bpfemu.elf import read_object

    name = os.fspath(path)
    if not os.path.exists(name):
        raise InputError(f"{name}: no such file", errno=2)
    if name.endswith(".c"):
        from bpfemu.compile import compile_c

        return read_object(compile_c(name))
    return read_object(name)


class Session:
    """One object on one emulated kernel: maps and globals live as long as the session."""

    def __init__(self, obj: BpfObject, options: Options | None = None) -> None:
        self.object = obj
        self.options = options or Options()
        if not isinstance(self.options.seed, int) or self.options.seed < 0:
            raise InputError(f"seed is {self.options.seed!r}, must be a number from 0 up")
        self.profile = find_profile(self.options.kernel)
        self.catalog = make_catalog(self.options.kfuncs)
        self.btf = kernel_btf(self.options, self.catalog, self.profile)
        self.kernel: Kernel | None = None
        self._symbols: KernelSymbols | None = None
        self._loaded = False
        self.images: dict[str, ProgramImage] = {}
        self._codes: dict[str, Code] = {}

    def bind_options(self, rodata: Mapping[str, bytes] | None = None) -> BindOptions:
        """What ``bind`` is told."""
        from bpfemu.bind import BindOptions
        from bpfemu.record import replace

        options = BindOptions(
            catalog=self.catalog,
            profile=self.profile,
            kernel_btf=self.btf,
            seed=self.options.seed,
            arena_size=self.options.arena_size,
            kconfig=self.options.kconfig,
            rodata=rodata or {},
            ksyms=lambda name: self.symbols.find(name),
            kallsyms=lambda name: self.symbols.shown(name),
        )
        if self.kernel is None or not self.kernel.has_modules:
            return options
        btf = self.kernel.btf
        catalog, types = btf.modules.catalog(self.catalog), btf.modules.btfs()
        return replace(
            options,
            catalog=catalog,
            modules=types,
            ksyms=btf.find_symbol,
            kallsyms=lambda name: self.symbols.shown(name, btf.modules.find_symbol),
        )

    @property
    def symbols(self) -> KernelSymbols:
        """kallsyms of the session's kernel, whether it has been booted or not."""
        if self._symbols is None:
            from bpfemu.bind import arena_base
            from bpfemu.kernel.symbol_places import kernel_layouts
            from bpfemu.kernel.variables import KernelSymbols

            end = arena_base(self.options.seed) + self.options.arena_size
            layouts = kernel_layouts(self.catalog, self.btf)
            self._symbols = KernelSymbols(layouts, self._config(), end)
        return self._symbols

    def _config(self) -> KernelConfig:
        from bpfemu.kernel.config import KernelConfig

        return KernelConfig(
            profile=self.profile,
            cpus=self.options.cpus,
            seed=self.options.seed,
            world=self.options.world,
            budget=self.options.budget,
            stale_units=self.options.stale_units,
            r0_garbage=self.options.r0_garbage,
            btf_vmlinux=self.options.btf_vmlinux,
            kfunc_registration=self.options.kfunc_registration,
            kallsyms=self.options.kallsyms,
            faults=self.options.faults,
        )

    def uploaded_btf(self) -> Btf | None:
        """The object's BTF as libbpf hands it to BPF_BTF_LOAD."""
        from bpfemu.bind.upload import upload_btf

        return None if self.object.btf is None else upload_btf(self.object.btf)

    def bind(self, program: str, rodata: Mapping[str, bytes] | None = None) -> ProgramImage:
        """One program, linked and addressed."""
        from bpfemu.bind import bind

        return bind(self.object, program, self.bind_options(rodata))

    def load(
        self, programs: Sequence[str], rodata: Mapping[str, bytes] | None = None
    ) -> dict[str, ProgramImage]:
        """Bind programs and give them a kernel with their maps and data in place."""
        if self._loaded and self.kernel is not None:
            raise InputError(f"{self.object.name}: load can't be attempted twice", errno=22)
        kernel = self.boot()
        if kernel.fault_table is not None and self.object.btf is not None:
            self._load_btf(kernel)
        self.images = {name: self.bind(name, rodata) for name in programs}
        self._loaded = True
        for image in self.images.values():
            kernel.load(image)
        return self.images

    def _load_btf(self, kernel: Kernel) -> None:
        """BPF_BTF_LOAD of the object's BTF, where it may be made to fail."""
        from bpfemu.outcome import errno_name

        error = kernel.faults.btf_load_error()
        if error:
            text = f"the kernel refused the BTF of the object: {errno_name(error)}"
            raise InputError(f"{self.object.name}: {text}", errno=-error)

    def boot(self) -> Kernel:
        """The kernel, with the modules of the options; what is loaded into it here, bind sees."""
        from bpfemu.bind import arena_base
        from bpfemu.kernel.kernel import Kernel

        if self.kernel is not None:
            return self.kernel
        self.kernel = Kernel(
            self.catalog,
            self._config(),
            kernel_btf=self.btf,
            arena_base=arena_base(self.options.seed),
            arena_size=self.options.arena_size,
        )
        for module in self.options.modules:
            if os.path.exists(module):
                name = os.path.basename(module).split(".")[0]
                self.kernel.modules.load(name, module)
            else:
                self.kernel.modules.load(module)
        self._load_described(self.kernel)
        return self.kernel

    def _load_described(self, kernel: Kernel) -> None:
        """Modules that nothing is known of but the variables that the world gives them."""
        own = self.options.world.variables if self.options.world else ()
        if any(variable.module for variable in own):
            from bpfemu.kernel.variables_btf import module_btfs

            for name, btf in module_btfs(self.btf, own).items():
                if name not in kernel.modules:
                    kernel.modules.load(name, btf)

    def code(self, program: str) -> Code:
        """What the engine made of a loaded program's image."""
        found = self._codes.get(program)
        if found is None:
            from bpfemu.engine.base import find_engine

            found = find_engine(self.options.engine).prepare(self.images[program])
            self._codes[program] = found
        return found

    def run(self, program: str, options: RunOptions, probe: Probe | None = None) -> Outcome:
        """Run a loaded program once."""
        if self.kernel is None or program not in self.images:
            rule = f"program {program!r} is not loaded; set its autoload before load"
            raise InputError(f"{self.object.name}: {rule}", errno=22)
        machine, args = self.kernel.start(self.images[program], options)
        machine.probe = probe
        try:
            stop = self.code(program).run(machine, args)
        except BaseException:
            self.kernel.abort()
            raise
        return self.kernel.close(stop)

    def start(self, program: str, options: RunOptions) -> Any:
        """A run that can be stepped: the engine's Run; finish it with ``finish``."""
        if self.kernel is None or program not in self.images:
            rule = f"program {program!r} is not loaded; set its autoload before load"
            raise InputError(f"{self.object.name}: {rule}", errno=22)
        machine, args = self.kernel.start(self.images[program], options)
        return self.code(program).start(machine, args)
