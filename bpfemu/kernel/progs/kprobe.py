"""kprobe, uprobe and their kin: the context is the registers, struct pt_regs (x86-64).

Read-only (kprobe_prog_is_valid_access), and read as it lies in memory.
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
    refuse_packet,
)
from bpfemu.proto.marks import prog_type
from bpfemu.world.trace import pt_regs

ARGUMENTS: Final = ("di", "si", "dx", "cx", "r8", "r9")
"""Where the x86-64 calling convention has the first six arguments."""


def registers(image: ProgramImage, options: RunOptions) -> bytes:
    """The registers' bytes: given as such, by name, or as the function's arguments in order."""
    layout, given = layout_of(pt_regs), options.ctx
    if given is None:
        return bytes(layout.size)
    if isinstance(given, bytes | bytearray):
        if len(given) != layout.size:
            raise refuse(
                image, f"the context has {len(given)} bytes, struct pt_regs has {layout.size}"
            )
        return bytes(given)
    if not isinstance(given, Mapping):
        if len(given) > len(ARGUMENTS):
            raise refuse(image, f"{len(given)} arguments are given, registers hold 6")
        given = dict(zip(ARGUMENTS, given, strict=False))
    return fields_of(image, layout, given)


@prog_type(2)
class Kprobe:
    """BPF_PROG_TYPE_KPROBE."""

    name = "kprobe"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The registers, all zero by default."""
        refuse_packet(image, options, "kprobe")
        addr = place_block(env, registers(image, options), name="struct pt_regs")
        return Ctx(addr, env.memory, (addr,))
