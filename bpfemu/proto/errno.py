"""Error numbers of Linux for kernel functions to return where hosts have other ones."""

from __future__ import annotations

from bpfemu.machine.errno import EAGAIN, EOPNOTSUPP

__all__ = ["EAGAIN", "EOPNOTSUPP"]
