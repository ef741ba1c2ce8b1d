"""Where fault points sit in the kernel.  Nothing is hooked that nothing is set for.

A kfunc or helper that fails does not run; what the gate does around it stays: its arguments are
checked, its books are kept.  An iterator whose ``new`` fails so is left zeroed and empty: its
``next`` gives NULL and its ``destroy`` does nothing, whatever its type makes of zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Set
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bpfemu.kernel.fault_attr import FaultAttr
from bpfemu.kernel.fault_points import default_retval, errno_of, etype_of
from bpfemu.kernel.mem_alloc import SIZES, class_index
from bpfemu.kernel.mem_units import HEADER
from bpfemu.proto.flags import KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT
from bpfemu.proto.layout import PtrType
from bpfemu.proto.spec import HelperSpec, KfuncSpec
from bpfemu.proto.types import NULL

if TYPE_CHECKING:
    from bpfemu.kernel.gate import Gate
    from bpfemu.kernel.kernel import Kernel
    from bpfemu.kernel.mem_alloc import BpfMemAlloc

__all__ = ["FaultHooks"]

Body: TypeAlias = Callable[..., Any]
Failing: TypeAlias = Callable[[str, str, int], FaultAttr | None]

BPF_FUNC_MAP_UPDATE_ELEM: Final = 2


class FaultHooks:
    """Sets and removes the hooks; ``failing(kind, which, size)`` is asked at each point."""

    def __init__(
        self, kernel: Kernel, gates: Mapping[int, tuple[Any, Gate]], failing: Failing
    ) -> None:
        self._kernel = kernel
        self._gates = gates
        self._failing = failing
        self._armed: Set[tuple[str, str]] = frozenset()
        self._empty: set[int] = set()  # iterators whose new was made to fail, by address

    def install(self, armed: Set[tuple[str, str]]) -> None:
        """From now on these (kind, which) are asked about, "" for all of a kind."""
        self._armed = armed
        kernel, kinds = self._kernel, {kind for kind, _ in armed}
        for allocator in kernel.allocators:
            self.follow(allocator)
        kernel.locks.trylock_fails = self._lock_fails if "fail_lock" in kinds else None
        if "fail_user_access" in kinds or "probe_read" in kernel.services:
            reader = kernel.services["probe_read"]
            reader.user_fails = self._user_fails if "fail_user_access" in kinds else None
        for _, gate in self._gates.values():
            gate.forget_calls()

    def follow(self, allocator: BpfMemAlloc) -> None:
        """Hook one allocator, or let go of it."""
        kinds = {kind for kind, _ in self._armed}

        def alloc_fails(size: int) -> bool:
            which = str(_unit_size(allocator, size))
            return self._failing("fail_bpf_mem_alloc", which, size) is not None

        def slab_fails(size: int) -> bool:
            return self._failing("failslab", str(size), size) is not None

        allocator.alloc_fails = alloc_fails if "fail_bpf_mem_alloc" in kinds else None
        allocator.units.slab_fails = slab_fails if "failslab" in kinds else None

    def _lock_fails(self, name: str) -> bool:
        return self._failing("fail_lock", name, 1) is not None

    def _user_fails(self) -> int:
        attr = self._failing("fail_user_access", "", 1)
        return 0 if attr is None else errno_of("fail_user_access", attr)

    # ---- calls --------------------------------------------------------------------------------

    def body(self, spec: KfuncSpec | HelperSpec) -> Body:
        """The body as it is to be called: as it stands, or asked about first."""
        body = spec.body
        if isinstance(spec, HelperSpec) and spec.number == BPF_FUNC_MAP_UPDATE_ELEM:
            body = self._map_update(body)
        kind = "fail_helper" if isinstance(spec, HelperSpec) else "fail_kfunc"
        if isinstance(spec, KfuncSpec) and spec.flags & (KF_ITER_NEXT | KF_ITER_DESTROY):
            body = self._of_iterator(spec, body)
        if not etype_of(spec) or not self._is_armed(kind, spec.name):
            return body
        return self._upcall(kind, spec, body) if spec.generator else self._plain(kind, spec, body)

    def _is_armed(self, kind: str, name: str) -> bool:
        return (kind, "") in self._armed or (kind, name) in self._armed

    def _of_iterator(self, spec: KfuncSpec, body: Body) -> Body:
        """next or destroy: NULL or nothing where ``new`` was made to fail."""
        if not self._is_armed("fail_kfunc", spec.name.rpartition("_")[0] + "_new"):
            return body
        empty, result = self._empty, NULL if spec.flags & KF_ITER_NEXT else None

        def call(it: Any, *args: Any, **services: Any) -> Any:
            return result if int(it) in empty else body(it, *args, **services)

        return call

    def _plain(self, kind: str, spec: KfuncSpec | HelperSpec, body: Body) -> Body:
        forced = self._forced(kind, spec)

        def call(*args: Any, **services: Any) -> Any:
            failed, value = forced(args)
            return value if failed else body(*args, **services)

        return call

    def _upcall(self, kind: str, spec: KfuncSpec | HelperSpec, body: Body) -> Body:
        forced = self._forced(kind, spec)

        def call(*args: Any, **services: Any) -> Generator[Any, Any, Any]:
            failed, value = forced(args)
            if failed:
                return value
            return (yield from body(*args, **services))

        return call

    def _forced(
        self, kind: str, spec: KfuncSpec | HelperSpec
    ) -> Callable[[tuple[Any, ...]], tuple[bool, Any]]:
        """(whether this call fails, what it returns then)."""
        etype, failing = etype_of(spec), self._failing
        note = self._emptier(spec)

        def forced(args: tuple[Any, ...]) -> tuple[bool, Any]:
            attr = failing(kind, spec.name, 1)
            note(args, attr is not None)
            if attr is None:
                return False, None
            if etype == "NULL":
                return True, NULL
            return True, default_retval(etype) if attr.retval is None else attr.retval

        return forced

    def _emptier(self, spec: KfuncSpec | HelperSpec) -> Callable[[tuple[Any, ...], bool], None]:
        """Notes whether an iterator's ``new`` was made to fail, and zeroes its slots if so."""
        if not isinstance(spec, KfuncSpec) or not spec.flags & KF_ITER_NEW:
            return lambda args, failed: None
        pointer = spec.params[0].ctype
        assert isinstance(pointer, PtrType)
        memory, size = self._kernel.memory, self._kernel.space.layouts.size_of(pointer.target)

        def note(args: tuple[Any, ...], failed: bool) -> None:
            addr = int(args[0])
            self._empty.discard(addr)
            if failed:
                self._empty.add(addr)
                memory.write(addr, bytes(size))

        return note

    def _map_update(self, body: Body) -> Body:
        if not any(kind == "fail_map_update" for kind, _ in self._armed):
            return body

        def call(map: Any, *args: Any, **services: Any) -> Any:
            attr = self._failing("fail_map_update", map.name, 1)
            if attr is not None:
                return errno_of("fail_map_update", attr)
            return body(map, *args, **services)

        return call


def _unit_size(allocator: BpfMemAlloc, size: int) -> int:
    """The class that an allocation of ``size`` bytes is served from."""
    if allocator.fixed_size:
        return allocator.fixed_size
    return SIZES[class_index(size if allocator.percpu else size + HEADER)]
