"""JSON as bpftool writes it: -j on one line, -p with four blanks a level and ``[{ … },{ … }]``."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["json_text"]


def json_text(value: Any, pretty: bool) -> str:
    """The text, without a newline at the end."""
    if not pretty:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _pretty(value, 0)


def _pretty(value: Any, depth: int) -> str:
    """Objects and arrays open where their name stands; items of an array are two levels deep."""
    if isinstance(value, dict):
        start, end = "\n" + "    " * (depth + 1), "\n" + "    " * depth
        parts = [f"{json.dumps(key)}: {_pretty(one, depth + 1)}" for key, one in value.items()]
        return "{" + ",".join(start + part for part in parts) + end + "}" if parts else "{}"
    if isinstance(value, list):
        parts = [_pretty(one, depth + 1) for one in value]
        end = "\n" + "    " * depth if parts else ""
        return "[" + ",".join(parts) + end + "]"
    return json.dumps(value, ensure_ascii=False)
