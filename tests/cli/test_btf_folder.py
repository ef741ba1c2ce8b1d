"""Which kernels a file or a folder holds."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from bpfemu.cli.btf_folder import find_kernels
from bpfemu.errors import InputError, ObjectError
from tests.btf.samples import pair_blob, split_pair
from tests.builders.elf import ElfBuilder


def names(*places: object) -> list[str]:
    return [kernel.name for kernel in find_kernels(map(str, places))]


def test_a_folder_is_searched_for_btf_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/raw.btf").write_bytes(pair_blob())
    (tmp_path / "packed.btf.gz").write_bytes(gzip.compress(pair_blob()))
    (tmp_path / "vmlinuz.elf").write_bytes(ElfBuilder().section(".BTF", pair_blob()).build())
    (tmp_path / "program").write_bytes(ElfBuilder().license().build())
    (tmp_path / "README").write_text("not BTF")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    assert names(tmp_path) == ["packed.btf.gz", "vmlinuz.elf", "b/raw.btf"]


def test_files_are_named_as_given_and_stay_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_bytes(pair_blob())

    assert names(tmp_path / "b", tmp_path / "a") == [str(tmp_path / "b"), str(tmp_path / "a")]


def test_split_files_beside_a_vmlinux_are_its_modules(tmp_path: Path) -> None:
    base, split = split_pair()
    (tmp_path / "vmlinux").write_bytes(base.raw)
    (tmp_path / "mod").write_bytes(split.raw)
    (tmp_path / "other").write_bytes(base.raw)

    kernels = {kernel.name: kernel for kernel in find_kernels([str(tmp_path)])}

    assert set(kernels) == {"vmlinux", "other"}
    assert list(kernels["vmlinux"].modules) == ["mod"]
    assert kernels["vmlinux"].modules["mod"].find("pair_ptr") == 5
    assert kernels["other"].modules == {}


def test_a_split_file_without_its_base_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mod").write_bytes(split_pair()[1].raw)

    with pytest.raises(ObjectError, match="do not begin with a NUL"):
        find_kernels([str(tmp_path)])


def test_no_btf_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"no BTF in {tmp_path}"):
        find_kernels([str(tmp_path)])
    with pytest.raises(InputError, match="no BTF in nothing; give --btf FILE"):
        find_kernels([])
