"""Services that know cgroups, slab caches, DMA buffers and dispatch queues, as protocols.

Bodies import them from ``bpfemu.proto.services``, with all others.
"""

from __future__ import annotations

from typing import Any, Protocol

from bpfemu.proto.types import Ptr

__all__ = ["Cgroups", "DmaBufs", "Scx", "Slabs"]


class Cgroups(Protocol):
    """Control groups; a css is a Ptr[cgroup_subsys_state], results may be NULL."""

    def from_id(self, id: int) -> Ptr[Any]:
        """The cgroup with that id; takes no reference."""

    def tryget(self, css: Ptr[Any]) -> bool:
        """css_tryget: False when it is being released."""

    def put(self, css: Ptr[Any]) -> None:
        """css_put."""

    def next_child(self, pos: Ptr[Any], parent: Ptr[Any]) -> Ptr[Any]:
        """css_next_child: behind ``pos`` (NULL: the first)."""

    def task_iter_start(self, css: Ptr[Any], flags: int, it: Ptr[Any]) -> None:
        """css_task_iter_start: ``it`` is a Ptr[css_task_iter]."""

    def task_iter_next(self, it: Ptr[Any]) -> Ptr[Any]:
        """css_task_iter_next: the next task, held until the one after it."""

    def task_iter_end(self, it: Ptr[Any]) -> None:
        """css_task_iter_end."""


class Slabs(Protocol):
    """Slab caches; results are Ptr[kmem_cache] or NULL."""

    def first(self) -> Ptr[Any]:
        """The first in the list."""

    def following(self, cache: Ptr[Any]) -> Ptr[Any]:
        """The one behind."""

    def destroy(self, cache: Ptr[Any]) -> None:
        """kmem_cache_destroy."""


class DmaBufs(Protocol):
    """DMA buffers; results are Ptr[dma_buf] or NULL."""

    def first(self) -> Ptr[Any]:
        """dma_buf_iter_begin: the first, referenced."""

    def following(self, buffer: Ptr[Any]) -> Ptr[Any]:
        """dma_buf_iter_next: drop that one; the next, referenced."""

    def put(self, buffer: Ptr[Any]) -> None:
        """dma_buf_put."""


class Scx(Protocol):
    """Dispatch queues; tasks are Ptr[task_struct], places in a queue Ptr[list_head], or NULL."""

    @property
    def is_loaded(self) -> bool:
        """Is a scheduler attached?"""

    def find(self, id: int) -> Ptr[Any]:
        """find_user_dsq."""

    def next_task(self, dsq: Ptr[Any], cursor: Ptr[Any], reverse: bool) -> Ptr[Any]:
        """nldsq_next_task: behind a place (NULL: the first, or the last when reverse)."""

    def place_of(self, task: Ptr[Any]) -> Ptr[Any]:
        """A task's place."""

    def init_cursor(self, node: Ptr[Any]) -> None:
        """INIT_LIST_HEAD."""

    def is_linked(self, node: Ptr[Any]) -> bool:
        """Is that place in a queue?"""

    def move_cursor(self, node: Ptr[Any], task: Ptr[Any], reverse: bool) -> None:
        """Behind a task, before it when reverse."""

    def unlink_cursor(self, node: Ptr[Any]) -> None:
        """list_del_init."""
