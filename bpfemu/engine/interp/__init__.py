"""The reference engine: exact at every instruction, with every check and every event."""

from bpfemu.engine.interp.engine import InterpCode, InterpEngine
from bpfemu.engine.interp.run import InterpRun

__all__ = ["InterpCode", "InterpEngine", "InterpRun"]
