"""cgroup_skb programs: the packet from its IP header on, read-only."""

from __future__ import annotations

from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx, ProgEnv
from bpfemu.kernel.progs.skb import SkbType, place_skb
from bpfemu.proto.marks import prog_type

CGROUP: Final = SkbType(
    hidden=("tc_classid", "data_meta", "wire_len", "hwtstamp"),
    writable=("mark", "priority", "cb", "tstamp"),
)
"""cg_skb_is_valid_access."""


@prog_type(8)
class CgroupSkb:
    """BPF_PROG_TYPE_CGROUP_SKB."""

    name = "cgroup_skb"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The packet and its context."""
        return place_skb(env, image, options, CGROUP)
