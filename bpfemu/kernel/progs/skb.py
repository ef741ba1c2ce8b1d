"""Programs whose context is struct __sk_buff: socket filters, tc, cgroup_skb, LWT.

net/bpf/test_run.c bpf_prog_test_run_skb: data_in is an Ethernet frame on lo; tc sees it from its
Ethernet header on, the others from behind it.  Which fields a program type may read and write are
net/core/filter.c's: *_is_valid_access.

The block is struct __sk_buff, with 64-bit pointers at 256 + 2 * offset (see ``xdp.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import (
    Ctx,
    ProgEnv,
    fields_of,
    layout_of,
    place_block,
    refuse,
)
from bpfemu.kernel.progs.packet import ETH_HLEN, PlacedPacket, packet_bytes, place_packet
from bpfemu.kernel.progs.xdp import LOOPBACK, POINTERS
from bpfemu.machine.memory import KERNEL, VALID
from bpfemu.record import dataclass
from bpfemu.world.uapi.ctx import __sk_buff

__all__ = ["SkbType", "place_skb"]

MAX_SIZE: Final = 4096 - 64 - 320  # bytes: a page without NET_SKB_PAD and shared info
GSO_LEGACY_MAX_SIZE: Final = 65536
GSO_MAX_SEGS: Final = 65535


SETTABLE: Final = (
    "mark",
    "priority",
    "ingress_ifindex",
    "ifindex",
    "cb",
    "tstamp",
    "wire_len",
    "gso_segs",
    "gso_size",
    "hwtstamp",
)
"""What a caller may set, and gets back (convert___skb_to_skb)."""

SOCKET_FIELDS: Final = (
    "family",
    "remote_ip4",
    "local_ip4",
    "remote_ip6",
    "local_ip6",
    "remote_port",
    "local_port",
)


@dataclass(frozen=True, slots=True)
class SkbType:
    """How one program type sees a packet.

    ``hidden`` fields may not be read, ``writable`` ones be written; ``ethernet`` says that the
    data start with the Ethernet header, ``direct`` that the packet's bytes may be written.
    """

    hidden: tuple[str, ...]
    writable: tuple[str, ...]
    ethernet: bool = False
    direct: bool = False


def place_skb(env: ProgEnv, image: ProgramImage, options: RunOptions, kind: SkbType) -> Ctx:
    """The packet (64 zero bytes by default) and the context in front of it."""
    frame = packet_bytes(image, options, MAX_SIZE)
    given = _given(image, options)
    hidden = 0 if kind.ethernet else ETH_HLEN
    packet = place_packet(env, frame, hidden=hidden, writable=kind.direct)
    fields = _fields(image, given, frame, len(frame) - hidden, packet)
    addr = _block(env, image, fields, packet)
    _open(env, addr, kind)
    return Ctx(
        addr,
        env.memory,
        (addr, packet.start),
        lambda: _ctx_out(env, addr),
        lambda: bytes(hidden) + packet.bytes_from(packet.data),
        packet.legacy(),
    )


def _given(image: ProgramImage, options: RunOptions) -> Mapping[str, object] | None:
    layout, given = layout_of(__sk_buff), options.ctx
    if given is None or isinstance(given, Mapping):
        return given
    if not isinstance(given, bytes | bytearray):
        raise refuse(image, "a packet's context is given by field names or as bytes")
    tail = bytes(given[layout.size :])
    if any(tail):
        raise refuse(image, f"the context has bytes that are not zero behind {layout.size}", 7)
    data = bytes(given[: layout.size]).ljust(layout.size, b"\0")
    found: dict[str, object] = {}
    for name, field in layout.fields.items():
        width = 20 if name == "cb" else 8 if name in ("tstamp", "hwtstamp") else 4
        part = data[field.offset : field.offset + width]
        if name in SETTABLE:
            found[name] = part if name == "cb" else int.from_bytes(part, "little")
            data = data[: field.offset] + bytes(width) + data[field.offset + width :]
    at = next((at for at, byte in enumerate(data) if byte), None)
    if at is not None:
        raise refuse(image, f"byte {at} of the context is {data[at]}; only {SETTABLE} may be set")
    return found


def _fields(
    image: ProgramImage,
    given: Mapping[str, object] | None,
    frame: bytes,
    length: int,
    packet: PlacedPacket,
) -> dict[str, object]:
    """Every field of the context before the run."""
    fields: dict[str, object] = {"ifindex": LOOPBACK, **(given or {})}
    fields_of(image, layout_of(__sk_buff), given or {}, SETTABLE)  # names and ranges
    if not fields["ifindex"]:
        fields["ifindex"] = LOOPBACK
    wire = fields.get("wire_len", 0)
    if given is not None and not wire:
        fields["wire_len"] = length
    elif isinstance(wire, int) and wire and not length <= wire <= GSO_LEGACY_MAX_SIZE:
        raise refuse(image, f"wire_len is {wire}, must be from {length} to {GSO_LEGACY_MAX_SIZE}")
    segments = fields.get("gso_segs", 0)
    if isinstance(segments, int) and segments > GSO_MAX_SEGS:
        raise refuse(image, f"gso_segs is {segments}, must be up to {GSO_MAX_SEGS}")
    fields.update(len=length, pkt_type=_pkt_type(frame), protocol=_protocol(frame))
    fields.update(data=packet.data & 0xFFFF_FFFF, data_end=packet.end & 0xFFFF_FFFF)
    fields.update(data_meta=packet.data & 0xFFFF_FFFF)
    return fields


def _pkt_type(frame: bytes) -> int:
    """eth_type_trans on lo, whose address and broadcast address are zeros."""
    if frame[0] & 1:
        return 2  # PACKET_MULTICAST
    return 3 if any(frame[:6]) else 0  # PACKET_OTHERHOST, PACKET_HOST


def _protocol(frame: bytes) -> int:
    """The EtherType as the field holds it: in network order."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind < 0x600:  # a length, as IEEE 802.3 has it
        kind = 0x0001 if frame[14:16] == b"\xff\xff" else 0x0004  # ETH_P_802_3, ETH_P_802_2
    return int.from_bytes(kind.to_bytes(2, "big"), "little")


def _block(
    env: ProgEnv, image: ProgramImage, fields: dict[str, object], packet: PlacedPacket
) -> int:
    layout = layout_of(__sk_buff)
    addr = place_block(
        env, fields_of(image, layout, fields), name="struct __sk_buff", size=POINTERS + 288
    )
    for name, target in (
        ("data", packet.data),
        ("data_end", packet.end),
        ("data_meta", packet.data),
    ):
        env.memory.write_int(addr + POINTERS + 2 * layout.fields[name].offset, 8, target)
    return addr


def _open(env: ProgEnv, addr: int, kind: SkbType) -> None:
    """Say in the shadow which fields may be read and written."""
    layout = layout_of(__sk_buff)
    sizes = {"cb": 20, "remote_ip6": 16, "local_ip6": 16, "tstamp": 8, "hwtstamp": 8}
    sizes |= {"flow_keys": 8, "sk": 8, "tstamp_type": 1}
    for names, state in ((kind.hidden, KERNEL), (kind.writable, VALID)):
        for name in names:
            at = layout.fields[name].offset
            env.memory.set_state(addr + at, sizes.get(name, 4), state)
            if name in ("data", "data_end", "data_meta"):
                env.memory.set_state(addr + POINTERS + 2 * at, 8, state)


def _ctx_out(env: ProgEnv, addr: int) -> bytes:
    """What convert_skb_to___skb hands back; the rest is zero."""
    layout = layout_of(__sk_buff)
    out = bytearray(layout.size)
    for name in SETTABLE:
        at = layout.fields[name].offset
        size = 20 if name == "cb" else 8 if name in ("tstamp", "hwtstamp") else 4
        out[at : at + size] = env.memory.read(addr + at, size)
    return bytes(out)
