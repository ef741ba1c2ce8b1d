"""Finding a kernel's BTF as libbpf does: its own file, mapped or read, else a vmlinux on disk.

The same search works on this machine's files (``HostFiles``) and on those of an emulated kernel
(``kernel.sysfs``).  Source: libbpf ``btf__load_vmlinux_btf``; BTF notes, section 4.5.
"""

from __future__ import annotations

import errno
import os
from mmap import mmap
from typing import Final, Protocol

from bpfemu.btf.source import blob_of, map_file
from bpfemu.btf.types import Btf
from bpfemu.errors import ObjectError

__all__ = ["DISK", "Files", "HostFiles", "load_module_btf", "load_vmlinux_btf"]

FOLDER: Final = "/sys/kernel/btf"

DISK: Final = (
    "/boot/vmlinux-{0}",
    "/lib/modules/{0}/vmlinux-{0}",
    "/lib/modules/{0}/build/vmlinux",
    "/usr/lib/modules/{0}/kernel/vmlinux",
    "/usr/lib/debug/boot/vmlinux-{0}",
    "/usr/lib/debug/boot/vmlinux-{0}.debug",
    "/usr/lib/debug/lib/modules/{0}/vmlinux",
)
"""Where a vmlinux with BTF may lie on disk, by the kernel's release."""


class Files(Protocol):
    """Files by path; what goes wrong is an OSError."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def map(self, path: str) -> mmap | memoryview:
        """The file's bytes, mapped privately and read-only."""

    def read(self, path: str) -> bytes:
        """The file's bytes."""


class HostFiles:
    """The files of this machine."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return os.path.exists(path)

    def map(self, path: str) -> mmap:
        """The file's bytes, mapped privately and read-only."""
        return map_file(path)

    def read(self, path: str) -> bytes:
        """The file's bytes."""
        with open(path, "rb") as file:
            return file.read()


def load_vmlinux_btf(files: Files | None = None, release: str | None = None) -> Btf:
    """Return the BTF of the running kernel; ObjectError with ESRCH when there is none.

    Its own file is mapped and used in place; if that or reading its content fails it is read.
    The places on disk are tried only when there is no such file at all.
    """
    files = files or HostFiles()
    path = f"{FOLDER}/vmlinux"
    if files.exists(path):
        try:
            return Btf.parse(files.map(path), name="vmlinux")
        except (OSError, ValueError, ObjectError):
            return Btf.parse(_read(files, path), name="vmlinux")
    if release is None:
        import platform

        release = platform.release()
    for place in (template.format(release) for template in DISK):
        if files.exists(place):
            try:
                return Btf.parse(_read(files, place), name="vmlinux")
            except ObjectError:
                continue
    raise ObjectError("failed to find valid kernel BTF", path=path, errno=errno.ESRCH)


def load_module_btf(name: str, vmlinux: Btf, files: Files | None = None) -> Btf:
    """Return the BTF of a loaded module, on top of vmlinux's; it is always read."""
    path = f"{FOLDER}/{name}"
    return Btf.parse(_read(files or HostFiles(), path), vmlinux, name)


def _read(files: Files, path: str) -> bytes:
    try:
        return blob_of(files.read(path), path)
    except OSError as problem:
        message = f"cannot read it: {problem.strerror}"
        raise ObjectError(message, path=path, errno=problem.errno) from problem
