"""A module's BTF from its declarations: split BTF on the kernel's, as pahole would make it.

What the kernel has of a name is used; everything else that the kfuncs' prototypes reach is the
module's own, then its kfuncs with their decl tags.
"""

from __future__ import annotations

from bpfemu.btf import Btf
from bpfemu.kernel.vmlinux_build import BtfWriter
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.ctype import StructType
from bpfemu.proto.profile import KernelProfile

__all__ = ["build_module_btf"]


def build_module_btf(
    name: str, own: Catalog, kernel: Catalog, profile: KernelProfile, vmlinux: Btf
) -> Btf:
    """Describe what ``own`` declares on top of ``vmlinux``; ``kernel`` declares its structs."""
    writer = BtfWriter(Catalog(structs={**kernel.structs, **own.structs}), vmlinux)
    for struct in sorted(own.structs):
        cls = own.structs[struct]
        if not cls.c_private and not cls.c_anonymous:
            writer.type_of(StructType(struct, cls))
    for spec in own.select(profile).values():
        writer.add_kfunc(spec)
    writer.finish()
    return writer.builder.build(name)
