"""Cgroups and slab caches from texts that a machine shows.

::

    find /sys/fs/cgroup -type d     /sys/fs/cgroup/system.slice      one directory for each line
    cat /proc/PID/cgroup            0::/user.slice                   where that task is
    cat /proc/slabinfo              dentry  1 21 192 21 1 : tun…     one cache for each line
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

from bpfemu.errors import InputError
from bpfemu.record import dataclass
from bpfemu.world.resources import CgroupSpec, KmemCacheSpec

__all__ = ["read_cgroup_tree", "read_proc_cgroup", "read_slabinfo"]

_SLABINFO = "slabinfo - version: 2."


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the text and where it stands."""

    source: str
    number: int  # from 1
    text: str

    def bad(self, rule: str) -> NoReturn:
        shown = self.text if len(self.text) <= 120 else self.text[:117] + "..."
        raise InputError(f"{self.source}:{self.number}: {shown!r}: {rule}", errno=22)


def _lines(text: str, source: str) -> Iterator[_Line]:
    for number, raw in enumerate(text.split("\n"), 1):
        if raw.strip():
            yield _Line(source, number, raw.rstrip("\r"))


def read_cgroup_tree(
    text: str,
    name: str = "cgroups",
    *,
    root: str = "",
    procs: Mapping[str, tuple[int, ...]] | None = None,
) -> tuple[CgroupSpec, ...]:
    """The cgroups of a listing of directories; InputError names ``name``, the line and the rule.

    The first line is the root, unless ``root`` says where it is.  ``procs`` are the processes of
    each cgroup by path ("/system.slice").
    """
    found: dict[str, CgroupSpec] = {}
    given = dict(procs or {})
    top = root.rstrip("/") if root else None
    for line in _lines(text, name):
        top = line.text.rstrip("/") if top is None else top
        below = line.text.rstrip("/").removeprefix(top)
        if not line.text.startswith(top) or (below and not below.startswith("/")):
            line.bad(f"does not lie below {top or '/'}, where the listing begins")
        path = below or "/"
        if path in found:
            line.bad("stands there twice")
        try:
            spec = CgroupSpec(path, given.pop(path, ()))
        except InputError as error:
            line.bad(str(error))
        if spec.parent not in ("", "/", *found):
            line.bad(f"stands before its parent, {top}{spec.parent}")
        found[path] = spec
    for path in given:
        raise InputError(f"{name}: no directory is the cgroup {path!r}", errno=22)
    return tuple(found.values())


def read_proc_cgroup(text: str, name: str = "cgroup") -> str:
    """The path in the default hierarchy ("/user.slice") from a /proc/PID/cgroup text."""
    for line in _lines(text, name):
        number, _, rest = line.text.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon or not (number.isascii() and number.isdigit()) or not path.startswith("/"):
            line.bad("must be 'hierarchy:controllers:/path'")
        if int(number[:9]) == 0 and not controllers:
            return path.removesuffix(" (deleted)")
    raise InputError(f"{name}: there is no line '0::/path' of the default hierarchy", errno=22)


def read_slabinfo(text: str, name: str = "slabinfo") -> tuple[KmemCacheSpec, ...]:
    """The caches of a /proc/slabinfo text; InputError names ``name``, the line and the rule.

    The text says nothing of users: the two caches that slab was booted with get the count -1,
    all others 1.
    """
    lines = _lines(text, name)
    head = next(lines, _Line(name, 1, ""))
    if not head.text.startswith(_SLABINFO):
        head.bad(f"must be the line {_SLABINFO + '1'!r}")
    found: dict[str, KmemCacheSpec] = {}
    for line in lines:
        if line.text.startswith("#"):
            continue
        spec = _cache(line)
        if spec.name in found:
            line.bad("stands there twice")
        found[spec.name] = spec
    return tuple(found.values())


def _cache(line: _Line) -> KmemCacheSpec:
    words = line.text.partition(" : ")[0].split()
    numbers = words[-5:]
    if len(words) < 6 or not all(w.isascii() and w.isdigit() and len(w) < 20 for w in numbers):
        line.bad("must be 'name active_objs num_objs objsize objperslab pagesperslab : …'")
    size, objects, pages = (int(word) for word in numbers[2:])
    cache = " ".join(words[:-5])
    count = -1 if cache in ("kmem_cache", "kmem_cache_node") else 1
    try:
        return KmemCacheSpec(
            cache, size, objects_per_slab=objects, pages_per_slab=pages, refcount=count
        )
    except InputError as error:
        line.bad(str(error))
