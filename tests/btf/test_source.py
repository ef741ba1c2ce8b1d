"""Reading BTF from files: raw, ELF, gzip, and the kernel's own."""

import gzip
import os
import struct
import tracemalloc

import pytest

from bpfemu.btf import Btf, source
from bpfemu.errors import ObjectError
from tests.btf.samples import pair_blob


def elf(section: bytes, *, wide: bool = True, order: str = "<", name: bytes = b".BTF") -> bytes:
    """An ELF file with three sections: null, .shstrtab and the given one."""
    names = b"\0.shstrtab\0" + name + b"\0"
    head_size, entry = (64, 64) if wide else (52, 40)
    data_at = head_size + len(names)
    table_at = data_at + len(section)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    word = "Q" if wide else "I"
    header = ident + struct.pack(
        order + f"HHI{word}{word}{word}IHHHHHH",
        *(1, 247, 1, 0, 0, table_at, 0, head_size, 0, 0, entry, 3, 1),
    )
    form = order + (f"II{word}{word}{word}{word}II{word}{word}")
    sections = [
        struct.pack(form, *[0] * 10),
        struct.pack(form, 1, 3, 0, 0, head_size, len(names), 0, 0, 1, 0),
        struct.pack(form, 11, 1, 0, 0, data_at, len(section), 0, 0, 1, 0),
    ]
    return header + names + section + b"".join(sections)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_btf_is_read_from_elf_files_of_both_widths_and_byte_orders(tmp_path, wide, order):
    path = tmp_path / "x.bpf.o"
    path.write_bytes(elf(pair_blob(), wide=wide, order=order))

    btf = Btf.open(path)

    assert btf.find("pair") == 3
    assert btf.name == "x"


def test_raw_and_compressed_files_read_the_same(tmp_path):
    (tmp_path / "raw").write_bytes(pair_blob())
    (tmp_path / "raw.gz").write_bytes(gzip.compress(pair_blob()))
    (tmp_path / "elf.gz").write_bytes(gzip.compress(elf(pair_blob())))

    raws = [Btf.open(str(tmp_path / name)).raw for name in ("raw", "raw.gz", "elf.gz")]

    assert raws == [pair_blob()] * 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither BTF nor ELF nor gzip"),
        (b"hello", "neither BTF nor ELF nor gzip"),
        (b"\x1f\x8bnonsense", "gzip data is corrupt"),
        (b"\x7fELF", "ends within its section headers"),
        (b"\x7fELF" + bytes(60), "class or byte order unknown"),
        (elf(pair_blob(), name=b".BTX"), r"\.BTF\]: no such section"),
        (elf(pair_blob())[:-64], "ends within its section headers"),
        (elf(b"\x9f\xebnonsense"), "header takes 24 bytes, the blob has 10"),
    ],
)
def test_a_file_that_is_no_btf_is_an_object_error(tmp_path, data, message):
    path = tmp_path / "x"
    path.write_bytes(data)

    with pytest.raises(ObjectError, match=message):
        Btf.open(path)


def test_a_section_that_passes_the_end_of_the_file_is_an_object_error(tmp_path):
    data = bytearray(elf(pair_blob()))
    struct.pack_into("<Q", data, len(data) - 32, 1 << 40)
    path = tmp_path / "x"
    path.write_bytes(data)

    with pytest.raises(ObjectError, match="passes the end of the file"):
        Btf.open(path)


def test_a_section_table_beyond_any_file_is_an_object_error(tmp_path):
    data = bytearray(elf(pair_blob()))
    struct.pack_into("<Q", data, 0x28, (1 << 64) - 1)
    (tmp_path / "x").write_bytes(data)

    with pytest.raises(ObjectError, match="ends within its section headers"):
        Btf.open(tmp_path / "x")


def test_missing_and_unreadable_files_are_object_errors(tmp_path):
    with pytest.raises(ObjectError, match="nowhere: cannot read it: No such file") as caught:
        Btf.open(tmp_path / "nowhere")
    assert caught.value.errno == 2
    with pytest.raises(ObjectError, match="cannot read it: Is a directory"):
        Btf.open(tmp_path)
    with pytest.raises(ObjectError, match="cannot read it: embedded null byte"):
        Btf.open("a\0b")


def test_a_file_above_the_limit_is_an_object_error(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_FILE", 100)
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(pair_blob() + bytes(1000)))

    with pytest.raises(ObjectError, match="more than 100 bytes"):
        Btf.open(path)


def test_a_kernels_file_is_mapped_and_read_where_that_is_refused(tmp_path, monkeypatch):
    (tmp_path / "vmlinux").write_bytes(pair_blob())
    monkeypatch.setattr(source, "SYSFS", str(tmp_path) + os.sep)

    mapped, name = source.open_blob(tmp_path / "vmlinux")
    assert (bytes(mapped), name, type(mapped).__name__) == (pair_blob(), "vmlinux", "mmap")
    assert Btf.open(tmp_path / "vmlinux").find("pair") == 3

    (tmp_path / "empty").write_bytes(b"")  # cannot be mapped
    with pytest.raises(ObjectError, match="neither BTF"):
        Btf.open(tmp_path / "empty")


def test_reading_takes_no_more_memory_than_there_is_to_read(tmp_path):
    """A file that grows while it is read, and one whose size says nothing, are read whole."""
    path = tmp_path / "x"
    path.write_bytes(pair_blob())
    tracemalloc.start()
    with open(path, "rb") as file:
        assert source.read_bounded(file) == pair_blob()
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()

    reader, writer = os.pipe()
    os.write(writer, pair_blob())
    os.close(writer)
    with open(reader, "rb") as file:
        assert source.read_bounded(file) == pair_blob()


def test_reading_ends_soon_after_the_limit(monkeypatch):
    monkeypatch.setattr(source, "MAX_FILE", 100)
    monkeypatch.setattr(source, "_CHUNK", 7)
    reader, writer = os.pipe()
    os.write(writer, bytes(5000))
    os.close(writer)

    with open(reader, "rb") as file:
        assert 100 < len(source.read_bounded(file)) < 110
