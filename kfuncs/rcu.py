"""RCU read sections (kernel/bpf/helpers.c); that they pair up is the gate's business."""

from __future__ import annotations

from bpfemu.proto.marks import kfunc
from bpfemu.proto.services import Rcu


@kfunc(since=(6, 2))
def bpf_rcu_read_lock(*, rcu: Rcu) -> None:
    """Enter a read section."""
    rcu.read_lock()


@kfunc(since=(6, 2))
def bpf_rcu_read_unlock(*, rcu: Rcu) -> None:
    """Leave it."""
    rcu.read_unlock()
