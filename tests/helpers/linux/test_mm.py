"""VMAs and user memory."""

from __future__ import annotations

import pytest

from bpfemu.errors import FaultError
from bpfemu.helpers.linux.mm import (
    access_process_vm,
    access_remote_vm,
    cmdline,
    environ,
    for_each_vma,
    vma_find,
)
from bpfemu.helpers.linux.pid import find_task
from bpfemu.objects import NULL, Object, Program
from bpfemu.skeleton import Skeleton
from tests.helpers.linux.conftest import VMAS


def test_vmas_come_by_address(prog: Program) -> None:
    mm = find_task(prog, 40).mm

    found = [(int(vma.vm_start), int(vma.vm_end)) for vma in for_each_vma(mm)]
    assert found == [(vma.start, vma.end) for vma in VMAS]
    assert {str(vma.type_) for vma in for_each_vma(mm)} == {"struct vm_area_struct *"}
    assert list(for_each_vma(find_task(prog, 1).mm)) == []


@pytest.mark.parametrize(
    ("addr", "start"),
    [
        (0x40_0000, 0x40_0000),
        (0x40_1FFF, 0x40_0000),
        (0x40_2000, 0x40_2000),
        (0x3F_FFFF, 0),
        (0x40_3000, 0),
        (1 << 63, 0),
    ],
)
def test_the_vma_that_holds_an_address(prog: Program, addr: int, start: int) -> None:
    vma = vma_find(find_task(prog, 40).mm, addr)

    assert (int(vma.vm_start) if vma else 0) == start
    assert str(vma.type_) == "struct vm_area_struct *"


def test_what_changes_is_seen(skel: Skeleton) -> None:
    mm = find_task(skel.prog, 40).mm
    skel.kernel.services["world"].unmap(40, 0x40_0000)

    assert int(next(for_each_vma(mm)).vm_start) == 0x40_2000
    vma_find(mm, 0x40_2000).vm_flags.write_(0x75)
    assert vma_find(mm, 0x40_2000).vm_flags == 0x75


def test_user_memory(prog: Program) -> None:
    task = find_task(prog, 41)

    assert access_process_vm(task, 0x40_0000, 4) == b"\x7fELF"
    assert access_remote_vm(task.mm, Object(prog, value=0x40_1FFE), 4) == bytes(4)


@pytest.mark.parametrize(
    ("address", "size", "bad"),
    [(0, 1, 0), (0x40_2FFE, 4, 0x40_3000), (0x7FF0_0000_0000, 8, 0x7FF0_0000_0000)],
)
def test_user_memory_that_cannot_be_read(prog: Program, address: int, size: int, bad: int) -> None:
    with pytest.raises(FaultError, match=f"cannot read user memory at {bad:#x}") as caught:
        access_process_vm(find_task(prog, 40), address, size)
    assert caught.value.address == bad


def test_tasks_without_user_memory(prog: Program) -> None:
    kthread = find_task(prog, 2)

    assert cmdline(kthread) is None and environ(kthread) is None
    with pytest.raises(FaultError, match="pid 2 has no user memory"):
        access_process_vm(kthread, 0x1000, 1)


def test_arguments_and_environment(prog: Program) -> None:
    task = find_task(prog, 40)

    assert cmdline(task) == [b"app", b"-v"]
    assert environ(task) == [b"A=1"]
    assert cmdline(find_task(prog, 1)) == []


def test_an_mm_that_is_none(prog: Program) -> None:
    with pytest.raises(FaultError) as caught:
        next(for_each_vma(NULL(prog, "struct mm_struct *")))
    assert caught.value.address == 0
