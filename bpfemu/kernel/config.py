"""How a kernel and a run are set up: all defaults in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bpfemu.errors import InputError
from bpfemu.machine.machine import DEFAULT_BUDGET
from bpfemu.proto.profile import DEFAULT_PROFILE, PROFILES, KernelProfile
from bpfemu.record import dataclass, field

if TYPE_CHECKING:
    from bpfemu.kernel.fault_attr import FaultAttr
    from bpfemu.world.spec import World

__all__ = ["CONTEXTS", "MAX_CPUS", "KernelConfig", "RunOptions"]

CONTEXTS: Final = ("task", "softirq", "hardirq", "nmi", "irqoff")
"""Where a program can run: iterator notes, section 4.1; "irqoff" is a task with interrupts off."""

_CHOICES: Final = {
    "btf_vmlinux": ("builtin", "module"),
    "kfunc_registration": ("eager", "lazy"),
    "early_module_btf": ("keep", "ignore"),
    "btf_mmap": ("profile", "v2", "v3", "merged", "none"),
    "kallsyms": ("all", "functions", "restricted"),
}

MAX_CPUS: Final = 8192  # x86-64 NR_CPUS with MAXSMP


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """One emulated kernel.

    ``insn_ns`` and ``call_ns`` are how long an instruction and a call out take on the emulated
    CPU.  ``stale_units``: what bpf_mem_free gave back stays readable, as on a real kernel, instead
    of faulting.  ``r0_garbage``: the upper half of r0 after a 32-bit kfunc comes from the seed
    instead of being zero as on x86-64.  ``grace_periods``: RCU grace periods end with each run.

    ``btf_vmlinux``: the kernel's BTF is "builtin", or a "module" that is loaded at the first need.
    ``kfunc_registration``: kfunc sets are checked when registered ("eager") or when a program
    first uses one ("lazy").  ``early_module_btf``: what happens to the BTF of modules that come
    before a vmlinux BTF that is a module: "keep" it until then, or "ignore" it.
    ``btf_mismatch``: CONFIG_MODULE_ALLOW_BTF_MISMATCH.  ``btf_mmap``: which version of the mmap
    handler vmlinux BTF has; the profile's, "v2", "v3", "merged" or "none".  ``kallsyms``: what it
    knows: "all", "functions" (no CONFIG_KALLSYMS_ALL, so no variables), or "restricted": all, but
    /proc/kallsyms shows zeros.
    """

    profile: KernelProfile = PROFILES[DEFAULT_PROFILE]
    cpus: int = 2  # possible CPUs
    seed: int = 0
    world: World | None = None
    budget: int = DEFAULT_BUDGET  # instructions per run
    insn_ns: int = 10
    call_ns: int = 100
    stale_units: bool = False
    r0_garbage: bool = False
    grace_periods: bool = True
    btf_vmlinux: str = "builtin"
    kfunc_registration: str = "eager"
    early_module_btf: str = "keep"
    btf_mismatch: bool = False
    btf_mmap: str = "profile"
    faults: Mapping[str, FaultAttr] = field(default_factory=dict)  # by fault point
    kallsyms: str = "all"

    def __post_init__(self) -> None:
        for name, words in _CHOICES.items():
            if getattr(self, name) not in words:
                text = f"{name} is {getattr(self, name)!r}, must be one of {', '.join(words)}"
                raise InputError(text)
        if not 1 <= self.cpus <= MAX_CPUS:
            raise InputError(f"cpus is {self.cpus}, must be from 1 to {MAX_CPUS}")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, must be a number from 0 up")
        if self.budget < 1:
            raise InputError(f"budget is {self.budget} instructions, must be at least 1")

    @property
    def types_at_hand(self) -> bool:
        """Whether the kernel's types are there and checked before any program is loaded."""
        return self.btf_vmlinux == "builtin" and self.kfunc_registration == "eager"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One run: the context it gets, where and for whom it runs.

    ``ctx`` are the context's bytes, its fields by name, or its arguments in order; ``data_in`` the
    packet; ``task`` the pid of the current task (None: the world's); ``budget`` overrides the
    kernel's.
    """

    ctx: bytes | Mapping[str, object] | Sequence[object] | None = None
    data_in: bytes | None = None
    task: int | None = None
    cpu: int = 0
    context: str = "task"
    repeat: int = 1
    budget: int | None = None

    def __post_init__(self) -> None:
        if self.context not in CONTEXTS:
            raise InputError(f"context {self.context!r} must be one of {', '.join(CONTEXTS)}")
        if self.repeat < 1:
            raise InputError(f"repeat is {self.repeat}, must be at least 1")
