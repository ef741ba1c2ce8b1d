"""Slab caches in memory: the list that /proc/slabinfo shows.  Source: mm/slab_common.c."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bpfemu.errors import InputError
from bpfemu.kernel.place_list import Lists
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import NULL, Ptr
from bpfemu.world.resources import KmemCacheSpec

__all__ = ["SlabTable"]


class SlabTable:
    """Service ``slabs``: every kmem_cache, linked by ``list``."""

    def __init__(self, placer: StructPlacer, caches: Sequence[KmemCacheSpec]) -> None:
        self._placer = placer
        self._lists = Lists(placer)
        self._head = placer.new("list_head", "slab_caches")
        self._lists.init(self._head)
        for spec in caches:
            self._lists.add_tail(self._new(spec).address_of_("list"), self._head)

    # ---- the service ------------------------------------------------------------------------

    def first(self) -> Ptr[Any]:
        """The first cache, NULL when there is none."""
        return self._owner(self._lists.next(self._head))

    def following(self, cache: Ptr[Any]) -> Ptr[Any]:
        """The cache behind that one, NULL behind the last."""
        return self._owner(self._lists.next(cache.address_of_("list")))

    def destroy(self, cache: Ptr[Any]) -> None:
        """kmem_cache_destroy(): one user less; without users the cache goes."""
        cache.refcount = int(cache.refcount) - 1
        if int(cache.refcount) == 0:
            self._lists.delete(cache.address_of_("list"))
            self._placer.free(cache)

    def _owner(self, link: int) -> Ptr[Any]:
        if link == int(self._head):
            return NULL
        return self._lists.owner(link, "kmem_cache", "list")

    # ---- what other code of the kernel does -------------------------------------------------

    def all(self) -> list[Ptr[Any]]:
        """Every cache in list order."""
        return [self._owner(link) for link in self._lists.walk(self._head)]

    def at(self, name: str) -> Ptr[Any]:
        """The cache of that name; InputError lists those there are."""
        names = {}
        for cache in self.all():
            names[cache.name.string_().decode("utf-8", "surrogateescape")] = cache
        if name not in names:
            raise InputError(f"there is no slab cache {name!r}; there are {', '.join(names)}")
        return names[name]

    def create(self, spec: KmemCacheSpec) -> Ptr[Any]:
        """kmem_cache_create(): the new one is the first in the list."""
        made = self._new(spec)
        self._lists.add(made.address_of_("list"), self._head)
        return made

    def _new(self, spec: KmemCacheSpec) -> Ptr[Any]:
        name = spec.name.encode("utf-8", "surrogateescape") + b"\0"
        order = spec.pages_per_slab.bit_length() - 1
        objects = order << 16 | spec.objects_per_slab
        values = {
            "flags": spec.flags,
            "size": spec.size,
            "object_size": spec.object_size or spec.size,
            "inuse": spec.object_size or spec.size,
            "align": spec.align,
            "oo.x": objects,
            "min.x": objects,
            "refcount": spec.refcount,
            "name": self._placer.bytes(name, f"name of slab cache {spec.name}"),
        }
        return self._placer.new("kmem_cache", f"kmem_cache {spec.name}", values)
