"""The packet behind a network program's context.

::

    start               mac        data                    end
    │ metadata (xdp)    │ Ethernet │ IP …                  │
"""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.packet import Packet
from bpfemu.kernel.progs.base import ProgEnv, refuse
from bpfemu.machine.memory import READ_ONLY, VALID, Memory, RegionKind
from bpfemu.record import dataclass

__all__ = ["DEFAULT_SIZE", "ETH_HLEN", "PlacedPacket", "packet_bytes", "place_packet"]

ETH_HLEN: Final = 14  # bytes of an Ethernet header
DEFAULT_SIZE: Final = 64  # bytes of zeros when no packet is given, as the kernel's test loader has


@dataclass(frozen=True, slots=True)
class PlacedPacket:
    """Where a packet lies; addresses are u64.

    ``data`` is what the context's data points at and LD_ABS counts from: the Ethernet header,
    or what follows it in program types that get packets without one.
    """

    memory: Memory
    start: int  # metadata, then everything else
    mac: int
    data: int
    end: int

    def bytes_from(self, addr: int) -> bytes:
        """The packet from an address to its end."""
        return self.memory.read(addr, self.end - addr)

    def legacy(self) -> Packet:
        """The packet as LD_ABS and LD_IND see it."""
        mac = self.mac - self.data
        return Packet(
            self.data, self.end - self.data, mac + ETH_HLEN, mac, head=self.data - self.start
        )


def packet_bytes(image: ProgramImage, options: RunOptions, most: int) -> bytes:
    """The caller's packet, checked as BPF_PROG_TEST_RUN does; 64 zero bytes by default."""
    data = options.data_in
    if data is None:
        return bytes(DEFAULT_SIZE)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise refuse(image, f"data_in is {type(data).__name__}, must be bytes")
    if len(data) < ETH_HLEN:
        raise refuse(
            image,
            f"data_in has {len(data)} bytes, an Ethernet header alone has {ETH_HLEN}",
        )
    if len(data) > most:
        raise refuse(image, f"data_in has {len(data)} bytes, there can be {most}")
    return bytes(data)


def place_packet(
    env: ProgEnv, data: bytes, *, meta: int = 0, hidden: int = 0, writable: bool = False
) -> PlacedPacket:
    """Put a packet into memory, its first byte 64-byte aligned (a cache line, as NET_SKB_PAD).

    The first ``meta`` bytes are metadata before the packet; ``hidden`` bytes of header are
    before what the program sees as the packet's data.
    """
    state = VALID if writable else READ_ONLY
    region = env.memory.allocate(len(data), RegionKind.PACKET, "packet", align=64, state=state)
    env.memory.write(region.addr, data)
    mac = region.addr + meta
    return PlacedPacket(env.memory, region.addr, mac, mac + hidden, region.addr + len(data))
