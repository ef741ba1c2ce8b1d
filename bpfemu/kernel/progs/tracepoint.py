"""tracepoint programs: the record as the trace buffer has it.

kernel/trace/bpf_trace.c tp_prog_is_valid_access: the first eight bytes are the kernel's own; reads
only, below PERF_MAX_TRACE_SIZE.  The record of ``SEC("tp/category/name")`` is struct
trace_event_raw_<name>, looked for in the kernel's BTF and in the program's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx, ProgEnv, place_block, refuse, refuse_packet
from bpfemu.machine.memory import KERNEL
from bpfemu.proto.marks import prog_type

COMMON: Final = 8  # bytes of common fields in front: type, flags, preempt_count, pid
MAX_SIZE: Final = 8192  # bytes, PERF_MAX_TRACE_SIZE
DEFAULT_SIZE: Final = 64  # bytes, where nobody knows the record's type


@prog_type(5)
class Tracepoint:
    """BPF_PROG_TYPE_TRACEPOINT."""

    name = "tracepoint"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The record: bytes, or fields by name; zeros by default."""
        refuse_packet(image, options, "tracepoint")
        data = _record(image, options)
        addr = place_block(env, data, name="trace record")
        env.memory.set_state(addr, COMMON, KERNEL)
        return Ctx(addr, env.memory, (addr,))


def _record(image: ProgramImage, options: RunOptions) -> bytes:
    given, found = options.ctx, _find_record(image)
    if isinstance(given, bytes | bytearray):
        if not COMMON <= len(given) <= MAX_SIZE:
            raise refuse(
                image, f"the record has {len(given)} bytes, must have {COMMON} to {MAX_SIZE}"
            )
        return bytes(given)
    if given is not None and not isinstance(given, Mapping):
        raise refuse(image, "a tracepoint's record is given by field names or as bytes")
    if found is None:
        if given:
            raise refuse(image, f"no BTF has {_record_name(image)}; give the record as bytes")
        return bytes(DEFAULT_SIZE)
    from bpfemu.btf.pack import python_to_bytes

    btf, type_id = found
    return python_to_bytes(btf, type_id, dict(given or {})).ljust(COMMON, b"\0")


def _record_name(image: ProgramImage) -> str:
    return f"trace_event_raw_{image.attach_to.rpartition('/')[2]}"


def _find_record(image: ProgramImage) -> tuple[Btf, int] | None:
    for btf in (image.kernel_btf, image.btf):
        found = btf.find(_record_name(image), k.Struct) if btf is not None else None
        if btf is not None and found:
            return btf, found
    return None
