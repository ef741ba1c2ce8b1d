"""A place to put contexts: memory, services, and images of one program."""

from __future__ import annotations

from typing import Any

from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.progs.base import Ctx
from bpfemu.machine.memory import LoadKind, Memory
from bpfemu.proto.types import NULL, Ptr
from tests.builders.asm import prog

BASE = 0xFFFF_8880_0000_0000


class Tasks:
    """Task 7 at 0x1000 is the current one; task 8 at 0x2000; no others."""

    current = Ptr(0x1000)

    def by_pid(self, pid: int) -> Ptr[Any]:
        """In the initial namespace."""
        return {7: Ptr(0x1000), 8: Ptr(0x2000)}.get(pid, NULL)


class Env:
    """What a program type needs of a kernel."""

    def __init__(self) -> None:
        self.memory = Memory(BASE, 1 << 20)
        self.services: dict[str, Any] = {"tasks": Tasks()}


def image(
    prog_type: int,
    code: str = "r0 = 0; exit",
    *,
    ctx_loads: tuple[int, ...] = (),
    **facts: Any,
) -> ProgramImage:
    """An image of a program ``p``; ``ctx_loads`` are the slots that load from the context."""
    insns = prog(code)
    kinds = [LoadKind.CTX if at in ctx_loads else LoadKind.UNKNOWN for at in range(len(insns))]
    defaults: dict[str, Any] = {
        "name": "p",
        "section": "x",
        "prog_type": prog_type,
        "attach_type": 0,
        "attach_to": "",
        "sleepable": False,
        "gpl": True,
        "code": insns,
        "subprogs": (),
        "calls": (),
        "maps": (),
        "segments": (),
        "loads": tuple(kinds),
        "uninit": frozenset(),
        "lines": (),
        "arena_base": BASE,
        "arena_size": 1 << 20,
    }
    return ProgramImage(**{**defaults, **facts})


def place(cls: type[Any], img: ProgramImage, env: Env | None = None, **options: Any) -> Ctx:
    """Place one context as the kernel does."""
    placed: Ctx = cls.place(env or Env(), img, RunOptions(**options))
    return placed


def load(ctx: Ctx, offset: int, size: int) -> int:
    """What a program reads from its context."""
    return ctx.memory.load(ctx.addr + offset, size)
