"""bpf_loop.  Source: kernel/bpf/bpf_iter.c."""

from __future__ import annotations

from collections.abc import Generator
from errno import E2BIG, EINVAL

from bpfemu.proto.flags import BPF_MAX_LOOPS
from bpfemu.proto.marks import helper
from bpfemu.proto.types import Callback, Ptr, s64, u32, u64, void


@helper(181)
def bpf_loop(
    nr_loops: u32, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64
) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    """Call back with 0, 1, … until a call returns non-zero; how many calls there were."""
    if flags:
        return s64(-EINVAL)
    if nr_loops > BPF_MAX_LOOPS:
        return s64(-E2BIG)
    context = int(callback_ctx)
    for index in range(nr_loops):
        if (yield from callback_fn(index, context)):
            return s64(index + 1)
    return s64(nr_loops)
