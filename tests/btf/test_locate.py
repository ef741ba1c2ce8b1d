"""Finding a kernel's BTF: map, else read, else the disk."""

import errno
import os

import pytest

from bpfemu.btf.locate import DISK, HostFiles, load_module_btf, load_vmlinux_btf
from bpfemu.errors import ObjectError
from tests.btf.samples import pair_blob, split_pair
from tests.btf.test_source import elf

VMLINUX = "/sys/kernel/btf/vmlinux"


class Disk:
    """Files in a dictionary; ``mapped`` are what mmap shows, if that differs, or an errno."""

    def __init__(self, files, mapped=None):
        self.files = files
        self.mapped = mapped or {}
        self.calls = []

    def exists(self, path):
        return path in self.files

    def map(self, path):
        self.calls.append("map")
        found = self.mapped.get(path, self.files[path])
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        return memoryview(found)

    def read(self, path):
        self.calls.append("read")
        found = self.files[path]
        if isinstance(found, int):
            raise OSError(found, os.strerror(found))
        return found


def test_the_kernels_own_file_is_mapped_and_not_read():
    disk = Disk({VMLINUX: pair_blob()})

    btf = load_vmlinux_btf(disk)

    assert (btf.find("pair"), btf.name) == (3, "vmlinux")
    assert disk.calls == ["map"]


@pytest.mark.parametrize("mapped", [errno.ENODEV, errno.EACCES, b"", b"\0" * 100])
def test_any_failure_of_the_mapping_falls_back_to_reading(mapped):
    """ENODEV is a kernel before 6.16; the others are content that does not parse in place."""
    disk = Disk({VMLINUX: pair_blob()}, {VMLINUX: mapped})

    assert load_vmlinux_btf(disk).find("pair") == 3
    assert disk.calls == ["map", "read"]


def test_when_reading_fails_too_its_error_is_returned_and_the_disk_is_not_tried():
    places = {place.format("6.1"): pair_blob() for place in DISK}
    disk = Disk({VMLINUX: errno.EIO, **places}, {VMLINUX: errno.ENODEV})

    with pytest.raises(ObjectError, match="cannot read it") as caught:
        load_vmlinux_btf(disk, "6.1")
    assert caught.value.errno == errno.EIO

    disk = Disk({VMLINUX: b"nonsense", **places})
    with pytest.raises(ObjectError) as caught:
        load_vmlinux_btf(disk, "6.1")
    assert caught.value.errno == errno.EPROTO


@pytest.mark.parametrize("place", DISK)
def test_without_that_file_every_place_on_disk_is_tried(place):
    disk = Disk({place.format("6.1.0-x"): elf(pair_blob())})

    assert load_vmlinux_btf(disk, "6.1.0-x").find("pair") == 3


def test_a_bad_file_on_disk_is_passed_over():
    disk = Disk({DISK[0].format("6.1"): b"bad", DISK[1].format("6.1"): pair_blob()})

    assert load_vmlinux_btf(disk, "6.1").find("pair") == 3


def test_no_btf_anywhere_is_esrch():
    with pytest.raises(ObjectError, match="failed to find valid kernel BTF") as caught:
        load_vmlinux_btf(Disk({}))
    assert caught.value.errno == errno.ESRCH


def test_module_btf_is_read_on_top_of_vmlinux():
    base, split = split_pair()
    disk = Disk({"/sys/kernel/btf/mod": split.raw})

    btf = load_module_btf("mod", base, disk)

    assert disk.calls == ["read"]
    assert btf.start_id == 4
    assert btf.find("pair_ptr") == split.find("pair_ptr")
    with pytest.raises(ObjectError):
        load_module_btf("mod", base, Disk({"/sys/kernel/btf/mod": errno.ENODEV}))


@pytest.mark.skipif(not os.path.exists(VMLINUX), reason="this kernel offers no BTF")
def test_the_running_kernels_btf_is_found_mapped_and_read():
    class Unmappable(HostFiles):
        def map(self, path):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    btf = load_vmlinux_btf()
    read = load_vmlinux_btf(Unmappable())

    assert btf.find("task_struct") == read.find("task_struct") > 0
    assert btf.raw == read.raw
