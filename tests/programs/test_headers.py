"""Our own headers: in step with the kernel's types, and sufficient by themselves."""

from __future__ import annotations

import re

import pytest

from bpfemu.btf import kinds as k
from bpfemu.compile import INCLUDE, compile_c, find_compilers
from bpfemu.elf import read_object
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.machine.memory import RegionKind
from bpfemu.proto.profile import find_profile
from bpfemu.session import make_catalog
from bpfemu.skeleton import open_object
from programs import gen_vmlinux_h

HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))
HELPER = re.compile(r"BPFEMU_HELPER\((\d+), (.*?), (bpf_\w+),\s*(.*?)\);", re.DOTALL)

needs_clang = pytest.mark.skipif(
    next(find_compilers(), None) is None, reason="no clang that compiles for BPF"
)


def test_vmlinux_h_is_what_the_kernels_types_render_to():
    assert gen_vmlinux_h.HEADER.read_text() == gen_vmlinux_h.render(), (
        "run make -C programs vmlinux"
    )


def test_helpers_have_the_numbers_that_the_kernels_btf_gives_them():
    btf = vmlinux_btf(make_catalog(), find_profile("6.18.44"))
    values = btf.type(btf.find("bpf_func_id", k.Enum)).values
    kernel = {f"bpf_{value.name.removeprefix('BPF_FUNC_')}": value.value for value in values}

    text = (INCLUDE / "bpfemu" / "helpers.h").read_text()
    ours = {name: int(number) for number, _, name, _ in HELPER.findall(text)}

    assert len(ours) == 211
    assert ours == {name: kernel[name] for name in ours}


def test_helpers_take_as_many_arguments_as_their_bodies():
    text = (INCLUDE / "bpfemu" / "helpers.h").read_text()
    declared = {int(number): (name, args) for number, _, name, args in HELPER.findall(text)}
    for number, spec in make_catalog().helpers.items():
        name, args = declared[number]
        wanted = [] if args == "void" else args.split(",")
        assert name == spec.name
        assert len(wanted) == len(spec.params) or "..." in args, name


@needs_clang
@pytest.mark.parametrize("name", [name for name in HEADERS if name != "bpfemu/uapi.h"])
def test_each_header_can_follow_vmlinux_h(name, tmp_path):
    source = tmp_path / "x.bpf.c"
    source.write_text(
        "#include <vmlinux.h>\n#include <bpf/bpf_helpers.h>\n"
        f"#include <{name}>\n#include <{name}>\n"
        'char LICENSE[] SEC("license") = "GPL";\n'
        'SEC("raw_tp") int p(void *ctx) { return 0; }\n'
    )

    obj = read_object(compile_c(source, tmp_path / "x.bpf.o"))

    assert [f.name for f in obj.functions] == ["p"]


@needs_clang
def test_a_users_own_declarations_do_not_clash_with_ours(tmp_path):
    source = tmp_path / "x.bpf.c"
    source.write_text("""
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "bpf_misc.h"
#include "bpf_experimental.h"

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task,
                                 u64 addr) __ksym;

char _license[] SEC("license") = "GPL";

SEC("raw_tp/sys_enter")
__success __retval(6)
int BPF_PROG(iterate, struct pt_regs *regs, long id)
{
	int i, sum = 0;

	bpf_for(i, 1, 4)
		sum += i;
	return sum;
}
""")

    with open_object(compile_c(source, tmp_path / "x.bpf.o")) as skel:
        assert skel.progs.iterate.run() == 6


@needs_clang
def test_declaring_kfuncs_can_be_left_to_the_program(tmp_path):
    source = tmp_path / "x.bpf.c"
    source.write_text("""
#define BPF_NO_KFUNC_PROTOTYPES
#include <vmlinux.h>
#include <bpfemu.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

char _license[] SEC("license") = "GPL";

SEC("raw_tp")
int count(void *ctx)
{
	int rounds = 0;

	bpf_repeat(5)
		rounds++;
	return rounds;
}
""")

    obj = read_object(compile_c(source, tmp_path / "x.bpf.o"))

    assert {extern.name for extern in obj.externs if not extern.weak} == {
        "bpf_iter_num_new",
        "bpf_iter_num_next",
        "bpf_iter_num_destroy",
    }


@needs_clang
def test_programs_on_user_functions_system_calls_and_structs_get_their_arguments(tmp_path):
    source = tmp_path / "x.bpf.c"
    source.write_text("""
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct pair { u64 a; u64 b; };
char _license[] SEC("license") = "GPL";

SEC("uprobe//bin/sh:main")
int BPF_UPROBE(enter, int argc, long argv) { return argc * 10 + argv; }

SEC("uretprobe//bin/sh:main")
int BPF_URETPROBE(leave, int ret) { return ret; }

SEC("ksyscall/openat")
int BPF_KSYSCALL(call, int a, int b, int c, int d) { return a * 1000 + b * 100 + c * 10 + d; }

SEC("kprobe/__x64_sys_getpid")
int BPF_KPROBE_SYSCALL(call_none) { return PT_REGS_SYSCALL_REGS(ctx) != 0; }

SEC("raw_tp")
int BPF_PROG2(structs, int, first, struct pair, both, int, last)
{
	return first * 1000 + both.a * 100 + both.b * 10 + last;
}

SEC("raw_tp")
int BPF_PROG2(no_arguments) { return ctx != 0; }
""")

    with open_object(compile_c(source, tmp_path / "x.bpf.o")) as skel:
        regs = skel.kernel.memory.allocate(168, RegionKind.OBJECT, "registers of user space").addr
        for offset, value in ((112, 1), (104, 2), (96, 3), (56, 4)):  # di, si, dx, r10
            skel.kernel.memory.write_int(regs + offset, 8, value)
        progs = skel.progs

        assert progs.enter.run(ctx={"di": 4, "si": 2}) == 42
        assert progs.leave.run(ctx={"ax": -5}) == -5
        assert progs.call.run(ctx={"di": regs}) == 1234
        assert progs.call_none.run(ctx={"di": regs}) == 1
        assert progs.structs.run(ctx=[1, 2, 3, 4]) == 1234
        assert progs.no_arguments.run() == 1
