"""bytes → BTF: header, geometry, where the type records start, and one record → its dataclass.

::

    header | types: name_off info size-or-type [trailer] ...                    | strings
    24 B     info: bit 31 kind_flag | 28-24 kind | 15-0 vlen, other bits must be 0   NUL-terminated

Everything in the type section is made of 32-bit words, so a record's place is a *word index*.
Format: kernel ``include/uapi/linux/btf.h`` and ``Documentation/bpf/btf.rst``.
"""

from __future__ import annotations

import errno
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from bpfemu.btf import kinds as k
from bpfemu.errors import ObjectError
from bpfemu.record import dataclass

__all__ = [
    "HEADER_SIZE",
    "MAGIC",
    "Geometry",
    "TypeWalk",
    "Words",
    "bad",
    "decode_type",
    "read_geometry",
    "read_words",
    "record_size",
]

MAGIC: Final = 0xEB9F
HEADER_SIZE: Final = 24  # bytes
RECORD_WORDS: Final = 3  # name_off, info, size or type
LEGAL_INFO: Final = 0x9F00FFFF
# The words after a record: a fixed part, and one per vlen (struct members and the like).
TRAILER_WORDS: Final[Mapping[int, tuple[int, int]]] = {
    1: (1, 0),
    3: (3, 0),
    4: (0, 3),
    5: (0, 3),
    6: (0, 2),
    13: (0, 2),
    14: (1, 0),
    15: (0, 3),
    17: (1, 0),
    19: (0, 3),
}

Words = Sequence[int]


def bad(message: str, offset: int | None = None, number: int = errno.EINVAL) -> ObjectError:
    """Return the error for malformed BTF at a byte offset of the blob."""
    return ObjectError(message, section=".BTF", offset=offset, errno=number)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where the two sections lie in the blob, in bytes from its start."""

    byteorder: Literal["little", "big"]
    types_at: int
    types_size: int
    strings_at: int
    strings_size: int


def read_geometry(data: bytes, size: int, *, split: bool) -> Geometry:
    """Check the header in the first bytes of a blob of ``size`` bytes and say where things lie.

    The rules are libbpf's: types before strings, no overlap, everything inside.  A split BTF may
    have no strings at all.
    """
    if size < HEADER_SIZE:
        raise bad(f"BTF header takes {HEADER_SIZE} bytes, the blob has {size}", 0)
    byteorder = _byteorder(data)
    order = "<" if byteorder == "little" else ">"
    version, flags, length, type_off, type_len, str_off, str_len = struct.unpack_from(
        order + "BBIIIII", data, 2
    )
    if version != 1:
        raise bad(f"BTF version is {version}, only 1 is known", 2, errno.ENOTSUP)
    if flags:
        raise bad(f"BTF header flags are {flags:#x}, must be 0", 3, errno.ENOTSUP)
    if not HEADER_SIZE <= length <= size:
        raise bad(f"BTF hdr_len is {length}, must be {HEADER_SIZE} to {size}", 4)
    if type_off % 4 or type_len % 4:
        raise bad(f"BTF type section {type_off}+{type_len} is not made of 4-byte words", 8)
    if type_off + type_len > str_off:
        raise bad(f"BTF types end at {type_off + type_len}, strings start at {str_off}", 16)
    if length + str_off + str_len > size:
        raise bad(f"BTF strings end at {length + str_off + str_len}, the blob at {size}", 20)
    if not str_len and not split:
        raise bad("BTF string section is empty", 20)
    return Geometry(byteorder, length + type_off, type_len, length + str_off, str_len)


def _byteorder(data: bytes) -> Literal["little", "big"]:
    if data[:2] == MAGIC.to_bytes(2, "little"):
        return "little"
    if data[:2] == MAGIC.to_bytes(2, "big"):
        return "big"
    raise bad(f"BTF magic is 0x{data[:2].hex()}, must be 0x9feb or 0xeb9f", 0)


def read_words(data: memoryview, byteorder: Literal["little", "big"]) -> Words:
    """Return the type section as words, without a copy where the byte order is the host's."""
    if byteorder == sys.byteorder:
        return data.cast("I")
    words = array("I", data.tobytes())
    words.byteswap()
    return words


def record_size(info: int) -> int | None:
    """Return the words of a record with that info word; None if the word is not legal."""
    kind = info >> 24 & 31
    if info & ~LEGAL_INFO or not 1 <= kind < len(k.KINDS):
        return None
    fixed, each = TRAILER_WORDS.get(kind, (0, 0))
    return RECORD_WORDS + fixed + each * (info & 0xFFFF)


class _RecordSizes(dict[int, int]):
    """Words per record by its info word, worked out on first meeting."""

    def __missing__(self, info: int) -> int:
        size = record_size(info)
        if size is None:
            raise LookupError(info)
        self[info] = size
        return size


class TypeWalk:
    """The word index of every type record, found by walking only as far as somebody asks.

    ``starts[n]`` is the record of the blob's own type *n* (0 is its first).  Every record in it
    has a known kind; that it ends inside the section is sure once the walk went past it.
    """

    __slots__ = ("_next", "_sizes", "_words", "starts")

    def __init__(self, words: Words) -> None:
        self._words = words
        self._sizes = _RecordSizes()
        self._next = 0  # word index
        self.starts = array("I")

    @property
    def finished(self) -> bool:
        """Whether all records have been seen."""
        return self._next == len(self._words)

    def adopt(self, starts: array[int]) -> None:
        """Take over record starts from an earlier walk of the same bytes instead of walking."""
        self.starts = starts
        self._next = len(self._words)

    def to_word(self, stop: int) -> None:
        """Walk until the records that start before word ``stop`` are known."""
        words, sizes, add, at = self._words, self._sizes, self.starts.append, self._next
        stop = min(stop, len(words))
        try:
            while at < stop:
                step = sizes[words[at + 1]]
                add(at)
                at += step
        except IndexError:
            raise bad("BTF type section ends within a record", 4 * at) from None
        except LookupError as problem:
            info = problem.args[0]
            raise bad(f"BTF type record has info {info:#x}, not a known kind", 4 * at) from None
        finally:
            self._next = at
        if at > len(words):
            self._next = self.starts.pop()
            raise bad("BTF type section ends within a record", 4 * self._next)

    def to_type(self, number: int) -> bool:
        """Walk until own type ``number`` is known; False if there is none."""
        while len(self.starts) <= number and not self.finished:
            missing = number + 1 - len(self.starts)
            self.to_word(self._next + RECORD_WORDS * missing)
        return 0 <= number < len(self.starts)

    def finish(self) -> int:
        """Walk to the end and return the number of types."""
        self.to_word(len(self._words))
        return len(self.starts)

    def number_at(self, word: int) -> int | None:
        """Return the number of the type whose record starts at ``word``, None if none does."""
        self.to_word(word + 1)
        number = bisect_left(self.starts, word)
        if number < len(self.starts) and self.starts[number] == word:
            return number
        return None


Text = Callable[[int], str]  # string offset → text


def decode_type(words: Words, at: int, text: Text) -> k.Type:
    """Decode the record at word ``at``; ``text`` turns string offsets into strings."""
    try:
        info = words[at + 1]
        return _DECODERS[info >> 24 & 31](words, at, info, text)
    except LookupError:
        raise bad("BTF type section ends within a record", 4 * at) from None


def _s32(word: int) -> int:
    return word - (word >> 31 << 32)


def _int(w: Words, at: int, info: int, text: Text) -> k.Type:
    data = w[at + 3]
    return k.Int(text(w[at]), w[at + 2], data >> 24 & 15, data & 0xFF, data >> 16 & 0xFF)


def _array(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Array(w[at + 3], w[at + 4], w[at + 5])


def _composite(w: Words, at: int, info: int, text: Text) -> k.Type:
    flag = bool(info >> 31)
    end = at + RECORD_WORDS + 3 * (info & 0xFFFF)
    members = []
    for i in range(at + RECORD_WORDS, end, 3):
        where = w[i + 2]
        place = (where & 0xFFFFFF, where >> 24) if flag else (where, 0)
        members.append(k.Member(text(w[i]), w[i + 1], *place))
    make = k.Struct if info >> 24 & 31 == k.Struct.KIND else k.Union
    return make(text(w[at]), w[at + 2], tuple(members), flag)


def _enum(w: Words, at: int, info: int, text: Text) -> k.Type:
    signed = bool(info >> 31)
    end = at + RECORD_WORDS + 2 * (info & 0xFFFF)
    values = tuple(
        k.EnumValue(text(w[i]), _s32(w[i + 1]) if signed else w[i + 1])
        for i in range(at + RECORD_WORDS, end, 2)
    )
    return k.Enum(text(w[at]), w[at + 2], signed, values)


def _enum64(w: Words, at: int, info: int, text: Text) -> k.Type:
    signed = bool(info >> 31)
    end = at + RECORD_WORDS + 3 * (info & 0xFFFF)
    values = tuple(
        k.EnumValue(text(w[i]), w[i + 1] | (_s32(w[i + 2]) if signed else w[i + 2]) << 32)
        for i in range(at + RECORD_WORDS, end, 3)
    )
    return k.Enum64(text(w[at]), w[at + 2], signed, values)


def _fwd(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Fwd(text(w[at]), bool(info >> 31))


def _typedef(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Typedef(text(w[at]), w[at + 2])


def _func(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Func(text(w[at]), w[at + 2], info & 0xFFFF)


def _func_proto(w: Words, at: int, info: int, text: Text) -> k.Type:
    end = at + RECORD_WORDS + 2 * (info & 0xFFFF)
    params = (k.Param(text(w[i]), w[i + 1]) for i in range(at + RECORD_WORDS, end, 2))
    return k.FuncProto(w[at + 2], tuple(params))


def _var(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Var(text(w[at]), w[at + 2], w[at + 3])


def _datasec(w: Words, at: int, info: int, text: Text) -> k.Type:
    end = at + RECORD_WORDS + 3 * (info & 0xFFFF)
    entries = (k.SecVar(w[i], w[i + 1], w[i + 2]) for i in range(at + RECORD_WORDS, end, 3))
    return k.DataSec(text(w[at]), w[at + 2], tuple(entries))


def _float(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.Float(text(w[at]), w[at + 2])


def _decl_tag(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.DeclTag(text(w[at]), w[at + 2], _s32(w[at + 3]), bool(info >> 31))


def _type_tag(w: Words, at: int, info: int, text: Text) -> k.Type:
    return k.TypeTag(text(w[at]), w[at + 2], bool(info >> 31))


_Decoder = Callable[[Words, int, int, Text], k.Type]
_DECODERS: Final[dict[int, _Decoder]] = {
    1: _int,
    2: lambda w, at, info, text: k.Ptr(w[at + 2]),
    3: _array,
    4: _composite,
    5: _composite,
    6: _enum,
    7: _fwd,
    8: _typedef,
    9: lambda w, at, info, text: k.Volatile(w[at + 2]),
    10: lambda w, at, info, text: k.Const(w[at + 2]),
    11: lambda w, at, info, text: k.Restrict(w[at + 2]),
    12: _func,
    13: _func_proto,
    14: _var,
    15: _datasec,
    16: _float,
    17: _decl_tag,
    18: _type_tag,
    19: _enum64,
}
assert len(_DECODERS) == len(k.KINDS) - 1
