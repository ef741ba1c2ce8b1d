"""The probe_read family: results and what lands in the buffer, as Linux 6.18.44 (x86-64) had it."""

from __future__ import annotations

from errno import EFAULT, EINVAL, EPERM, ERANGE

import pytest

from bpfemu.kernel.helpers.probe import copy_string
from bpfemu.machine.memory import RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.helpers.env import USER, HelperBench

READ = "bpf_probe_read"
READ_STR = "bpf_probe_read_str"
WRITE_USER = "bpf_probe_write_user"
READ_USER = "bpf_probe_read_user"
READ_KERNEL = "bpf_probe_read_kernel"
USER_STR = "bpf_probe_read_user_str"
KERNEL_STR = "bpf_probe_read_kernel_str"
COPY_USER = "bpf_copy_from_user"
COPY_TASK = "bpf_copy_from_user_task"
HOLE, NON_CANONICAL, GUARD, VSYSCALL = (
    0xFFFF_FFFF_0000_0000,
    1 << 63,
    0x7FFF_FFFF_F000,
    0xFFFF_FFFF_FF60_0000,
)
TEXT = b"kernel\0text....."
USER_TEXT = b"user string\0more"


def read(helper: str, addr: int | None, size: int) -> tuple[int, bytes]:
    """(result, the buffer up to where it was written); None: the address of TEXT."""
    bench = HelperBench(user=USER_TEXT)
    buffer = bench.put(b"\xee" * 64)
    source = bench.put(TEXT) if addr is None else addr
    result = bench.call(helper, buffer, size, source)
    return result, bench.memory.read(buffer, 64).rstrip(b"\xee")


@pytest.mark.parametrize("helper", [READ, READ_KERNEL])
def test_kernel_memory_is_read(helper: str) -> None:
    assert read(helper, None, 8) == (0, b"kernel\0t")
    assert read(helper, None, 0) == (0, b"")


@pytest.mark.parametrize("helper", [READ, READ_USER, COPY_USER])
def test_user_memory_is_read(helper: str) -> None:
    assert read(helper, USER, 8) == (0, b"user str")
    assert read(helper, USER, 0) == (0, b"")


@pytest.mark.parametrize(
    ("helper", "addr", "errno", "empty"),
    [
        (READ_KERNEL, USER, ERANGE, ERANGE),
        (READ_KERNEL, 0, ERANGE, ERANGE),
        (READ_KERNEL, HOLE, EFAULT, 0),
        (READ_KERNEL, NON_CANONICAL, ERANGE, ERANGE),
        (READ_KERNEL, GUARD, ERANGE, ERANGE),
        (READ_KERNEL, VSYSCALL, ERANGE, ERANGE),
        (READ_USER, None, EFAULT, EFAULT),
        (READ_USER, 0, EFAULT, 0),
        (READ_USER, HOLE, EFAULT, EFAULT),
        (READ_USER, NON_CANONICAL, EFAULT, EFAULT),
        (READ_USER, GUARD, EFAULT, 0),
        (READ, 0, EFAULT, 0),
        (READ, HOLE, EFAULT, 0),
        (READ, NON_CANONICAL, ERANGE, ERANGE),
        (READ, GUARD, ERANGE, ERANGE),
    ],
)
def test_what_cannot_be_read_is_zeros_and_an_errno(
    helper: str, addr: int | None, errno: int, empty: int
) -> None:
    assert read(helper, addr, 8) == (-errno, bytes(8))
    assert read(helper, addr, 0) == (-empty, b"")


@pytest.mark.parametrize("helper", [READ_STR, KERNEL_STR])
@pytest.mark.parametrize(
    ("size", "text"),
    [
        (16, b"kernel\0"),
        (12, b"kernel\0"),
        (7, b"kernel\0"),
        (6, b"kerne\0"),
        (3, b"ke\0"),
        (1, b"\0"),
    ],
)
def test_a_kernel_string_ends_with_a_nul(helper: str, size: int, text: bytes) -> None:
    assert read(helper, None, size) == (len(text), text)


@pytest.mark.parametrize("helper", [READ_STR, USER_STR])
@pytest.mark.parametrize(
    ("size", "result", "buffer"),
    [
        (16, 12, b"user string\0" + bytes(4)),  # copied by words, the rest of the last is zero
        (12, 12, b"user string\0"),
        (7, 7, b"user s\0"),
        (5, 5, b"user\0"),
        (1, 1, b"\0"),
    ],
)
def test_a_user_string_ends_with_a_nul(helper: str, size: int, result: int, buffer: bytes) -> None:
    assert read(helper, USER, size) == (result, buffer)


@pytest.mark.parametrize(
    ("helper", "addr", "errno"),
    [
        (KERNEL_STR, USER, ERANGE),
        (KERNEL_STR, 0, ERANGE),
        (KERNEL_STR, HOLE, EFAULT),
        (KERNEL_STR, NON_CANONICAL, ERANGE),
        (USER_STR, None, EFAULT),
        (USER_STR, 0, EFAULT),
        (USER_STR, NON_CANONICAL, EFAULT),
        (READ_STR, 0, EFAULT),
        (READ_STR, HOLE, EFAULT),
        (READ_STR, NON_CANONICAL, ERANGE),
        (READ_STR, GUARD, ERANGE),
    ],
)
def test_a_string_that_cannot_be_read_is_zeros_and_an_errno(
    helper: str, addr: int | None, errno: int
) -> None:
    assert read(helper, addr, 12) == (-errno, bytes(12))
    assert read(helper, addr, 0) == (0, b"")


def test_a_string_may_end_right_before_memory_that_is_not_there() -> None:
    bench = HelperBench(user=b"x" * 99 + b"\0")
    buffer = bench.put(bytes(200))

    assert bench.call(USER_STR, buffer, 200, USER) == 100
    assert bench.call(USER_STR, buffer, 200, USER + 98) == 2


def test_a_string_that_runs_into_memory_that_is_not_there_fails() -> None:
    bench = HelperBench(user=b"x" * 99)
    buffer = bench.put(b"\xee" * 200)

    assert bench.call(USER_STR, buffer, 200, USER) == -EFAULT
    assert bench.memory.read(buffer, 200) == bytes(200)
    assert bench.call(USER_STR, buffer, 99, USER) == 99
    assert bench.memory.read(buffer + 97, 2) == b"x\0"


def test_a_string_is_read_in_stretches_and_never_beyond_its_nul() -> None:
    asked: list[tuple[int, int]] = []

    def reader(addr: int, size: int) -> bytes:
        asked.append((addr, size))
        return b"a" * size if addr < 64 else b"b\0".ljust(size, b"c")

    assert copy_string(reader, 10, 1000) == b"a" * 54 + b"b\0"
    assert asked == [(10, 54), (64, 64)]
    assert copy_string(reader, 0, 0) == b""


def test_bytes_that_a_failed_read_leaves_are_initialised() -> None:
    bench = HelperBench()
    buffer = bench.room(8)

    bench.call(READ_KERNEL, buffer, 8, HOLE)

    assert bench.memory.load(buffer, 8) == 0
    assert bench.memory.findings == []


def test_the_buffer_must_be_the_programs() -> None:
    bench = HelperBench()
    source, buffer = bench.put(TEXT), bench.put(bytes(7))

    with pytest.raises(Trap) as caught:
        bench.call(READ_KERNEL, buffer, 8, source)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS


@pytest.mark.parametrize("helper", [READ, READ_STR, READ_USER, READ_KERNEL, USER_STR, KERNEL_STR])
def test_a_size_that_no_buffer_has_is_a_fault_and_costs_nothing(helper: str) -> None:
    bench = HelperBench(user=b"x")
    buffer = bench.put(bytes(8))

    with pytest.raises(Trap) as caught:
        bench.call(helper, buffer, 0xFFFF_FFFF, NON_CANONICAL)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
    assert caught.value.fault.region == "0 bytes behind the 8-byte memory 'test'"


def test_another_tasks_memory_is_read_through_that_task() -> None:
    bench = HelperBench(user=b"mine")
    task = bench.put(bytes(8))
    bench.others[task] = type(bench.user)(b"theirs")
    buffer = bench.put(b"\xee" * 8)

    assert bench.call(COPY_TASK, buffer, 6, USER, task, 0) == 0
    assert bench.memory.read(buffer, 8) == b"theirs\xee\xee"
    assert bench.call(COPY_TASK, buffer, 7, USER, task, 0) == -EFAULT
    assert bench.memory.read(buffer, 8) == bytes(7) + b"\xee"


def test_copy_from_user_task_checks_flags_before_the_size() -> None:
    bench = HelperBench()
    buffer = bench.put(b"\xee" * 4)

    assert bench.call(COPY_TASK, buffer, 0, 0, 0, 1) == -EINVAL
    assert bench.call(COPY_TASK, buffer, 4, 0, 0, 1) == -EINVAL
    assert bench.call(COPY_TASK, buffer, 0, 0, 0, 0) == 0
    assert bench.memory.read(buffer, 4) == b"\xee" * 4


class CurrentFlags:
    """A current task with only its flags."""

    def __init__(self, flags: int) -> None:
        self.current = type("task", (), {"flags": flags})


@pytest.mark.parametrize(
    ("flags", "context", "result"),
    [
        (0, "task", 0),
        (0x40_0000, "task", 0),
        (0x20_0000, "task", -EPERM),  # PF_KTHREAD
        (0x4, "task", -EPERM),  # PF_EXITING
        (0, "irqoff", 0),
        (0, "softirq", -EPERM),
        (0, "hardirq", -EPERM),
        (0, "nmi", -EPERM),
    ],
)
def test_user_memory_is_written_for_a_user_task_only(flags: int, context: str, result: int) -> None:
    bench = HelperBench(user=b"........")
    bench.services["tasks"] = CurrentFlags(flags)
    bench.cpus.here.enter(context)

    assert bench.call(WRITE_USER, USER + 2, bench.put(b"abc"), 3) == result
    assert bytes(bench.user.data) == (b"..abc..." if not result else b"........")


def test_user_memory_that_is_not_there_cannot_be_written() -> None:
    bench = HelperBench(user=b"....")
    bench.services["tasks"] = CurrentFlags(0)

    assert bench.call(WRITE_USER, USER + 2, bench.put(b"abc"), 3) == -EFAULT
    assert bench.call(WRITE_USER, bench.put(bytes(8)), bench.put(b"abc"), 3) == -EFAULT


def test_what_is_written_to_user_memory_must_be_the_programs() -> None:
    bench = HelperBench(user=b"....")
    bench.services["tasks"] = CurrentFlags(0)
    region = bench.memory.allocate(2, RegionKind.MEMORY, "two")

    with pytest.raises(Trap):
        bench.call(WRITE_USER, USER, region.addr, 3)
