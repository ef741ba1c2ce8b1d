"""The services of a kernel, by the names that bodies ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bpfemu.errors import InputError

__all__ = ["Services"]


class Services(dict[str, Any]):
    """Services by name; each is made when it is first asked for."""

    def __init__(self, makers: dict[str, Callable[[], Any]]) -> None:
        super().__init__()
        self._makers = makers

    def __missing__(self, name: str) -> Any:
        maker = self._makers.get(name)
        if maker is None:
            raise InputError(f"this kernel has no service {name!r}")
        made = self[name] = maker()
        return made
