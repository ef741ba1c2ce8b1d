"""A program: an emulated kernel's types, variables, constants and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import bpfemu
from bpfemu.errors import FaultError, InputError
from bpfemu.objects import Object, Program
from bpfemu.skeleton import Skeleton
from tests.btf.test_types import VMLINUX, needs_vmlinux
from tests.objects.small import Small, number

OBJECT = Path(__file__).parent.parent / "data/skel.bpf.o"


@pytest.fixture
def skel() -> Skeleton:
    return bpfemu.open(OBJECT, kernel="6.18.44")


def test_a_skeleton_has_its_kernels_program(skel: Skeleton) -> None:
    prog = skel.prog

    assert prog.kernel is skel.kernel and skel.prog is prog
    assert repr(prog) == "<Program of an emulated kernel 6.18.44>"


def test_kernel_variables_are_found_by_name(skel: Skeleton) -> None:
    init = skel.prog["init_task"]

    assert init.comm.string_() == b"swapper/0"
    assert repr(init).startswith("Object(prog, 'struct task_struct', address=0xffff8")
    assert skel.prog.variable("init_task").address_ == init.address_


def test_the_objects_own_globals_are_variables_too(skel: Skeleton) -> None:
    runs = skel.prog["runs"]
    skel.progs.bump.run()
    skel.progs.bump.run()

    assert runs.value_() == 2 and str(runs.type_) == "__u32"
    runs.write_(40)
    assert skel.bss.runs == 40
    assert skel.prog["both"].name.string_() == b"pair"
    assert skel.prog["label"].string_() == b"plain"


def test_enumerators_are_constants(skel: Skeleton, small: Small) -> None:
    assert skel.prog["PIDTYPE_TGID"].value_() == 1
    assert str(skel.prog.constant("PIDTYPE_TGID").type_) == "enum pid_type"
    assert small.prog["HUGE"].value_() == 1 << 63


def test_names_that_are_not_there(skel: Skeleton) -> None:
    prog = skel.prog

    assert "init_task" in prog and "PIDTYPE_PID" in prog
    for name in ("jiffies_of_yesterday", "task_struct", "comm", ""):
        assert name not in prog
        with pytest.raises(KeyError):
            prog[name]
    for find in (prog.object, prog.variable, prog.constant):
        with pytest.raises(LookupError, match="'nobody'"):
            find("nobody")
    assert prog.object("init_task").pid == 0


def test_types_are_the_kernels_first_and_the_objects_after(skel: Skeleton) -> None:
    prog = skel.prog

    assert prog.type("struct task_struct").btf is skel.session.btf
    assert prog.type("struct pair").btf is skel.object.btf
    found = prog.type("struct pair")
    assert prog.type(found) is found and prog.type("struct pair") is found


def test_a_new_object_has_the_members_given_and_zeros(skel: Skeleton) -> None:
    prog = skel.prog
    vma = prog.new("struct vm_area_struct", vm_start=0x1000, vm_end=0x3000)

    assert (vma.vm_start, vma.vm_end, vma.vm_flags) == (0x1000, 0x3000, 0)
    assert skel.kernel.memory.describe(vma.address_) == (
        f"0 bytes inside the {vma.type_.size}-byte kernel object 'new struct vm_area_struct'"
    )


def test_memory_is_read_and_written_by_address(small: Small, prog: Program) -> None:
    addr = small.put(number(0x1122334455667788, size=8))

    assert prog.read_u8(addr) == 0x88
    assert prog.read_u16(addr) == 0x7788
    assert prog.read_u32(addr) == 0x55667788
    assert prog.read_u64(addr) == 0x1122334455667788
    prog.write(addr, b"\1")
    assert prog.read(addr, 2) == b"\1\x77"


def test_faults_say_where_and_what_is_near(small: Small, prog: Program) -> None:
    addr = small.put(bytes(8))
    small.memory.free(addr)

    for access in (lambda: prog.read(addr, 4), lambda: prog.write(addr, b"x")):
        with pytest.raises(FaultError, match=r"use after free .*freed 8-byte") as caught:
            access()
        assert caught.value.address == addr and caught.value.errno == 14


def test_strings_are_read_up_to_their_end(small: Small, prog: Program) -> None:
    addr = small.put(b"abc\0def")

    assert prog.read_c_string(addr) == b"abc"
    assert prog.read_c_string(addr, 2) == b"ab"
    assert prog.read_c_string(addr + 3) == b""


def test_a_program_without_types_knows_cs_own(small: Small) -> None:
    small.prog.kernel.space.layouts.btf = None
    bare = Program(small.prog.kernel)

    assert Object(bare, "unsigned int", 5).value_() == 5
    assert Object(bare, "void *", 5).value_() == 5
    assert "runs" not in bare


def test_a_program_is_gone_with_its_kernel(skel: Skeleton) -> None:
    skel.load()
    skel.destroy()

    with pytest.raises(InputError, match="there is no kernel any more: it was destroyed"):
        _ = skel.prog


@needs_vmlinux
def test_a_real_kernels_types_give_its_layouts() -> None:
    prog = bpfemu.open(OBJECT, btf=VMLINUX).prog
    task = prog["init_task"]

    assert task.type_.size > 1000
    assert task.comm.address_ - task.address_ == task.type_.member("comm").offset
    assert task.comm.string_() == b"swapper/0"
    assert prog["runqueues"].type_.size > 1000
    known = prog.kernel.services["variables"].symbols.variables
    undescribed = [v for v in known.values() if v.spec is None][:20]
    assert undescribed  # only the kernel's BTF knows their types
    assert [prog[v.name].type_.size for v in undescribed] == [v.size for v in undescribed]
    assert "(struct task_struct){\n\t.thread_info = (struct thread_info){\n" in str(task)
