"""The kernel's caches of CO-RE candidates: types by their essential name.

Two tables of 31 slots, one for the kernel's own types and one for those of modules; a name that
falls into a taken slot takes it over.  What was not found is remembered too, until a module comes.
Kernel ``bpf_core_find_cands``; BTF notes, sections 6.1 and 10.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final
from zlib import crc32

from bpfemu.btf.compat import candidates, essential_name
from bpfemu.btf.types import Kind
from bpfemu.kernel.btf_objects import BtfObject
from bpfemu.record import dataclass

__all__ = ["CandidateCache", "Candidates"]

_SLOTS: Final = 31

Candidates = tuple[tuple[BtfObject, int], ...]
"""Where a type was found: the BTF and the id in it."""


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    kind: int
    found: Candidates


class CandidateCache:
    """Finds the types that a local type may stand for."""

    def __init__(
        self,
        vmlinux: Callable[[], BtfObject | None],
        modules: Callable[[], Iterable[BtfObject]],
    ) -> None:
        self._vmlinux = vmlinux
        self._modules = modules
        self._kernel_slots: dict[int, _Slot] = {}
        self._module_slots: dict[int, _Slot] = {}
        self.searches = 0  # how often BTF was searched because no slot knew the answer

    def find(self, name: str, kind: Kind) -> Candidates:
        """Every type of that kind (strictly) and essential name.

        The kernel's own come first; modules are asked only when it has none, and then all of them,
        each for its own types.
        """
        name = essential_name(name)
        number = kind if isinstance(kind, int) else kind.KIND
        return self._look(self._kernel_slots, name, number, self._kernel) or self._look(
            self._module_slots, name, number, self._modules
        )

    def purge(self, going: BtfObject | None) -> None:
        """Forget what modules have: everything when one comes, what it gave when one goes."""
        for slot, there in list(self._module_slots.items()):
            if going is None or any(found is going for found, _ in there.found):
                del self._module_slots[slot]

    def _kernel(self) -> list[BtfObject]:
        found = self._vmlinux()
        return [] if found is None else [found]

    def _look(
        self,
        slots: dict[int, _Slot],
        name: str,
        kind: int,
        objects: Callable[[], Iterable[BtfObject]],
    ) -> Candidates:
        slot = crc32(name.encode("utf-8", "surrogateescape")) % _SLOTS
        there = slots.get(slot)
        if there is None or (there.name, there.kind) != (name, kind):
            self.searches += 1
            found = tuple(
                (one, id)
                for one in objects()
                for id in candidates(one.btf, name, kind)
                if id >= one.btf.start_id
            )
            there = slots[slot] = _Slot(name, kind, found)
        return there.found
