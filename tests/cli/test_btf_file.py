"""Which base a BTF file is opened on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.cli.btf_file import VMLINUX, base_of, open_btf
from bpfemu.errors import ObjectError
from tests.btf.samples import split_pair
from tests.builders.elf import ElfBuilder


def test_modules_in_sysfs_stand_on_the_kernels_types() -> None:
    assert base_of("/sys/kernel/btf/nf_conntrack", None) == VMLINUX
    assert base_of("/sys/kernel/btf/nf_conntrack", "mine") == "mine"
    assert base_of(VMLINUX, None) is None
    assert base_of("/tmp/nf_conntrack", None) is None


def module(tmp_path: Path) -> Path:
    """A module built out of tree: struct mine with a pointer to the kernel's struct pair."""
    distilled = BtfBuilder()
    distilled.struct("pair", 16, [])
    base = distilled.build()
    own = BtfBuilder(base)
    own.struct("mine", 8, [("p", own.ptr(1), 0)])
    elf = ElfBuilder().section(".BTF", own.build().raw).section(".BTF.base", base.raw)
    (tmp_path / "mod.ko").write_bytes(elf.build())
    return tmp_path / "mod.ko"


def test_a_distilled_base_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    btf = open_btf(str(module(tmp_path)))

    assert btf.start_id == 2
    assert btf.find("mine") == 3 and btf.find("pair") == 1


def test_a_distilled_base_is_relocated_to_the_real_one(tmp_path: Path) -> None:
    base, _ = split_pair()
    (tmp_path / "vmlinux").write_bytes(base.raw)

    btf = open_btf(str(module(tmp_path)), str(tmp_path / "vmlinux"))

    assert btf.start_id == 4
    assert btf.type(4) == btf.type(2).__class__(3)  # the pointer leads to the kernel's pair
    assert btf.find("mine") == 5


def test_a_broken_distilled_base_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "mod.ko"
    elf = ElfBuilder().section(".BTF", split_pair()[1].raw).section(".BTF.base", b"junk")
    path.write_bytes(elf.build())

    with pytest.raises(ObjectError):
        open_btf(str(path))


def test_files_that_are_not_there_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ObjectError, match="No such file"):
        open_btf(str(tmp_path / "none"))
