"""Address spaces from the text of /proc/PID/maps or /proc/PID/smaps.

::

    5581f2000000-5581f2021000 r-xp 00002000 08:01 131   /usr/bin/cat     one line for each VMA
    Size:                132 kB                                          smaps only
    VmFlags: rd ex mr mw me                                              the exact bits

The vsyscall page is listed by the kernel and is no VMA: it is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from bpfemu.errors import InputError
from bpfemu.record import dataclass, replace
from bpfemu.world.flags import VM_FLAG_WORDS
from bpfemu.world.spec import FileSpec, VmaSpec

__all__ = ["read_maps", "read_smaps"]

_DELETED = " (deleted)"
_LIMIT = 1 << 24  # lines: sysctl vm.max_map_count is far below


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the text and where it stands."""

    source: str
    number: int  # from 1
    text: str

    def bad(self, rule: str) -> NoReturn:
        shown = self.text if len(self.text) <= 120 else self.text[:117] + "..."
        raise InputError(f"{self.source}:{self.number}: {shown!r}: {rule}", errno=22)


def read_maps(text: str, name: str = "maps") -> tuple[VmaSpec, ...]:
    """The VMAs of a maps or smaps text; InputError names ``name``, the line and the rule.

    With smaps the VM_* bits are exact, with maps they are derived from the permissions.
    """
    return tuple(_read(text, name, exact=False))


def read_smaps(text: str, name: str = "smaps") -> tuple[VmaSpec, ...]:
    """The same for a text that must have a VmFlags line for each VMA."""
    return tuple(_read(text, name, exact=True))


def _read(text: str, name: str, exact: bool) -> Iterator[VmaSpec]:
    vma: VmaSpec | None = None
    head = _Line(name, 0, "")
    end = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = _Line(name, number, raw)
        if not raw.strip():
            continue
        if _is_attribute(raw):
            if head.number == 0:
                line.bad("stands before the first mapping")
            if vma is not None and raw.startswith("VmFlags:"):
                vma = replace(vma, flags=_flags(line))
            continue
        if vma is not None:
            yield _finished(vma, head, exact)
        head, vma = line, _mapping(line)
        if vma is not None and vma.start < end:
            line.bad(f"starts below the end of the mapping before it ({end:#x})")
        end = vma.end if vma is not None else end
    if vma is not None:
        yield _finished(vma, head, exact)


def _finished(vma: VmaSpec, head: _Line, exact: bool) -> VmaSpec:
    if exact and vma.flags is None:
        head.bad("has no VmFlags line")
    return vma


def _is_attribute(text: str) -> bool:
    """Is it a line like ``Rss:   4 kB``?"""
    word = text.split(None, 1)[0]
    return word.endswith(":") and word[:1].isalpha() and "-" not in word


def _flags(line: _Line) -> int:
    flags = 0
    for word in line.text.split()[1:]:
        bit = VM_FLAG_WORDS.get(word)
        if bit is None:
            line.bad(f"{word!r} is no VmFlags word that bpfemu knows")
        flags |= bit
    return flags


def _mapping(line: _Line) -> VmaSpec | None:
    """The VMA of a line; None for the vsyscall page."""
    fields = line.text.split(None, 5)
    if len(fields) < 5:
        line.bad("must be 'start-end perms offset major:minor inode path'")
    low, dash, high = fields[0].partition("-")
    if not dash:
        line.bad("must start with 'start-end'")
    start, end = _hex(line, "start", low), _hex(line, "end", high)
    path = fields[5].rstrip() if len(fields) == 6 else ""
    if path == "[vsyscall]":
        return None
    offset = _hex(line, "offset", fields[2])
    try:
        file = _file(line, fields, path)
        label = "" if file is not None else path
        return VmaSpec(start, end, fields[1], offset, file, label)
    except InputError as error:
        if str(error).startswith(f"{line.source}:"):
            raise
        line.bad(str(error))


def _file(line: _Line, fields: list[str], path: str) -> FileSpec | None:
    """The file behind a mapping; None for anonymous memory and names in brackets."""
    major, colon, minor = fields[3].partition(":")
    dev = (_hex(line, "major", major), _hex(line, "minor", minor if colon else ""))
    if not fields[4].isascii() or not fields[4].isdigit() or len(fields[4]) > 20:
        line.bad(f"inode {fields[4]!r} is no decimal number")
    inode = int(fields[4])
    if not path or (path[0] == "[" and inode == 0):
        return None
    deleted = path.endswith(_DELETED)
    path = path.removesuffix(_DELETED).replace("\\012", "\n")
    return FileSpec(path, dev, inode, deleted)


def _hex(line: _Line, what: str, text: str) -> int:
    if not text or len(text) > 16 or any(c not in "0123456789abcdefABCDEF" for c in text):
        line.bad(f"{what} {text!r} is no hexadecimal number of at most 16 digits")
    return int(text, 16)
