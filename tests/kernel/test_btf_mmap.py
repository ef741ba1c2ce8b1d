"""mmap of vmlinux BTF: every row of BTF notes 4.3 and 11.1, and the three handlers of 4.2."""

import ctypes
import errno
import itertools
import os

import pytest

from bpfemu.kernel.btf_mapping import PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE
from bpfemu.kernel.btf_mmap import (
    HANDLERS,
    MAP_PRIVATE,
    MAP_SHARED,
    MAP_SHARED_VALIDATE,
    Attribute,
    BtfSection,
    map_attribute,
)
from bpfemu.kernel.sysfs import BtfFile, BtfFolder

SIZE = 10_000  # bytes: two pages and 1,808 bytes
WHOLE = 3 * 4096
BLOB = bytes(1 + number % 255 for number in range(SIZE))  # no zero in it
RW = PROT_READ | PROT_WRITE
REAL = "/sys/kernel/btf/vmlinux"


def vmlinux(handler="merged", blob=BLOB, at=0):
    section = BtfSection(blob, at=at)
    return BtfFile("vmlinux", lambda: blob, handler=handler, section=lambda: section)


def errno_of(use, *args, **kwargs):
    """0, or the errno that the call raises."""
    try:
        use(*args, **kwargs)
    except OSError as problem:
        return problem.errno
    return 0


ROWS = [
    # READ, PRIVATE, 1 to round_up(size) bytes, offset 0; PROT_NONE also
    ((1, PROT_READ, MAP_PRIVATE, 0), 0),
    ((4096, PROT_READ, MAP_PRIVATE, 0), 0),
    ((SIZE, PROT_READ, MAP_PRIVATE, 0), 0),
    ((WHOLE, PROT_READ, MAP_PRIVATE, 0), 0),
    ((WHOLE, PROT_NONE, MAP_PRIVATE, 0), 0),
    ((WHOLE + 1, PROT_READ, MAP_PRIVATE, 0), errno.EINVAL),
    ((WHOLE, RW, MAP_PRIVATE, 0), errno.EACCES),
    ((WHOLE, PROT_WRITE, MAP_PRIVATE, 0), errno.EACCES),
    # any with EXEC, PRIVATE
    ((WHOLE, PROT_EXEC, MAP_PRIVATE, 0), errno.EPERM),
    ((WHOLE, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0), errno.EPERM),
    ((WHOLE, RW | PROT_EXEC, MAP_PRIVATE, 0), errno.EPERM),
    ((WHOLE + 1, PROT_EXEC, MAP_PRIVATE, 4096), errno.EPERM),
    # READ, SHARED (any flavour)
    ((WHOLE, PROT_READ, MAP_SHARED, 0), errno.EACCES),
    ((WHOLE, PROT_READ, MAP_SHARED_VALIDATE, 0), errno.EACCES),
    # offset 1 page, also before write, also shared
    ((WHOLE, PROT_READ, MAP_PRIVATE, 4096), errno.EINVAL),
    ((WHOLE, RW, MAP_PRIVATE, 4096), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_SHARED, 4096), errno.EINVAL),
    # the flag test precedes the size test
    ((WHOLE + 1, RW, MAP_PRIVATE, 0), errno.EACCES),
    # MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE
    ((WHOLE, PROT_READ, MAP_PRIVATE | 0x8000, 0), 0),
    ((WHOLE, PROT_READ, MAP_PRIVATE | 0x2000, 0), 0),
    ((WHOLE, PROT_READ, MAP_PRIVATE | 0x4000, 0), 0),
    # the generic layer
    ((0, PROT_READ, MAP_PRIVATE, 0), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_PRIVATE, 1), errno.EINVAL),
    ((WHOLE, RW, MAP_SHARED, 0), errno.EACCES),
    ((WHOLE, RW | PROT_EXEC, MAP_SHARED, 0), errno.EACCES),
    ((WHOLE, RW, MAP_SHARED_VALIDATE, 4096), errno.EACCES),
    ((WHOLE, PROT_READ | PROT_EXEC, MAP_SHARED, 0), errno.EPERM),
    ((WHOLE, PROT_READ, 0, 0), errno.EINVAL),
    ((WHOLE, PROT_READ, 4, 0), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_SHARED_VALIDATE | 0x800000, 0), errno.EOPNOTSUPP),
    ((WHOLE, PROT_READ, MAP_SHARED_VALIDATE | 0x80000, 0), errno.EOPNOTSUPP),
    ((WHOLE, PROT_READ, MAP_SHARED | 0x800000, 0), errno.EACCES),
    ((WHOLE, PROT_READ, MAP_PRIVATE | 0x100, 0), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_PRIVATE | 0x40000, 0), errno.EINVAL),
    ((1 << 62, PROT_READ, MAP_PRIVATE, 0), errno.ENOMEM),
    (((1 << 64) - 1, PROT_READ, MAP_PRIVATE, 0), errno.ENOMEM),
    ((1 << 46, PROT_READ, MAP_PRIVATE, 0), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_PRIVATE, 1 << 62), errno.EINVAL),
    ((WHOLE, PROT_READ, MAP_PRIVATE, -4096), errno.EOVERFLOW),
    ((WHOLE, PROT_READ | 8, MAP_PRIVATE, 0), 0),
]


@pytest.mark.parametrize(("request_", "number"), ROWS)
def test_a_request_meets_the_checks_in_the_kernels_order(request_, number):
    assert errno_of(vmlinux().mmap, *request_) == number


libc = None
if os.path.exists(REAL):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    for name, extra in (("mprotect", 1), ("madvise", 1), ("munmap", 0)):
        call = getattr(libc, name)
        call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * extra]

FAILED = ctypes.c_void_p(-1).value
real_kernel = pytest.mark.skipif(libc is None, reason="this kernel offers no BTF")


def kernel_version():
    return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])


@real_kernel
@pytest.mark.skipif(kernel_version() < (6, 16), reason="kernels before 6.16 cannot map BTF")
def test_the_running_kernel_gives_every_request_the_same_result():
    """Every combination of lengths, protections, types and offsets, and the rows above."""
    fd = os.open(REAL, os.O_RDONLY)
    size = os.fstat(fd).st_size
    whole = -(-size // 4096) * 4096
    section = BtfSection(bytes(size))
    ours = BtfFile("vmlinux", lambda: b"", handler="merged", section=lambda: section)
    lengths = {1: 1, SIZE: size, WHOLE: whole, WHOLE + 1: whole + 1}
    requests = [(lengths.get(row[0], row[0]), *row[1:]) for row, _ in ROWS]
    requests += itertools.product((0, 1, whole, whole + 1), range(8), (0, 1, 2, 3), (0, 1, 4096))
    try:
        for length, prot, flags, offset in requests:
            addr = libc.mmap(None, length, prot, flags, fd, offset)
            number = ctypes.get_errno() if addr == FAILED else 0
            if addr != FAILED:
                libc.munmap(addr, length)
            request_ = (length, prot, flags, offset)
            assert errno_of(ours.mmap, *request_) == number, request_
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, SIZE, 8192])
def test_the_mapping_shows_the_file_and_zeros_to_the_end_of_its_page(size):
    blob = BLOB[:size]
    whole = -(-size // 4096) * 4096

    view = vmlinux(blob=blob).mmap(whole).view

    assert bytes(view[:size]) == blob
    assert bytes(view[size:]) == bytes(whole - size)
    assert len(view) == whole


def test_a_short_mapping_is_rounded_up_to_whole_pages():
    mapping = vmlinux().mmap(4097)

    assert mapping.length == 8192
    assert bytes(mapping.view) == BLOB[:8192]


def test_all_mappings_are_the_same_memory_on_a_page_boundary():
    file = vmlinux()

    one, two = file.mmap(WHOLE), file.mmap(4096)

    assert one.address == two.address
    assert one.address % 4096 == 0
    assert ctypes.string_at(one.address, SIZE) == BLOB


def test_the_caller_cannot_write():
    mapping = vmlinux().mmap(WHOLE)

    assert mapping.view.readonly
    with pytest.raises(TypeError, match="cannot modify read-only memory"):
        mapping.view[0] = 1
    with pytest.raises(TypeError, match="cannot modify read-only memory"):
        mapping.read(0, 10)[0] = 1


def test_a_mapping_survives_close():
    file = vmlinux().open()
    mapping = file.mmap(WHOLE)
    file.close()

    assert bytes(mapping.view[:SIZE]) == BLOB


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this host")
def test_a_mapping_is_there_after_fork():
    mapping = vmlinux().mmap(WHOLE)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"same" if bytes(mapping.view[:SIZE]) == BLOB else b"other")
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 10) == b"same"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("prot", "number"),
    [(prot, errno.EACCES if prot & (PROT_WRITE | PROT_EXEC) else 0) for prot in range(16)],
)
def test_mprotect_to_write_or_exec_is_eacces_and_to_none_or_read_is_fine(prot, number):
    assert errno_of(vmlinux().mmap(WHOLE).mprotect, prot) == number


def test_protection_is_kept_page_by_page():
    mapping = vmlinux().mmap(WHOLE)

    mapping.mprotect(PROT_NONE, 4096, 1)

    assert bytes(mapping.read(0, 4096)) == BLOB[:4096]
    for offset, size in [(0, 4097), (4096, 1), (8191, 1), (0, WHOLE), (WHOLE, 1), (-1, 1)]:
        assert errno_of(mapping.read, offset, size) == errno.EFAULT
    assert errno_of(lambda: mapping.view) == errno.EFAULT
    assert bytes(mapping.read(4096, 0)) == b""
    assert mapping.smaps_flags(4096) == "mr pf io de dd"
    mapping.mprotect(PROT_READ)
    assert bytes(mapping.view[:SIZE]) == BLOB


@pytest.mark.parametrize(
    ("args", "number"),
    [
        ((PROT_READ, 1, 4096), errno.EINVAL),
        ((PROT_READ, -4096, 4096), errno.EINVAL),
        ((PROT_READ, 0, WHOLE + 1), errno.ENOMEM),
        ((RW, 0, WHOLE + 4096), errno.EACCES),
        ((RW, 0, 0), 0),
        ((0x10, 0, 4096), errno.EINVAL),
    ],
)
def test_mprotect_of_odd_ranges(args, number):
    assert errno_of(vmlinux().mmap(WHOLE).mprotect, *args) == number


def test_mremap_shrinks_and_never_grows():
    mapping = vmlinux().mmap(WHOLE)

    assert errno_of(mapping.mremap, WHOLE + 1) == errno.EFAULT
    assert errno_of(mapping.mremap, WHOLE + 4096, 0) == errno.EFAULT
    mapping.mremap(WHOLE)
    mapping.mremap(8192)
    assert mapping.length == 8192
    assert errno_of(mapping.mremap, WHOLE) == errno.EFAULT
    for length, flags in [(0, 1), (8192, 8), (8192, 5)]:
        assert errno_of(mapping.mremap, length, flags) == errno.EINVAL


ADVICE = {0: 0, 1: 0, 2: 0, 3: 0, 9: errno.EACCES, 10: 0} | dict.fromkeys(
    (12, 13, 14, 15, 16, 19), 0
)


@pytest.mark.parametrize("advice", range(26))
def test_advice_is_taken_or_refused_as_for_memory_that_is_not_the_processs(advice):
    """17 is MADV_DODUMP, 4 MADV_DONTNEED, 11 MADV_DOFORK."""
    number = ADVICE.get(advice, errno.EINVAL)

    assert errno_of(vmlinux().mmap(WHOLE).madvise, advice) == number


def test_advice_shows_in_smaps():
    mapping = vmlinux().mmap(WHOLE)

    assert mapping.smaps_flags() == "rd mr pf io de dd"
    mapping.madvise(2)
    mapping.madvise(10)
    mapping.madvise(15, 4096, 4096)
    assert mapping.smaps_flags() == "rd mr pf io sr dc de dd"
    assert mapping.smaps_flags(4096) == "rd mr pf io sr dc de dd nh"
    mapping.madvise(0)
    assert mapping.smaps_flags() == "rd mr pf io dc de dd"


@pytest.mark.parametrize(
    ("args", "number"),
    [
        ((0, 1, 1), errno.EINVAL),
        ((0, 0, WHOLE + 1), errno.ENOMEM),
        ((16, 0, 0), 0),
        ((9, 0, 0), 0),
        ((99, 0, 0), errno.EINVAL),
    ],
)
def test_advice_about_odd_ranges(args, number):
    assert errno_of(vmlinux().mmap(WHOLE).madvise, *args) == number


def test_munmap_takes_pages_away():
    mapping = vmlinux().mmap(WHOLE)

    assert errno_of(mapping.munmap, 1, 4096) == errno.EINVAL
    assert errno_of(mapping.munmap, 0, 0) == errno.EINVAL
    mapping.munmap(0, 4096)
    mapping.munmap(0, 4096)
    assert errno_of(mapping.read, 0, 1) == errno.EFAULT
    assert errno_of(mapping.mprotect, PROT_READ, 0, 4096) == errno.ENOMEM
    assert errno_of(mapping.madvise, 0, 0, 4096) == errno.ENOMEM
    assert errno_of(mapping.smaps_flags) == errno.ENOMEM
    assert errno_of(mapping.mremap, WHOLE) == errno.EFAULT
    assert bytes(mapping.read(4096, 4096)) == BLOB[4096:8192]
    mapping.munmap()
    assert errno_of(mapping.read, 4096, 1) == errno.EFAULT


def test_a_file_without_a_handler_is_readable_and_enodev_to_map():
    """Module BTF, and every kernel before 6.16."""
    module = BtfFile("kvm", lambda: BLOB)

    assert module.read() == BLOB
    assert errno_of(module.mmap, 4096) == errno.ENODEV
    # the generic layer speaks first
    assert errno_of(module.mmap, 0) == errno.EINVAL
    assert errno_of(module.mmap, 4096, PROT_EXEC) == errno.EPERM
    assert errno_of(module.mmap, 4096, RW, MAP_SHARED) == errno.EACCES
    # but the file before what only a handler refuses
    assert errno_of(module.mmap, 4096, RW) == errno.ENODEV
    assert errno_of(module.mmap, 4096, PROT_READ, MAP_PRIVATE, 4096) == errno.ENODEV
    assert errno_of(module.mmap, 4096, PROT_READ, MAP_PRIVATE | 0x100) == errno.ENODEV


@pytest.mark.parametrize("handler", list(HANDLERS))
def test_a_removed_node_is_enodev_for_every_handler(handler):
    folder = BtfFolder()
    folder.add(vmlinux(handler))
    file = folder.open("vmlinux")
    folder.remove("vmlinux")

    assert errno_of(file.mmap, WHOLE) == errno.ENODEV


@pytest.mark.parametrize("handler", list(HANDLERS))
def test_the_handlers_agree_on_whole_mappings(handler):
    whole = [(row, number) for row, number in ROWS if row[0] >= SIZE or number]

    for request_, number in whole:
        assert errno_of(vmlinux(handler).mmap, *request_) == number, request_


@pytest.mark.parametrize(("handler", "number"), [("v2", 0), ("v3", errno.EFAULT), ("merged", 0)])
def test_a_mapping_shorter_than_the_section_fails_in_v3_only(handler, number):
    """v3 inserts every page of the section, also those behind the end of the area."""
    assert errno_of(vmlinux(handler).mmap, 4096) == number
    assert errno_of(vmlinux(handler).mmap, 8193) == 0


@pytest.mark.parametrize(
    ("handler", "folder", "private"),
    [("v2", errno.EINVAL, 0), ("v3", 0, errno.EINVAL), ("merged", 0, errno.EINVAL)],
)
def test_v2_looks_at_the_folder_and_the_others_at_the_private_pointer(handler, folder, private):
    section = BtfSection(BLOB)

    def map_with(**facts):
        attr = Attribute(handler, section, **facts)
        return errno_of(map_attribute, attr, WHOLE, PROT_READ, MAP_PRIVATE, 0)

    assert map_with(in_btf_folder=False) == folder
    assert map_with(private_is_section=False) == private
    assert map_with() == 0


@pytest.mark.parametrize("handler", ["v3", "merged"])
def test_a_section_off_the_page_boundary_is_einval_since_v3(handler):
    file = vmlinux(handler, at=16)

    assert errno_of(file.mmap, WHOLE) == errno.EINVAL
    assert errno_of(file.mmap, WHOLE, RW) == errno.EINVAL  # the first test of the handler


def test_v2_maps_a_section_off_the_page_boundary_from_the_start_of_its_page():
    """Why the section had to be aligned: what lies before it is mapped too."""
    mapping = vmlinux("v2", at=16).mmap(WHOLE)

    assert bytes(mapping.view[:16]) == bytes(16)
    assert bytes(mapping.view[16 : 16 + SIZE]) == BLOB


def test_an_empty_section_cannot_be_mapped():
    assert errno_of(vmlinux(blob=b"").mmap, 1) == errno.EINVAL


def test_what_the_kernels_own_test_asserts_in_its_order():
    """BTF notes, section 4.7; the bytes are those of a BTF here too."""
    from bpfemu.btf import Btf
    from tests.btf.samples import pair_blob

    file = vmlinux(blob=pair_blob())
    size = file.stat().st_size
    end = -(-size // 4096) * 4096

    assert errno_of(file.mmap, size, RW)
    assert errno_of(file.mmap, size, PROT_READ, MAP_SHARED)
    assert errno_of(file.mmap, end + 1)
    mapping = file.mmap(end)
    assert errno_of(mapping.mprotect, RW)
    assert errno_of(mapping.mprotect, PROT_READ | PROT_EXEC)
    assert not any(mapping.view[size:end])
    assert Btf.parse(mapping.view[:size]).find("pair") == 3


def test_a_mapping_is_used_like_the_buffer_it_is():
    mapping = vmlinux().mmap(WHOLE)

    assert len(mapping) == WHOLE
    assert (mapping[0], mapping[SIZE]) == (BLOB[0], 0)
    assert bytes(mapping[:SIZE]) == BLOB
    assert bytes(mapping.__buffer__(0)) == bytes(mapping.view)
    with pytest.raises(TypeError):
        mapping[0:4][0] = 1
