"""Which map a helper may be given: the verifier's checks, made when the call is.

Source: kernel/bpf/verifier.c check_map_func_compatibility, record_func_map.
"""

from __future__ import annotations

from typing import Final, cast

from bpfemu.kernel.maps.base import BpfMap
from bpfemu.kernel.maps.ringbuf import RingbufMap
from bpfemu.kernel.maps.types import BPF_F_RDONLY_PROG
from bpfemu.machine.stop import Fault, FaultKind, Trap
from bpfemu.proto.types import MapPtr

__all__ = ["checked_map", "checked_ring"]

_RINGBUF: Final = frozenset({27})

_ONLY: Final[dict[int, frozenset[int]]] = {
    130: _RINGBUF,
    131: _RINGBUF,
    134: _RINGBUF,
    164: frozenset({1, 2, 5, 6, 9, 10}),
    195: frozenset({5, 6, 10}),
}
"""The map types that a helper is for, by number, where it is not for all."""

_NOT_BY_KEY: Final = frozenset({3, 4, 8, 19, 21, 24, 26, 27, 28, 29, 31, 32, 33})
"""Map types whose elements programs cannot look up, update or delete by key."""

_WRITERS: Final = frozenset({2, 3})


def checked_map(found: MapPtr, number: int, name: str) -> BpfMap:
    """The map; Trap, in the verifier's words, when the helper is not for it."""
    target = cast("BpfMap", found)
    only = _ONLY.get(number)
    if target.type in _NOT_BY_KEY if only is None else target.type not in only:
        rule = f"cannot pass map_type {target.type} into func {name}#{number}"
        raise Trap(Fault(FaultKind.BAD_CALL, rule, addr=target.addr))
    if number in _WRITERS and target.flags & BPF_F_RDONLY_PROG:
        raise Trap(Fault(FaultKind.READ_ONLY, "write into map forbidden", addr=target.addr))
    return target


def checked_ring(found: MapPtr, number: int, name: str) -> RingbufMap:
    """The ring buffer; Trap for any other map."""
    return cast("RingbufMap", checked_map(found, number, name))
