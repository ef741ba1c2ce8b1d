"""Heads of functions; expected values are what bpftool printed for the same object."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfemu.cli.signature import signature
from bpfemu.compile import compile_c, find_compilers
from bpfemu.elf import read_object

SOURCE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
enum col { RED }; union u { int a; }; struct nodef; union nou;
#define R ((void *)(long)bpf_get_prandom_u32())
#define N bpf_get_prandom_u32()
__noinline static int s1(const char *p, struct task_struct *t, enum col c, unsigned char x,
		volatile u32 *q)
{
	return (p != 0) + (t != 0) + x + c + (q != 0);
}
__noinline static long s2(union u *uu, int (*f)(int), char *const *pp, struct nodef *n, u64 z)
{
	return (uu != 0) + (f != 0) + (pp != 0) + (n != 0) + z;
}
__noinline static u64 s3(int (*a)[4], const void *restrict v,
		void (*g)(struct task_struct *x, ...), union nou *n)
{
	return (a != 0) + (v != 0) + (g != 0) + (n != 0);
}
__noinline static void s4(void) { barrier(); }
SEC("xdp") int sig(struct xdp_md *c)
{
	s4();
	return s1(R, R, N, N, R) + s2(R, R, R, R, N) + s3(R, R, R, R);
}
"""


@pytest.mark.skipif(not list(find_compilers()), reason="no clang that compiles for BPF")
def test_heads_are_written_as_bpftool_writes_them(tmp_path: Path) -> None:
    source = tmp_path / "x.bpf.c"
    source.write_text(SOURCE)
    obj = read_object(compile_c(source, tmp_path / "x.bpf.o"))

    heads = {f.name: signature(obj.btf, f.btf_id, f.name) for f in obj.functions}

    assert heads == {
        "sig": "int sig(struct xdp_md * c)",
        "s1": "int s1(const char * p, struct task_struct * t, enum col c, unsigned char x, "
        "volatile u32 * q)",
        "s2": "long s2(union u * uu, int (int)* f, const char * * pp, struct nodef * n, u64 z)",
        "s3": "u64 s3(int [4]* a, restrict const void * v, "
        "void (struct task_struct *, ...)* g, union nou * n)",
        "s4": "void s4()",
    }


def test_without_types_only_the_name_is_known() -> None:
    obj = read_object(Path(__file__).parents[2] / "programs" / "iters" / "num_basics.bpf.o")

    assert signature(None, 1, "f") == "int f()"
    assert signature(obj.btf, 0, "f") == "int f()"
    assert signature(obj.btf, 1, "f") == "int f()"  # type 1 is no function
