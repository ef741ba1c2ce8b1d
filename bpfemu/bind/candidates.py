"""CO-RE candidates: the kernel's types that a type of the program may stand for (notes, 10)."""

from __future__ import annotations

from collections.abc import Mapping
from errno import EINVAL

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.compat import candidates
from bpfemu.errors import InputError

__all__ = ["Candidates"]


class Candidates:
    """The kernel's types of a name; the list of a local type shrinks to those that matched."""

    def __init__(self, local: Btf, kernel: Btf, modules: Mapping[str, Btf]) -> None:
        self._local = local
        self._btfs = (kernel, *modules.values())
        self._lists: dict[int, list[tuple[Btf, int]]] = {}

    def of(self, type_id: int) -> list[tuple[Btf, int]]:
        """The candidates of a local type: of vmlinux, else of the modules."""
        found = self._lists.get(type_id)
        if found is None:
            found = self._lists[type_id] = self._search(type_id)
        return found

    def keep(self, type_id: int, matched: list[tuple[Btf, int]]) -> None:
        """Remember which candidates matched, as libbpf does."""
        self._lists[type_id] = matched

    def _search(self, type_id: int) -> list[tuple[Btf, int]]:
        found = self._local.type(type_id)
        name = getattr(found, "name", "")
        if not name:
            raise InputError(f"target candidate search failed for [{type_id}]", errno=EINVAL)
        kinds: tuple[type[k.Type], ...] = (type(found),)
        if isinstance(found, k.Enum | k.Enum64):
            kinds = (k.Enum, k.Enum64)
        for btf in self._btfs[:1]:
            ids = candidates(btf, name, *kinds)
            if ids:
                return [(btf, id) for id in ids]
        return [
            (btf, id)
            for btf in self._btfs[1:]
            for id in candidates(btf, name, *kinds)
            if id >= btf.start_id
        ]
