"""Legacy packet access (LD_ABS, LD_IND): loads from the implicit skb.

Source: net/core/filter.c bpf_skb_load_helper_* and bpf_internal_load_pointer_neg_helper.
"""

from __future__ import annotations

from typing import Final

from bpfemu.machine.memory import Memory
from bpfemu.record import dataclass

__all__ = ["SKF_LL_OFF", "SKF_NET_OFF", "Packet"]

SKF_NET_OFF: Final = -0x100000  # from the network header (include/uapi/linux/filter.h)
SKF_LL_OFF: Final = -0x200000  # from the link layer header


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet in emulated memory; headers are byte offsets from ``addr``, negative before it.

    ``head`` is how many bytes lie before ``addr`` in the same buffer.
    """

    addr: int
    size: int  # bytes
    network_header: int = 0
    mac_header: int = 0
    head: int = 0

    def load(self, memory: Memory, size: int, offset: int) -> int | None:
        """``size`` bytes at ``offset``, network byte order; None outside the packet.

        Negative offsets count from a header.  SKF_AD_OFF is a fiction of classic BPF: in eBPF it
        lies far behind the network header, so it always fails.
        """
        at, low = offset, 0
        if offset < 0:
            low = -self.head
            if offset >= SKF_NET_OFF:
                at = self.network_header + offset - SKF_NET_OFF
            elif offset >= SKF_LL_OFF:
                at = self.mac_header + offset - SKF_LL_OFF
            else:
                return None
        if at < low or at + size > self.size:
            return None
        return int.from_bytes(memory.read(self.addr + at, size), "big")
