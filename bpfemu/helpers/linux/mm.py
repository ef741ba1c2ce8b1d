"""Address spaces: VMAs, and user memory behind them.

An emulated VMA is put into memory when somebody first looks at it, so VMAs are asked of the
kernel and not found by walking ``mm->mm_mt``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bpfemu.errors import FaultError
from bpfemu.objects import NULL, Object

if TYPE_CHECKING:
    from bpfemu.objects import Program

__all__ = [
    "access_process_vm",
    "access_remote_vm",
    "cmdline",
    "environ",
    "for_each_vma",
    "vma_find",
]

_VMA = "struct vm_area_struct *"


def for_each_vma(mm: Object) -> Iterator[Object]:
    """The VMAs of a ``struct mm_struct *`` by address, each ``struct vm_area_struct *``."""
    at = 0
    while vma := _next(mm, at):
        yield vma
        at = int(vma.vm_end)


def vma_find(mm: Object, addr: int) -> Object:
    """The VMA that holds an address, a null pointer where nothing is mapped."""
    vma = _next(mm, addr.__index__())
    if vma and vma.vm_start <= addr:
        return vma
    return NULL(mm.prog_, _VMA)


def _next(mm: Object, addr: int) -> Object:
    """The first VMA that ends above ``addr``."""
    found = mm.prog_.kernel.services["vmas"].find(_pointer(mm), addr)
    return Object(mm.prog_, _VMA, int(found))


def _pointer(mm: Object) -> Any:
    """The mm as the kernel's services know it; FaultError when it is none or was freed."""
    prog: Program = mm.prog_
    prog.read(int(mm), 1)
    return prog.kernel.space.pointer(int(mm), "mm_struct")


def access_remote_vm(mm: Object, address: int, size: int) -> bytes:
    """User memory of a ``struct mm_struct *``; FaultError where it is not mapped or readable."""
    start, count = address.__index__(), size.__index__()
    user = mm.prog_.kernel.services["vmas"].of(_pointer(mm)).user
    data: bytes | None = user.read(start, count)
    if data is None:
        bad = next((at for at in range(start, start + count) if user.read(at, 1) is None), start)
        raise FaultError(f"cannot read user memory at {bad:#x}", bad)
    return data


def access_process_vm(task: Object, address: int, size: int) -> bytes:
    """User memory of a ``struct task_struct *``; FaultError where it has none there."""
    if not task.mm:
        raise FaultError(f"pid {int(task.pid)} has no user memory", address.__index__())
    return access_remote_vm(task.mm, address, size)


def cmdline(task: Object) -> list[bytes] | None:
    """A task's arguments as /proc/PID/cmdline has them; None without user memory."""
    return _strings(task, "arg_start", "arg_end")


def environ(task: Object) -> list[bytes] | None:
    """A task's environment as /proc/PID/environ has it; None without user memory."""
    return _strings(task, "env_start", "env_end")


def _strings(task: Object, start: str, end: str) -> list[bytes] | None:
    mm = task.mm.read_()
    if not mm:
        return None
    low, high = int(mm.member_(start)), int(mm.member_(end))
    data = access_remote_vm(mm, low, high - low) if high > low else b""
    return data.removesuffix(b"\0").split(b"\0") if data else []
