"""Contexts as the kernel's own structs: sk_buff, xdp_buff, bpf_perf_event_data_kern.

A program sees ``struct __sk_buff`` and the kernel rewrites its loads to reach ``struct sk_buff``;
here the program's view lies in memory as such, so the kernel's struct is made beside it when
bpf_cast_to_kern_ctx asks, filled from what the program's view holds at that moment.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.progs.base import layout_of
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr, Struct
from bpfemu.world.trace import bpf_perf_event_data, pt_regs
from bpfemu.world.uapi.ctx import __sk_buff as skb_view
from bpfemu.world.uapi.ctx import xdp_md

__all__ = ["KernelContexts"]

POINTERS: Final = 256  # where a context block holds 64-bit pointers, at twice their offset
SKB_TYPES: Final = (1, 3, 4, 8, 10, 11, 12, 19)  # socket filter, tc, cgroup_skb, LWT
XDP, PERF_EVENT = 6, 7
XDP_PACKET_HEADROOM: Final = 256
PAGE: Final = 4096
COPIED: Final = ("len", "mark", "priority", "hash", "protocol", "queue_mapping", "pkt_type")


class Running(Protocol):
    """What is asked of the running program."""

    @property
    def prog_type(self) -> int:
        """BPF_PROG_TYPE_*."""


class KernelContexts:
    """Service ``kern_ctx``."""

    def __init__(self, space: Space, running: Running) -> None:
        self._placer = StructPlacer(space)
        self._memory = space.memory
        self._running = running
        self._made: dict[tuple[str, int], Ptr[Any]] = {}

    def of(self, ctx: int) -> int:
        """The kernel's struct behind the context at ``ctx``; where there is only one, that."""
        kind = self._running.prog_type
        if kind in SKB_TYPES:
            return self._fill("sk_buff", ctx, self._skb(ctx))
        if kind == XDP:
            return self._fill("xdp_buff", ctx, self._xdp(ctx))
        if kind == PERF_EVENT:
            return self._fill("bpf_perf_event_data_kern", ctx, self._perf_event(ctx))
        return ctx

    def _fill(self, struct: str, ctx: int, values: dict[str, Any]) -> int:
        """The object of a context is the same each time."""
        made = self._object(struct, ctx)
        self._placer.fill(made, values)
        return int(made)

    def _object(self, struct: str, ctx: int) -> Ptr[Any]:
        found = self._made.get((struct, ctx))
        if found is None:
            found = self._made[struct, ctx] = self._placer.new(struct, struct)
        return found

    def _field(self, cls: type[Struct], ctx: int, name: str) -> int:
        return self._memory.read_int(ctx + layout_of(cls).fields[name].offset, 4)

    def _pointer(self, cls: type[Struct], ctx: int, name: str) -> int:
        at = ctx + POINTERS + 2 * layout_of(cls).fields[name].offset
        return self._memory.read_int(at, 8)

    def _device(self, ctx: int, ifindex: int) -> Ptr[Any]:
        device = self._object("net_device", ctx)
        self._placer.fill(device, {"ifindex": ifindex, "mtu": 65536, "name": b"lo"})
        return device

    def _skb(self, ctx: int) -> dict[str, Any]:
        data, end = (self._pointer(skb_view, ctx, name) for name in ("data", "data_end"))
        values: dict[str, Any] = {name: self._field(skb_view, ctx, name) for name in COPIED}
        cb = layout_of(skb_view).fields["cb"].offset
        return {
            **values,
            "skb_iif": self._field(skb_view, ctx, "ingress_ifindex"),
            "dev": self._device(ctx, self._field(skb_view, ctx, "ifindex")),
            "head": data,
            "data": data,
            "tail": end - data,
            "end": end - data,
            "cb": bytes(8) + self._memory.read(ctx + cb, 20),  # behind qdisc_skb_cb's own words
            "users.refs.counter": 1,
            "truesize": end - data,
        }

    def _xdp(self, ctx: int) -> dict[str, Any]:
        pointers = {
            name: self._pointer(xdp_md, ctx, name) for name in ("data", "data_end", "data_meta")
        }
        queue = self._object("xdp_rxq_info", ctx)
        device = self._device(ctx, self._field(xdp_md, ctx, "ingress_ifindex"))
        index = self._field(xdp_md, ctx, "rx_queue_index")
        self._placer.fill(queue, {"dev": device, "queue_index": index})
        start = pointers["data_meta"] - XDP_PACKET_HEADROOM
        return {**pointers, "data_hard_start": start, "rxq": queue, "frame_sz": PAGE}

    def _perf_event(self, ctx: int) -> dict[str, Any]:
        layout = layout_of(bpf_perf_event_data)
        sample = self._object("perf_sample_data", ctx)
        period, addr = (
            self._memory.read_int(ctx + layout.fields[name].offset, 8)
            for name in ("sample_period", "addr")
        )
        ip = self._memory.read_int(ctx + layout_of(pt_regs).fields["ip"].offset, 8)
        self._placer.fill(sample, {"period": period, "addr": addr, "ip": ip})
        return {"regs": ctx, "data": sample}
