"""raw_tp programs: the context is the tracepoint's arguments as 64-bit words.

net/bpf/test_run.c and kernel/trace/bpf_trace.c: BPF_PROG_TEST_RUN takes up to 12 words
(MAX_BPF_FUNC_ARGS), no packet, and at least as many bytes as the program reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import (
    Ctx,
    ProgEnv,
    max_ctx_offset,
    place_block,
    refuse,
    refuse_packet,
    words,
)
from bpfemu.proto.marks import prog_type

MAX_ARGS: Final = 12


def arguments(image: ProgramImage, options: RunOptions) -> bytes:
    """The words that a caller gave; all twelve zero when nothing was given."""
    given = options.ctx
    if given is None:
        return bytes(8 * MAX_ARGS)
    if isinstance(given, Mapping):
        if set(given) != {"args"} or not isinstance(given["args"], list | tuple):
            raise refuse(image, "the context of a raw tracepoint has one field, 'args': numbers")
        given = given["args"]
    data = bytes(given) if isinstance(given, bytes | bytearray) else b""
    if not isinstance(given, bytes | bytearray):
        data = words(image, given, MAX_ARGS, "args")
    if len(data) > 8 * MAX_ARGS:
        raise refuse(image, f"the context has {len(data)} bytes, there can be {8 * MAX_ARGS}")
    if len(data) < max_ctx_offset(image):
        raise refuse(
            image, f"it reads {max_ctx_offset(image)} bytes of context, {len(data)} are given"
        )
    return data


class _RawTracepoint:
    name = "raw_tracepoint"
    writable = False

    @classmethod
    def place(cls, env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The arguments as words, read-only."""
        refuse_packet(image, options, cls.name)
        data = arguments(image, options)
        addr = place_block(env, data, writable=cls.writable)
        return Ctx(addr, env.memory, (addr,))


@prog_type(17)
class RawTracepoint(_RawTracepoint):
    """BPF_PROG_TYPE_RAW_TRACEPOINT."""


@prog_type(24)
class RawTracepointWritable(_RawTracepoint):
    """BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: its first argument points to a writable buffer."""

    name = "raw_tracepoint_writable"
