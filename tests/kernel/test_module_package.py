"""Installed Python packages as kernel modules, and BTF made from declarations."""

import sys
from types import ModuleType

import pytest

from bpfemu.btf import Btf, Fwd, Struct, Typedef
from bpfemu.btf.check import check
from bpfemu.errors import InputError
from bpfemu.kernel import module_package
from bpfemu.kernel.module_btf import build_module_btf
from bpfemu.kernel.module_package import GROUP, find_package, installed_modules, read_package
from bpfemu.proto.catalog import Catalog
from bpfemu.proto.profile import DEFAULT_PROFILE, find_profile
from tests.kernel.btf_parts import TRACING, kernel_btf, own_ids, vmlinux

SOURCE = '''
from __future__ import annotations

from bpfemu.proto.decl import Array, Enumeration, char, int_
from bpfemu.proto.flags import KF_ACQUIRE, KF_RET_NULL
from bpfemu.proto.marks import kfunc
from bpfemu.proto.types import NULL, Ptr, Scalar, Struct, s32, u64

KSYMS = {"box_count": 0xFFFFFFFF_C1000000}


class colour(Enumeration):
    RED = 1


class handle_t(int_):
    """A typedef of the module's own."""


class box(Struct):
    owner: Ptr[task_struct]
    unknown: Ptr[elsewhere]
    handle: handle_t
    shade: colour
    words: Array[u64, 2]


class task_struct(Struct):
    pid: s32
    tgid: s32


@kfunc(KF_ACQUIRE | KF_RET_NULL, hooks=("tracing",))
def box_of(task: Ptr[task_struct]) -> Ptr[box]:
    return NULL
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed distribution ``boxes`` whose entry point is the kernel module ``box-mod``."""
    (tmp_path / "boxes.py").write_text(SOURCE)
    info = tmp_path / "boxes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: boxes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nbox-mod = boxes\nlost = no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "boxes"
    sys.modules.pop("boxes", None)


def test_installed_modules_are_found_by_their_entry_points(package):
    found = installed_modules()

    assert (found["box_mod"], found["lost"]) == ("boxes", "no_such_package")
    assert find_package("other") is None


def test_a_package_is_loaded_as_a_module_with_btf_kfuncs_and_symbols(package):
    kernel = kernel_btf()

    module = kernel.modules.load("box-mod")

    btf = module.btf.btf
    ids = own_ids(btf)
    assert isinstance(btf.type(ids["box"]), Struct)
    assert btf.size_of(ids["box"]) == 40
    assert btf.type(btf.find_member(ids["box"], "owner").type).type == 2  # the kernel's own
    assert isinstance(btf.type(ids["elsewhere"]), Fwd)
    assert isinstance(btf.type(ids["handle_t"]), Typedef)
    assert "task_struct" not in ids
    assert kernel.kfuncs.use("box_mod", ids["box_of"], TRACING).kfunc.flags == 5
    assert kernel.find_symbol("box_count") == 0xFFFFFFFF_C1000000
    assert kernel.find_symbol("box_of") is not None
    catalog = kernel.modules.catalog(kernel.catalog)
    assert catalog.find_kfunc("box_of", kernel.config.profile) is not None
    assert check(btf.raw, vmlinux(), kernel=True) is None


def test_given_symbols_win_over_the_packages(package):
    kernel = kernel_btf()
    kernel.modules.load("box_mod", ksyms={"box_count": 7})

    assert kernel.find_symbol("box_count") == 7


def test_a_package_that_cannot_be_imported_is_the_persons_error(package):
    with pytest.raises(InputError, match="module lost: package 'no_such_package'"):
        kernel_btf().modules.load("lost")


def test_without_kernel_types_no_btf_can_be_made(package):
    kernel = kernel_btf(provider=lambda: vmlinux().raw, btf=None)

    with pytest.raises(InputError, match="no kernel types to build its BTF on"):
        kernel.modules.load("box_mod")


def test_a_package_without_symbols(monkeypatch):
    empty = ModuleType("empty_package")
    monkeypatch.setitem(sys.modules, "empty_package", empty)

    found = read_package("empty", "empty_package")

    assert (found.kfuncs, found.structs, found.symbols) == ((), (), {})
    assert module_package.GROUP == "bpfemu.modules"


def test_c_words_that_the_kernel_lacks_are_added_once(package):
    """vmlinux() here has nothing but int."""
    found = read_package("box_mod", "boxes")
    own = Catalog.of(*found.kfuncs, *found.structs)

    btf = build_module_btf("m", own, Catalog(), find_profile(DEFAULT_PROFILE), vmlinux())

    names = [getattr(t, "name", "") for _, t in btf.types()]
    for word in ("u64", "__u64", "long long unsigned int", "unsigned int"):
        assert names.count(word) == 1
    assert btf.find("int") == 1
    assert isinstance(btf, Btf)
