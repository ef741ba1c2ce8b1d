"""A small kernel to bind against, and objects from text: no compiler, no file.

In the text ``call NAME`` calls a helper of HELPERS, a kfunc of the object's externs, or one of its
subprograms; ``rN = &NAME ll`` takes the address of a map, a global (``.data+8``), an extern or a
subprogram.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bpfemu.bind import BindOptions, bind
from bpfemu.bind.helper_names import HELPER_NAMES
from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.image import ProgramImage
from bpfemu.isa.insn import Call, CallSub, Insn, LoadImm64
from bpfemu.isa.text import assemble
from bpfemu.machine.memory import LoadKind
from bpfemu.object import BpfObject, CoreRelo, DataSection, Extern, FuncDef, MapDef, Reloc, Symbol
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import (
    KF_ACQUIRE,
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
    KF_RET_NULL,
    KF_SLEEPABLE,
)
from bpfemu.proto.marks import helper, kfunc, map_type
from bpfemu.proto.profile import find_profile
from bpfemu.proto.types import Callback, MapPtr, Ptr, Struct, s32, s64, u32, u64, void

__all__ = ["CATALOG", "HASH", "KERNEL", "Kernel", "image", "kinds", "kinds_of", "obj", "options"]

HASH = MapDef(name="hash", type=1, key_size=4, value_size=8, max_entries=8, offset=0)
ADDRESS = 0xFEED_0000_0000_0000  # stands for "&NAME" while the text is assembled


class task_struct(Struct):
    pid: s32


class bpf_iter_num(Struct, opaque=True):
    cur: s32
    end: s32


class bpf_iter_task(Struct, opaque=True):
    a: u64


class bpf_iter_css(Struct, opaque=True):
    a: u64


@kfunc(KF_ITER_NEW)
def bpf_iter_num_new(it: Ptr[bpf_iter_num], start: s32, end: s32) -> s32: ...


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_num_next(it: Ptr[bpf_iter_num]) -> Ptr[s32]: ...


@kfunc(KF_ITER_DESTROY)
def bpf_iter_num_destroy(it: Ptr[bpf_iter_num]) -> None: ...


@kfunc(KF_ITER_NEW)
def bpf_iter_task_new(it: Ptr[bpf_iter_task]) -> s32: ...


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_task_next(it: Ptr[bpf_iter_task]) -> Ptr[task_struct]: ...


@kfunc(KF_ITER_DESTROY)
def bpf_iter_task_destroy(it: Ptr[bpf_iter_task]) -> None: ...


@kfunc(KF_ITER_NEW | KF_RCU_PROTECTED)
def bpf_iter_css_new(it: Ptr[bpf_iter_css]) -> s32: ...


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_css_next(it: Ptr[bpf_iter_css]) -> Ptr[task_struct]: ...


@kfunc(KF_ITER_DESTROY)
def bpf_iter_css_destroy(it: Ptr[bpf_iter_css]) -> None: ...


@kfunc(KF_ACQUIRE | KF_RET_NULL, hooks=("tracing", "tc", "syscall"))
def bpf_task_from_pid(pid: s32) -> Ptr[task_struct]: ...


@kfunc(KF_RCU_PROTECTED)
def bpf_rcu_task() -> Ptr[task_struct]: ...


@kfunc()
def bpf_plain_task() -> Ptr[task_struct]: ...


@kfunc()
def bpf_void_pointer() -> Ptr[void]: ...


@kfunc(KF_SLEEPABLE)
def bpf_may_sleep() -> s32: ...


@kfunc()
def bpf_throw(cookie: u64) -> None: ...


@kfunc()
def bpf_rcu_read_lock() -> None: ...


@kfunc()
def bpf_rcu_read_unlock() -> None: ...


@kfunc()
def bpf_rdonly_cast(obj__ign: Ptr[void], btf_id__k: u32) -> Ptr[void]: ...


@kfunc()
def bpf_cast_to_kern_ctx(obj: Ptr[void]) -> Ptr[void]: ...


@kfunc()
def bpf_rbtree_add_impl(root: Ptr[void], node: Ptr[void], less: Callback) -> s32: ...


@kfunc()
def bpf_wq_set_callback_impl(wq: Ptr[void], callback_fn: Callback, flags: u32) -> s32: ...


@kfunc()
def bpf_fill_pointer(out: Ptr[Ptr[void]]) -> s32: ...


@kfunc()
def bpf_call_me(callback_fn: Callback) -> s32: ...


@helper(1)
def bpf_map_lookup_elem(map: MapPtr, key: Ptr[void]) -> Ptr[void]: ...


@helper(5)
def bpf_ktime_get_ns() -> u64: ...


@helper(113, gpl=True)
def bpf_probe_read_kernel(dst: Ptr[void], size: u32, unsafe_ptr: Ptr[void]) -> s64: ...


@helper(105)
def bpf_strtol(buf: Ptr[void], buf_len: u64, flags: u64, res: Ptr[s64]) -> s64: ...


@helper(131)
def bpf_ringbuf_reserve(ringbuf: MapPtr, size: u64, flags: u64) -> Ptr[void]: ...


@helper(132)
def bpf_ringbuf_submit(data: Ptr[void], flags: u64) -> None: ...


@helper(44, progs=("xdp",))
def bpf_xdp_adjust_head(xdp_md: Ptr[void], delta: s32) -> s64: ...


@helper(148, sleepable=True)
def bpf_copy_from_user(dst: Ptr[void], size: u32, user_ptr: Ptr[void]) -> s64: ...


@helper(153)
def bpf_per_cpu_ptr(percpu_ptr: Ptr[void], cpu: u32) -> Ptr[void]: ...


@helper(158)
def bpf_get_current_task_btf() -> Ptr[task_struct]: ...


@helper(164)
def bpf_for_each_map_elem(
    map: MapPtr, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64
) -> s64: ...


@helper(175)
def bpf_task_pt_regs(task: Ptr[task_struct]) -> Ptr[task_struct]: ...


@helper(170)
def bpf_timer_set_callback(timer: Ptr[void], callback_fn: Callback) -> s64: ...


@helper(180)
def bpf_find_vma(
    task: Ptr[task_struct], addr: u64, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64
) -> s64: ...


@helper(181)
def bpf_loop(nr_loops: u32, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64) -> s64: ...


@map_type(1)
class Hash: ...


@map_type(2)
class Array: ...


@map_type(12)
class ArrayOfMaps: ...


@map_type(27)
class Ringbuf: ...


CATALOG = Catalog.of(*[v for v in list(vars().values()) if hasattr(v, "__bpf_mark__")])
HELPERS = {f"bpf_{name}": number for number, name in enumerate(HELPER_NAMES)}


class Kernel:
    """The kernel's types: a task_struct with one member of each sort, and all of CATALOG."""

    def __init__(self) -> None:
        btf = self.builder = BtfBuilder()
        self.int = btf.int_("int", 4, k.IntEncoding.SIGNED)
        self.u32 = btf.int_("unsigned int", 4)
        self.u64 = btf.int_("long long unsigned int", 8)
        self.char = btf.int_("char", 1, k.IntEncoding.SIGNED)
        self.task = btf.reserve()
        self.ptask = btf.ptr(self.task)
        self.mm = btf.struct("mm_struct", 16, [("count", self.u64, 0), ("owner", self.ptask, 64)])
        self.pmm = btf.ptr(self.mm)
        rcu = btf.ptr(btf.type_tag("rcu", self.task))
        user = btf.ptr(btf.type_tag("user", self.task))
        percpu = btf.ptr(btf.type_tag("percpu", self.task))
        either = btf.union("", 8, [("left", self.ptask, 0), ("right", self.u64, 0)])
        nested = btf.struct("", 16, [("count", self.u64, 0), ("task", self.ptask, 64)])
        members = [
            ("pid", self.int, 0),  # byte 0
            ("mm", self.pmm, 64),  # 8
            ("real_parent", self.ptask, 128),  # 16: safe under RCU
            ("ancestor", rcu, 192),  # 24: tagged
            ("uptr", user, 256),  # 32
            ("pcpu", percpu, 320),  # 40
            ("", either, 384),  # 48
            ("stack", btf.ptr(0), 448),  # 56
            ("several", btf.array(self.ptask, self.int, 2), 512),  # 64, 72
            ("inside", btf.array(nested, self.int, 2), 640),  # 80, 96
            ("comm", btf.array(self.char, self.int, 16), 896),  # 112
        ]
        btf.set(self.task, k.Struct("task_struct", 128, tuple(k.Member(*m) for m in members)))
        self._functions()
        args = btf.func_proto(
            0, [("__data", btf.ptr(0)), ("preempt", self.int), ("prev", self.ptask)]
        )
        btf.typedef("btf_trace_sched_switch", btf.ptr(args))
        both = btf.func_proto(self.int, [("task", self.ptask), ("flags", self.u64)])
        for name in ("do_fork", "bpf_iter_task", "bpf_lsm_task_alloc"):
            btf.func(name, both, k.Linkage.STATIC)
        self.init_task = btf.var("init_task", self.task)
        self.runqueue = btf.var("runqueue", self.task)
        btf.datasec(".data..percpu", 128, [(self.runqueue, 0, 128)])
        btf.var("jiffies", self.u64)
        self.btf: Btf = btf.build("vmlinux")

    def _functions(self) -> None:
        """A FUNC for each kfunc, with the prototype its specification says."""
        made: dict[str, int] = {}
        for name, (spec, *_) in CATALOG.kfuncs.items():
            params = [(param.name, self._type(param.ctype, made)) for param in spec.params]
            returns = self._type(spec.returns, made) if spec.returns else 0
            self.builder.func(name, self.builder.func_proto(returns, params), k.Linkage.STATIC)

    def _type(self, ctype: Any, made: dict[str, int]) -> int:
        text = str(ctype)
        if text not in made:
            target = getattr(ctype, "target", None)
            if target is not None:
                name = getattr(target, "name", "")
                inner = self.task if name == "task_struct" else self._type(target, made)
                made[text] = self.builder.ptr(inner)
            elif text.startswith("struct "):
                rows = [("__opaque", self.u64, 0)]
                made[text] = self.builder.struct(text[7:], 8, rows)
            else:
                made[text] = {"s32": self.int, "u32": self.u32, "void": 0}.get(text, self.u64)
        return made[text]


KERNEL = Kernel()


def options(**changes: Any) -> BindOptions:
    """What the small kernel is; keywords replace fields."""
    given: dict[str, Any] = {
        "catalog": CATALOG,
        "profile": find_profile("6.12.0"),
        "kernel_btf": KERNEL.btf,
    }
    return BindOptions(**{**given, **changes})


def obj(
    text: str,
    *,
    section: str = "tp_btf/sched_switch",
    subs: Mapping[str, str] | None = None,
    global_subs: Sequence[str] = (),
    maps: Sequence[MapDef] = (),
    data: Mapping[str, bytes] | None = None,
    externs: Sequence[Extern] = (),
    license: str = "GPL",
    btf: Btf | None = None,
    relos: Sequence[CoreRelo] = (),
    tags: Sequence[str] = (),
) -> BpfObject:
    """An object whose program ``main`` is ``text``; kfuncs that are called become externs."""
    subs = subs or {}
    names = {extern.name for extern in externs}
    made = list(externs)
    for name in re.findall(r"call (\w+)", " ; ".join([text, *subs.values()])):
        if name in CATALOG.kfuncs and name not in names:
            names.add(name)
            made.append(Extern(name, "kfunc", False, 0))
    sections = tuple(
        DataSection(name, content, not name.startswith((".rodata", ".kconfig")))
        for name, content in (data or {}).items()
    )
    places: dict[str, Symbol] = {}
    offset = 0
    functions: list[FuncDef] = []
    for name, body in subs.items():
        size = len(_assemble(body, names | set(subs))[0]) * 8
        binding = "global" if name in global_subs else "local"
        places[name] = Symbol(name, ".text", offset, size, "func", binding)
        offset += size
    for found in maps:
        places[found.name] = Symbol(found.name, found.section, found.offset, 32, "object", "global")
    for name in names:
        places[name] = Symbol(name, "", 0, 0, "notype", "global")
    for name, body in {**subs, "main": text}.items():
        code, relocs = _linked(body, names | set(subs), places)
        functions.append(
            FuncDef(
                name=name,
                section=".text" if name in subs else section,
                offset=places[name].value // 8 if name in places else 0,
                code=code,
                binding=places[name].binding if name in places else "global",
                relocs=relocs,
                core_relos=tuple(relos) if name == "main" else (),
                tags=tuple(tags) if name == "main" else (),
            )
        )
    return BpfObject(
        name="small",
        path="small.bpf.o",
        license=license,
        functions=tuple(functions),
        maps=tuple(maps),
        data=sections,
        externs=tuple(made),
        btf=btf,
    )


def _assemble(text: str, known: set[str]) -> tuple[tuple[Insn, ...], list[str], list[str]]:
    """(code, names called in order of their marker, names whose address is taken)."""
    called: list[str] = []
    taken: list[str] = []

    def resolve(name: str) -> Call | None:
        if name in known:
            called.append(name)
            return Call("kfunc", len(called) - 1)
        return Call("helper", HELPERS[name]) if name in HELPERS else None

    def address(match: re.Match[str]) -> str:
        taken.append(match[1])
        return hex(ADDRESS + len(taken) - 1)

    return assemble(re.sub(r"&([\w.+$]+)", address, text), calls=resolve), called, taken


def _linked(
    text: str, known: set[str], places: Mapping[str, Symbol]
) -> tuple[tuple[Insn, ...], tuple[Reloc, ...]]:
    code, called, taken = _assemble(text, known)
    done: list[Insn] = list(code)
    relocs: list[Reloc] = []
    for slot, insn in enumerate(code):
        if isinstance(insn, Call) and insn.kind == "kfunc" and insn.imm < len(called):
            done[slot] = CallSub(slot)  # as clang writes it: imm -1
            relocs.append(Reloc(slot, 10, places[called[insn.imm]], -1))
        elif isinstance(insn, LoadImm64) and insn.value >> 32 == ADDRESS >> 32:
            name, _, addend = taken[insn.value - ADDRESS].partition("+")
            symbol = places.get(name) or Symbol("", name, 0, 0, "section", "local")
            done[slot] = LoadImm64(insn.dst, int(addend or 0))
            relocs.append(Reloc(slot, 1, symbol, int(addend or 0)))
    return tuple(done), tuple(relocs)


def image(text: str, *, bound: Mapping[str, Any] | None = None, **keywords: Any) -> ProgramImage:
    """The bound program; ``bound`` changes the options."""
    return bind(obj(text, **keywords), "main", options(**(bound or {})))


def kinds(text: str, **keywords: Any) -> list[str]:
    """The kinds of the program's loads and stores, in the order of the code."""
    return kinds_of(image(text, **keywords))


def kinds_of(found: ProgramImage) -> list[str]:
    """The kinds of all accesses of an image."""
    accesses = ("Load", "Store", "Atomic")
    return [
        LoadKind(found.loads[slot]).name
        for slot, insn in enumerate(found.code)
        if type(insn).__name__ in accesses
    ]
