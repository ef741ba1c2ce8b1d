"""Types and values as text; what stands in ``spelling``, ``dump_c``, ``dump_raw`` and ``values``.

Other rooms import from here.
"""

from __future__ import annotations

from bpfemu.btf.dump_c import dump_c
from bpfemu.btf.dump_raw import dump_raw
from bpfemu.btf.pack import python_to_bytes
from bpfemu.btf.spelling import declaration, prototype, type_name
from bpfemu.btf.values import format_value, value_to_python

__all__ = [
    "declaration",
    "dump_c",
    "dump_raw",
    "format_value",
    "prototype",
    "python_to_bytes",
    "type_name",
    "value_to_python",
]
