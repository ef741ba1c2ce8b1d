"""The world in memory, laid out by our own BTF and by a real kernel's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bpfemu.btf import Btf
from bpfemu.errors import InputError
from bpfemu.kernel.locks import LockTable
from bpfemu.kernel.objects import PlacedWorld
from bpfemu.kernel.place_file import FileTable
from bpfemu.kernel.place_struct import StructPlacer
from bpfemu.kernel.random import RandomStream
from bpfemu.kernel.rcu import ReadCopyUpdate
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.machine.stop import FaultKind, Trap
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.layout import Layouts
from bpfemu.proto.profile import find_profile
from bpfemu.proto.space import Space
from bpfemu.proto.types import Ptr, Struct, s32, u64, void
from bpfemu.session import make_catalog
from bpfemu.world.spec import FileSpec, TaskSpec, VmaSpec, World

LIVE = Path("/sys/kernel/btf/vmlinux")
PROFILE = find_profile("6.18.44")
BASE = 0xFFFF_8880_0000_0000

CAT = FileSpec("/usr/bin/cat", (8, 1), 131, size=44_000)
LOG = FileSpec("/var/log/a file with a name that is longer than the inline room", (0, 25), 99)
GONE = FileSpec("/tmp/x", (0, 26), 7, deleted=True)
VMAS = (
    VmaSpec(0x400000, 0x402000, "r-xp", 0, CAT),
    VmaSpec(0x402000, 0x404000, "rw-p", 0x2000, CAT, content=b"data"),
    VmaSpec(0x500000, 0x600000, "rw-p", name="[heap]"),
    VmaSpec(0x700000, 0x701000, "rw-s", 0x3000, LOG),
    VmaSpec(0x800000, 0x801000, "r--p", 0, GONE),
    VmaSpec(0x7FFF_FFFD_E000, 0x7FFF_FFFF_F000, "rw-p", name="[stack]"),
)
WORLD = World(
    (
        TaskSpec(
            pid=7,
            comm="cat",
            vmas=VMAS,
            ppid=1,
            uid=1000,
            gid=100,
            args=("cat", "-n"),
            env=("A=1",),
            utime=5,
            state=1,
            prio=110,
        ),
        TaskSpec(pid=1, comm="init"),
        TaskSpec(pid=2, comm="kthreadd", kthread=True),
        TaskSpec(pid=3, comm="borrower", kthread=True, mm_of=7),
        TaskSpec(pid=10, comm="many", threads=(11, 12), ppid=1),
        TaskSpec(pid=13, comm="named thread", tgid=10),
        TaskSpec(pid=20, comm="inner", vpid=1),
    ),
    current=7,
)


@cache
def btf(which: str) -> Btf:
    return vmlinux_btf(make_catalog(), PROFILE) if which == "own" else Btf.open(LIVE)


@cache
def declared() -> dict[str, type[Struct]]:
    return Catalog.discover("bpfemu.world").structs


class atomic(Struct):
    counter: u64


class old_file(Struct, name="file"):
    """As before 6.13."""

    f_count: atomic
    f_inode: Ptr[void]


class bare_task(Struct, name="task_struct"):
    """As no kernel ever had it."""

    pid: s32


def place(which: str = "own", world: World | None = WORLD, **parts: object) -> PlacedWorld:
    space = Space(Memory(BASE, 64 << 20), Layouts(btf(which), make_catalog().structs))
    return PlacedWorld(space, world, PROFILE, RandomStream(1, "world"), **parts)


@pytest.fixture(
    params=[
        "own",
        pytest.param("live", marks=pytest.mark.skipif(not LIVE.exists(), reason="no BTF here")),
    ]
)
def world(request):
    return place(request.param)


@pytest.fixture
def owned():
    return place()


def memory_of(world):
    return world.task(0)._space.memory


def text(array):
    return bytes(array.read_(16)).rstrip(b"\0").decode()


# ---- tasks


def test_tasks_have_what_their_spec_says(world):
    task = world.task(7)

    assert (task.pid, task.tgid, text(task.comm)) == (7, 7, "cat")
    assert (task.prio, task.utime, task.exit_signal) == (110, 5, 17)
    assert (task.cred.uid.val, task.real_cred.egid.val) == (1000, 100)
    assert task.cred.cap_effective.val == 0
    assert world.task(1).cred.cap_effective.val == (1 << 41) - 1
    assert task.loginuid.val == 0xFFFF_FFFF
    assert task.flags == 0
    assert world.task(2).flags == 0x0020_0000
    assert world.tasks.usage(task) == (1, 2)


def test_state_is_written_where_the_kernel_has_it(world):
    task = world.task(7)
    offset = task._space.layout(task).field("__state").offset

    assert memory_of(world).read_int(int(task) + offset, 4) == 1


def test_the_idle_task_is_pid_0(world):
    idle = world.tasks.init_task

    assert (idle.pid, idle.tgid, text(idle.comm)) == (0, 0, "swapper/0")
    assert idle.flags == 0x0020_0002
    assert not idle.mm
    assert idle.parent == idle


def test_parents_children_and_siblings_are_linked(world):
    init = world.task(1)

    assert world.task(7).real_parent == init
    assert world.task(11).parent == init
    offset = init._space.layout(init).field("sibling").offset
    found, link = [], init.children.next
    while link != init.address_of_("children"):
        found.append(int(link) - offset)
        link = link.next
    assert found == [int(world.task(7)), int(world.task(10))]


def test_processes_form_a_ring(world):
    task, pids = world.tasks.init_task, []
    for _ in range(7):
        task = world.tasks.next_task(task)
        pids.append(task.pid)

    assert pids == [7, 1, 2, 3, 10, 20, 0]
    assert task == world.tasks.init_task


def test_threads_share_everything_of_their_leader(world):
    leader, thread = world.task(10), world.task(12)

    for member in ("mm", "signal", "sighand", "cred", "files", "fs", "nsproxy"):
        assert getattr(leader, member) == getattr(thread, member), member
    assert (thread.tgid, thread.group_leader) == (10, leader)
    assert thread.exit_signal == -1
    assert text(thread.comm) == "many"
    assert text(world.task(13).comm) == "named thread"
    assert world.vmas.users(leader.mm) == 4
    assert leader.signal.nr_threads == 4


def test_threads_form_a_ring(world):
    task, pids = world.task(10), []
    while task:
        pids.append(task.pid)
        task = world.tasks.next_thread(task)

    assert pids == [10, 11, 12, 13]


def test_pids_carry_a_number_for_each_namespace(world):
    inner = world.task(20).thread_pid
    offset = inner._space.layout(inner).field("numbers").offset
    numbers = [inner._space.pointer(int(inner) + offset + index * 16, "upid") for index in range(2)]

    assert inner.level == 1
    assert [upid.nr for upid in numbers] == [20, 1]
    assert numbers[0].ns.level == 0
    assert numbers[0].ns.ns.inum == 0xEFFF_FFFC
    assert numbers[1].ns == world.task(20).nsproxy.pid_ns_for_children
    assert world.task(7).thread_pid.level == 0


def test_lookups_by_number(world):
    assert world.tasks.by_pid(12) == world.task(12)
    assert not world.tasks.by_pid(0)
    assert not world.tasks.by_pid(-7)
    assert not world.tasks.by_pid(4711)
    assert world.tasks.by_vpid(7) == world.task(7)
    world.set_current(20)
    assert world.tasks.current == world.task(20)
    assert world.tasks.by_vpid(1) == world.task(20)
    assert not world.tasks.by_vpid(7)


def test_a_pid_nobody_has_is_named(owned):
    with pytest.raises(InputError, match="no task has pid 4711; there are 0, 1, 2, 3, 7"):
        owned.set_current(4711)


def test_kernel_threads_have_no_mm_but_may_borrow_one(world):
    assert not world.task(2).mm
    assert world.task(3).mm == world.task(7).mm
    assert world.vmas.users(world.task(7).mm) == 2


def test_every_task_is_in_the_root_cgroup(world):
    cgroup = world.task(7).cgroups.dfl_cgrp

    assert cgroup.kn.id == 1
    assert cgroup == world.task(1).cgroups.dfl_cgrp


# ---- address spaces


def test_mm_counts_and_borders(world):
    mm = world.task(7).mm

    assert mm.map_count == 6
    assert (mm.total_vm, mm.exec_vm, mm.stack_vm) == (2 + 2 + 256 + 1 + 1 + 33, 2, 33)
    assert mm.data_vm == 2 + 256
    assert (mm.start_brk, mm.brk) == (0x500000, 0x600000)
    assert (mm.start_code, mm.end_code) == (0x400000, 0x402000)
    assert (mm.start_data, mm.end_data) == (0x402000, 0x404000)
    assert mm.task_size == 0x7FFF_FFFF_F000
    assert mm.owner == world.task(7)
    assert world.files.path(mm.exe_file) == "/usr/bin/cat"
    assert mm.mm_count.counter == 1
    assert world.vmas.users(mm) == 2


def test_vmas_have_what_their_spec_says(world):
    mm = world.task(7).mm
    vma = world.vmas.find(mm, 0x700000)

    assert (vma.vm_start, vma.vm_end, vma.vm_mm) == (0x700000, 0x701000, mm)
    assert (vma.vm_flags, vma.vm_pgoff) == (0xFB, 3)
    assert vma.vm_page_prot.pgprot == 0x8000_0000_0000_0027
    assert vma.vm_lock_seq == 0xFFFF_FFFF
    assert not world.vmas.find(mm, 0x500000).vm_file


@pytest.mark.parametrize(
    ("addr", "start"),
    [
        (0, 0x400000),
        (0x401FFF, 0x400000),
        (0x402000, 0x402000),
        (0x404000, 0x500000),
        (0x7FFF_FFFF_F000, None),
        ((1 << 64) - 1, None),
    ],
)
def test_find_gives_the_first_vma_that_ends_above(owned, addr, start):
    vma = owned.vmas.find(owned.task(7).mm, addr)

    assert (vma.vm_start if vma else None) == start


def test_vmas_are_placed_when_they_are_first_seen(owned):
    used = memory_of(owned).used

    first = owned.vmas.find(owned.task(7).mm, 0)

    assert memory_of(owned).used > used
    used = memory_of(owned).used
    assert owned.vmas.find(owned.task(7).mm, 0) == first
    assert memory_of(owned).used == used


def test_fifty_thousand_vmas_cost_only_those_that_are_seen(owned):
    vmas = tuple(VmaSpec(0x10000 + at * 0x2000, 0x11000 + at * 0x2000) for at in range(50_000))
    world = place(world=World((TaskSpec(pid=5, vmas=vmas),)))
    used = memory_of(world).used

    vma = world.vmas.find(world.task(5).mm, 0x10000 + 40_000 * 0x2000)

    assert vma.vm_start == 0x10000 + 40_000 * 0x2000
    assert memory_of(world).used - used < 1024
    assert world.task(5).mm.map_count == 50_000


def test_objects_may_be_read_but_not_written_by_programs(owned):
    memory, task = memory_of(owned), owned.task(7)
    region = memory.find_region(int(task))

    assert (region.kind, region.name) == (RegionKind.OBJECT, "task_struct pid 7 (cat)")
    memory.load(int(task), 8)
    with pytest.raises(Trap) as caught:
        memory.store(int(task), 8, 0)
    assert caught.value.fault.kind is FaultKind.READ_ONLY
    vma = owned.vma(7, 0x400000)
    assert memory.find_region(int(vma)).name == "vm_area_struct 0x400000-0x402000"


# ---- files


def test_vmas_of_one_file_share_it_and_each_holds_a_reference(world):
    first, second = world.vma(7, 0x400000).vm_file, world.vma(7, 0x402000).vm_file

    assert first == second
    assert world.files.count(first) == 2
    assert world.files.path(first) == "/usr/bin/cat"


def test_files_lead_to_inode_super_block_and_mount(world):
    file = world.vma(7, 0x700000).vm_file

    assert file.f_inode == file.f_path.dentry.d_inode
    assert (file.f_inode.i_ino, file.f_inode.i_sb.s_dev) == (99, 25)
    assert file.f_path.mnt.mnt_sb == file.f_inode.i_sb
    cat = world.vma(7, 0x400000).vm_file
    assert (cat.f_inode.i_sb.s_dev, cat.f_inode.i_size) == (8 << 20 | 1, 44_000)
    assert cat.f_inode.i_mode == 0o100755
    assert cat.f_inode.i_sb.s_type.name.string_() == b"ext4"


def test_names_can_be_walked_up_to_the_root(world):
    dentry = world.vma(7, 0x400000).vm_file.f_path.dentry
    names = []
    while dentry.d_parent != dentry:
        name = dentry.d_name.name.string_()
        assert len(name) == dentry.d_name.len
        names.append(name)
        dentry = dentry.d_parent

    assert names == [b"cat", b"bin", b"usr"]
    assert dentry.d_name.name.string_() == b"/"
    assert dentry == world.vma(7, 0x400000).vm_file.f_path.mnt.mnt_root


def test_long_names_have_room_of_their_own(world):
    dentry = world.vma(7, 0x700000).vm_file.f_path.dentry

    assert dentry.d_name.name.string_() == LOG.path.rpartition("/")[2].encode()
    region = memory_of(world).find_region(int(dentry))
    assert not region.addr <= int(dentry.d_name.name) < region.end


def test_deleted_files_are_unhashed_and_say_so(world):
    file = world.vma(7, 0x800000).vm_file

    assert world.files.path(file) == "/tmp/x (deleted)"
    assert not file.f_path.dentry.d_hash.pprev
    assert file.f_inode.i_nlink == 0
    assert world.vma(7, 0x400000).vm_file.f_path.dentry.d_hash.pprev


def test_the_last_reference_frees_a_file(owned):
    file = owned.vma(7, 0x800000).vm_file
    owned.files.get(file)
    owned.files.put(file)
    assert owned.files.count(file) == 1

    owned.files.put(file)

    assert not memory_of(owned).contains(int(file))


def test_equal_paths_share_inode_and_dentry_across_processes():
    vmas = (VmaSpec(0x400000, 0x401000, "r-xp", 0, CAT),)
    world = place(world=World((TaskSpec(pid=5, vmas=vmas), TaskSpec(pid=6, vmas=vmas))))
    first, second = world.vma(5, 0x400000).vm_file, world.vma(6, 0x400000).vm_file

    assert first != second
    assert first.f_inode == second.f_inode
    assert first.f_path.dentry == second.f_path.dentry


def test_older_kernels_count_file_references_from_one():
    structs = {**declared(), "file": old_file, "atomic": atomic}
    space = Space(Memory(BASE, 1 << 20), Layouts(None, structs))

    files = FileTable(StructPlacer(space))
    opened = files.open(CAT, 2)

    assert opened.f_count.counter == 2
    files.put(opened)
    assert files.count(opened) == 1


# ---- user memory


def test_user_memory_has_contents_permissions_and_arguments(owned):
    user = owned.user_memory()
    mm = owned.task(7).mm

    assert user.read(0x402000, 6) == b"data\0\0"
    assert user.read(mm.arg_start, mm.arg_end - mm.arg_start) == b"cat\0-n\0"
    assert user.read(mm.env_start, mm.env_end - mm.env_start) == b"A=1\0"
    assert mm.env_end == 0x7FFF_FFFF_F000 - 8
    assert not user.write(0x400000, b"x")
    assert user.write(0x500000, b"x")
    assert user.read(0x600000, 1) is None
    assert owned.user_memory(owned.task(3)) is user
    assert owned.user_memory(owned.task(2)) is None


def test_arguments_that_do_not_fit_the_stack_are_refused():
    stack = (VmaSpec(0x1000, 0x2000, name="[stack]"),)
    spec = TaskSpec(pid=5, vmas=stack, args=("x" * 5000,))

    with pytest.raises(InputError, match="do not fit"):
        place(world=World((spec,)))


def test_arguments_without_a_stack_are_nowhere():
    world = place(world=World((TaskSpec(pid=5, args=("x",), vmas=VMAS[:1]),)))

    assert world.task(5).mm.arg_start == 0
    assert world.user_memory().read(0x400000, 4) == bytes(4)


# ---- what others do in the meantime


def test_mapping_and_unmapping_change_tree_counters_and_user_memory(owned):
    mm = owned.task(7).mm
    user = owned.user_memory()

    assert owned.map(7, VmaSpec(0x900000, 0x902000, "rw-p", content=b"new"))
    assert owned.vma(7, 0x901000).vm_start == 0x900000
    assert user.read(0x900000, 3) == b"new"
    assert mm.map_count == 7

    assert owned.unmap(7, 0x901FFF)
    assert not owned.vma(7, 0x900000)
    assert user.read(0x900000, 1) is None
    assert mm.map_count == 6


def test_mapping_a_file_that_is_open_takes_a_reference(owned):
    file = owned.vma(7, 0x400000).vm_file

    owned.map(7, VmaSpec(0x900000, 0x901000, "r--p", 0, CAT))

    assert owned.vma(7, 0x900000).vm_file == file
    assert owned.files.count(file) == 3


def test_unmapping_gives_the_file_reference_back(owned):
    file = owned.vma(7, 0x400000).vm_file

    owned.unmap(7, 0x402000)  # never placed
    assert owned.files.count(file) == 1
    owned.unmap(7, 0x400000)

    assert not memory_of(owned).contains(int(file))
    assert owned.map(7, VmaSpec(0x900000, 0x901000, "r--p", 0, CAT))
    assert owned.files.count(owned.vma(7, 0x900000).vm_file) == 1


def test_unmapping_what_is_not_mapped_is_refused(owned):
    with pytest.raises(InputError, match="nothing is mapped at 0x404000 in the mm of pid 7"):
        owned.unmap(7, 0x404000)
    with pytest.raises(InputError, match="task 2 has no mm"):
        owned.unmap(2, 0)


def test_mapping_over_something_is_refused(owned):
    with pytest.raises(InputError, match="0x403000-0x405000 overlaps the VMA 0x402000-0x404000"):
        owned.map(7, VmaSpec(0x403000, 0x405000))


def test_growing_and_shrinking(owned):
    user = owned.user_memory()

    assert owned.grow(7, 0x500000, 0x601000)
    assert owned.vma(7, 0x600000).vm_end == 0x601000
    assert user.read(0x600000, 1) == b"\0"
    assert owned.grow(7, 0x500000, 0x501000)
    assert not owned.vma(7, 0x501000)
    assert user.read(0x501000, 1) is None
    assert owned.task(7).mm.total_vm == 2 + 2 + 1 + 1 + 1 + 33
    assert owned.grow(7, 0x500000, 0x501000)


@pytest.mark.parametrize("end", [0x500001, 0x500000, 0x4FF000, 0x701000])
def test_growing_to_nonsense_is_refused(owned, end):
    with pytest.raises(InputError, match="cannot end at"):
        owned.grow(7, 0x500000, end)


def test_growing_what_is_not_mapped_is_refused(owned):
    with pytest.raises(InputError, match="cannot end at"):
        owned.grow(7, 0x900000, 0x901000)


def test_changes_wait_for_the_mmap_lock():
    memory = Memory(BASE, 64 << 20)
    locks = LockTable(memory)
    space = Space(memory, Layouts(btf("own"), make_catalog().structs))
    world = PlacedWorld(space, WORLD, PROFILE, RandomStream(1), locks=locks)
    mm = world.task(7).mm

    assert locks.mmap_read_trylock(mm)
    assert not world.unmap(7, 0x400000)
    assert not world.map(7, VmaSpec(0x900000, 0x901000))
    assert not world.grow(7, 0x500000, 0x601000)
    locks.mmap_read_unlock(mm)
    assert world.unmap(7, 0x400000)


def test_vma_locks_count_readers_and_refuse_during_a_change():
    memory = Memory(BASE, 64 << 20)
    locks = LockTable(memory)
    space = Space(memory, Layouts(btf("own"), make_catalog().structs))
    world = PlacedWorld(space, WORLD, PROFILE, RandomStream(1), locks=locks)
    mm = world.task(7).mm

    vma = world.vmas.read_lock(mm, 0x401000)
    assert vma.vm_refcnt.refs.counter == 2
    world.vmas.read_unlock(vma)
    assert vma.vm_refcnt.refs.counter == 1
    assert not world.vmas.read_lock(mm, 0x404000)
    locks.hold_vma(vma)
    assert not world.vmas.read_lock(mm, 0x401000)


def test_without_a_lock_table_everything_is_free(owned):
    mm = owned.task(7).mm

    vma = owned.vmas.read_lock(mm, 0x401000)
    owned.vmas.read_unlock(vma)

    assert vma.vm_refcnt.refs.counter == 1


def test_a_task_that_exits_leaves_rings_and_lookups(owned):
    task = owned.task(1)

    owned.exit(1)

    assert not owned.tasks.by_pid(1)
    assert owned.tasks.next_task(owned.task(7)).pid == 2
    assert not memory_of(owned).contains(int(task))


def test_exit_frees_mm_vmas_and_files(owned):
    task, mm = owned.task(7), owned.task(7).mm
    vma, file, exe = owned.vma(7, 0x400000), owned.vma(7, 0x400000).vm_file, mm.exe_file
    owned.drop_mm(3)

    owned.exit(7)

    for object in (task, mm, vma, file, exe):
        assert not memory_of(owned).contains(int(object))
    assert owned.tasks.current_pid == 0
    with pytest.raises(Trap, match="use after free"):
        owned.vmas.find(mm, 0)


def test_with_rcu_tasks_and_vmas_outlive_the_read_section():
    rcu = ReadCopyUpdate()
    world = place(rcu=rcu)
    task, vma = world.task(1), world.vma(7, 0x400000)
    rcu.read_lock()

    world.exit(1)
    world.unmap(7, 0x400000)

    assert task.flags & 0x4  # PF_EXITING
    assert task.exit_state == 0x10  # EXIT_DEAD
    assert memory_of(world).contains(int(vma))
    rcu.read_unlock()
    rcu.end_grace_period()
    assert not memory_of(world).contains(int(task))
    assert not memory_of(world).contains(int(vma))


def test_a_leader_waits_as_a_zombie_for_its_threads(owned):
    leader = owned.task(10)

    owned.exit(10)
    assert leader.exit_state == 0x20
    assert owned.tasks.by_pid(10) == leader
    owned.exit(12)
    assert [owned.tasks.next_thread(leader).pid, owned.tasks.by_pid(12)] == [11, 0]


def test_a_thread_that_left_still_leads_onward(owned):
    rcu = ReadCopyUpdate()
    world = place(rcu=rcu)
    rcu.read_lock()
    thread = world.task(11)

    world.exit(11)

    assert world.tasks.next_thread(thread).pid == 12
    assert world.tasks.next_thread(world.task(10)).pid == 12
    assert int(thread.thread_node.prev) == 0xDEAD_0000_0000_0122


def test_the_idle_task_cannot_exit(owned):
    with pytest.raises(InputError, match="the idle task, pid 0, cannot exit"):
        owned.exit(0)


def test_a_task_in_a_namespace_leaves_it_too(owned):
    owned.set_current(20)
    owned.exit(20)

    assert owned.tasks.current == owned.tasks.init_task
    assert not owned.tasks.by_vpid(20)


def test_references_keep_a_task(owned):
    task = owned.task(1)
    owned.tasks.get(task)
    assert owned.tasks.get_unless_zero(task)
    assert owned.tasks.usage(task) == (2, 3)

    owned.exit(1)
    owned.tasks.put_rcu(task)
    assert not owned.tasks.get_unless_zero(task)
    assert owned.tasks.usage(task) == (1, 0)
    owned.tasks.put(task)

    assert not memory_of(owned).contains(int(task))


def test_mm_users_keep_an_address_space(owned):
    mm = owned.task(1).mm
    owned.tasks.mmget(mm)

    owned.exit(1)
    assert owned.vmas.users(mm) == 1
    owned.tasks.mmput_async(mm)

    assert not memory_of(owned).contains(int(mm))


def test_an_mm_that_never_was_is_our_users_mistake(owned):
    with pytest.raises(InputError, match="there is no mm at"):
        owned.vmas.find(owned.task(7), 0)


def test_without_a_world_there_is_the_default_one():
    world = place(world=None)

    assert text(world.tasks.current.comm) == "bash"


def test_a_world_without_tasks_has_the_idle_task():
    world = place(world=World())

    assert world.tasks.current == world.tasks.init_task
    assert world.tasks.next_task(world.tasks.init_task) == world.tasks.init_task
    assert world.user_memory() is None


def test_a_layout_without_the_links_is_named():
    structs = {**declared(), "task_struct": bare_task}
    space = Space(Memory(BASE, 1 << 20), Layouts(None, structs))

    with pytest.raises(InputError, match="the kernel's struct task_struct has no member 'tasks'"):
        PlacedWorld(space, World(), PROFILE, RandomStream(1))


def test_a_member_below_something_that_is_no_struct_is_not_there(owned):
    placer = StructPlacer(owned.task(1)._space)

    assert placer.find("task_struct", "pid.number") is None
    assert placer.first("task_struct", "nothing", "neither") == ""


def test_layouts_without_room_for_names_give_names_of_their_own():
    class_free = {**declared(), "dentry": bare_dentry}
    space = Space(Memory(BASE, 1 << 20), Layouts(None, class_free))

    file = FileTable(StructPlacer(space)).open(FileSpec("relative"), 1)

    dentry = space.pointer(int(file.f_path.dentry), "dentry")
    assert dentry.d_name.name.string_() == b"relative"
    parent = space.pointer(int(dentry.d_parent), "dentry")
    assert parent.d_name.name.string_() == b"/"


class bare_dentry(Struct, name="dentry"):
    """Without inline names."""

    d_parent: Ptr[dentry]  # noqa: F821
    d_name: qstr  # noqa: F821
    d_inode: Ptr[inode]  # noqa: F821
    d_hash: hlist_bl_node  # noqa: F821


class bare_vma(Struct, name="vm_area_struct"):
    """Without a count of readers, as before 6.15."""

    vm_start: u64
    vm_end: u64


def test_kernels_without_a_count_of_readers_lock_vmas_all_the_same():
    space = Space(Memory(BASE, 1 << 20), Layouts(None, {**declared(), "vm_area_struct": bare_vma}))
    world = PlacedWorld(space, WORLD, PROFILE, RandomStream(1))

    vma = world.vmas.read_lock(world.task(7).mm, 0x401000)
    world.vmas.read_unlock(vma)

    assert space.pointer(int(vma), bare_vma).vm_end == 0x402000


def test_children_of_a_task_that_exits_go_to_init(owned):
    spec = World((TaskSpec(1), TaskSpec(5), TaskSpec(6, ppid=5, threads=(8,)), TaskSpec(7, ppid=5)))
    world = place(world=spec)

    world.exit(5)

    init = world.task(1)
    assert [world.task(pid).real_parent for pid in (6, 7, 8)] == [init] * 3
    assert init.children.next == world.task(6).address_of_("sibling")
    assert init.children.prev == world.task(7).address_of_("sibling")
    world.exit(1)
    assert world.task(6).real_parent == world.task(0)


def test_a_kernel_thread_can_exit(owned):
    owned.exit(2)

    assert not owned.tasks.by_pid(2)


def test_hard_links_share_an_inode_and_neighbours_a_directory():
    files = [FileSpec(path, (8, 1), 5) for path in ("/a/one", "/a/two")]
    vmas = tuple(
        VmaSpec(start, start + 0x1000, "r--p", 0, file)
        for start, file in zip((0x1000, 0x2000), files, strict=True)
    )
    world = place(world=World((TaskSpec(5, vmas=vmas),)))
    one, two = world.vma(5, 0x1000).vm_file, world.vma(5, 0x2000).vm_file

    assert one.f_inode == two.f_inode
    assert one.f_path.dentry != two.f_path.dentry
    assert one.f_path.dentry.d_parent == two.f_path.dentry.d_parent
