"""Helpers called as plain functions, on the memory and the services of a bench."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from bpfemu.kernel.printk import TraceBuffer
from bpfemu.kernel.probe_read import NoFaultReader
from bpfemu.machine.memory import UNINIT, RegionKind
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import PROFILES
from bpfemu.proto.types import Ptr
from tests.kernel.maps.env import Bench

HELPERS = {spec.name: spec for spec in Catalog.discover("bpfemu.kernel.helpers").helpers.values()}
USER = 0x7F00_0000_0000  # where user memory of the bench begins


class Pages:
    """User memory: one stretch of bytes at USER."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def read(self, addr: int, size: int) -> bytes | None:
        low = addr - USER
        if not 0 <= low <= low + size <= len(self.data):
            return None
        return bytes(self.data[low : low + size])

    def write(self, addr: int, data: bytes) -> bool:
        low = addr - USER
        if not 0 <= low <= low + len(data) <= len(self.data):
            return False
        self.data[low : low + len(data)] = data
        return True


class HelperBench(Bench):
    """``call`` runs a helper with the services it asks for; callbacks are Python functions."""

    def __init__(self, cpus: int = 2, profile: str = "6.18.44", user: bytes = b"") -> None:
        super().__init__(cpus)
        self.user = Pages(user)
        self.others: dict[int, Pages] = {}
        self.trace = TraceBuffer()
        self.services: dict[str, Any] = {
            "memory": self.memory,
            "space": self.env.space,
            "cpu": self.cpus,
            "clock": self.env.clock,
            "random": self.env.random,
            "maps": self.table,
            "printk": self.trace,
            "profile": PROFILES[profile],
            "probe_read": NoFaultReader(self.memory, PROFILES[profile], self._space_of),
        }

    def _space_of(self, task: Any) -> Pages | None:
        return self.user if task is None else self.others.get(int(task))

    def put(self, data: bytes) -> int:
        """Bytes somewhere in the program's memory; their address."""
        region = self.memory.allocate(max(len(data), 1), RegionKind.MEMORY, "test")
        self.memory.write(region.addr, data)
        return region.addr

    def room(self, size: int) -> int:
        """Memory that nobody has written."""
        return self.memory.allocate(size, RegionKind.MEMORY, "room", state=UNINIT).addr

    def call(self, helper: str, *args: Any, raw: list[int] | None = None) -> int:
        """r0, signed; maps are passed as they are, callbacks as functions of their arguments."""
        spec = HELPERS[helper]
        values = [
            Ptr(value, None, self.env.space) if param.role == "ptr" else value
            for param, value in zip(spec.params, args, strict=True)
        ]
        return self.call_raw(helper, *values, raw=raw)

    def call_raw(self, helper: str, *values: Any, raw: list[int] | None = None) -> int:
        """The same with arguments as they are."""
        spec = HELPERS[helper]
        services = {name: self.services[name] for name in spec.services if name != "args"}
        if "args" in spec.services:
            services["args"] = raw or [0] * 5
        result = spec.body(*values, **services)
        if spec.generator:
            result = _run(result)
        return 0 if result is None else int(result)


def callback(function: Callable[..., int]) -> Callable[..., Generator[Any, int, int]]:
    """A Python function as a callback argument."""

    def call(*args: int) -> Generator[Any, int, int]:
        result = yield (0, args)
        assert result == 0
        return function(*args)

    return call


def _run(body: Generator[Any, Any, Any]) -> Any:
    sent: Any = None
    while True:
        try:
            body.send(sent)
        except StopIteration as stop:
            return stop.value
        sent = 0
