"""DMA buffers in memory: the list of all, each with its file.

Source: drivers/dma-buf/dma-buf.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_list import Lists
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.proto.types import NULL, Ptr
from bpfemu.record import replace
from bpfemu.world.resources import DmaBufSpec
from bpfemu.world.spec import FileSpec

__all__ = ["DmaBufTable"]


class DmaBufTable:
    """Service ``dmabufs``: every buffer, linked by ``list_node``."""

    def __init__(
        self, placer: StructPlacer, files: FileTable, buffers: Sequence[DmaBufSpec]
    ) -> None:
        self._placer = placer
        self._files = files
        self._lists = Lists(placer)
        self._inodes = {spec.inode for spec in buffers}
        self._head = placer.new("list_head", "debugfs_list.head")
        self._lists.init(self._head)
        for spec in buffers:
            self.export(spec)

    # ---- the service ------------------------------------------------------------------------

    def first(self) -> Ptr[Any]:
        """dma_buf_iter_begin(): the first buffer that can still be referenced, referenced."""
        return self._take(self._head)

    def following(self, buffer: Ptr[Any]) -> Ptr[Any]:
        """dma_buf_iter_next(): drop that one; the next that can be referenced, referenced.

        The last reference is put later, by delayed work, so the way onward is still there.
        """
        found = self._take(buffer.address_of_("list_node"))
        self.put(buffer)
        return found

    def put(self, buffer: Ptr[Any]) -> None:
        """dma_buf_put(): the buffer goes with the last reference on its file."""
        file = buffer.file
        last = self._files.count(file) == 1
        self._files.put(file)
        if last:
            self._lists.delete(buffer.address_of_("list_node"))
            self._placer.free(buffer)

    def _take(self, link: Ptr[Any]) -> Ptr[Any]:
        """get_file_active() from behind a link on."""
        at = self._lists.next(link)
        while at != int(self._head):
            buffer = self._lists.owner(at, "dma_buf", "list_node")
            if self._files.count(buffer.file) > 0:
                self._files.get(buffer.file)
                return buffer
            at = self._lists.next(at)
        return NULL

    # ---- what other code of the kernel does -------------------------------------------------

    def all(self) -> list[Ptr[Any]]:
        """Every buffer in list order."""
        links = self._lists.walk(self._head)
        return [self._lists.owner(link, "dma_buf", "list_node") for link in links]

    def export(self, spec: DmaBufSpec) -> Ptr[Any]:
        """dma_buf_export(): the new one is the last in the list."""
        if not spec.inode:
            spec = replace(spec, inode=next(i for i in range(1, 1 << 32) if i not in self._inodes))
        self._inodes.add(spec.inode)
        placed = FileSpec(f"/dmabuf:{spec.name}", inode=spec.inode, size=spec.size, mode=0o600)
        file = self._files.open(placed, spec.references, writable=True)
        values = {
            "size": spec.size,
            "file": file,
            "exp_name": self._text(spec.exp_name, "exporter"),
            "name": self._text(spec.name, "name") if spec.name else 0,
        }
        buffer = self._placer.new("dma_buf", f"dma_buf {spec.inode}", values)
        self._placer.fill(file, {"private_data": buffer})
        self._lists.init(buffer.address_of_("attachments"))
        self._lists.add_tail(buffer.address_of_("list_node"), self._head)
        return buffer

    def _text(self, text: str, what: str) -> int:
        data = text.encode("utf-8", "surrogateescape") + b"\0"
        return self._placer.bytes(data, f"{what} of a dma_buf")
