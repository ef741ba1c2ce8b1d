"""Casts (kernel/bpf/helpers.c): the address stays, the verifier's view of it changes."""

from __future__ import annotations

from typing import Any

from bpfemu.proto.decl import Const
from bpfemu.proto.flags import KF_FASTCALL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import Ptr, u32, void


@kfunc(KF_FASTCALL, since=(6, 2))
def bpf_cast_to_kern_ctx(obj: Ptr[void]) -> Ptr[void]:
    """The context as the kernel's own struct."""
    return obj


@kfunc(KF_FASTCALL, since=(6, 2))
def bpf_rdonly_cast(obj__ign: Ptr[Const[Any]], btf_id__k: u32) -> Ptr[void]:
    """Any value as a pointer to the kernel's type ``btf_id__k``; bad loads through it give 0."""
    return Ptr(int(obj__ign))
