"""perf_event programs: registers, the sample period and the sampled address."""

from __future__ import annotations

from collections.abc import Mapping

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import (
    Ctx,
    ProgEnv,
    fields_of,
    layout_of,
    place_block,
    refuse,
    refuse_packet,
)
from bpfemu.proto.marks import prog_type
from bpfemu.world.trace import bpf_perf_event_data, pt_regs

OWN = ("sample_period", "addr")


@prog_type(7)
class PerfEvent:
    """BPF_PROG_TYPE_PERF_EVENT; read-only."""

    name = "perf_event"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The event, all zero by default; registers are fields by their names."""
        refuse_packet(image, options, "perf_event")
        addr = place_block(env, _event(image, options), name="struct bpf_perf_event_data")
        return Ctx(addr, env.memory, (addr,))


def _event(image: ProgramImage, options: RunOptions) -> bytes:
    layout, given = layout_of(bpf_perf_event_data), options.ctx
    if given is None:
        return bytes(layout.size)
    if isinstance(given, bytes | bytearray):
        if len(given) != layout.size:
            raise refuse(
                image,
                f"the context has {len(given)} bytes, struct bpf_perf_event_data has {layout.size}",
            )
        return bytes(given)
    if not isinstance(given, Mapping):
        raise refuse(image, "a perf event's context is given by field names or as bytes")
    regs = layout_of(pt_regs)
    names = {name: value for name, value in given.items() if name not in OWN}
    own = {name: value for name, value in given.items() if name in OWN}
    tail = fields_of(image, layout, own)[regs.size :]
    return fields_of(image, regs, names) + tail
