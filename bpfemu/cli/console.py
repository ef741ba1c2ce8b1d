"""Where text goes: plain when piped, coloured through rich on a terminal.

The only file that imports rich.  NO_COLOR and FORCE_COLOR are obeyed.
"""

from __future__ import annotations

import os
import sys

__all__ = ["heading", "write"]


def coloured() -> bool:
    """Is standard output a terminal that wants colour?"""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def write(text: str, style: str = "") -> None:
    """One piece of text and a newline."""
    if not style or not coloured():
        sys.stdout.write(text + "\n")
        return
    from rich.console import Console
    from rich.text import Text

    Console(file=sys.stdout, force_terminal=True, soft_wrap=True).print(Text(text, style=style))


def heading(text: str) -> None:
    """A section's title."""
    write(text, "bold")
