"""What modules do under each way of loading the kernel's BTF and of checking kfuncs.

Each policy is played through on a kernel of its own: it boots, the modules come in the order
given, something needs vmlinux BTF, and a program uses every kfunc.  BTF notes, sections 5.1 to
5.3.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from typing import Final

from bpfemu.btf import Btf
from bpfemu.errors import InputError
from bpfemu.kernel.btf_notifier import Module, ModuleBtf
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kernel_btf import KernelBtf
from bpfemu.kernel.kfunc_protos import call_problem, registration_problem
from bpfemu.kernel.module_file import ModuleFile, tagged_kfuncs
from bpfemu.kernel.registration import HOOKS, KfuncId, KfuncSet, RecordState
from bpfemu.proto.catalog import Catalog
from bpfemu.record import dataclass, replace

__all__ = ["POLICIES", "KfuncFate", "ModuleFate", "Policy", "play"]


@dataclass(frozen=True, slots=True)
class Policy:
    """A way of loading and checking, with the words that stand for it."""

    name: str
    text: str
    btf_vmlinux: str
    registration: str
    early: str


POLICIES: Final = (
    Policy("eager", "built in, checked when registered (6.18)", "builtin", "eager", "keep"),
    Policy("ignore", "a module; what comes before it gets no BTF", "module", "eager", "ignore"),
    Policy("replay", "a module; registrations wait for it", "module", "eager", "keep"),
    Policy("lazy", "a module; kfuncs are checked at first use", "module", "lazy", "keep"),
)


@dataclass(frozen=True, slots=True)
class KfuncFate:
    """A kfunc after everything: ``why`` says what a program that uses it is told, "" if it may."""

    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ModuleFate:
    """A module under one policy.

    ``errno`` is what loading it returned; ``btf`` what became of its types, ``btf_id`` their id
    after vmlinux BTF came.
    """

    module: str
    policy: Policy
    errno: int
    btf: str  # "none", "parsed", "kept", "ignored", "rejected"
    btf_id: int
    kfuncs: tuple[KfuncFate, ...]
    log: tuple[str, ...] = ()

    @property
    def defective(self) -> bool:
        """Whether the module, not the policy, is to blame for anything."""
        broken = any(one.why for one in self.kfuncs) and self.btf in ("parsed", "kept")
        return bool(self.errno) or self.btf == "rejected" or broken


@dataclass(frozen=True, slots=True)
class _Part:
    """A module as it was built: its file and its kfuncs, each with what is wrong with it."""

    file: ModuleFile
    kfuncs: tuple[KfuncFate, ...]


def _read_part(file: ModuleFile, vmlinux: Btf) -> _Part:
    """A file with what its BTF says; sets it does not have are what its BTF tags as kfuncs."""
    if file.blob is None or not file.blob.data:
        return _Part(file, ())
    try:
        base = Btf.parse(file.blob.base) if file.blob.base else vmlinux
        btf = Btf.parse(file.blob.data, base)
        if not file.sets:
            file = replace(file, sets=(tagged_kfuncs(btf),))
        kfuncs = (kfunc for kset in file.sets for kfunc in kset.kfuncs)
        return _Part(file, tuple(_as_built(btf, kfunc) for kfunc in kfuncs))
    except InputError:
        return _Part(file, ())  # its BTF is refused soon enough


def _as_built(btf: Btf, kfunc: KfuncId) -> KfuncFate:
    assert isinstance(kfunc.id, int)
    name = getattr(btf.type(kfunc.id), "name", "") if btf.has_id(kfunc.id) else ""
    why = registration_problem(btf, kfunc.id, kfunc.flags)
    return KfuncFate(name or f"id {kfunc.id}", why or "")


def play(
    files: Sequence[ModuleFile], vmlinux: Btf, policies: Iterable[Policy] = POLICIES
) -> list[ModuleFate]:
    """What becomes of each module under each policy, module by module."""
    parts = [_read_part(file, vmlinux) for file in files]
    fates = [fate for policy in policies for fate in _play(parts, vmlinux, policy)]
    order = {file.name: number for number, file in enumerate(files)}
    return sorted(fates, key=lambda fate: order[fate.module])


def _play(parts: Sequence[_Part], vmlinux: Btf, policy: Policy) -> list[ModuleFate]:
    config = KernelConfig(
        btf_vmlinux=policy.btf_vmlinux,
        kfunc_registration=policy.registration,
        early_module_btf=policy.early,
    )
    kernel = KernelBtf(config, Catalog(), vmlinux)
    loaded = [_load(kernel, part, policy) for part in parts]
    early = [one.btf_state if isinstance(one, Module) else ModuleBtf.NONE for one in loaded]
    kernel.vmlinux_btf()
    return [
        _fate(kernel, part, policy, one, state) if isinstance(one, Module) else one
        for part, one, state in zip(parts, loaded, early, strict=True)
    ]


def _load(kernel: KernelBtf, part: _Part, policy: Policy) -> Module | ModuleFate:
    """insmod: the module, or why there is none."""
    file, said = part.file, len(kernel.dmesg)
    data, base = (file.blob.data, file.blob.base) if file.blob else (b"", b"")
    try:
        return kernel.modules.load(file.name, data, file.sets, base=base)
    except InputError as problem:
        log = tuple(kernel.dmesg[said:])
        rejected = any(line.startswith("failed to validate") for line in log)
        number = problem.errno or errno.EINVAL
        state = "rejected" if rejected else "none" if number == errno.EEXIST else "parsed"
        return ModuleFate(file.name, policy, number, state, 0, part.kfuncs, log)


def _fate(
    kernel: KernelBtf, part: _Part, policy: Policy, module: Module, early: ModuleBtf
) -> ModuleFate:
    """A module that was loaded, after vmlinux BTF came."""
    state = str(module.btf_state)
    if early is ModuleBtf.STASHED and module.btf is not None:
        state = "kept"
    elif part.file.blob and part.file.blob.data and module.btf_state is ModuleBtf.NONE:
        state = "ignored"
    log = tuple(line for line in kernel.dmesg if _is_about(line, module.name))
    id = module.btf.id if module.btf else 0
    return ModuleFate(module.name, policy, 0, state, id, _kfunc_fates(kernel, part, module), log)


def _is_about(line: str, module: str) -> bool:
    return f"[{module}]" in line or line.startswith((f"BPF: {module}: ", f"module {module}: "))


def _kfunc_fates(kernel: KernelBtf, part: _Part, module: Module) -> tuple[KfuncFate, ...]:
    if module.btf is None:
        return tuple(KfuncFate(one.name, "the module has no BTF") for one in part.kfuncs)
    sets = ((kset, kfunc) for kset in part.file.sets for kfunc in kset.kfuncs)
    return tuple(
        _kfunc_fate(kernel, module, kset, kfunc, built)
        for (kset, kfunc), built in zip(sets, part.kfuncs, strict=True)
    )


def _kfunc_fate(
    kernel: KernelBtf, module: Module, kset: KfuncSet, kfunc: KfuncId, built: KfuncFate
) -> KfuncFate:
    """What a program that uses the kfunc is told."""
    assert module.btf is not None
    assert isinstance(kfunc.id, int)
    id = module.btf.built_id(kfunc.id)
    record = kernel.use_kfunc(module.name, id, HOOKS[kset.hook][0])
    if record is None:
        refused = f"calling kernel function {built.name} is not allowed: its set was refused"
        return KfuncFate(built.name, built.why or refused)
    if record.state is RecordState.BROKEN:
        return KfuncFate(built.name, record.why)
    return KfuncFate(built.name, call_problem(module.btf.btf, id) or "")
