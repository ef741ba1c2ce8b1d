"""Kfunc calls as the verifier finds them: (imm, off) and fd_array → a function, or a refusal.

::

    call   src_reg 2   imm = BTF id of the FUNC   off = 0: vmlinux, n > 0: fd_array[n]

``KfuncCalls`` looks at every call instruction of one program, reachable or not; ``FdArray`` is the
loader's side, which gives each module a slot.  BTF notes, sections 7.3 and 9.3.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final, Protocol

from bpfemu.btf import kinds as k
from bpfemu.errors import BindError
from bpfemu.kernel.btf_objects import BtfObject, BtfObjects
from bpfemu.kernel.kfunc_protos import call_problem
from bpfemu.kernel.registration import KfuncRecord, RecordState
from bpfemu.record import dataclass

__all__ = ["ENOTSUPP", "CallerRights", "FdArray", "FoundKfunc", "KfuncCalls", "KfuncWorld"]

ENOTSUPP: Final = 524
_MOST_CALLS: Final = 256  # different kfuncs, and different module BTFs, of one program
_MOST_SLOTS: Final = 32767


@dataclass(frozen=True, slots=True)
class CallerRights:
    """What of a program and its loader decides about kfunc calls."""

    prog_type: int  # BPF_PROG_TYPE_*
    gpl: bool = True
    cap_bpf: bool = True
    jit: bool = True


@dataclass(frozen=True, slots=True)
class FoundKfunc:
    """A kfunc that a call may go to."""

    name: str
    module: str  # "" is vmlinux
    id: int
    flags: int  # KF_* bits
    addr: int


class KfuncWorld(Protocol):
    """What finding a kfunc needs of the kernel."""

    objects: BtfObjects

    def vmlinux_btf(self) -> BtfObject | None:
        """The kernel's BTF, loaded now if need be."""

    def pin(self, name: str) -> object:
        """Take a reference on a module; OSError with ENXIO while it is not live."""

    def unpin(self, pinned: object) -> None:
        """Give a reference back."""

    def use_kfunc(self, owner: str, id: int, prog_type: int) -> KfuncRecord | None:
        """The registered kfunc, if that program type may call it."""

    def find_symbol(self, name: str) -> int | None:
        """kallsyms."""


class FdArray:
    """The loader's fd_array: slot 0 is left to vmlinux, each module gets the next one."""

    def __init__(self) -> None:
        self.fds: list[int] = [0]
        self._slots: dict[int, int] = {}

    def slot(self, fd: int) -> int:
        """The ``off`` for calls into the module behind a descriptor."""
        found = self._slots.get(fd)
        if found is None:
            if len(self.fds) > _MOST_SLOTS:
                raise BindError(f"fd_array has {_MOST_SLOTS} slots", errno=errno.E2BIG)
            found = self._slots[fd] = len(self.fds)
            self.fds.append(fd)
        return found


class KfuncCalls:
    """The kfuncs of one program under verification; ``close`` gives its modules back."""

    def __init__(
        self, world: KfuncWorld, rights: CallerRights, fd_array: Sequence[int] | None = None
    ) -> None:
        self._world = world
        self._rights = rights
        self._fd_array = fd_array
        self._btfs: dict[int, BtfObject] = {}
        self._pinned: list[object] = []
        self._known: dict[tuple[int, int], FoundKfunc] = {}

    @property
    def found(self) -> list[FoundKfunc]:
        """The different kfuncs found so far."""
        return list(self._known.values())

    def add(self, imm: int, off: int = 0) -> FoundKfunc | None:
        """One call instruction; None for the call 0 that dead code elimination must remove.

        BindError has the verifier's words and errno.
        """
        self._check_rights()
        if not imm and not off:
            return None
        known = self._known.get((imm, off))
        if known is not None:
            return known
        if len(self._known) >= _MOST_CALLS:
            raise _refusal("too many different kernel function calls", errno.E2BIG)
        btf = self._btf_at(off)
        found = self._known[imm, off] = self._find(btf, imm)
        return found

    def call(self, imm: int, off: int = 0) -> FoundKfunc:
        """As the call is checked when the simulation reaches it: it must be allowed."""
        found = self.add(imm, off)
        if found is None:
            text = "invalid kernel function call not eliminated in verifier pass"
            raise _refusal(text, errno.EINVAL)
        return check_registered(self._world, found, self._rights.prog_type)

    def close(self) -> None:
        """The program is gone, or was refused."""
        for pinned in self._pinned:
            self._world.unpin(pinned)
        for btf in self._btfs.values():
            self._world.objects.put(btf)
        self._pinned, self._btfs = [], {}

    def _check_rights(self) -> None:
        if not self._rights.cap_bpf:
            text = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and "
            raise _refusal(text + "CAP_SYS_ADMIN", errno.EPERM)
        if self._world.vmlinux_btf() is None:
            text = "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF"
            raise _refusal(text, ENOTSUPP)
        if not self._rights.jit:
            raise _refusal("JIT is required for calling kernel function", ENOTSUPP)
        if not self._rights.gpl:
            text = "cannot call kernel function from non-GPL compatible program"
            raise _refusal(text, errno.EINVAL)

    def _btf_at(self, off: int) -> BtfObject:
        if off == 0:
            found = self._world.vmlinux_btf()
            assert found is not None
            return found
        if off < 0:
            text = "negative offset disallowed for kernel module function call"
            raise _refusal(text, errno.EINVAL)
        if off in self._btfs:
            return self._btfs[off]
        if len(self._btfs) >= _MOST_CALLS:
            raise _lost("too many different module BTFs", errno.E2BIG)
        if self._fd_array is None:
            raise _lost("kfunc offset > 0 without fd_array is invalid", errno.EPROTO)
        if off >= len(self._fd_array):
            raise _lost("fd_array cannot be read there", errno.EFAULT)
        try:
            found = self._world.objects.at_fd(self._fd_array[off])
        except OSError as problem:
            raise _lost("invalid module BTF fd specified", problem.errno or 0) from None
        if not found.is_module:
            raise _lost("BTF fd for kfunc is not a module BTF", errno.EINVAL)
        try:
            self._pinned.append(self._world.pin(found.name))
        except OSError as problem:
            raise _lost(str(problem.strerror), problem.errno or errno.ENXIO) from None
        self._btfs[off] = self._world.objects.hold(found)
        return found

    def _find(self, btf: BtfObject, id: int) -> FoundKfunc:
        problem = call_problem(btf.btf, id)
        if problem is not None and not problem.startswith("The function"):
            raise _refusal(problem, errno.EINVAL)
        func = btf.btf.type(id)
        assert isinstance(func, k.Func)
        addr = self._world.find_symbol(func.name)
        if addr is None:
            text = f"cannot find address for kernel function {func.name}"
            raise _refusal(text, errno.EINVAL)
        if problem is not None:
            raise _refusal(problem, errno.EINVAL)
        return FoundKfunc(func.name, btf.name if btf.is_module else "", id, 0, addr)


def check_registered(world: KfuncWorld, found: FoundKfunc, prog_type: int) -> FoundKfunc:
    """A kfunc with its flags, if programs of that type may call it and its BTF is not broken."""
    record = world.use_kfunc(found.module, found.id, prog_type)
    if record is None:
        raise _refusal(f"calling kernel function {found.name} is not allowed", errno.EACCES)
    if record.state is RecordState.BROKEN:
        raise _refusal(record.why, record.errno)
    return FoundKfunc(found.name, found.module, found.id, record.kfunc.flags, found.addr)


def _refusal(text: str, number: int) -> BindError:
    return BindError(text, errno=number)


def _lost(text: str, number: int) -> BindError:
    return BindError(f"{text}; failed to find BTF for kernel function", errno=number)
