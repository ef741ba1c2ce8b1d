"""The BTF of an object as a loader hands it to the kernel."""

from __future__ import annotations

from pathlib import Path

from bpfemu.btf import Btf, DataSec, Func, FuncProto, Int, IntEncoding, SecVar, Var
from bpfemu.btf.check import check
from bpfemu.cli.btf_loaded import as_loaded
from bpfemu.elf import read_object
from tests.btf.samples import Sample

PROGRAMS = Path(__file__).parent.parent.parent / "programs"


def ksyms() -> Sample:
    """A kfunc whose parameter has no name, and a variable of the kernel."""
    s = Sample()
    proto = s.b.func_proto(s.int, [("", s.int), ("named", s.int)])
    func = s.b.func("bpf_kfunc", proto, 2)
    var = s.b.var("runqueues", s.u64, 2)
    s.b.datasec(".ksyms", 0, [(func, 0, 0), (var, 0, 8)])
    return s


def test_a_kernel_refuses_extern_functions_in_a_section_and_accepts_what_is_loaded() -> None:
    btf = ksyms().b.build()

    assert check(btf.raw) is not None
    assert check(as_loaded(btf)) is None


def test_externs_become_four_byte_variables_one_after_the_other() -> None:
    loaded = Btf.parse(as_loaded(ksyms().b.build()))

    section = loaded.type(loaded.find(".ksyms") or 0)
    dummy = loaded.find("dummy_ksym") or 0
    var = loaded.find("runqueues") or 0
    assert section == DataSec(".ksyms", 8, (SecVar(dummy, 0, 4), SecVar(var, 4, 4)))
    assert loaded.type(dummy) == Var("dummy_ksym", 1, 1)
    assert loaded.type(var) == Var("runqueues", 1, 1)


def test_extern_functions_become_global_and_their_parameters_get_names() -> None:
    loaded = Btf.parse(as_loaded(ksyms().b.build()))

    func = loaded.type(loaded.find("bpf_kfunc") or 0)
    assert isinstance(func, Func) and func.linkage == 1
    proto = loaded.type(func.type)
    assert isinstance(proto, FuncProto)
    assert [param.name for param in proto.params] == ["dummy_ksym", "named"]


def test_an_integer_is_added_where_there_is_none_of_32_bits() -> None:
    s = Sample()
    btf = s.b.build()
    narrow = Sample.__new__(Sample)
    narrow.b = type(s.b)()
    wide = narrow.b.int_("long", 8, IntEncoding.SIGNED)
    narrow.b.datasec(".ksyms", 0, [(narrow.b.var("jiffies", wide, 2), 0, 8)])

    loaded = Btf.parse(as_loaded(narrow.b.build()))

    assert loaded.type(loaded.find("int") or 0) == Int("int", 4, IntEncoding.SIGNED, 32)
    assert loaded.find("dummy_ksym") is None
    assert check(loaded.raw) is None
    assert as_loaded(btf) == btf.raw


def test_every_object_with_kfuncs_is_loaded_as_a_running_kernel_accepts_it() -> None:
    for name in ("iters/num_basics", "iters/task_vma", "faults/weak_kfunc"):
        btf = read_object(str(PROGRAMS / f"{name}.bpf.o")).btf
        assert btf is not None and btf.find(".ksyms", DataSec)

        assert check(as_loaded(btf)) is None
