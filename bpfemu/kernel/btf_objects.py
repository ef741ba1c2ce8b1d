"""BTF objects of the kernel: ids, file descriptors, references, and what user space asks of them.

``BtfObjects`` answers BPF_BTF_GET_NEXT_ID, BPF_BTF_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD and close.
What a process would see as an errno is an OSError with that errno.  BTF notes, sections 3.9, 6.7
and 6.8.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf.distill import Relocated
from bpfemu.errors import ObjectError
from bpfemu.record import dataclass

__all__ = ["BtfInfo", "BtfObject", "BtfObjects", "find_module_btfs"]

_MOST_IDS: Final = 0x7FFFFFFF
_FIRST_FD: Final = 3


class BtfObject:
    """A ``struct btf``: types with an id, counted references and, for kernel BTF, a name."""

    __slots__ = ("btf", "freed", "id", "kernel", "name", "references", "relocated")

    def __init__(
        self, btf: Btf, name: str = "", *, kernel: bool = True, relocated: Relocated | None = None
    ) -> None:
        self.btf = btf
        self.name = name  # "vmlinux", a module's name, "" for a program's BTF
        self.kernel = kernel
        self.relocated = relocated  # how ids of a distilled base were translated
        self.id = 0  # 0: none yet, or its module is gone
        self.references = 1
        self.freed = False

    def __repr__(self) -> str:
        return f"<BtfObject {self.id} {self.name or 'of a program'}>"

    @property
    def is_module(self) -> bool:
        """Whether a module brought it."""
        return self.kernel and self.name != "vmlinux"

    @property
    def data(self) -> bytes:
        """Its own bytes: of a module the split part only, as relocated."""
        return self.btf.raw

    def built_id(self, id: int) -> int:
        """Translate an id that the module was built with into one of the running kernel."""
        return self.relocated.id(id) if self.relocated else id


@dataclass(frozen=True, slots=True)
class BtfInfo:
    """struct bpf_btf_info; ``errno`` is ENOSPC when the name did not fit, all else is filled."""

    id: int
    btf: bytes  # as much as was asked for
    btf_size: int  # bytes there are
    name: str  # cut to the buffer
    name_len: int  # bytes of the whole name
    kernel_btf: bool
    errno: int = 0


class BtfObjects:
    """Every BTF object that has an id, and the file descriptors on them."""

    def __init__(self) -> None:
        self._by_id: dict[int, BtfObject] = {}
        self._last_id = 0
        self._files: dict[int, object] = {}

    # --- ids and references ----------------------------------------------------------------

    def add(self, found: BtfObject) -> BtfObject:
        """Give an object the next id; ids come round again only after 2^31."""
        if len(self._by_id) >= _MOST_IDS:
            raise _error(errno.ENOSPC)
        while True:
            self._last_id = self._last_id % _MOST_IDS + 1
            if self._last_id not in self._by_id:
                break
        found.id = self._last_id
        self._by_id[found.id] = found
        return found

    def free_id(self, found: BtfObject) -> None:
        """Take the id away while the object lives on: what a module's unloading does."""
        self._by_id.pop(found.id, None)
        found.id = 0

    def hold(self, found: BtfObject) -> BtfObject:
        """Count one more reference."""
        found.references += 1
        return found

    def put(self, found: BtfObject) -> None:
        """Drop a reference; with the last one the id and the object are gone."""
        found.references -= 1
        if not found.references:
            self.free_id(found)
            found.freed = True

    def ids(self) -> list[int]:
        """All ids, in order."""
        return sorted(self._by_id)

    # --- what user space asks ----------------------------------------------------------------

    def next_id(self, start_id: int, *, cap_sys_admin: bool = True) -> int:
        """BPF_BTF_GET_NEXT_ID: the lowest id above ``start_id``; ENOENT when there is none."""
        if start_id >= _MOST_IDS:
            raise _error(errno.EINVAL)
        if not cap_sys_admin:
            raise _error(errno.EPERM)
        above = [id for id in self._by_id if id > start_id]
        if not above:
            raise _error(errno.ENOENT)
        return min(above)

    def fd_by_id(self, id: int, *, cap_sys_admin: bool = True) -> int:
        """BPF_BTF_GET_FD_BY_ID: a descriptor, which counts as a reference."""
        if not cap_sys_admin:
            raise _error(errno.EPERM)
        found = self._by_id.get(id)
        if found is None:
            raise _error(errno.ENOENT)
        return self.open(found)

    def open(self, what: object) -> int:
        """A descriptor on an object, or on anything else that is not BTF (a map, a program)."""
        fd = _FIRST_FD
        while fd in self._files:
            fd += 1
        self._files[fd] = self.hold(what) if isinstance(what, BtfObject) else what
        return fd

    def close(self, fd: int) -> None:
        """Close a descriptor; EBADF when there is none."""
        what = self._files.pop(fd, None)
        if what is None:
            raise _error(errno.EBADF)
        if isinstance(what, BtfObject):
            self.put(what)

    def at_fd(self, fd: int) -> BtfObject:
        """The object behind a descriptor: EBADF for none, EINVAL for another kind of file."""
        what = self._files.get(fd)
        if what is None:
            raise _error(errno.EBADF)
        if not isinstance(what, BtfObject):
            raise _error(errno.EINVAL)
        return what

    def info(
        self, fd: int, *, data_size: int = 0, name: bool = False, name_size: int = 0
    ) -> BtfInfo:
        """BPF_OBJ_GET_INFO_BY_FD with room for ``data_size`` bytes of BTF and a name.

        ``name`` says whether there is a name buffer and ``name_size`` how large it is: EINVAL
        unless both are given or neither.
        """
        found = self.at_fd(fd)
        if name != bool(name_size):
            raise _error(errno.EINVAL)
        whole = found.name.encode()
        short = name and name_size < len(whole) + 1
        shown = whole[: name_size - 1] if name else b""
        return BtfInfo(
            id=found.id,
            btf=found.data[:data_size],
            btf_size=len(found.data),
            name=shown.decode(errors="replace"),
            name_len=len(whole),
            kernel_btf=found.kernel,
            errno=errno.ENOSPC if short else 0,
        )


def find_module_btfs(
    objects: BtfObjects, vmlinux: Btf, *, cap_sys_admin: bool = True
) -> dict[str, tuple[int, Btf]]:
    """Find modules' BTF as libbpf does: descriptor and types, by name.

    Every id is asked for; without the privilege there are no modules.  The descriptors stay open.
    """
    found: dict[str, tuple[int, Btf]] = {}
    id = 0
    while True:
        try:
            id = objects.next_id(id, cap_sys_admin=cap_sys_admin)
            fd = objects.fd_by_id(id, cap_sys_admin=cap_sys_admin)
        except OSError:
            return found
        info = objects.info(fd, data_size=1 << 32, name=True, name_size=64)
        if not info.kernel_btf or info.name == "vmlinux":
            objects.close(fd)
            continue
        try:
            found[info.name] = fd, Btf.parse(info.btf, vmlinux, info.name)
        except ObjectError as problem:
            objects.close(fd)
            raise ObjectError(
                f"failed to load module [{info.name}]'s BTF object #{id}: {problem}",
                errno=problem.errno,
            ) from problem


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
