"""Random numbers.  Source: kernel/bpf/core.c bpf_user_rnd_u32."""

from __future__ import annotations

from bpfemu.proto.marks import helper
from bpfemu.proto.services import Random
from bpfemu.proto.types import u32


@helper(7)
def bpf_get_prandom_u32(*, random: Random) -> u32:
    """The next 32 bits of the seed's stream."""
    return u32(random.u32())
