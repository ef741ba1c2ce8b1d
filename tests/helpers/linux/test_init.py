"""All helpers at once, as scripts for drgn import them."""

from __future__ import annotations

import bpfemu.helpers.linux as every
from bpfemu.helpers.linux import fs, mm, percpu, pid, sched
from bpfemu.helpers.linux import list as lists


def test_every_helper_of_every_module_is_there() -> None:
    names = {name for module in (fs, lists, mm, percpu, pid, sched) for name in module.__all__}

    assert set(every.__all__) == names
    assert all(callable(getattr(every, name)) for name in names)
