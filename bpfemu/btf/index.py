"""Where the records of a big blob start, and their names, kept from one process to the next.

Walking over the 126,000 records of a kernel's BTF takes most of the time of a look-up, and the
answer is the same in every process.  It is kept in the user's cache folder, under a name made
from the content of the type section, so that an index can never belong to another kernel::

    header: magic  byte order  types_size  crc32 of the types  count  crc32 of what follows
    count words: the word index of each record, in the host's byte order
    count words: the name offset of each record

Whatever is wrong with a file (cut off, flipped bits, foreign, unreadable) only means that it is
not used and written again.  Writers put a whole file in place at once, so that any number of them
may run at the same time.  ``BPFEMU_CACHE`` names another folder, or switches caching ``off``.
"""

from __future__ import annotations

import os
import struct
import sys
from array import array
from typing import TYPE_CHECKING, Final
from zlib import crc32

from bpfemu.btf.parse import record_size

if TYPE_CHECKING:
    from bpfemu.btf.lookup import NameLookup
    from bpfemu.btf.parse import TypeWalk, Words

__all__ = ["Index", "cache_folder", "use_index"]

_MAGIC: Final = b"bpfbtf\x00\x01"  # the last byte counts versions of this format
_ORDER: Final = 0x01020304  # reads differently on a host of the other byte order
_HEADER: Final = struct.Struct("=8s5I")
_SPOT_CHECKS: Final = 64  # records whose length is compared with the next one's start
_MOST_FILES: Final = 64  # kernels; the oldest indexes beyond that are removed


def cache_folder() -> str | None:
    """Return the folder for indexes; None when caching is off or the user has no home."""
    chosen = os.environ.get("BPFEMU_CACHE", "")
    if chosen == "off":
        return None
    if chosen:
        return os.path.join(chosen, "btf")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the XDG rule: a relative path is ignored
            base = os.path.expanduser("~/.cache")
    return os.path.join(base, "bpfemu", "btf") if os.path.isabs(base) else None


def use_index(
    owner: object, types: memoryview, words: Words, walk: TypeWalk, lookup: NameLookup
) -> bool:
    """Give ``walk`` and ``lookup`` what the cache knows of these types; True if it does.

    If not, it is written when ``owner`` (the Btf) is given up, at the latest when the process
    ends: by then most of the walk has been made, and nobody waits for the rest.
    """
    folder = cache_folder()
    if folder is None:
        return False
    index = Index(folder, types, words)
    found = index.load()
    if found is not None:
        walk.adopt(found[0])
        lookup.adopt(found[1])
        return True
    from weakref import finalize

    finalize(owner, _save, index, walk, lookup)
    return False


def _save(index: Index, walk: TypeWalk, lookup: NameLookup) -> None:
    from bpfemu.errors import ObjectError

    try:
        walk.finish()
    except ObjectError:
        return  # malformed BTF is reported to whoever asks, not kept
    index.save(walk.starts, lookup.name_column())


class Index:
    """The index file of one type section."""

    def __init__(self, folder: str, types: memoryview, words: Words) -> None:
        self._folder = folder
        self._words = words
        self._key = (len(types), crc32(types))
        self.path = os.path.join(folder, f"{len(types):x}-{self._key[1]:08x}.index")

    def load(self) -> tuple[array[int], bytes] | None:
        """Return record starts and name offsets; None if there is no file or it is not right."""
        try:
            with open(self.path, "rb") as file:
                data = file.read(_HEADER.size + len(self._words) * 4)
        except OSError:
            return None
        if len(data) < _HEADER.size:
            return None
        magic, order, *key, count, check = _HEADER.unpack_from(data)
        body = memoryview(data)[_HEADER.size :]
        if (magic, order, tuple(key)) != (_MAGIC, _ORDER, self._key):
            return None
        if len(body) != 8 * count or crc32(body) != check:
            return None
        starts = array("I")
        starts.frombytes(body[: 4 * count])
        names = bytes(body[4 * count :])
        return (starts, names) if self._fits(starts, memoryview(names).cast("I")) else None

    def _fits(self, starts: array[int], names: memoryview) -> bool:
        """Compare the first, the last and some records between with what the blob says."""
        words, count = self._words, len(starts)
        if not count:
            return not words
        step = max(1, count // _SPOT_CHECKS)
        for number in {*range(0, count, step), count - 1}:
            at = starts[number]
            end = starts[number + 1] if number + 1 < count else len(words)
            if at + 2 > len(words) or words[at] != names[number]:
                return False
            if record_size(words[at + 1]) != end - at:
                return False
        return starts[0] == 0

    def save(self, starts: array[int], names: bytes) -> bool:
        """Write the file; False where that cannot be done, which is nobody's error."""
        body = starts.tobytes() + names
        header = _HEADER.pack(_MAGIC, _ORDER, *self._key, len(starts), crc32(body))
        scratch = f"{self.path}.{os.getpid()}.{id(self):x}"
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            with open(scratch, "xb") as file:
                file.write(header + body)
            os.replace(scratch, self.path)
        except OSError:
            _remove(scratch)
            return False
        self._thin_out()
        return True

    def _thin_out(self) -> None:
        """Remove the oldest indexes when there are too many."""
        try:
            with os.scandir(self._folder) as entries:
                found = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        except OSError:
            return
        for _, path in found[:-_MOST_FILES]:
            _remove(path)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
