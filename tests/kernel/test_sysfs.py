"""/sys/kernel/btf: listing, stat, open, read, seek; values from a 6.18.44 kernel."""

import errno
import os

import pytest

from bpfemu.btf.locate import load_module_btf, load_vmlinux_btf
from bpfemu.errors import ObjectError
from bpfemu.kernel.btf_mmap import BtfSection
from bpfemu.kernel.sysfs import BtfFile, BtfFolder, Sysfs
from tests.btf.samples import pair_blob, split_pair

BLOB = bytes(range(256)) * 40  # 10,240 bytes: two and a half pages
REAL = "/sys/kernel/btf/vmlinux"


@pytest.fixture
def sysfs():
    folder = BtfFolder()
    folder.add(BtfFile("vmlinux", lambda: BLOB))
    return Sysfs(folder)


def refused(number):
    return pytest.raises(OSError, match=rf"Errno {number}\]")


def test_the_file_is_regular_0444_and_as_large_as_the_btf(sysfs):
    found = sysfs.btf["vmlinux"].stat()

    assert (found.st_mode, found.st_size) == (0o100444, 10240)
    assert (found.st_uid, found.st_gid, found.st_nlink) == (0, 0, 1)
    assert sysfs.stat("/sys/kernel/btf/vmlinux") == found


def test_the_folder_lists_its_files_sorted(sysfs):
    sysfs.btf.add(BtfFile("kvm", lambda: b"x"))

    assert sysfs.listdir("/sys/kernel/btf/") == ["kvm", "vmlinux"]
    assert list(sysfs.btf) == ["kvm", "vmlinux"]
    assert len(sysfs.btf) == 2
    assert "kvm" in sysfs.btf
    assert "xfs" not in sysfs.btf
    assert sysfs.stat("/sys/kernel/btf").st_mode == 0o040755


def test_a_file_that_is_not_listed_can_still_be_named(sysfs):
    sysfs.btf.add(BtfFile("hidden", lambda: b"x", listed=lambda: False))

    assert "hidden" not in sysfs.btf
    assert sysfs.btf["hidden"].read() == b"x"


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | 0o1000])
def test_opening_for_writing_is_eacces_for_everyone(sysfs, flags):
    with refused(errno.EACCES):
        sysfs.open("/sys/kernel/btf/vmlinux", flags)


@pytest.mark.parametrize(
    ("flags", "number"),
    [(0o300, errno.EEXIST), (0o200000, errno.ENOTDIR), (0o40000, errno.EINVAL)],
    ids=["O_CREAT|O_EXCL", "O_DIRECTORY", "O_DIRECT"],
)
def test_other_flags_are_refused_as_by_the_kernel(sysfs, flags, number):
    with refused(number):
        sysfs.btf["vmlinux"].open(flags)


@pytest.mark.parametrize("flags", [0o100, 0o1000, 0o2000, 0o4000, 0o400000, 0o2000000])
def test_harmless_flags_open(sysfs, flags):
    assert sysfs.btf["vmlinux"].open(flags).read(1) == b"\0"


def test_an_open_without_read_or_write_cannot_read(sysfs):
    file = sysfs.btf["vmlinux"].open(3)

    with refused(errno.EBADF):
        file.read(1)
    with refused(errno.EACCES):
        file.mmap(1)


def test_one_read_returns_at_most_4096_bytes_and_nothing_at_the_end(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")

    sizes = [len(file.read(1 << 20)) for _ in range(5)]

    assert sizes == [4096, 4096, 2048, 0, 0]
    assert len(file.pread(8192, 100)) == 4096
    assert file.pread(8192, 10230) == BLOB[-10:]
    assert file.pread(8192, 10240) == b""
    assert file.pread(8192, 1 << 40) == b""
    with refused(errno.EINVAL):
        file.pread(1, -1)


def test_reading_in_small_pieces_gives_the_whole(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")

    assert b"".join(iter(lambda: file.read(1000), b"")) == BLOB
    assert sysfs.btf["vmlinux"].read() == sysfs.read(REAL) == BLOB


def test_seeking_follows_the_size(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")

    assert file.lseek(0, os.SEEK_END) == 10240
    assert file.lseek(10, os.SEEK_END) == 10250
    assert file.lseek(-5, os.SEEK_CUR) == 10245
    assert file.lseek(5, 3) == 5  # SEEK_DATA
    assert file.lseek(5, 4) == 10240  # SEEK_HOLE
    assert file.lseek(7) == 7
    assert file.read(1) == b"\7"
    for offset, whence, number in [
        (-1, 0, errno.EINVAL),
        ((1 << 63) - 1, 0, errno.EINVAL),
        (0, 9, errno.EINVAL),
        (10240, 3, errno.ENXIO),
        (-1, 4, errno.ENXIO),
    ]:
        with refused(number):
            file.lseek(offset, whence)


def test_writing_and_truncating_are_refused(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")

    with refused(errno.EBADF):
        file.write(b"x")
    with refused(errno.EINVAL):
        file.ftruncate(0)
    with refused(errno.EPERM):
        sysfs.btf.unlink("vmlinux")


def test_a_closed_file_is_ebadf(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")
    file.close()

    for use in (file.close, file.fstat, lambda: file.read(1), lambda: file.mmap(1)):
        with refused(errno.EBADF):
            use()


def test_what_is_not_there(sysfs):
    for path in ("/sys/kernel/btf/xfs", "/sys/kernel/btff", "/etc/passwd"):
        assert not sysfs.exists(path)
        with refused(errno.ENOENT):
            sysfs.open(path)
    with refused(errno.EACCES):
        sysfs.open("/sys/kernel/btf/xfs", os.O_CREAT)
    with refused(errno.EISDIR):
        sysfs.open("/sys/kernel/btf")
    with refused(errno.ENOTDIR):
        sysfs.listdir(REAL)
    assert sysfs.exists(REAL)


def test_two_files_of_one_name_are_eexist(sysfs):
    with refused(errno.EEXIST):
        sysfs.btf.add(BtfFile("vmlinux", lambda: b""))


def test_an_open_file_reads_enodev_once_its_node_is_removed(sysfs):
    file = sysfs.open("/sys/kernel/btf/vmlinux")
    sysfs.btf.remove("vmlinux")

    with refused(errno.ENODEV):
        file.read(1)
    with refused(errno.ENODEV):
        file.mmap(1)
    assert file.fstat().st_size == 10240
    assert not sysfs.exists(REAL)


def test_a_file_that_is_held_by_name_only_is_enodev_too(sysfs):
    file = sysfs.btf["vmlinux"]
    sysfs.btf.remove("vmlinux")

    for use in (file.stat, file.open, file.read):
        with refused(errno.ENODEV):
            use()


@pytest.mark.parametrize("handler", [None, "merged"])
def test_libbpf_finds_the_emulated_kernels_btf_mapped_or_read(handler):
    blob = pair_blob()
    section = BtfSection(blob)
    folder = BtfFolder()
    folder.add(BtfFile("vmlinux", lambda: blob, handler=handler, section=lambda: section))

    btf = load_vmlinux_btf(Sysfs(folder))

    assert (btf.find("pair"), btf.name, btf.raw) == (3, "vmlinux", blob)


def test_libbpf_reads_the_btf_of_an_emulated_module():
    base, split = split_pair()
    folder = BtfFolder()
    folder.add(BtfFile("mod", lambda: split.raw))

    assert load_module_btf("mod", base, Sysfs(folder)).find("pair_ptr") == split.find("pair_ptr")


def test_libbpf_finds_nothing_on_a_kernel_without_btf():
    with pytest.raises(ObjectError) as caught:
        load_vmlinux_btf(Sysfs(None), "6.18")
    assert caught.value.errno == errno.ESRCH


def test_a_kernel_without_btf_has_no_folder():
    sysfs = Sysfs(None)

    with refused(errno.ENOENT):
        _ = sysfs.btf
    with refused(errno.ENOENT):
        sysfs.listdir()
    assert not sysfs.exists("/sys/kernel/btf")


def outcome(use):
    """What a call gives, or the errno it raises."""
    try:
        return use()
    except OSError as problem:
        return errno.errorcode[problem.errno]


@pytest.mark.skipif(not os.path.exists(REAL), reason="this kernel offers no BTF")
@pytest.mark.parametrize("flags", [0, 1, 2, 0o100, 0o300, 0o1000, 0o2000, 0o40000, 0o200000])
def test_the_running_kernel_opens_with_the_same_result(sysfs, flags):
    def real():
        os.close(os.open(REAL, flags))
        return "open"

    def ours():
        sysfs.open(REAL, flags).close()
        return "open"

    assert outcome(ours) == outcome(real)


@pytest.mark.skipif(not os.path.exists(REAL), reason="this kernel offers no BTF")
def test_the_running_kernels_file_reads_and_seeks_the_same():
    size = os.stat(REAL).st_size
    folder = BtfFolder()
    folder.add(BtfFile("vmlinux", lambda: bytes(size)))
    file = Sysfs(folder).open(REAL)
    fd = os.open(REAL, os.O_RDONLY)
    try:
        for want, offset in [(1 << 20, 0), (8192, 100), (8192, size - 10), (1, size), (1, -1)]:
            ours = outcome(lambda want=want, offset=offset: len(file.pread(want, offset)))
            assert ours == outcome(lambda w=want, o=offset: len(os.pread(fd, w, o)))
        for offset, whence in [(0, 2), (10, 2), (-1, 0), (5, 3), (size, 3), (5, 4), (0, 9)]:
            ours = outcome(lambda offset=offset, whence=whence: file.lseek(offset, whence))
            assert ours == outcome(lambda o=offset, w=whence: os.lseek(fd, o, w))
        assert outcome(lambda: file.write(b"x")) == outcome(lambda: os.write(fd, b"x"))
        assert outcome(lambda: file.ftruncate(1)) == outcome(lambda: os.ftruncate(fd, 1))
    finally:
        os.close(fd)
