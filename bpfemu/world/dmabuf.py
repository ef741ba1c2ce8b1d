"""DMA buffers: declarations for BTF."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Const, char, uint
from bpfemu.proto.types import Ptr, Struct, void
from bpfemu.world.typedefs import size_t


class dma_buf(Struct):
    """A buffer shared between devices."""

    size: size_t
    file: Ptr[file]
    attachments: list_head
    ops: Ptr[Const[dma_buf_ops]]
    vmapping_counter: uint
    exp_name: Ptr[Const[char]]
    name: Ptr[Const[char]]
    name_lock: spinlock_t
    owner: Ptr[module]
    list_node: list_head
    priv: Ptr[void]
    resv: Ptr[dma_resv]
