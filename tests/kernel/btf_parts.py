"""A tiny kernel's types, modules on top of them, and the services that deal in both."""

from __future__ import annotations

from bpfemu.btf import Btf, BtfBuilder, IntEncoding
from bpfemu.kernel.config import KernelConfig
from bpfemu.kernel.kernel_btf import KernelBtf
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import KF_ITER_NEW

TRACING, XDP, RAW_TRACEPOINT = 26, 6, 17  # BPF_PROG_TYPE_*


def vmlinux() -> Btf:
    """[1] int, [2] task_struct, [3] task_struct *, [5] put_task, [7] id_of; 8 ids with void."""
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    task = b.struct("task_struct", 8, [("pid", number, 0), ("tgid", number, 32)])
    pointer = b.ptr(task)
    b.func("put_task", b.func_proto(0, [("task", pointer)]), 0)
    b.func("id_of", b.func_proto(number, [("task", pointer)]), 0)
    return b.build("vmlinux")


def module_builder(base: Btf) -> BtfBuilder:
    """Types of a module on top of the kernel's: first its pointer to task_struct."""
    return BtfBuilder(base)


def plain_module(base: Btf, *functions: str) -> bytes:
    """Split BTF with one struct of the module's own and a good function for each name."""
    b = BtfBuilder(base)
    own = b.struct("own", 4, [("pid", 1, 0)])
    proto = b.func_proto(1, [("it", b.ptr(own))])
    for name in functions:
        b.func(name, proto, 0)
    return b.encode()


def broken_module(base: Btf, *good: str) -> bytes:
    """As plain, and ``bpf_iter_bad_new`` whose struct has 4 bytes: no iterator may have that."""
    b = BtfBuilder(base)
    own = b.struct("bpf_iter_bad", 4, [("pid", 1, 0)])
    proto = b.func_proto(1, [("it", b.ptr(own))])
    for name in good:
        b.func(name, proto, 0)
    b.func("bpf_iter_bad_new", proto, 0)
    return b.encode()


BAD = ("bpf_iter_bad_new", KF_ITER_NEW)


def kernel_btf(btf: Btf | None = None, *, catalog: Catalog | None = None, **config) -> KernelBtf:
    """The services; ``provider`` and ``link`` go to them, other words to the configuration."""
    extra = {name: config.pop(name) for name in ("provider", "link", "symbols") if name in config}
    types = vmlinux() if btf is None and "provider" not in extra else btf
    return KernelBtf(KernelConfig(**config), catalog or Catalog(), types, **extra)


def own_ids(btf: Btf) -> dict[str, int]:
    """The ids of a BTF's own named types."""
    return {getattr(t, "name", ""): id for id, t in btf.types() if getattr(t, "name", "")}
