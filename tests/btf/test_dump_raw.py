"""The raw dump against bpftool itself, and line by line."""

import shutil
import subprocess

import pytest

from bpfemu.btf import Btf
from bpfemu.btf.render import dump_raw
from tests.btf.samples import Sample, split_pair
from tests.btf.test_types import VMLINUX, needs_vmlinux

needs_bpftool = pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not installed")


def bpftool(path) -> str:
    command = ["bpftool", "btf", "dump", "file", str(path), "format", "raw"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def one_of_each() -> Btf:
    s = Sample()
    b = s.b
    b.int_("odd", 4, 3, bits=7, bit_offset=3)
    b.int_("letter", 1, 2)
    b.array(s.int, s.u32, 3)
    b.struct("bits", 4, [("a", s.u32, 0, 3), ("", s.u32, 3)])
    b.union("", 4, [("a", s.u32, 0)])
    b.enum("color", 4, [("RED", 0xFFFFFFFF)])
    b.enum("err", 4, [("EPERM", -1)], signed=True)
    b.enum64("wide", 8, [("TOP", 1 << 63)])
    b.enum64("", 8, [("MINUS", -1)], signed=True)
    b.fwd("far")
    b.fwd("far", True)
    b.typedef("t", s.int)
    b.volatile(s.int)
    b.const(s.int)
    b.restrict(s.void_ptr)
    proto = b.func_proto(s.int, [("fmt", s.void_ptr), ("", 0)])
    func = b.func("f", proto, 2)
    b.func("g", proto, 0)
    var = b.var("v", s.int, 0)
    other = b.var("w", s.int, 2)
    b.datasec(".data", 12, [(var, 0, 4), (other, 4, 4), (func, 8, 0)])
    b.float_("double", 8)
    b.decl_tag("tag", var)
    b.decl_tag("tag", func, 1)
    b.type_tag("rcu", s.int)
    return b.build()


def test_the_lines_of_some_types():
    s = Sample()
    pair = s.b.struct("pair", 8, [("a", s.int, 0), ("b", s.u32, 32, 5)])
    ghost = s.b.datasec(".x", 4, [(99, 0, 4)])
    btf = s.b.build()

    assert dump_raw(btf, [0, s.int, pair, ghost]) == (
        "[0] UNKN '(anon)'\n"
        "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n"
        "[8] STRUCT 'pair' size=8 vlen=2\n"
        "\t'a' type_id=1 bits_offset=0\n"
        "\t'b' type_id=4 bits_offset=32 bitfield_size=5\n"
        "[9] DATASEC '.x' size=4 vlen=1\n"
        "\ttype_id=99 offset=0 size=4\n"
    )


def test_a_split_dump_begins_after_the_base():
    _, split = split_pair()

    assert dump_raw(split).splitlines()[0] == "[4] PTR '(anon)' type_id=3"


@needs_bpftool
def test_one_of_each_kind_is_dumped_as_bpftool_does(tmp_path):
    btf = one_of_each()
    path = tmp_path / "btf"
    path.write_bytes(btf.raw)

    assert dump_raw(btf) == bpftool(path)


@needs_bpftool
@needs_vmlinux
def test_a_real_kernel_is_dumped_as_bpftool_does():
    assert dump_raw(Btf.open(VMLINUX)) == bpftool(VMLINUX)
