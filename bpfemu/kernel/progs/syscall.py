"""syscall programs: the context is bytes that the caller passes in and gets back.

net/bpf/test_run.c bpf_prog_test_run_syscall: no packet, at most U16_MAX bytes, at least as many as
the program reads; without any, r1 is NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
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

MAX_SIZE: Final = 0xFFFF  # bytes


@prog_type(31)
class Syscall:
    """BPF_PROG_TYPE_SYSCALL; the context is read and written."""

    name = "syscall"

    @staticmethod
    def place(env: ProgEnv, image: ProgramImage, options: RunOptions) -> Ctx:
        """The caller's bytes; a struct of the program's own BTF may be given by field names."""
        refuse_packet(image, options, "syscall")
        data = _bytes(image, options)
        if len(data) > MAX_SIZE:
            raise refuse(image, f"the context has {len(data)} bytes, there can be {MAX_SIZE}")
        if len(data) < max_ctx_offset(image):
            raise refuse(
                image, f"it reads {max_ctx_offset(image)} bytes of context, {len(data)} are given"
            )
        if not data:
            return Ctx(0, env.memory)
        addr = place_block(env, data, writable=True)
        return Ctx(addr, env.memory, (addr,), lambda: env.memory.read(addr, len(data)))


def _bytes(image: ProgramImage, options: RunOptions) -> bytes:
    given = options.ctx
    if given is None:
        return b""
    if isinstance(given, bytes | bytearray):
        return bytes(given)
    if not isinstance(given, Mapping):
        return words(image, given, MAX_SIZE // 8, "ctx")
    struct = _ctx_struct(image)
    if image.btf is None or struct is None:
        raise refuse(image, "its context has no struct type in BTF; give bytes or numbers")
    from bpfemu.btf.pack import python_to_bytes

    return python_to_bytes(image.btf, struct, dict(given))


def _ctx_struct(image: ProgramImage) -> int | None:
    """The struct that the program's first parameter points to, in its own BTF."""
    btf = image.btf
    if btf is None or not image.btf_id:
        return None
    func = btf.type(image.btf_id)
    if not isinstance(func, k.Func):
        return None
    params = btf.func_proto(func.type).params
    return _pointee(btf, params[0].type) if params else None


def _pointee(btf: Btf, type_id: int) -> int | None:
    pointer = btf.type(btf.resolve(type_id))
    if not isinstance(pointer, k.Ptr):
        return None
    target = btf.resolve(pointer.type)
    return target if isinstance(btf.type(target), k.Struct | k.Union) else None
