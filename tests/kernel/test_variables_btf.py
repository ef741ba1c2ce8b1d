"""Kernel variables in BTF: VARs and the per-CPU section (BTF notes, sections 7.5 and 7.7)."""

from __future__ import annotations

import pytest

from bpfemu.btf import Btf, BtfBuilder
from bpfemu.btf import kinds as k
from bpfemu.btf.check import check
from bpfemu.errors import InputError
from bpfemu.kernel.variables_btf import PERCPU_SECTION, module_btfs, with_variables
from bpfemu.kernel.vmlinux import vmlinux_btf
from bpfemu.proto.profile import PROFILES
from bpfemu.session import make_catalog
from bpfemu.world.variables import KernelVariable


def small(*, percpu: bool = False) -> Btf:
    btf = BtfBuilder()
    btf.int_("unsigned int", 4)
    number = btf.int_("int", 4, k.IntEncoding.SIGNED)
    btf.struct("pair", 12, [("a", number, 0), ("b", number, 32), ("c", number, 64)])
    if percpu:
        btf.datasec(PERCPU_SECTION, 4, [(btf.var("old", number), 0, 4)])
    return btf.build("vmlinux")


def section_of(btf: Btf) -> list[tuple[str, int, int]]:
    """(name, offset, size) of every per-CPU variable."""
    (number,) = btf.find_all(PERCPU_SECTION, k.DataSec)
    found = btf.type(number)
    assert isinstance(found, k.DataSec)
    return [(getattr(btf.type(e.type), "name", ""), e.offset, e.size) for e in found.entries]


@pytest.mark.parametrize(
    ("text", "size", "spelling"),
    [
        ("int", 4, "int"),
        ("struct pair", 12, "struct pair"),
        ("struct pair *", 8, "struct pair *"),
        ("void **", 8, "void **"),
        ("int[3]", 12, "int[3]"),
        ("struct pair *[2][3]", 48, "struct pair *[2][3]"),
    ],
)
def test_a_variable_of_each_sort_gets_a_var_of_its_type(
    text: str, size: int, spelling: str
) -> None:
    found = with_variables(small(), [KernelVariable("it", text)])
    var = found.type(found.find("it", k.Var) or 0)
    assert isinstance(var, k.Var) and var.linkage == k.Linkage.GLOBAL
    assert found.size_of(var.type) == size
    depth = 0
    at = var.type
    while isinstance(inner := found.type(at), k.Array | k.Ptr):
        at = inner.elem if isinstance(inner, k.Array) else inner.type
        depth += 1
    assert depth == spelling.count("*") + spelling.count("[")


def test_ids_stay_what_they_are_and_the_section_grows() -> None:
    before = small(percpu=True)
    one = KernelVariable("one", "struct pair", percpu=True)
    two = KernelVariable("two", "struct pair", percpu=True)
    found = with_variables(before, [one, two, KernelVariable("plain", "int")])
    for id, known in before.types():
        if not isinstance(known, k.DataSec):
            assert found.type(id) == known
    assert section_of(found) == [("old", 0, 4), ("one", 8, 12), ("two", 24, 12)]
    assert check(found.raw, kernel=True) is None


def test_what_is_there_or_has_no_type_is_not_added() -> None:
    before = small(percpu=True)
    assert with_variables(before, [KernelVariable("old", "int")]) is before
    assert with_variables(before, [KernelVariable("x", "int", typed=False)]) is before
    assert with_variables(before, []) is before


@pytest.mark.parametrize("text", ["struct nobody", "u64", "void", "union pair", "struct unsigned"])
def test_types_that_the_kernel_lacks_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"variable 'x': the kernel's BTF has no type"):
        with_variables(small(), [KernelVariable("x", text)])


def test_each_module_has_split_btf_with_its_own_section() -> None:
    base = small(percpu=True)
    made = module_btfs(
        base,
        [
            KernelVariable("b", "int", percpu=True, module="two"),
            KernelVariable("a", "int", module="one"),
            KernelVariable("c", "int", module="three", typed=False),
            KernelVariable("d", "int"),
        ],
    )
    assert list(made) == ["one", "two"] and made["two"].base is base
    assert made["one"].find_all(PERCPU_SECTION, k.DataSec) == base.ids_of(k.DataSec)
    (number,) = set(made["two"].find_all(PERCPU_SECTION, k.DataSec)) - set(base.ids_of(k.DataSec))
    section = made["two"].type(number)
    assert isinstance(section, k.DataSec) and section.size == 4
    assert [entry.type for entry in section.entries] == [made["two"].find("b", k.Var)]


@pytest.mark.parametrize("name", list(PROFILES))
def test_the_emulated_kernels_describe_per_cpu_variables_and_no_others(name: str) -> None:
    """As pahole does; the section is the last type."""
    btf = vmlinux_btf(make_catalog(), PROFILES[name])
    names = [row[0] for row in section_of(btf)]
    assert names == ["runqueues", "kernel_cpustat", "bpf_prog_active", "this_cpu_off"]
    assert {getattr(btf.type(id), "name", "") for id in btf.ids_of(k.Var)} == set(names)
    assert isinstance(btf.type(btf.type_count - 1), k.DataSec)
