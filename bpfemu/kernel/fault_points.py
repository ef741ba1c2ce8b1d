"""The fault points there are, and what a call that is made to fail may return.

::

    fail_bpf_mem_alloc/512     a kind, and which of them: a size class, a function, a map, a lock
    fail_bpf_mem_alloc         all of that kind

The pattern of the names is the kernel's (failslab, fail_page_alloc, fail_function); the checks of
return values are those of ALLOW_ERROR_INJECTION: NULL, ERRNO and TRUE.
"""

from __future__ import annotations

from errno import EFAULT, EINVAL, ENOMEM
from typing import Final

from bpfemu.errors import InputError
from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_RELEASE, KF_RET_NULL
from bpfemu.proto.helper_facts import helper_fact
from bpfemu.proto.layout import IntType, PtrType
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.spec import HelperSpec, KfuncSpec

__all__ = [
    "LOCKS",
    "POINTS",
    "Points",
    "default_retval",
    "errno_of",
    "etype_of",
    "split_point",
]

POINTS: Final = {
    "fail_bpf_mem_alloc": "bpf_mem_alloc gives NULL; /SIZE: units of that many bytes",
    "failslab": "refills get nothing from the slab; /SIZE: for units of that many bytes",
    "fail_kfunc": "a kfunc returns an error instead of running; /NAME",
    "fail_helper": "a helper returns an error instead of running; /NAME",
    "fail_map_update": "bpf_map_update_elem returns an errno; /MAP",
    "fail_lock": "a trylock fails; /mmap_lock, /alloc_lock or /vma_lock",
    "fail_user_access": "a user address faults",
    "fail_btf_load": "the kernel refuses the object's BTF",
}
LOCKS: Final = ("mmap_lock", "alloc_lock", "vma_lock")
MAX_ERRNO: Final = 4095

_SIZED: Final = ("fail_bpf_mem_alloc", "failslab")
_CALLS: Final = ("fail_kfunc", "fail_helper")
_ERRNOS: Final = {
    "fail_map_update": -ENOMEM,
    "fail_user_access": -EFAULT,
    "fail_btf_load": -ENOMEM,
}


def split_point(point: str) -> tuple[str, str]:
    """(kind, which), "" for all of them; InputError for a kind that there is not."""
    kind, slash, which = point.partition("/")
    if kind not in POINTS:
        raise InputError(f"no fault point {point!r}; there are {', '.join(POINTS)}")
    if slash and not which:
        raise InputError(f"fault point {point!r}: nothing follows the /")
    return kind, which


def etype_of(spec: KfuncSpec | HelperSpec) -> str:
    """How a function fails: "NULL", "ERRNO", "TRUE", or "" when it cannot."""
    returns = spec.returns
    if isinstance(spec, KfuncSpec) and spec.flags & (KF_RELEASE | KF_ITER_DESTROY):
        return ""
    if isinstance(returns, PtrType):
        if isinstance(spec, HelperSpec):
            return "NULL" if helper_fact(spec.number).or_null else ""
        return "NULL" if spec.flags & KF_RET_NULL else ""
    if not isinstance(returns, IntType):
        return ""
    if returns.name == "bool":
        return "TRUE"
    if isinstance(spec, HelperSpec) and helper_fact(spec.number).releases >= 0:
        return ""
    return "ERRNO" if returns.signed else ""


def default_retval(etype: str) -> int:
    """What fail_function returns unless told otherwise."""
    return {"NULL": 0, "ERRNO": -EINVAL, "TRUE": 1}[etype]


class Points:
    """Checks what is set against what a kernel has."""

    def __init__(self, catalog: Catalog, profile: KernelProfile) -> None:
        self._catalog = catalog
        self._profile = profile

    def check(self, point: str, attr: FaultAttr) -> None:
        """InputError when there is no such point, or it cannot return ``attr.retval``."""
        kind, which = split_point(point)
        if which and kind in _SIZED and not (which.isdecimal() and int(which)):
            raise InputError(f"{point}: {which!r} is no size in bytes")
        if which and kind == "fail_lock" and which not in LOCKS:
            raise InputError(f"{point}: no lock {which!r}; there are {', '.join(LOCKS)}")
        if which and kind in ("fail_user_access", "fail_btf_load"):
            raise InputError(f"{point}: {kind} has no parts")
        if which and kind in _CALLS:
            self._check_call(kind, which, attr.retval)
        elif attr.retval is not None:
            if kind not in _ERRNOS:
                raise InputError(f"{point}: there is no return value to choose")
            _check_errno(point, attr.retval)

    def kind_of(self, name: str) -> str:
        """ "fail_kfunc" or "fail_helper", whichever a function of that name is."""
        if self._catalog.find_kfunc(name, self._profile) is not None:
            return "fail_kfunc"
        if self._helper(name) is not None:
            return "fail_helper"
        raise InputError(f"kernel {self._profile.name} has no kfunc or helper {name!r}")

    def _helper(self, name: str) -> HelperSpec | None:
        return next((s for s in self._catalog.helpers.values() if s.name == name), None)

    def _check_call(self, kind: str, name: str, retval: int | None) -> None:
        spec = (
            self._catalog.find_kfunc(name, self._profile)
            if kind == "fail_kfunc"
            else self._helper(name)
        )
        if spec is None:
            raise InputError(
                f"kernel {self._profile.name} has no {kind.removeprefix('fail_')} {name!r}"
            )
        etype = etype_of(spec)
        if not etype:
            raise InputError(f"{kind}/{name}: {_why_not(spec)}")
        if retval is None:
            return
        if etype == "NULL" and retval:
            raise InputError(f"{kind}/{name} returns a pointer: it fails with NULL, not {retval}")
        if etype == "TRUE" and retval not in (0, 1):
            raise InputError(f"{kind}/{name} returns a bool: it fails with 0 or 1, not {retval}")
        if etype == "ERRNO":
            _check_errno(f"{kind}/{name}", retval)


def errno_of(kind: str, attr: FaultAttr) -> int:
    """The negative errno that a point of that kind gives."""
    return _ERRNOS[kind] if attr.retval is None else attr.retval


def _check_errno(what: str, retval: int) -> None:
    if not -MAX_ERRNO <= retval < 0:
        rule = f"must be a negative errno, from -{MAX_ERRNO} to -1"
        raise InputError(f"{what}: retval is {retval}, {rule}")


def _why_not(spec: KfuncSpec | HelperSpec) -> str:
    if spec.returns is None:
        return "it returns nothing, so it cannot fail"
    if isinstance(spec, KfuncSpec) and spec.flags & (KF_RELEASE | KF_ITER_DESTROY):
        return "it releases its argument, so it cannot fail"
    if isinstance(spec.returns, PtrType):
        return "it never returns NULL"
    if isinstance(spec, HelperSpec) and helper_fact(spec.number).releases >= 0:
        return "it releases its argument, so it cannot fail"
    return "its result is unsigned, so it cannot be a negative errno"
