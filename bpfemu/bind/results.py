"""What a helper or kfunc returns, writes and calls back, from its specification.

Rows by name are those whose prototype says too little: a map value and plain memory are both
``void *`` in C.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bpfemu.bind.state import State
from bpfemu.bind.values import MEM, PROBED, SCALAR, UNKNOWN, Kind, Trust, Value
from bpfemu.bind.walk import Walker
from bpfemu.btf import kinds as k
from bpfemu.image import CallTarget
from bpfemu.object import MapDef
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import (
    KF_ACQUIRE,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
)
from bpfemu.proto.layout import ArrayType, CType, IntType, PtrType, StructType, VoidType
from bpfemu.proto.profile import KernelProfile
from bpfemu.proto.spec import HelperSpec, KfuncSpec

__all__ = ["Calls"]

_MAP_VALUES: Final = frozenset(
    {
        "bpf_map_lookup_elem",
        "bpf_map_lookup_percpu_elem",
        "bpf_get_local_storage",
        "bpf_sk_storage_get",
        "bpf_inode_storage_get",
        "bpf_task_storage_get",
        "bpf_cgrp_storage_get",
    }
)
_MEMORY: Final = frozenset(
    {
        "bpf_ringbuf_reserve",
        "bpf_dynptr_data",
        "bpf_dynptr_slice",
        "bpf_dynptr_slice_rdwr",
        "bpf_obj_new_impl",
        "bpf_percpu_obj_new_impl",
        "bpf_refcount_acquire_impl",
        "bpf_list_pop_front",
        "bpf_list_pop_back",
        "bpf_list_front",
        "bpf_list_back",
        "bpf_rbtree_remove",
        "bpf_rbtree_first",
        "bpf_rbtree_root",
        "bpf_rbtree_left",
        "bpf_rbtree_right",
    }
)
"""Memory that belongs to the program: ordinary loads."""

_MAPS_OF_MAPS: Final = (12, 13)  # BPF_MAP_TYPE_ARRAY_OF_MAPS, _HASH_OF_MAPS
_NO_RETURN: Final = frozenset({"bpf_throw"})
_KERN_CTX: Final = {  # program type → the kernel's own context (bpf_cast_to_kern_ctx)
    1: "sk_buff",
    2: "pt_regs",
    3: "sk_buff",
    4: "sk_buff",
    6: "xdp_buff",
    7: "bpf_perf_event_data_kern",
    8: "sk_buff",
    30: "bpf_sk_lookup_kern",
    32: "bpf_nf_ctx",
}


class Calls:
    """Answers for one program on one kernel."""

    def __init__(
        self,
        walker: Walker,
        maps: list[MapDef],
        inner: dict[int, int],
        catalog: Catalog,
        profile: KernelProfile,
        prog_type: int,
    ) -> None:
        self._walker = walker
        self._maps = maps
        self._inner = inner  # index of a map of maps → index of its template
        self._catalog = catalog
        self._profile = profile
        self._prog_type = prog_type
        self._sizes: dict[str, int] = {}

    def returns(self, target: CallTarget) -> bool:
        """Does control come back?"""
        return target.name not in _NO_RETURN

    def result(self, target: CallTarget, state: State) -> Value | None:
        """r0 after the call; None when nothing is returned."""
        regs, name, spec = state.regs, target.name, target.spec
        if target.poisoned or spec is None:
            return UNKNOWN
        if name in _MAP_VALUES:
            return self._map_value(regs[1])
        if name in _MEMORY:
            return MEM
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, state)
        if isinstance(spec, KfuncSpec):
            return self._kfunc(spec)
        return self._plain(spec.returns, Trust.NONE)

    def _map_value(self, pointer: Value) -> Value:
        if pointer.kind is not Kind.MAP or pointer.ref < 0:
            return Value(Kind.MAP_VALUE, -1)
        if self._maps[pointer.ref].type in _MAPS_OF_MAPS:
            return Value(Kind.MAP, self._inner.get(pointer.ref, -1), 0)
        return Value(Kind.MAP_VALUE, pointer.ref, 0)

    def _kfunc(self, spec: KfuncSpec) -> Value | None:
        trust = Trust.NONE
        if spec.flags & KF_ITER_NEXT:
            new = self._catalog.find_kfunc(f"{spec.name.rsplit('_', 1)[0]}_new", self._profile)
            protected = new is not None and new.flags & KF_RCU_PROTECTED
            trust = Trust.RCU if protected else Trust.TRUSTED
        elif spec.flags & KF_RCU_PROTECTED:
            trust = Trust.RCU
        elif spec.flags & KF_ACQUIRE:
            trust = Trust.ACQUIRED
        if isinstance(spec.returns, PtrType) and isinstance(spec.returns.target, VoidType):
            return SCALAR
        return self._plain(spec.returns, trust)

    def _plain(self, returns: CType | None, trust: Trust) -> Value | None:
        if returns is None:
            return None
        if not isinstance(returns, PtrType):
            return SCALAR
        if isinstance(returns.target, StructType):
            id = self._walker.struct_id(returns.target.name)
            return Value(Kind.BTF, id or -1, 0, trust)
        return MEM

    def struct(self, name: str, trust: Trust) -> Value:
        """A pointer to a struct of the kernel."""
        id = self._walker.struct_id(name)
        return Value(Kind.BTF, id or -1, 0, trust)

    def _rdonly_cast(self, state: State) -> Value:
        number, btf = state.regs[2].number, self._walker.btf
        if state.regs[2].kind is Kind.SCALAR and number and btf.has_id(number):
            id = btf.resolve(number)
            if isinstance(btf.type(id), k.Struct | k.Union):
                return Value(Kind.BTF, id, 0, Trust.UNTRUSTED)
        return PROBED

    def _kern_ctx(self, state: State) -> Value:
        name = _KERN_CTX.get(self._prog_type)
        return self.struct(name, Trust.TRUSTED) if name else state.regs[1]

    def _percpu(self, state: State) -> Value:
        """The variable's type decides: a pointer that probes, or read-only memory."""
        pointer = state.regs[1]
        if pointer.kind is Kind.BTF and pointer.ref > 0:
            found = self._walker.btf.type(self._walker.btf.resolve(pointer.ref))
            if isinstance(found, k.Struct | k.Union):
                return Value(Kind.BTF, pointer.ref, 0, Trust.NONE)
        return MEM

    def written(self, target: CallTarget, state: State) -> list[tuple[Value, int | None]]:
        """(pointer, bytes or None) for every argument through which the kernel may write."""
        spec = target.spec
        if spec is None:
            return [(value, None) for value in state.regs[1:6]]
        found: list[tuple[Value, int | None]] = []
        for number, param in enumerate(spec.params, 1):
            value = state.regs[number]
            if param.role == "ptr" and value.kind in (Kind.STACK, Kind.UNKNOWN):
                found.append((value, self._extent(spec, number, state)))
        return found

    def _extent(self, spec: HelperSpec | KfuncSpec, number: int, state: State) -> int | None:
        """How many bytes behind an argument may be written."""
        ctype = spec.params[number - 1].ctype
        size = self._size(ctype.target) if isinstance(ctype, PtrType) else None
        if size is None and number < len(spec.params) and "size" in spec.params[number].name:
            length = state.regs[number + 1]
            return length.number if length.kind is Kind.SCALAR else None
        return size

    def _size(self, ctype: CType) -> int | None:
        match ctype:
            case IntType(size=size) if size > 1:
                return size
            case PtrType():
                return 8
            case StructType(name=name):
                if name not in self._sizes:
                    id = self._walker.struct_id(name)
                    self._sizes[name] = self._walker.btf.size_of(id) if id else 0
                return self._sizes[name] or None
            case ArrayType(elem=elem, count=count):
                return (self._size(elem) or 0) * count or None
            case _:
                return None

    def callbacks(self, target: CallTarget, state: State) -> list[tuple[int, list[Value]]]:
        """(slot, arguments) of every function of the program that the callee may call back."""
        spec = target.spec
        found: list[tuple[int, list[Value]]] = []
        for number, param in enumerate(spec.params if spec else (), 1):
            value = state.regs[number]
            if param.role == "callback" and value.kind is Kind.FUNC and value.ref >= 0:
                arguments = _CALLBACKS.get(target.name)
                values = arguments(self, state) if arguments else [UNKNOWN] * 5
                found.append((value.ref, values))
        return found

    def _element(self, state: State) -> list[Value]:
        """(map, key, value, ctx) of bpf_for_each_map_elem."""
        pointer = state.regs[1]
        return [pointer, MEM, self._map_value(pointer), state.regs[3]]

    def _timer(self, state: State) -> list[Value]:
        """(map, key, value) of a timer or work queue: it lives in a value of that map."""
        ref = state.regs[1].ref if state.regs[1].kind is Kind.MAP_VALUE else -1
        return [Value(Kind.MAP, ref, 0), MEM, Value(Kind.MAP_VALUE, ref, 0)]

    def _vma(self, state: State) -> list[Value]:
        task = self.struct("task_struct", Trust.TRUSTED)
        return [task, self.struct("vm_area_struct", Trust.TRUSTED), state.regs[4]]


_SPECIAL: Final[dict[str, Callable[[Calls, State], Value]]] = {
    "bpf_rdonly_cast": Calls._rdonly_cast,
    "bpf_cast_to_kern_ctx": Calls._kern_ctx,
    "bpf_get_current_task_btf": lambda calls, _: calls.struct("task_struct", Trust.TRUSTED),
    "bpf_per_cpu_ptr": Calls._percpu,
    "bpf_this_cpu_ptr": Calls._percpu,
    "bpf_arena_alloc_pages": lambda calls, _: Value(Kind.ARENA),
}

_CALLBACKS: Final[dict[str, Callable[[Calls, State], list[Value]]]] = {
    "bpf_for_each_map_elem": Calls._element,
    "bpf_loop": lambda calls, state: [SCALAR, state.regs[3]],
    "bpf_user_ringbuf_drain": lambda calls, state: [UNKNOWN, state.regs[3]],
    "bpf_find_vma": Calls._vma,
    "bpf_timer_set_callback": Calls._timer,
    "bpf_wq_set_callback_impl": Calls._timer,
    "bpf_rbtree_add_impl": lambda calls, _: [MEM, MEM],
}
