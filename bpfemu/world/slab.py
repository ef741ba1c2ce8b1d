"""Slab caches: declarations for BTF."""

# mypy: disable-error-code="name-defined,valid-type,type-arg"
# A name that this module does not know is a struct declared elsewhere, or nowhere: C's forward
# declaration.

from __future__ import annotations

from bpfemu.proto.decl import Const, char, int_, uint, ulong
from bpfemu.proto.types import Ptr, Struct, u8, u32
from bpfemu.world.typedefs import gfp_t, slab_flags_t


class reciprocal_value(Struct):
    """Division by multiplication."""

    m: u32
    sh1: u8
    sh2: u8


class kmem_cache_order_objects(Struct):
    """Page order and objects per slab."""

    x: uint


class kmem_cache(Struct):
    """A slab cache."""

    flags: slab_flags_t
    min_partial: ulong
    size: uint
    object_size: uint
    reciprocal_size: reciprocal_value
    offset: uint
    oo: kmem_cache_order_objects
    min: kmem_cache_order_objects
    allocflags: gfp_t
    refcount: int_
    inuse: uint
    align: uint
    red_left_pad: uint
    name: Ptr[Const[char]]
    list: list_head
    useroffset: uint
    usersize: uint
