"""Run real BPF objects with open-coded iterators off the kernel.

Names resolve when first used; importing the package costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would be most of what importing bpfemu costs
if TYPE_CHECKING:
    from typing import Any

    from bpfemu.errors import BpfemuError
    from bpfemu.outcome import Outcome
    from bpfemu.session import Options, Session
    from bpfemu.skeleton import Skeleton
    from bpfemu.skeleton import open_object as open
    from bpfemu.world.spec import World

__all__ = [
    "BpfemuError",
    "Options",
    "Outcome",
    "Session",
    "Skeleton",
    "World",
    "__version__",
    "open",
]

__version__ = "0.1.0"

_WHERE = {
    "BpfemuError": ("bpfemu.errors", "BpfemuError"),
    "Options": ("bpfemu.session", "Options"),
    "Outcome": ("bpfemu.outcome", "Outcome"),
    "Session": ("bpfemu.session", "Session"),
    "Skeleton": ("bpfemu.skeleton", "Skeleton"),
    "World": ("bpfemu.world.spec", "World"),
    "open": ("bpfemu.skeleton", "open_object"),
}


def __getattr__(name: str) -> Any:
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module 'bpfemu' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(where[0]), where[1])


def __dir__() -> list[str]:
    return sorted(__all__)
