"""Socket filters: the packet behind its Ethernet header, through LD_ABS and helpers only."""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx, ProgEnv
from bpfemu.kernel.progs.skb import SOCKET_FIELDS, SkbType, place_skb
from bpfemu.proto.marks import prog_type

FILTER: Final = SkbType(
    hidden=(
        "tc_classid",
        "data",
        "data_meta",
        "data_end",
        *SOCKET_FIELDS,
        "tstamp",
        "wire_len",
        "hwtstamp",
    ),
    writable=("cb",),
)
"""sk_filter_is_valid_access."""


@prog_type(1)
class SocketFilter:
    """BPF_PROG_TYPE_SOCKET_FILTER."""

    name = "socket_filter"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The packet and its context."""
        return place_skb(env, image, options, FILTER)
