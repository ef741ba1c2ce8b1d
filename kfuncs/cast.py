"""Casts (kernel/bpf/helpers.c): what changes is how the verifier sees an address."""

from __future__ import annotations

from typing import Any

from bpfemu.proto.decl import Const
from bpfemu.proto.flags import KF_FASTCALL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import KernCtx
from bpfemu.proto.types import Ptr, u32, void


@kfunc(KF_FASTCALL, since=(6, 2))
def bpf_cast_to_kern_ctx(obj: Ptr[void], *, kern_ctx: KernCtx) -> Ptr[void]:
    """The context as the kernel's own struct.

    There the two are one object and the program's loads are rewritten; here they are two.
    """
    return Ptr(kern_ctx.of(int(obj)))


@kfunc(KF_FASTCALL, since=(6, 2))
def bpf_rdonly_cast(obj__ign: Ptr[Const[Any]], btf_id__k: u32) -> Ptr[void]:
    """Any value as a pointer to the kernel's type ``btf_id__k``; bad loads through it give 0."""
    return Ptr(int(obj__ign))
