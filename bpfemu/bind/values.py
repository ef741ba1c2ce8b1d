"""What may be known of a register before the program runs, and what two ways of it have in common.

The lattice is shallow: a value with a constant offset rises to one without, kinds that the kernel
lets one instruction mix rise to UNKNOWN, those it refuses to MIXED.  Nothing ever falls.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple, TypeAlias

from bpfemu.machine.memory import LoadKind

__all__ = [
    "MEM",
    "PROBED",
    "SCALAR",
    "UNKNOWN",
    "Kind",
    "Trust",
    "Value",
    "constant",
    "few",
    "join",
    "load_kind",
]


class Kind(enum.Enum):
    """The kernel's register types, as far as loads and calls need them."""

    SCALAR = "scalar"
    CTX = "ctx"
    STACK = "fp"
    MAP = "map_ptr"
    MAP_VALUE = "map_value"
    MEM = "mem"
    BTF = "ptr_"
    PROBED = "rdonly_untrusted_mem"
    PACKET = "pkt"
    PACKET_END = "pkt_end"
    FUNC = "func"
    ARENA = "arena"
    UNKNOWN = "unknown"
    MIXED = "mixed"


class Trust(enum.Flag):
    """What the verifier thinks of a BTF pointer (verifier notes, section 4.2).

    Several bits: it thinks differently on different ways here.
    """

    NONE = 1  # no flag: loads probe
    TRUSTED = 2
    RCU = 4
    ACQUIRED = 8  # no flag, but with a reference: loads probe, fields are trusted
    UNTRUSTED = 16
    USER = 32
    PERCPU = 64


Offsets: TypeAlias = int | tuple[int, ...] | None


class Value(NamedTuple):
    """``ref`` is a map's index, a BTF id, a frame, a slot; ``off`` a constant (bytes, or the
    scalar's value), None where it varies.  Scalars and BTF pointers may have a few constants:
    compilers like to choose between two offsets and then load once."""

    kind: Kind
    ref: int = 0
    off: Offsets = None
    trust: Trust = Trust.NONE

    @property
    def number(self) -> int | None:
        """The constant, if there is just one."""
        return self.off if isinstance(self.off, int) else None

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every constant it may be; none when it varies."""
        return (self.off,) if isinstance(self.off, int) else self.off or ()


SCALAR: Final = Value(Kind.SCALAR)
UNKNOWN: Final = Value(Kind.UNKNOWN)
MEM: Final = Value(Kind.MEM)
PROBED: Final = Value(Kind.PROBED)
_FEW: Final = 4  # constants that are told apart
_SETS: Final = (Kind.SCALAR, Kind.BTF)
MANY: Final = -1
"""The ``ref`` of a value that may be one of several."""

# Pointers that one instruction may meet side by side (reg_type_mismatch_ok in the verifier).
_MIXABLE: Final = frozenset(
    {
        Kind.STACK,
        Kind.MAP,
        Kind.MAP_VALUE,
        Kind.MEM,
        Kind.PACKET,
        Kind.PACKET_END,
        Kind.FUNC,
        Kind.SCALAR,
        Kind.UNKNOWN,
    }
)
_MEMORY: Final = frozenset({Kind.MEM, Kind.BTF, Kind.PROBED})


def constant(value: int) -> Value:
    """A scalar that is known: u64."""
    return Value(Kind.SCALAR, 0, value)


def join(a: Value, b: Value) -> Value:
    """What holds for both."""
    if a == b:
        return a
    if a.kind is b.kind:
        return _join_same(a, b)
    for one, other in ((a, b), (b, a)):
        if one.kind is Kind.SCALAR and one.off == 0 and other.kind is not Kind.UNKNOWN:
            return other  # NULL or a pointer: loads are made through the pointer
    kinds = {a.kind, b.kind}
    if Kind.UNKNOWN in kinds or Kind.SCALAR in kinds:
        return UNKNOWN
    if kinds <= _MEMORY:
        return PROBED if Kind.PROBED in kinds else MEM
    return UNKNOWN if kinds <= _MIXABLE else Value(Kind.MIXED)


def _join_same(a: Value, b: Value) -> Value:
    ref = a.ref if a.ref == b.ref else MANY
    off = a.off
    if ref != a.ref:
        off = None
    elif off != b.off:
        varies = a.kind not in _SETS or a.off is None or b.off is None
        off = None if varies else few({*a.numbers, *b.numbers})
    return Value(a.kind, ref, off, a.trust | b.trust)


def few(numbers: set[int]) -> Offsets:
    """One constant, a few, or None for too many."""
    if len(numbers) == 1:
        return next(iter(numbers))
    return tuple(sorted(numbers)) if 0 < len(numbers) <= _FEW else None


_LOAD_KINDS: Final = {
    Kind.SCALAR: LoadKind.UNKNOWN,
    Kind.CTX: LoadKind.CTX,
    Kind.STACK: LoadKind.STACK,
    Kind.MAP: LoadKind.UNKNOWN,
    Kind.MAP_VALUE: LoadKind.MAP_VALUE,
    Kind.MEM: LoadKind.MEM,
    Kind.BTF: LoadKind.BTF,
    Kind.PROBED: LoadKind.PROBE,
    Kind.PACKET: LoadKind.PACKET,
    Kind.PACKET_END: LoadKind.UNKNOWN,
    Kind.FUNC: LoadKind.UNKNOWN,
    Kind.ARENA: LoadKind.ARENA,
    Kind.UNKNOWN: LoadKind.UNKNOWN,
    Kind.MIXED: LoadKind.UNKNOWN,
}
assert set(_LOAD_KINDS) == set(Kind), set(Kind) - set(_LOAD_KINDS)


def load_kind(value: Value, *, store: bool = False) -> LoadKind:
    """What an access through the value is: loads through unflagged BTF pointers probe.

    So do those that are trusted on one way and protected by RCU on another: the verifier keeps no
    flag for them (save_aux_ptr_type).  Stores never probe (verifier notes, section 4.5).  The
    address of a per-CPU variable is not one of memory.
    """
    if value.kind is Kind.BTF:
        if Trust.PERCPU in value.trust:
            return LoadKind.UNKNOWN
        ordinary = store or value.trust is Trust.TRUSTED or value.trust is Trust.RCU
        return LoadKind.BTF if ordinary else LoadKind.PROBE
    return LoadKind.UNKNOWN if store and value.kind is Kind.PROBED else _LOAD_KINDS[value.kind]
