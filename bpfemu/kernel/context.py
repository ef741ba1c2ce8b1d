"""What a program receives in r1: placed by its program type, or plain bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bpfemu.errors import InputError
from bpfemu.image import ProgramImage
from bpfemu.kernel.config import RunOptions
from bpfemu.kernel.packet import Packet
from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.record import dataclass

if TYPE_CHECKING:
    from bpfemu.kernel.kernel import Kernel

__all__ = ["CtxBlock", "place_context"]


def _no_bytes() -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class CtxBlock:
    """A context in memory: r1 and further arguments, and what the run leaves in it."""

    addr: int
    args: tuple[int, ...]
    ctx_out: Callable[[], bytes] = _no_bytes
    data_out: Callable[[], bytes] = _no_bytes
    packet: Packet | None = None
    free: Callable[[], None] = lambda: None


def place_context(kernel: Kernel, image: ProgramImage, options: RunOptions) -> CtxBlock:
    """The context of one run; program types that nobody describes take plain bytes."""
    prog_type = kernel.catalog.prog_types.get(image.prog_type)
    if prog_type is None:
        return _plain(kernel.memory, image, options)
    placed: Any = prog_type().place(kernel, image, options)
    return CtxBlock(
        placed.addr,
        (placed.addr,),
        placed.ctx_out,
        placed.data_out,
        placed.packet,
        getattr(placed, "free", lambda: None),
    )


def _plain(memory: Memory, image: ProgramImage, options: RunOptions) -> CtxBlock:
    """The bytes as they are; r1 is 0 without any."""
    if options.ctx is None:
        return CtxBlock(0, (0,))
    if not isinstance(options.ctx, bytes | bytearray | memoryview):
        raise InputError(f"{image.name}: the context must be bytes for this program type")
    data = bytes(options.ctx)
    region = memory.allocate(max(len(data), 1), RegionKind.CTX, "context")
    memory.write(region.addr, data)
    return CtxBlock(
        region.addr,
        (region.addr,),
        lambda: memory.read(region.addr, len(data)),
        free=lambda: memory.free(region.addr),
    )
