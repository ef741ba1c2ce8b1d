"""Registration of kfuncs: sets of BTF ids with flags, by hook, checked at once or at first use.

::

    eager   register: every id of the set is checked, one bad id refuses the set
    lazy    register: (name or id, flags) are RECORDED
            first program that uses one: RECORDED ──▶ VALID, or BROKEN(errno) from then on

Functions return 0 or a negative errno, as the kernel's do; a module's init hands that on.  BTF
notes, sections 5.1, 5.4, 9.1 and 9.7.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Protocol

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import InputError
from bpfemu.kernel.btf_objects import BtfObject
from bpfemu.kernel.kfunc_protos import destructor_problem, registration_problem
from bpfemu.record import dataclass, field

__all__ = [
    "HOOKS",
    "KfuncFilter",
    "KfuncId",
    "KfuncRecord",
    "KfuncSet",
    "KfuncTable",
    "Owners",
    "RecordState",
    "hook_of",
]

HOOKS: Final[dict[str, tuple[int, ...]]] = {
    "common": (0,),
    "xdp": (6,),
    "tc": (3,),
    "struct_ops": (27,),
    "tracing": (26, 5, 7, 29),
    "syscall": (31,),
    "fmodret": (),
    "cgroup": (8, 9, 15, 18, 25, 23, 13),
    "sched_act": (4,),
    "sk_skb": (14,),
    "socket_filter": (1,),
    "lwt": (10, 11, 12, 19),
    "netfilter": (32,),
    "kprobe": (2,),
}
"""Hook → BPF_PROG_TYPE_* numbers; sets for "common" are there for every type."""

_MOST_IDS: Final = 256  # per hook
_MOST_FILTERS: Final = 16  # per hook
_MOST_DESTRUCTORS: Final = 256  # per BTF, exclusive

KfuncFilter = Callable[[int, int], bool]
"""A hook's filter: (program type, BTF id) → whether it vetoes the kfunc."""


def hook_of(prog_type: int) -> str | None:
    """The hook of a program type; None for types that only have the common kfuncs."""
    return next((hook for hook, types in HOOKS.items() if prog_type in types), None)


@dataclass(frozen=True, slots=True)
class KfuncId:
    """A kfunc in a set: a BTF id as ``.BTF_ids`` holds it, or a name still to be resolved."""

    id: int | str
    flags: int = 0  # KF_* bits


@dataclass(frozen=True, slots=True)
class KfuncSet:
    """A set of kfuncs for one hook (a key of HOOKS; another word is a type without a hook)."""

    hook: str
    kfuncs: tuple[KfuncId, ...]
    filter: KfuncFilter | None = None
    marked: bool = True  # BTF_SET8_KFUNCS: "these are kfuncs"


class RecordState(StrEnum):
    """What is known of a registered kfunc."""

    RECORDED = "recorded"
    VALID = "valid"
    BROKEN = "broken"


@dataclass(slots=True)
class KfuncRecord:
    """A registered kfunc; ``errno`` and ``why`` say what is wrong with a broken one."""

    owner: str  # "" is the kernel itself, else a module
    hook: str
    kfunc: KfuncId
    state: RecordState = RecordState.RECORDED
    id: int = 0  # in the running kernel's BTF, 0 while it is not known
    errno: int = 0
    why: str = ""


@dataclass(slots=True)
class _Hook:
    records: list[KfuncRecord] = field(default_factory=list)
    filters: list[KfuncFilter] = field(default_factory=list)


class Owners(Protocol):
    """Who registers: what the table asks about the kernel and its modules."""

    def btf_of(self, owner: str) -> BtfObject | None:
        """The owner's BTF if it has any now; OSError when the kernel's own is malformed."""

    def btf_configured(self) -> bool:
        """CONFIG_DEBUG_INFO_BTF."""

    def log(self, text: str) -> None:
        """A line of the kernel's log."""


class KfuncTable:
    """What was registered, by owner and hook."""

    def __init__(self, owners: Owners, *, lazy: bool = False) -> None:
        self._owners = owners
        self.lazy = lazy
        self.checks = 0  # how often a kfunc's BTF was looked at
        self._hooks: dict[str, dict[str, _Hook]] = {}
        self._destructors: dict[str, dict[int, int]] = {}

    # --- registering -----------------------------------------------------------------------

    def register(self, owner: str, kset: KfuncSet) -> int:
        """register_btf_kfunc_id_set(); 0 or a negative errno."""
        if self.lazy:
            self._record(owner, kset)
            return 0
        if not kset.marked:
            if not owner:
                self._owners.log(f"WARNING: kfunc set for hook {kset.hook} has no kfunc marker")
            return -errno.EINVAL
        try:
            found = self._owners.btf_of(owner)
        except OSError as problem:
            return -(problem.errno or errno.EINVAL)
        if found is None:
            return self.missing_btf(owner, "kfunc")
        records = [KfuncRecord(owner, kset.hook, kfunc) for kfunc in kset.kfuncs]
        if not all(self._validate(record, found) for record in records):
            return -errno.EINVAL
        return self._store(owner, kset, records)

    def missing_btf(self, owner: str, feature: str) -> int:
        """What registering a feature does when the owner has no BTF."""
        if owner:
            self._owners.log(f"missing module BTF, cannot register {feature}")
            return 0
        if not self._owners.btf_configured():
            return 0
        self._owners.log(f"missing vmlinux BTF, cannot register {feature}")
        return -errno.ENOENT

    def _store(self, owner: str, kset: KfuncSet, records: list[KfuncRecord]) -> int:
        """Keep a checked set; a failure here drops everything the owner had registered."""
        if kset.hook in HOOKS and not records:
            return 0
        number = self._storing_errno(owner, kset)
        if number:
            if number == errno.EINVAL and kset.hook in HOOKS:
                self._owners.log(f"WARNING: {owner} registers hook {kset.hook} twice")
            self._hooks.pop(owner, None)
            return -number
        self._keep(owner, kset, records)
        return 0

    def _storing_errno(self, owner: str, kset: KfuncSet) -> int:
        if kset.hook not in HOOKS:
            return errno.EINVAL
        there = self._hooks.get(owner, {}).get(kset.hook, _Hook())
        new_filter = kset.filter is not None and kset.filter not in there.filters
        if new_filter and len(there.filters) >= _MOST_FILTERS:
            return errno.E2BIG
        if owner and there.records:
            return errno.EINVAL
        return errno.E2BIG if len(there.records) + len(kset.kfuncs) > _MOST_IDS else 0

    def _keep(self, owner: str, kset: KfuncSet, records: list[KfuncRecord]) -> None:
        there = self._hooks.setdefault(owner, {}).setdefault(kset.hook, _Hook())
        there.records += records
        if kset.filter is not None and kset.filter not in there.filters:
            there.filters.append(kset.filter)

    def _record(self, owner: str, kset: KfuncSet) -> None:
        """Lazy: note names and ids; what is wrong with the set itself breaks its kfuncs."""
        number = self._storing_errno(owner, kset) if kset.marked else errno.EINVAL
        records = [KfuncRecord(owner, kset.hook, kfunc) for kfunc in kset.kfuncs]
        if number:
            for record in records:
                why = f"its set for hook {kset.hook} cannot be registered"
                record.state, record.errno, record.why = RecordState.BROKEN, number, why
        self._keep(owner, kset, records)

    def register_destructors(self, owner: str, pairs: Sequence[tuple[int, int]]) -> int:
        """register_btf_id_dtor_kfuncs(): pairs of struct id and FUNC id, as built."""
        try:
            found = self._owners.btf_of(owner)
        except OSError as problem:
            return -(problem.errno or errno.EINVAL)
        if found is None:
            return self.missing_btf(owner, "dtor kfuncs")
        there = self._destructors.get(owner, {})
        if len(pairs) >= _MOST_DESTRUCTORS:
            return -errno.E2BIG
        made = {found.built_id(struct): found.built_id(func) for struct, func in pairs}
        if any(destructor_problem(found.btf, func) for func in made.values()):
            return -errno.EINVAL
        if owner and there:
            return -errno.EINVAL
        if len(there) + len(pairs) >= _MOST_DESTRUCTORS:
            return -errno.E2BIG
        self._destructors[owner] = {**there, **made}
        return 0

    def unregister(self, owner: str) -> None:
        """A module is gone, with everything it registered."""
        self._hooks.pop(owner, None)
        self._destructors.pop(owner, None)

    # --- using -----------------------------------------------------------------------------

    def records(self, owner: str | None = None) -> Iterator[KfuncRecord]:
        """Everything registered, or what one owner registered."""
        for name, hooks in self._hooks.items():
            if owner is None or name == owner:
                for there in hooks.values():
                    yield from there.records

    def destructor(self, owner: str, struct_id: int) -> int | None:
        """The FUNC id of a struct's destructor."""
        return self._destructors.get(owner, {}).get(struct_id)

    def use(self, owner: str, id: int, prog_type: int) -> KfuncRecord | None:
        """The kfunc as a program of that type may call it; None: not allowed.

        In lazy mode its BTF is checked now, if this is the first use; a broken one stays broken.
        """
        hooks = self._hooks.get(owner, {})
        for name in ("common", hook_of(prog_type)):
            there = hooks.get(name) if name else None
            if there is None or any(veto(prog_type, id) for veto in there.filters):
                continue
            for record in there.records:
                if self._is(record, id):
                    return record
        return None

    def _is(self, record: KfuncRecord, id: int) -> bool:
        """Whether a record is the kfunc with that id; a recorded one is checked if it is."""
        found = self._owners.btf_of(record.owner)
        if found is None:
            return False
        if not record.id:
            record.id = _resolve(found, record.kfunc)
        if record.id != id:
            return False
        if record.state is RecordState.RECORDED and not self._validate(record, found):
            self._owners.log(f"BPF: kfunc of {record.owner or 'vmlinux'}: {record.why}")
        return True

    def _validate(self, record: KfuncRecord, found: BtfObject) -> bool:
        """Look at the BTF of a kfunc, once."""
        self.checks += 1
        record.id = _resolve(found, record.kfunc)
        why = registration_problem(found.btf, record.id, record.kfunc.flags)
        if why is None:
            record.state = RecordState.VALID
            return True
        record.state, record.errno, record.why = RecordState.BROKEN, errno.EINVAL, why
        return False


def _resolve(found: BtfObject, kfunc: KfuncId) -> int:
    """The id in the running kernel; 0 for a name that is not there, as resolve_btfids leaves it."""
    if isinstance(kfunc.id, int):
        return found.built_id(kfunc.id)
    return own_function(found.btf, kfunc.id) or 0


def own_function(btf: Btf, name: str) -> int | None:
    """The FUNC of that name among a BTF's own types."""
    return next((id for id in btf.find_all(name, k.Func) if id >= btf.start_id), None)


def need_hook(hook: str) -> str:
    """A hook's name as given by a person; InputError lists those there are."""
    if hook not in HOOKS:
        raise InputError(f"no kfunc hook {hook!r}; there are {', '.join(HOOKS)}")
    return hook
