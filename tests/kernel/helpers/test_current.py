"""The current task and CPU; the name's buffers as Linux 6.18.44 filled them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.proto.types import Ptr
from tests.kernel.helpers.env import HelperBench

CPU = "bpf_get_smp_processor_id"
NODE = "bpf_get_numa_node_id"
PID_TGID = "bpf_get_current_pid_tgid"
UID_GID = "bpf_get_current_uid_gid"
COMM = "bpf_get_current_comm"
TASK = "bpf_get_current_task"
TASK_BTF = "bpf_get_current_task_btf"


def with_task(**members: Any) -> HelperBench:
    bench = HelperBench()
    bench.services["tasks"] = SimpleNamespace(current=SimpleNamespace(**members))
    return bench


def test_the_cpu_is_the_one_that_runs() -> None:
    bench = HelperBench(cpus=2)
    bench.cpus.switch(1)

    assert bench.call(CPU) == 1
    assert bench.call(NODE) == 0


def test_ids_are_two_halves_of_one_number() -> None:
    bench = with_task(pid=24497, tgid=24490)
    assert bench.call(PID_TGID) == 24490 << 32 | 24497

    ids = SimpleNamespace(uid=SimpleNamespace(val=1000), gid=SimpleNamespace(val=100))
    assert with_task(cred=ids).call(UID_GID) == 100 << 32 | 1000


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (0, b""),
        (1, b"\0"),
        (2, b"f\0"),
        (5, b"fift\0"),
        (15, b"fifteen_chars_\0"),
        (16, b"fifteen_chars_x\0"),
        (20, b"fifteen_chars_x\0\0\0\0\0"),
        (40, b"fifteen_chars_x" + bytes(25)),
    ],
)
def test_the_name_is_cut_and_the_rest_zeroed(size: int, name: bytes) -> None:
    bench = with_task()
    bench.services["tasks"].current.comm = Ptr(
        bench.put(b"fifteen_chars_x\0"), None, bench.env.space
    )
    buffer = bench.put(b"\xee" * 64)

    assert bench.call(COMM, buffer, size) == 0
    assert bench.memory.read(buffer, 64) == name.ljust(64, b"\xee")


def test_a_size_that_no_buffer_has_is_a_fault() -> None:
    bench = with_task()
    with pytest.raises(Trap) as caught:
        bench.call(COMM, bench.put(bytes(8)), 0xFFFF_FFFF)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS


def test_the_task_is_a_number_or_a_pointer() -> None:
    bench = HelperBench()
    bench.services["tasks"] = SimpleNamespace(current=Ptr(0xFFFF_8881_02AE_90C0))

    assert bench.call(TASK) == bench.call(TASK_BTF) == 0xFFFF_8881_02AE_90C0
