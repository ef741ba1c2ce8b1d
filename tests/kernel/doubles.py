"""A kernel for tests: programs from text, kfuncs declared here, the reference engine."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from bpfemu.engine.base import find_engine
from bpfemu.image import CallTarget, MapSlot, ProgramImage, Segment, SourceLine, Subprog
from bpfemu.isa.insn import Call, CallSub
from bpfemu.kernel.config import KernelConfig, RunOptions
from bpfemu.kernel.kernel import Kernel
from bpfemu.machine.machine import Machine
from bpfemu.machine.memory import READ_ONLY, LoadKind, Memory
from bpfemu.outcome import Outcome
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.flags import (
    KF_ACQUIRE,
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
    KF_RELEASE,
    KF_RET_NULL,
    KF_SLEEPABLE,
    KF_TRUSTED_ARGS,
)
from bpfemu.proto.marks import helper, kfunc
from bpfemu.proto.profile import find_profile
from bpfemu.proto.services import Cpu, MemAlloc, Printk, Random, Rcu
from bpfemu.proto.types import NULL, Callback, Ptr, Struct, s32, s64, u32, u64, void
from bpfemu.record import dataclass, field
from tests.builders.asm import prog

ARENA_BASE = 0xFFFF_8880_0000_0000
ARENA_SIZE = 16 << 20


class bpf_iter_num(Struct, opaque=True):
    """As in the kernel: one slot."""

    cur: s32
    end: s32


@kfunc(KF_ITER_NEW)
def bpf_iter_num_new(it: Ptr[bpf_iter_num], start: s32, end: s32) -> s32:
    it.cur = it.end = 0
    if start > end:
        return s32(-22)
    it.cur, it.end = s32(start - 1), end
    return s32(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_num_next(it: Ptr[bpf_iter_num]) -> Ptr[s32]:
    following = s32(it.cur + 1)
    if following >= it.end:
        it.cur = it.end = 0
        return NULL
    it.cur = following
    return it.address_of_("cur")


@kfunc(KF_ITER_DESTROY)
def bpf_iter_num_destroy(it: Ptr[bpf_iter_num]) -> None:
    it.cur = it.end = 0


class bpf_iter_buf(Struct, opaque=True):
    """An iterator with a heap object: its slot holds the address."""

    data: u64


@kfunc(KF_ITER_NEW)
def bpf_iter_buf_new(it: Ptr[bpf_iter_buf], size: u32, *, mem_alloc: MemAlloc) -> s32:
    it.data = mem_alloc.alloc(size)
    return s32(0 if it.data else -12)


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_buf_next(it: Ptr[bpf_iter_buf], *, memory: Memory) -> Ptr[u64]:
    if it.data:
        memory.set_state(it.data, 8, READ_ONLY)  # programs may look at its first 8 bytes
    return it.cast_(u64)


@kfunc(KF_ITER_DESTROY)
def bpf_iter_buf_destroy(it: Ptr[bpf_iter_buf], *, mem_alloc: MemAlloc) -> None:
    mem_alloc.free(it.data)


class bpf_iter_rcu(Struct, opaque=True):
    """Three slots, needs an RCU section."""

    a: u64
    b: u64
    c: u64


@kfunc(KF_ITER_NEW | KF_RCU_PROTECTED)
def bpf_iter_rcu_new(it: Ptr[bpf_iter_rcu]) -> s32:
    it.a = 0
    return s32(0)


@kfunc(KF_ITER_NEXT | KF_RET_NULL)
def bpf_iter_rcu_next(it: Ptr[bpf_iter_rcu]) -> Ptr[u64]:
    return NULL


@kfunc(KF_ITER_DESTROY)
def bpf_iter_rcu_destroy(it: Ptr[bpf_iter_rcu]) -> None:
    it.a = 0


class thing(Struct):
    """A counted object."""

    value: u64


@kfunc(KF_ACQUIRE | KF_RET_NULL)
def bpf_thing_get(number: u64) -> Ptr[thing]:
    return Ptr(number)


@kfunc(KF_RELEASE)
def bpf_thing_put(it: Ptr[thing]) -> None:
    return None


@kfunc(KF_TRUSTED_ARGS)
def bpf_thing_use(it: Ptr[thing], other__nullable: Ptr[thing]) -> s32:
    return s32(-5)


@kfunc(KF_SLEEPABLE)
def bpf_thing_sleep() -> s64:
    return s64(-5)


@kfunc(KF_RCU_PROTECTED)
def bpf_thing_rcu() -> s64:
    return s64(1)


@kfunc()
def bpf_rcu_read_lock(*, rcu: Rcu) -> None:
    rcu.read_lock()


@kfunc()
def bpf_rcu_read_unlock(*, rcu: Rcu) -> None:
    rcu.read_unlock()


@kfunc()
def bpf_preempt_disable(*, cpu: Cpu) -> None:
    cpu.preempt_disable()


@kfunc()
def bpf_preempt_enable(*, cpu: Cpu) -> None:
    cpu.preempt_enable()


@kfunc()
def bpf_local_irq_save(flags__irq_flag: Ptr[u64], *, cpu: Cpu) -> None:
    flags__irq_flag[0] = cpu.local_irq_save()


@kfunc()
def bpf_local_irq_restore(flags__irq_flag: Ptr[u64], *, cpu: Cpu) -> None:
    cpu.local_irq_restore(flags__irq_flag[0])


@kfunc()
def bpf_broken(kind: u64, it: Ptr[thing]) -> s64:
    match kind:
        case 0:
            raise ZeroDivisionError("on purpose")
        case 1:
            return None  # type: ignore[return-value]
        case 2:
            return s64(it.value)
    return s64(kind)


@kfunc()
def bpf_ignores(anything__ign: u64, pointer__ign: Ptr[void]) -> u64:
    return u64(int(pointer__ign))


@helper(7)
def bpf_get_prandom_u32(*, random: Random) -> u32:
    return u32(random.u32())


@helper(6)
def bpf_trace_printk(fmt: Ptr[void], size: u32, *, printk: Printk, args: list[int]) -> s64:
    printk.trace(f"{size} {args[2]}\n")
    return s64(len(args))


@helper(181)
def bpf_loop(
    count: u32, callback_fn: Callback, callback_ctx: Ptr[void], flags: u64
) -> Generator[tuple[int, tuple[int, ...]], int, s64]:
    for index in range(count):
        stop = yield from callback_fn(index, int(callback_ctx))
        if stop:
            return s64(index + 1)
    return s64(count)


@helper(200, sleepable=True)
def bpf_ringbuf_discard_dynptr(ptr: Ptr[void], flags: u64) -> s64:
    return s64(0)


@helper(198)
def bpf_ringbuf_reserve_dynptr(ringbuf: u64, size: u32, flags: u64, ptr: Ptr[void]) -> s64:
    return s64(-7)


@helper(194)
def bpf_kptr_xchg(dst: u64, ptr: u64) -> u64:
    return u64(dst)


@helper(12)
def bpf_tail_call(ctx: u64, prog_array: u64, index: u32) -> s64:
    return s64(-2)


@helper(84)
def bpf_sk_lookup_tcp(number: u64) -> Ptr[void]:
    return Ptr(number)


@helper(86)
def bpf_sk_release(sock: Ptr[void]) -> s64:
    return s64(0)


CATALOG = Catalog.of(
    *[value for value in list(globals().values()) if hasattr(value, "__bpf_mark__")]
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A kernel and the programs made for it."""

    kernel: Kernel
    targets: dict[str, int] = field(default_factory=dict)

    def image(
        self,
        text: str,
        *,
        name: str = "prog",
        sleepable: bool = False,
        prog_type: int = 0,
        maps: tuple[MapSlot, ...] = (),
        segments: tuple[Segment, ...] = (),
        loads: dict[int, LoadKind] | None = None,
        poisoned: str = "",
        starts: tuple[int, ...] = (),
    ) -> ProgramImage:
        """An image of ``text``; kfuncs and helpers are called by name."""
        calls: list[CallTarget] = []

        def resolve(called: str) -> Call | None:
            spec: Any = self.kernel.catalog.find_kfunc(called, self.kernel.config.profile)
            kind, number = "kfunc", 1000 + len(calls)
            if spec is None:
                found = [h for h in self.kernel.catalog.helpers.values() if h.name == called]
                if not found and called != poisoned:
                    return None
                spec = found[0] if found else None
                kind, number = ("helper", found[0].number) if found else ("kfunc", 0)
            names = [target.name for target in calls]
            if called not in names:
                calls.append(CallTarget(called, spec, called == poisoned, "", number))
                names.append(called)
            return Call(kind, number, 0, names.index(called))

        code = prog(text, calls=resolve)
        heads = sorted({0, *starts, *(i.target for i in code if isinstance(i, CallSub))})
        subs = [
            Subprog(name if not start else f"sub_{start}", start, end)
            for start, end in zip(heads, [*heads[1:], len(code)], strict=True)
        ]
        return ProgramImage(
            name=name,
            section="",
            prog_type=prog_type,
            attach_type=0,
            attach_to="",
            sleepable=sleepable,
            gpl=True,
            code=code,
            subprogs=tuple(subs),
            calls=tuple(calls),
            maps=maps,
            segments=segments,
            loads=tuple((loads or {}).get(slot, LoadKind.UNKNOWN) for slot in range(len(code))),
            uninit=frozenset(range(len(code))),
            lines=tuple(
                SourceLine("dir/x.bpf.c", slot + 1, 1, f"line {slot};") for slot in range(len(code))
            ),
            arena_base=self.kernel.memory.base,
            arena_size=self.kernel.memory.size,
        )

    def run(self, image: ProgramImage | str, **options: Any) -> Outcome:
        """Run once on the reference engine."""
        if isinstance(image, str):
            image = self.image(image)
        machine, args = self.kernel.start(image, RunOptions(**options))
        return self.kernel.close(find_engine("interp").prepare(image).run(machine, args))

    def enter(self, image: ProgramImage, **options: Any) -> Machine:
        """Start a run whose calls the test makes itself."""
        return self.kernel.start(image, RunOptions(**options))[0]


def bench(profile: str = "6.12.0", catalog: Catalog = CATALOG, **config: Any) -> Bench:
    """A kernel with the kfuncs and helpers of this file."""
    made = KernelConfig(profile=find_profile(profile), **config)
    kernel = Kernel(catalog, made, kernel_btf=None, arena_base=ARENA_BASE, arena_size=ARENA_SIZE)
    return Bench(kernel)
