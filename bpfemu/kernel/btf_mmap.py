"""mmap of /sys/kernel/btf/vmlinux: which requests get a mapping, and what one is.

::

    .BTF section   │ page │ page │ … │ last bytes 0 0 0 0 │     starts and ends on a page boundary
    mapping        └──────── the same memory, no copy ────┘     read only, length in whole pages

A request meets the checks of the generic mmap layer, then those of kernfs, then those of the
handler, of which there were three versions.  Order and errno: BTF notes, section 4, run on a
6.18.44 kernel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from mmap import mmap
from typing import Final

from bpfemu.kernel.btf_mapping import PROT_EXEC, PROT_WRITE, Mapping
from bpfemu.record import dataclass

__all__ = [
    "HANDLERS",
    "MAP_PRIVATE",
    "MAP_SHARED",
    "MAP_SHARED_VALIDATE",
    "Attribute",
    "BtfSection",
    "map_attribute",
]

MAP_SHARED: Final = 1
MAP_PRIVATE: Final = 2
MAP_SHARED_VALIDATE: Final = 3
_MAP_TYPE: Final = 0xF
_MAP_GROWSDOWN: Final = 0x100
_MAP_HUGETLB: Final = 0x40000
_LEGACY_FLAGS: Final = 0x7C07_F9F3  # what MAP_SHARED_VALIDATE lets through
_ADDRESS_SPACE: Final = (1 << 47) - 4096  # bytes of a process on x86-64
_MAX_FILE: Final = (1 << 63) - 1  # bytes
U64: Final = (1 << 64) - 1


class BtfSection:
    """The .BTF section of the kernel image in memory of its own.

    ``at`` is where it starts within its first page: 0 since the linker script aligns it.
    """

    def __init__(self, blob: bytes, page_size: int = 4096, at: int = 0) -> None:
        self.size = len(blob)  # bytes
        self.page_size = page_size  # bytes
        self.at = at  # bytes
        self.pages = -(-self.size // page_size)  # what the handlers compute
        self._memory = mmap(-1, max(1, -(-(at + self.size) // page_size)) * page_size)
        self._memory[at : at + self.size] = blob
        self.memory = memoryview(self._memory).toreadonly()


@dataclass(frozen=True, slots=True)
class Attribute:
    """A binary attribute as mmap sees it; ``handler`` is None when it has no mmap callback."""

    handler: str | None
    section: BtfSection | None = None
    in_btf_folder: bool = True
    private_is_section: bool = True
    removed: bool = False  # the node is gone, the open file is not


@dataclass(frozen=True, slots=True)
class _Vma:
    """The area that a handler is asked to fill."""

    pages: int
    first_page: int
    prot: int
    may_share: bool


_Check = tuple[Callable[[_Vma, Attribute, BtfSection], bool], int]

_FOREIGN_FOLDER: Final[_Check] = (lambda vma, attr, section: not attr.in_btf_folder, errno.EINVAL)
_FOREIGN_SECTION: Final[_Check] = (
    lambda vma, attr, section: not attr.private_is_section or section.at != 0,
    errno.EINVAL,
)
_OFFSET: Final[_Check] = (lambda vma, attr, section: vma.first_page != 0, errno.EINVAL)
_ACCESS: Final[_Check] = (
    lambda vma, attr, section: bool(vma.prot & (PROT_WRITE | PROT_EXEC)) or vma.may_share,
    errno.EACCES,
)
_SIZE: Final[_Check] = (lambda vma, attr, section: vma.pages > section.pages, errno.EINVAL)
# vm_insert_page puts in every page of the section and leaves the area of a short mapping.
_SHORT: Final[_Check] = (lambda vma, attr, section: vma.pages < section.pages, errno.EFAULT)

HANDLERS: Final[dict[str, tuple[_Check, ...]]] = {
    "v2": (_FOREIGN_FOLDER, _OFFSET, _ACCESS, _SIZE),
    "v3": (_FOREIGN_SECTION, _OFFSET, _ACCESS, _SIZE, _SHORT),
    "merged": (_FOREIGN_SECTION, _OFFSET, _ACCESS, _SIZE),
}
"""The handler's checks by version, in order (the overflow of a page number cannot be reached)."""


def map_attribute(
    attr: Attribute, length: int, prot: int, flags: int, offset: int, *, readable: bool = True
) -> Mapping:
    """Map a sysfs file that was opened without write access; OSError says why not."""
    page = attr.section.page_size if attr.section else 4096
    length, offset = length & U64, offset & U64
    number = _generic_errno(length, prot, flags, offset, readable, page)
    if number or attr.handler is None or attr.section is None or attr.removed:
        raise OSError(number or errno.ENODEV, os.strerror(number or errno.ENODEV))
    if flags & _MAP_GROWSDOWN:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    shared = flags & _MAP_TYPE != MAP_PRIVATE
    vma = _Vma(-(-length // page), offset // page, prot, shared)
    for is_wrong, number in HANDLERS[attr.handler]:
        if is_wrong(vma, attr, attr.section):
            raise OSError(number, os.strerror(number))
    return Mapping(attr.section.memory[: vma.pages * page], prot, page)


def _generic_errno(
    length: int, prot: int, flags: int, offset: int, readable: bool, page: int
) -> int:
    """What the mmap system call says before it asks the file; 0: nothing."""
    if not length or offset % page or flags & _MAP_HUGETLB:
        return errno.EINVAL
    whole = -(-length // page) * page
    if whole > _ADDRESS_SPACE:
        return errno.ENOMEM
    if offset > _MAX_FILE - whole:
        return errno.EOVERFLOW
    kind = flags & _MAP_TYPE
    if kind not in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE):
        return errno.EINVAL
    if kind == MAP_SHARED_VALIDATE and flags & ~_LEGACY_FLAGS:
        return errno.EOPNOTSUPP
    if kind != MAP_PRIVATE and prot & PROT_WRITE:
        return errno.EACCES  # the file is never open for writing
    if not readable:
        return errno.EACCES
    return errno.EPERM if prot & PROT_EXEC else 0  # sysfs is mounted without exec
