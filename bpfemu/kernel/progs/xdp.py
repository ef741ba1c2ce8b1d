"""XDP programs: struct xdp_md and the packet it points into.

net/bpf/test_run.c bpf_prog_test_run_xdp: data_in starts with as many bytes of metadata as the
context's ``data`` says (data_meta 0); one page holds 256 bytes of headroom, the packet and the
shared info.  Packets that need fragments are not there.

The context's pointers are 32 bits wide in C and 64 in the kernel: ``bind`` turns a 4-byte load at
offset f into an 8-byte load at 256 + 2 * f, and here is where that reads.
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
from bpfemu.proto.marks import prog_type
from bpfemu.world.uapi.ctx import xdp_md

POINTERS: Final = 256  # offset of the 64-bit pointers in a context block
MAX_SIZE: Final = 4096 - 256 - 320  # bytes: a page without XDP_PACKET_HEADROOM and shared info
MAX_META: Final = 252  # bytes in front of a packet (xdp_metalen_invalid: 255, a multiple of 4)
LOOPBACK: Final = 1  # ifindex


@prog_type(6)
class Xdp:
    """BPF_PROG_TYPE_XDP."""

    name = "xdp"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The packet (64 zero bytes by default, arriving on lo) and its context."""
        data = packet_bytes(image, options, MAX_SIZE)
        given = _given(image, options)
        meta = _check(image, given, len(data))
        packet = place_packet(env, data, meta=meta, writable=True)
        addr = _block(env, image, given, packet)
        return Ctx(
            addr,
            env.memory,
            (addr, packet.start),
            lambda: _ctx_out(env, addr, packet),
            lambda: packet.bytes_from(packet.start),
            packet.legacy(),
        )


def _given(image: ProgramImage, options: RunOptions) -> dict[str, int]:
    """The context's fields as numbers."""
    layout, given = layout_of(xdp_md), options.ctx
    if given is None:
        return {}
    if isinstance(given, Mapping):
        raw = fields_of(image, layout, given)
        names = [name for name in layout.fields if name in given]
    elif isinstance(given, bytes | bytearray):
        if len(given) != layout.size:
            raise refuse(
                image, f"the context has {len(given)} bytes, struct xdp_md has {layout.size}"
            )
        raw, names = bytes(given), list(layout.fields)
    else:
        raise refuse(image, "an XDP program's context is given by field names or as bytes")
    return {name: int.from_bytes(raw[layout.fields[name].offset :][:4], "little") for name in names}


def _check(image: ProgramImage, given: dict[str, int], size: int) -> int:
    """The kernel's checks (xdp_convert_md_to_buff and its caller); the metadata's size."""
    meta = given.get("data", 0)
    if given.get("data_meta", 0):
        raise refuse(image, f"data_meta is {given['data_meta']}, must be 0")
    if given.get("data_end", size) > size:
        raise refuse(image, f"data_end is {given['data_end']}, data_in has {size} bytes")
    if meta % 4 or meta > MAX_META:
        raise refuse(image, f"data is {meta}, must be a multiple of 4 up to {MAX_META}: metadata")
    if size - meta < ETH_HLEN:
        raise refuse(image, f"data is {meta}, which leaves no Ethernet header of {size} bytes")
    if given.get("egress_ifindex", 0):
        raise refuse(image, f"egress_ifindex is {given['egress_ifindex']}, must be 0")
    if given.get("rx_queue_index", 0):
        raise refuse(image, f"rx_queue_index is {given['rx_queue_index']}, there is one queue: 0")
    return meta


def _block(env: ProgEnv, image: ProgramImage, given: dict[str, int], packet: PlacedPacket) -> int:
    pointers = {"data": packet.data, "data_end": packet.end, "data_meta": packet.start}
    fields = {name: addr & 0xFFFF_FFFF for name, addr in pointers.items()}
    fields["ingress_ifindex"] = given.get("ingress_ifindex", 0) or LOOPBACK
    layout = layout_of(xdp_md)
    addr = place_block(
        env, fields_of(image, layout, fields), name="struct xdp_md", size=POINTERS + 24
    )
    for name, target in pointers.items():
        env.memory.write_int(addr + POINTERS + 2 * layout.fields[name].offset, 8, target)
    return addr


def _ctx_out(env: ProgEnv, addr: int, packet: PlacedPacket) -> bytes:
    """struct xdp_md with offsets into data_out instead of pointers."""
    data = bytearray(env.memory.read(addr, 24))
    for at, offset in ((0, packet.data), (4, packet.end), (8, packet.start)):
        data[at : at + 4] = (offset - packet.start).to_bytes(4, "little")
    return bytes(data)
