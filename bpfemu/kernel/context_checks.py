"""Step 2 of the call gate: may this function be called here and now?

Each ``…_rule`` looks at a spec's flags once and returns a check to run at every call, or None
when there is nothing to check.  Messages are the verifier's (notes 2.3 and 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from bpfemu.kernel.ledger import Ledger, refuse
from bpfemu.machine.stop import FaultKind
from bpfemu.proto.flags import KF_RCU_PROTECTED, KF_SLEEPABLE
from bpfemu.proto.spec import HelperSpec, KfuncSpec

if TYPE_CHECKING:
    from bpfemu.kernel.cpu import Cpus
    from bpfemu.kernel.locks import LockTable
    from bpfemu.kernel.rcu import ReadCopyUpdate

__all__ = ["ALLOWED_UNDER_LOCK", "Check", "lock_rule", "rcu_rule", "section_rule", "sleep_rule"]

Check: TypeAlias = Callable[[], None]

BPF_FUNC_SPIN_UNLOCK: Final = 94

ALLOWED_UNDER_LOCK: Final = frozenset(
    {
        "bpf_iter_num_new",
        "bpf_iter_num_next",
        "bpf_iter_num_destroy",
        "bpf_list_push_front_impl",
        "bpf_list_push_back_impl",
        "bpf_list_pop_front",
        "bpf_list_pop_back",
        "bpf_list_front",
        "bpf_list_back",
        "bpf_rbtree_add_impl",
        "bpf_rbtree_remove",
        "bpf_rbtree_first",
        "bpf_rbtree_root",
        "bpf_rbtree_left",
        "bpf_rbtree_right",
        "bpf_refcount_acquire_impl",
        "bpf_res_spin_unlock",
        "bpf_res_spin_unlock_irqrestore",
    }
)


def sleep_rule(
    spec: KfuncSpec | HelperSpec,
    cpus: Cpus,
    rcu: ReadCopyUpdate,
    ledger: Callable[[], Ledger],
) -> Check | None:
    """KF_SLEEPABLE and helpers that may sleep."""
    if isinstance(spec, HelperSpec):
        return _helper_sleep_rule(spec, cpus, rcu, ledger) if spec.mark.sleepable else None
    if not spec.flags & KF_SLEEPABLE:
        return None
    name = spec.name

    def check() -> None:
        if not cpus.program_sleepable:
            raise refuse(
                FaultKind.CONTEXT, f"program must be sleepable to call sleepable kfunc {name}"
            )
        for inside, region in _regions(cpus, rcu, ledger()):
            if inside:
                raise refuse(
                    FaultKind.CONTEXT, f"kernel func {name} is sleepable within {region} region"
                )

    return check


def _regions(cpus: Cpus, rcu: ReadCopyUpdate, ledger: Ledger) -> tuple[tuple[bool, str], ...]:
    return (
        (bool(rcu.explicit), "rcu_read_lock"),
        (bool(ledger.preempt), "non-preemptible"),
        (bool(ledger.irq_flags) or cpus.irqs_disabled(), "IRQ-disabled"),
    )


def _helper_sleep_rule(
    spec: HelperSpec, cpus: Cpus, rcu: ReadCopyUpdate, ledger: Callable[[], Ledger]
) -> Check:
    name = f"{spec.name.removeprefix('bpf_')}#{spec.number}"

    def check() -> None:
        if not cpus.program_sleepable:
            raise refuse(FaultKind.CONTEXT, "helper call might sleep in a non-sleepable prog")
        for inside, region in _regions(cpus, rcu, ledger()):
            if inside:
                raise refuse(FaultKind.CONTEXT, f"sleepable helper bpf_{name} in {region} region")

    return check


def rcu_rule(spec: KfuncSpec | HelperSpec, rcu: ReadCopyUpdate, locks: LockTable) -> Check | None:
    """KF_RCU_PROTECTED: an RCU section, a spin lock, or a program that cannot sleep."""
    if isinstance(spec, HelperSpec) or not spec.flags & KF_RCU_PROTECTED:
        return None
    name = spec.name

    def check() -> None:
        if not rcu.in_section() and not locks.own:
            raise refuse(
                FaultKind.CONTEXT,
                f"kernel func {name} requires RCU critical section protection",
            )

    return check


def lock_rule(spec: KfuncSpec | HelperSpec, locks: LockTable) -> Check | None:
    """While a bpf_spin_lock is held almost nothing may be called."""
    if isinstance(spec, HelperSpec):
        if spec.number == BPF_FUNC_SPIN_UNLOCK:
            return None
    elif spec.name in ALLOWED_UNDER_LOCK:
        return None
    own = locks.own

    def check() -> None:
        if own:
            raise refuse(
                FaultKind.LOCK_STATE, "function calls are not allowed while holding a lock"
            )

    return check


def section_rule(name: str, rcu: ReadCopyUpdate, ledger: Callable[[], Ledger]) -> Check | None:
    """Pairs: RCU sections and preempt-off regions, told by the function's name."""

    def read_lock() -> None:
        if rcu.explicit:
            raise refuse(FaultKind.LOCK_STATE, f"nested rcu read lock (kernel function {name})")

    def read_unlock() -> None:
        if not rcu.explicit:
            raise refuse(
                FaultKind.LOCK_STATE, f"unmatched rcu read unlock (kernel function {name})"
            )

    def preempt_enable() -> None:
        if not ledger().preempt:
            raise refuse(
                FaultKind.LOCK_STATE,
                f"unmatched attempt to enable preemption (kernel function {name})",
            )

    return {
        "bpf_rcu_read_lock": read_lock,
        "bpf_rcu_read_unlock": read_unlock,
        "bpf_preempt_enable": preempt_enable,
    }.get(name)
