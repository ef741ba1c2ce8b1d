"""/sys/kernel/btf of the emulated kernel: a folder of read-only binary files.

``sysfs.btf["vmlinux"]`` is a file by name; ``open``, ``stat``, ``listdir`` take paths.  Whatever
a process would see as an errno is an OSError with that errno.  BTF notes, sections 4.4 and 4.6;
the rest was seen on a 6.18.44 kernel.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from typing import Final

from bpfemu.kernel.btf_mapping import PROT_READ, Mapping
from bpfemu.kernel.btf_mmap import MAP_PRIVATE, Attribute, BtfSection, map_attribute
from bpfemu.record import dataclass

__all__ = ["BtfFile", "BtfFolder", "FileStat", "OpenFile", "Sysfs"]

FOLDER: Final = "/sys/kernel/btf"
CHUNK: Final = 4096  # bytes that one read returns at most

# Linux numbers on every host.
_O_ACCMODE: Final = 3
_O_CREAT: Final = 0o100
_O_EXCL: Final = 0o200
_O_DIRECT: Final = 0o40000
_O_DIRECTORY: Final = 0o200000
_READ_ACCESS: Final = (0,)  # O_RDONLY; 1 and 2 write; 3 is open without either


@dataclass(frozen=True, slots=True)
class FileStat:
    """What stat shows: mode, size in bytes, owner and group, links."""

    st_mode: int
    st_size: int
    st_uid: int = 0
    st_gid: int = 0
    st_nlink: int = 1


class BtfFile:
    """One file: ``size`` and ``content`` are asked for when somebody looks.

    ``handler`` names the version of the mmap handler ("v2", "v3", "merged"), None is a file that
    cannot be mapped.
    """

    def __init__(
        self,
        name: str,
        content: Callable[[], bytes],
        *,
        handler: str | None = None,
        section: Callable[[], BtfSection] | None = None,
        listed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.path = f"{FOLDER}/{name}"
        self.handler = handler
        self.removed = False
        self._content = content
        self._section = section
        self._listed = listed

    @property
    def listed(self) -> bool:
        """Whether a listing of the folder shows the file."""
        return self._listed()

    def stat(self) -> FileStat:
        """A regular file, mode 0444, root's; the size is that of the BTF to the byte."""
        return FileStat(0o100444, len(self.content()))

    def content(self) -> bytes:
        """The whole file; ENODEV once it is removed."""
        if self.removed:
            raise error(errno.ENODEV, self.path)
        return self._content()

    def attribute(self) -> Attribute:
        """The file as mmap sees it."""
        section = self._section() if self._section and not self.removed else None
        return Attribute(self.handler, section, removed=self.removed)

    def open(self, flags: int = os.O_RDONLY) -> OpenFile:
        """Open for reading; there is no other way, whoever asks."""
        access = flags & _O_ACCMODE
        if flags & _O_CREAT and flags & _O_EXCL:
            raise error(errno.EEXIST, self.path)
        if flags & _O_DIRECTORY:
            raise error(errno.ENOTDIR, self.path)
        if access in (1, 2):
            raise error(errno.EACCES, self.path)
        if flags & _O_DIRECT:
            raise error(errno.EINVAL, self.path)
        return OpenFile(self, readable=access in _READ_ACCESS)

    def read(self) -> bytes:
        """The whole file as ``cat`` reads it, chunk by chunk."""
        with self.open() as file:
            return b"".join(iter(lambda: file.read(1 << 20), b""))

    def mmap(
        self, length: int, prot: int = PROT_READ, flags: int = MAP_PRIVATE, offset: int = 0
    ) -> Mapping:
        """Open, map, close: the mapping stays."""
        with self.open() as file:
            return file.mmap(length, prot, flags, offset)


class OpenFile:
    """An open file of a process."""

    def __init__(self, file: BtfFile, *, readable: bool = True) -> None:
        self.file = file
        self.position = 0  # bytes
        self._content = file.content()
        self._readable = readable
        self._open = True

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file up; EBADF when that was done before."""
        self._need_open()
        self._open = False

    def fstat(self) -> FileStat:
        """As stat was when the file was opened, also after it was removed."""
        self._need_open()
        return FileStat(0o100444, len(self._content))

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, never more than 4096, from where the last read ended."""
        data = self.pread(size, self.position)
        self.position += len(data)
        return data

    def pread(self, size: int, offset: int) -> bytes:
        """Up to ``size`` bytes, never more than 4096, from ``offset``."""
        self._need_open()
        if not self._readable:
            raise error(errno.EBADF, self.file.path)
        if offset < 0 or size < 0:
            raise error(errno.EINVAL, self.file.path)
        if self.file.removed:
            raise error(errno.ENODEV, self.file.path)
        return self._content[offset : offset + min(size, CHUNK)]

    def write(self, data: bytes) -> int:
        """EBADF: the file is not open for writing."""
        raise error(errno.EBADF, self.file.path)

    def ftruncate(self, size: int) -> None:
        """EINVAL: the file is not open for writing."""
        self._need_open()
        raise error(errno.EINVAL, self.file.path)

    def lseek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; SEEK_DATA (3) and SEEK_HOLE (4) see a file without holes."""
        self._need_open()
        size = len(self._content)
        if whence in (3, 4) and not 0 <= offset < size:
            raise error(errno.ENXIO, self.file.path)
        places = {0: offset, 1: self.position + offset, 2: size + offset, 3: offset, 4: size}
        place = places.get(whence, -1)
        if not 0 <= place < (1 << 63) - 1:
            raise error(errno.EINVAL, self.file.path)
        self.position = place
        return place

    def mmap(
        self, length: int, prot: int = PROT_READ, flags: int = MAP_PRIVATE, offset: int = 0
    ) -> Mapping:
        """Map; the mapping survives the file."""
        self._need_open()
        attribute = self.file.attribute()
        try:
            return map_attribute(attribute, length, prot, flags, offset, readable=self._readable)
        except OSError as problem:
            raise error(problem.errno or errno.EINVAL, self.file.path) from None

    def _need_open(self) -> None:
        if not self._open:
            raise error(errno.EBADF, self.file.path)


class BtfFolder:
    """/sys/kernel/btf: files by name."""

    def __init__(self) -> None:
        self._files: dict[str, BtfFile] = {}

    def __getitem__(self, name: str) -> BtfFile:
        found = self._files.get(name)
        if found is None:
            raise error(errno.ENOENT, f"{FOLDER}/{name}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._files and self._files[str(name)].listed

    def __iter__(self) -> Iterator[str]:
        return iter(self.listdir())

    def __len__(self) -> int:
        return len(self.listdir())

    def listdir(self) -> list[str]:
        """The names, sorted."""
        return sorted(name for name, file in self._files.items() if file.listed)

    def stat(self) -> FileStat:
        """A folder, mode 0755, root's."""
        return FileStat(0o040755, 0, st_nlink=2)

    def add(self, file: BtfFile) -> None:
        """Show a file; EEXIST when there is one of that name."""
        if file.name in self._files:
            raise error(errno.EEXIST, file.path)
        self._files[file.name] = file

    def remove(self, name: str) -> None:
        """Take a file away; those who have it open read ENODEV from now on."""
        self[name].removed = True
        del self._files[name]

    def open(self, name: str, flags: int = os.O_RDONLY) -> OpenFile:
        """Open a file by name; nothing can be created here."""
        if name not in self._files and flags & _O_CREAT:
            raise error(errno.EACCES, f"{FOLDER}/{name}")
        return self[name].open(flags)

    def unlink(self, name: str) -> None:
        """EPERM: what sysfs shows cannot be removed by hand."""
        raise error(errno.EPERM, self[name].path)


class Sysfs:
    """What of /sys the emulated kernel has; ``folder`` is None on a kernel without BTF."""

    def __init__(self, folder: BtfFolder | None) -> None:
        self._folder = folder

    @property
    def btf(self) -> BtfFolder:
        """/sys/kernel/btf; ENOENT on a kernel without BTF, which does not even make the folder."""
        if self._folder is None:
            raise error(errno.ENOENT, FOLDER)
        return self._folder

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        try:
            self.stat(path)
        except OSError:
            return False
        return True

    def stat(self, path: str) -> FileStat:
        """stat of a path below /sys/kernel/btf."""
        name = self._name(path)
        return self.btf[name].stat() if name else self.btf.stat()

    def listdir(self, path: str = FOLDER) -> list[str]:
        """The names in the folder; ENOTDIR for a file."""
        if name := self._name(path):
            self.btf[name]
            raise error(errno.ENOTDIR, path)
        return self.btf.listdir()

    def open(self, path: str, flags: int = os.O_RDONLY) -> OpenFile:
        """Open a file by path; EISDIR for the folder itself."""
        name = self._name(path)
        if not name:
            raise error(errno.EISDIR, path)
        return self.btf.open(name, flags)

    def map(self, path: str) -> memoryview:
        """The file's bytes as a mapping shows them, cut to its size."""
        with self.open(path) as file:
            size = file.fstat().st_size
            return file.mmap(size).view[:size]

    def read(self, path: str) -> bytes:
        """The file's bytes, read."""
        with self.open(path) as file:
            return b"".join(iter(lambda: file.read(CHUNK), b""))

    def _name(self, path: str) -> str:
        """The file's name, "" for the folder; ENOENT outside."""
        inside = path.rstrip("/")
        if inside != FOLDER and not inside.startswith(FOLDER + "/"):
            raise error(errno.ENOENT, path)
        return inside[len(FOLDER) + 1 :]


def error(number: int, path: str) -> OSError:
    """The OSError of an errno, with its path."""
    return OSError(number, os.strerror(number), path)
