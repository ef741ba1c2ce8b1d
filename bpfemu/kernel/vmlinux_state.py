"""The kernel's own BTF: built in, or a module that is loaded when somebody needs it.

::

    built in   ABSENT (none configured)   AVAILABLE ──first need──▶ READY, or FAILED for ever
    a module   ABSENT                     AVAILABLE ──first need──▶ LOADING ──▶ READY
                                              ▲                        └──▶ FAILED ──▶ tried again
                                              └── a provider appears ──────────┘

Parsing happens once, however many ask at the same time.  BTF notes, sections 5.1 and 5.4; the
carrier module is that of 5.3: it is known by its name, its blob must have the size and SHA-256
that the kernel image records, and it can never be unloaded.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import StrEnum
from threading import RLock
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf.check import check
from bpfemu.errors import BpfemuError, InputError
from bpfemu.kernel.btf_objects import BtfObject, BtfObjects
from bpfemu.record import dataclass

__all__ = ["CARRIER", "BtfLink", "BtfState", "Provider", "VmlinuxBtf", "parse_kernel_btf"]

CARRIER: Final = "btf_vmlinux"
"""The module that carries vmlinux BTF."""

Provider = Callable[[], bytes | None]
"""Where the blob comes from; None: not there (now)."""


class BtfState(StrEnum):
    """How far the kernel's own BTF has come."""

    ABSENT = "absent"
    AVAILABLE = "available"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BtfLink:
    """What the kernel image records of the blob that belongs to it."""

    size: int  # bytes
    sha256: str  # hex

    @classmethod
    def of(cls, blob: bytes) -> BtfLink:
        """The record of a blob."""
        from hashlib import sha256

        return cls(len(blob), sha256(blob).hexdigest())


def parse_kernel_btf(data: bytes, base: Btf | None, name: str) -> Btf:
    """Parse as the kernel parses BTF of its own (no resolving of references).

    InputError carries the kernel's errno and its words.
    """
    refusal = check(data, base, kernel=True)
    if refusal is not None:
        raise InputError(f"{name}: {refusal.message}", errno=refusal.errno)
    return Btf.parse(data, base, name)


class VmlinuxBtf:
    """The state machine; ``get`` is what everything in the kernel calls that needs types."""

    def __init__(
        self,
        provider: Provider | None,
        objects: BtfObjects,
        log: Callable[[str], None],
        *,
        module: bool = False,
        link: BtfLink | None = None,
        parse: Callable[[bytes], Btf] | None = None,
    ) -> None:
        self.is_module = module
        self.state = BtfState.ABSENT if provider is None else BtfState.AVAILABLE
        self.errno = 0  # why it failed
        self.parses = 0  # how often a blob was parsed
        self._provider = provider
        self._objects = objects
        self._log = log
        self._link = link
        self._parse = parse or (lambda data: parse_kernel_btf(data, None, "vmlinux"))
        self._object: BtfObject | None = None
        self._lock = RLock()
        self._when_ready: list[Callable[[], None]] = []

    def when_ready(self, action: Callable[[], None]) -> None:
        """Do something once, right after the BTF became ready."""
        self._when_ready.append(action)

    def provide(self, provider: Provider) -> None:
        """A provider appears (the module is installed); the next need tries it."""
        self._provider = provider
        if self.state is BtfState.ABSENT:
            self.state = BtfState.AVAILABLE

    @property
    def ready(self) -> BtfObject | None:
        """The object if it is there already; asking loads nothing."""
        return self._object

    def get(self) -> BtfObject | None:
        """The object, loaded now if need be; None on a kernel without BTF.

        OSError on a kernel whose built-in BTF is malformed: the error is kept for ever.  A
        carrier that is missing or wrong makes a kernel without BTF, until it can be had.
        """
        with self._lock:
            if self._object is not None:
                return self._object
            if not self.is_module:
                return self._get_built_in()
            if self._provider is not None:
                try:
                    self.accept(self._request())
                except OSError as problem:
                    self._fail(problem)
            return self._object

    def accept(self, blob: bytes) -> BtfObject:
        """Take the carrier's blob, checked against what the kernel image records; OSError."""
        with self._lock:
            if self._object is not None:
                raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
            self.state = BtfState.LOADING
            try:
                if self._link is not None and BtfLink.of(blob) != self._link:
                    raise OSError(errno.EINVAL, "vmlinux BTF does not belong to this kernel")
                return self._become_ready(blob)
            except OSError as problem:
                self._fail(problem)
                raise

    def _request(self) -> bytes:
        self.state = BtfState.LOADING
        assert self._provider is not None
        blob = self._provider()
        if blob is None:
            raise OSError(errno.ENOENT, f"module {CARRIER} is not there")
        return blob

    def _fail(self, problem: OSError) -> None:
        number = problem.errno or errno.EINVAL
        if self.errno != number:  # said once, however often it is tried
            self._log(f"BPF: vmlinux BTF: {problem.strerror}: {-number}")
        self.state, self.errno = BtfState.FAILED, number

    def _get_built_in(self) -> BtfObject | None:
        if self.state is BtfState.FAILED:
            raise OSError(self.errno, os.strerror(self.errno))
        if self._provider is None:
            return None
        self.state = BtfState.LOADING
        blob = self._provider()
        if blob is None:
            self.state = BtfState.ABSENT
            return None
        try:
            return self._become_ready(blob)
        except OSError as problem:
            self._fail(problem)
            raise

    def _become_ready(self, blob: bytes) -> BtfObject:
        self.parses += 1
        try:
            btf = self._parse(blob)
        except BpfemuError as problem:
            number = getattr(problem, "errno", None) or errno.EINVAL
            raise OSError(number, str(problem)) from problem
        self._object = self._objects.add(BtfObject(btf, "vmlinux"))
        self.state, self.errno = BtfState.READY, 0
        for action in self._when_ready:
            action()
        return self._object
