"""The trace pipe: what bpf_trace_printk wrote."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["TraceBuffer"]

MAX_LINES: Final = 65536  # like the kernel's ring: the oldest go first


class TraceBuffer:
    """Lines in order (service ``printk``); ``lost`` counts those that were overwritten."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self.lost = 0

    def trace(self, text: str) -> None:
        """One bpf_trace_printk; the event ends the line, so one newline at the end is dropped."""
        if len(self._lines) == MAX_LINES:
            self.lost += 1
        self._lines.append(text[:-1] if text.endswith("\n") else text)

    def drain(self) -> tuple[str, ...]:
        """The lines so far; the buffer is empty afterwards."""
        lines = tuple(self._lines)
        self._lines.clear()
        return lines
