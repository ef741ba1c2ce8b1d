"""Specs refuse what no kernel could have, naming field, value and rule."""

from __future__ import annotations

import pickle

import pytest

from bpfemu.errors import InputError
from bpfemu.world.build import default_world, file, task, vma, world
from bpfemu.world.flags import TASK_SIZE, vm_flags, vm_page_prot
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World

LIBC = FileSpec("/lib/libc.so.6", (8, 1), 77)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"start": 0x1001}, "vma.start is '0x1001', must be a multiple of 4096"),
        ({"start": "here"}, "vma.start is 'here', must be a multiple of 4096"),
        ({"end": 0x2800}, "vma.end is '0x2800', must be a multiple of 4096"),
        ({"start": -0x1000}, "vma.start is -4096, must not be negative"),
        ({"end": 0x1000}, "vma.end is '0x1000', must be above 0x1000"),
        ({"end": 0}, "vma.end is '0x0', must be above 0x1000"),
        ({"end": TASK_SIZE + 0x1000}, "must not be above TASK_SIZE"),
        ({"perms": "rwx"}, "vma.perms is 'rwx', must look like 'rwxp'"),
        ({"perms": "wr-p"}, "vma.perms"),
        ({"perms": "rwxq"}, "vma.perms"),
        ({"offset": 5}, "vma.offset is 5, must be a multiple of 4096"),
        ({"offset": -0x1000}, "vma.offset"),
        ({"flags": 1 << 64}, "vma.flags"),
        ({"content": b"x" * 4097}, "vma.content is '4097 bytes', must fit between start and end"),
    ],
)
def test_vmas(values, message):
    with pytest.raises(InputError) as caught:
        VmaSpec(**{"start": 0x1000, "end": 0x2000, **values})

    assert message in str(caught.value)


def test_the_last_page_below_task_size_can_be_mapped():
    assert VmaSpec(TASK_SIZE - 0x1000, TASK_SIZE).end == 0x7FFF_FFFF_F000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": ""}, "file.path is '', must be a path"),
        ({"path": "a\0b"}, "file.path"),
        ({"inode": -1}, "file.inode"),
        ({"dev": (4096, 0)}, "file.dev"),
        ({"dev": (0, 1 << 20)}, "file.dev"),
    ],
)
def test_files(values, message):
    with pytest.raises(InputError) as caught:
        FileSpec(**{"path": "/x", **values})

    assert message in str(caught.value)


A, B = VmaSpec(0x1000, 0x3000), VmaSpec(0x3000, 0x4000)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pid": 0}, "task.pid is 0, must be 1 to 4194303"),
        ({"pid": 1 << 22}, "task.pid"),
        ({"tgid": -1}, "task 5: tgid is -1"),
        ({"ppid": 1 << 22}, "task 5: ppid"),
        ({"vpid": -2}, "task 5: vpid"),
        ({"comm": "sixteen letters!"}, "task 5: comm is 'sixteen letters!', must be at most 15"),
        ({"comm": "a\0b"}, "task 5: comm"),
        ({"uid": 1 << 32}, "task 5: uid"),
        ({"gid": -1}, "task 5: gid"),
        ({"flags": 1 << 32}, "task 5: flags"),
        ({"state": -1}, "task 5: state"),
        ({"prio": 140}, "task 5: prio is 140, must be 0 to 139"),
        ({"vmas": (B, A)}, "task 5: vmas[1].start is '0x1000', must not be below the end"),
        ({"vmas": (A, VmaSpec(0x2000, 0x5000))}, "task 5: vmas[1].start is '0x2000'"),
        ({"vmas": (A,), "kthread": True}, "task 5: vmas is 'given', but it has no mm of its own"),
        ({"vmas": (A,), "has_mm": False}, "task 5: vmas"),
        ({"vmas": (A,), "tgid": 4}, "task 5: vmas"),
        ({"mm_of": 4}, "task 5: mm_of is 4, needs kthread"),
        ({"threads": (6,), "tgid": 4}, "task 5: threads is (6,), but it is a thread itself"),
    ],
)
def test_tasks(values, message):
    with pytest.raises(InputError) as caught:
        TaskSpec(**{"pid": 5, **values})

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "current", "message"),
    [
        ((TaskSpec(5), TaskSpec(5)), None, "world.tasks: pid is 5, must be there once"),
        ((TaskSpec(5, threads=(6,)), TaskSpec(6)), None, "pid is 6, must be there once"),
        ((TaskSpec(5, tgid=4),), None, "task 5: tgid is 4, must be the pid of a task"),
        ((TaskSpec(5, ppid=4),), None, "task 5: ppid is 4, must be 0 or the pid of a task"),
        ((TaskSpec(5, kthread=True, mm_of=4),), None, "mm_of is 4, must be the pid of a user"),
        (
            (TaskSpec(4, kthread=True), TaskSpec(5, kthread=True, mm_of=4)),
            None,
            "mm_of is 4, must be the pid of a user task",
        ),
        ((TaskSpec(5),), 6, "world.current is 6, must be 0 or the pid of a task"),
    ],
)
def test_worlds(tasks, current, message):
    with pytest.raises(InputError) as caught:
        World(tasks, current)

    assert message in str(caught.value)


def test_current_is_the_first_task_unless_said_otherwise():
    assert World().current_pid == 0
    assert World((TaskSpec(5), TaskSpec(6))).current_pid == 5
    assert World((TaskSpec(5),), current=0).current_pid == 0


# ---- builders


def test_a_field_that_nobody_knows_is_named():
    with pytest.raises(InputError, match=r"task has no field 'name'; there are pid, tgid, comm"):
        task(pid=3, name="x")
    with pytest.raises(InputError, match=r"vma has no field 'begin'"):
        vma(begin=0)
    with pytest.raises(InputError, match=r"file has no field 'name'"):
        file(name="x")


def test_a_field_that_is_missing_is_named():
    with pytest.raises(InputError, match="task needs 'pid'"):
        task(comm="x")
    with pytest.raises(InputError, match="vma needs 'end'"):
        vma(start=0)


def test_builders_build():
    made = world(
        task(pid=3, vmas=(vma(start=0x1000, end=0x2000, file="/bin/x"),)), task(pid=4), current=4
    )

    assert made.current_pid == 4
    assert made.tasks[0].vmas[0].file == file(path="/bin/x")


def test_the_default_world_has_a_process_with_the_usual_mappings():
    found = {spec.pid: spec for spec in default_world().tasks}

    assert found[default_world().current_pid].vmas[-1].name == "[stack]"
    assert found[2].kthread


def test_worlds_can_be_pickled():
    assert pickle.loads(pickle.dumps(default_world())) == default_world()


# ---- flags (include/linux/mm.h)


@pytest.mark.parametrize(
    ("perms", "name", "flags"),
    [
        ("r--p", "", 0x71),
        ("rw-p", "", 0x73),
        ("r-xp", "", 0x75),
        ("---p", "", 0x70),
        ("rw-s", "", 0xFB),
        ("rw-p", "[stack]", 0x173),
    ],
)
def test_flags_are_derived_from_permissions(perms, name, flags):
    assert vm_flags(perms, name) == flags
    assert VmaSpec(0x1000, 0x2000, perms, name=name).vm_flags == flags


def test_exact_flags_win():
    assert VmaSpec(0x1000, 0x2000, "r--p", flags=0x123).vm_flags == 0x123


@pytest.mark.parametrize(
    ("vma", "pgoff"),
    [
        (VmaSpec(0x5000, 0x6000, offset=0x2000, file=LIBC), 2),
        (VmaSpec(0x5000, 0x6000), 5),
        (VmaSpec(0x5000, 0x6000, name="[heap]"), 5),
        (VmaSpec(0x5000, 0x6000, name="[vdso]"), 0),
    ],
)
def test_pgoff_counts_in_the_file_or_in_the_address_space(vma, pgoff):
    assert vma.pgoff == pgoff


@pytest.mark.parametrize(
    ("flags", "prot"),
    [
        (0x71, 0x8000_0000_0000_0025),  # PAGE_READONLY
        (0x75, 0x25),  # PAGE_READONLY_EXEC
        (0x73, 0x8000_0000_0000_0025),  # private and writable: copied on write
        (0xFB, 0x8000_0000_0000_0027),  # PAGE_SHARED
        (0x70, 0x120),  # PAGE_NONE
    ],
)
def test_page_protection_is_x86s(flags, prot):
    assert vm_page_prot(flags) == prot
