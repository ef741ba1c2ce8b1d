"""RCU: read sections of the running program, grace periods, callbacks.

Two flavours: normal RCU, and RCU tasks-trace, which sleepable programs hold.  A grace period ends
when it is told to end, or with the run (``KernelConfig.grace_periods``), never by itself in
between: one thread, one history.  Source: iterator notes, sections 3.7 and 4.3.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["ReadCopyUpdate"]


class ReadCopyUpdate:
    """Service ``rcu``.

    ``explicit`` counts bpf_rcu_read_lock of the program, ``implicit`` the section a non-sleepable
    program runs in, ``trace`` that of a sleepable one.
    """

    def __init__(self) -> None:
        self.explicit = 0
        self.implicit = 0
        self.trace = 0
        self._callbacks: list[Callable[[], None]] = []
        self._trace_callbacks: list[Callable[[], None]] = []

    # ---- read sections ------------------------------------------------------------------

    def read_lock(self) -> None:
        """Enter an explicit read section."""
        self.explicit += 1

    def read_unlock(self) -> None:
        """Leave it; nothing happens outside of one."""
        self.explicit = max(self.explicit - 1, 0)

    def in_section(self) -> bool:
        """Explicitly, or because the program is not sleepable."""
        return bool(self.explicit or self.implicit)

    # ---- grace periods ------------------------------------------------------------------

    def call_rcu(self, callback: Callable[[], None]) -> None:
        """Call back after a normal grace period."""
        self._callbacks.append(callback)

    def call_rcu_tasks_trace(self, callback: Callable[[], None]) -> None:
        """Call back after a tasks-trace grace period."""
        self._trace_callbacks.append(callback)

    @property
    def waiting(self) -> tuple[int, int]:
        """Callbacks that wait for (a normal, a tasks-trace) grace period."""
        return len(self._callbacks), len(self._trace_callbacks)

    def end_grace_period(self) -> int:
        """End a normal grace period, unless a reader is inside; how many were called back."""
        if self.explicit or self.implicit:
            return 0
        ready, self._callbacks = self._callbacks, []
        for callback in ready:
            callback()
        return len(ready)

    def end_trace_grace_period(self) -> int:
        """End a tasks-trace grace period; it outlasts normal readers too."""
        if self.explicit or self.implicit or self.trace:
            return 0
        ready, self._trace_callbacks = self._trace_callbacks, []
        for callback in ready:
            callback()
        return len(ready)

    def barrier(self) -> int:
        """End grace periods of both flavours until nobody waits; how many were called back."""
        total = 0
        while done := self.end_grace_period() + self.end_trace_grace_period():
            total += done
        return total
