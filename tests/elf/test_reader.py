"""ELF files: what is accepted, and in which words the rest is refused (notes, section 8.1)."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest

from bpfemu.elf import MAX_FILE_SIZE, object_name, read_object
from bpfemu.elf.reader import read_elf
from bpfemu.errors import ObjectError
from tests.builders.elf import NOBITS, REL, RELA, STRTAB, SYMTAB, ElfBuilder

LIBBPF_FORMAT, LIBBPF_ENDIAN = 4001, 4003  # libbpf_errno


def small() -> ElfBuilder:
    return ElfBuilder().license().code("raw_tp", "r0 = 0; exit", name="main")


def refused(data: bytes) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        read_object(data, "x.bpf.o")
    assert caught.value.path == "x.bpf.o"
    return caught.value


def test_the_smallest_object_has_a_name_a_licence_and_a_program() -> None:
    found = read_object(small().build(), "small.bpf.o")

    assert (found.name, found.license) == ("small", "GPL")
    assert [(f.name, f.section, len(f.code)) for f in found.functions] == [("main", "raw_tp", 2)]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b/vma_census.bpf.o", "vma_census"),
        ("a_name_of_more_than_fifteen.o", "a_name_of_more_"),
        ("plain", "plain"),
    ],
)
def test_an_object_is_named_up_to_the_first_dot_fifteen_characters(path: str, name: str) -> None:
    assert object_name(path) == name


def test_a_missing_file_is_enoent(tmp_path: Path) -> None:
    with pytest.raises(ObjectError, match="No such file") as caught:
        read_object(tmp_path / "absent.o")
    assert caught.value.errno == errno.ENOENT


def test_a_path_with_a_nul_is_an_object_error() -> None:
    with pytest.raises(ObjectError, match="cannot read it"):
        read_object("a\0b")


def test_a_file_beyond_the_limit_is_efbig(tmp_path: Path) -> None:
    path = tmp_path / "huge.o"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_SIZE + 1)
    with pytest.raises(ObjectError) as caught:
        read_object(path)
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"MZ\x90\0", b"#!/bin/sh\n" * 20])
def test_what_is_not_elf_is_a_format_error(data: bytes) -> None:
    assert refused(data).errno == LIBBPF_FORMAT


def test_a_cut_off_header_is_a_format_error() -> None:
    error = refused(small().build()[:40])
    assert error.errno == LIBBPF_FORMAT and "header" in str(error)


def test_a_32_bit_file_is_a_format_error() -> None:
    error = refused(ElfBuilder(elf_class=1).build())
    assert error.errno == LIBBPF_FORMAT and error.offset == 4


def test_big_endian_code_is_the_endian_error() -> None:
    error = refused(ElfBuilder(order=2).build())
    assert error.errno == LIBBPF_ENDIAN
    assert "non-native endianness is unsupported" in str(error)


def test_an_unknown_byte_order_is_the_endian_error() -> None:
    assert refused(ElfBuilder(order=3).build()).errno == LIBBPF_ENDIAN


def test_another_machine_is_named() -> None:
    error = refused(ElfBuilder(machine=62).build())  # EM_X86_64
    assert error.errno == LIBBPF_FORMAT and "e_machine 62" in str(error)


def test_an_executable_is_refused() -> None:
    error = refused(ElfBuilder(type=2).build())
    assert error.errno == LIBBPF_FORMAT and "e_type 2" in str(error)


def test_machine_0_is_accepted_as_by_libbpf() -> None:
    data = bytearray(small().build())
    data[0x12:0x14] = bytes(2)
    assert read_object(bytes(data)).functions


@pytest.mark.parametrize(
    ("at", "size", "value"),
    [(0x28, 8, 0), (0x28, 8, 1 << 40), (0x3A, 2, 40), (0x3C, 2, 60000), (0x3E, 2, 99)],
    ids=["no table", "table outside", "entry size", "too many sections", "names outside"],
)
def test_a_broken_section_table_is_a_format_error(at: int, size: int, value: int) -> None:
    data = bytearray(small().build())
    data[at : at + size] = value.to_bytes(size, "little")
    assert refused(bytes(data)).errno == LIBBPF_FORMAT


def test_many_sections_are_counted_in_the_first_header() -> None:
    # System V ABI: e_shnum 0 means sh_size of section 0, e_shstrndx 0xffff means its sh_link
    builder = small()
    data = bytearray(builder.build())
    (table,) = struct.unpack_from("<Q", data, 0x28)
    count, names = struct.unpack_from("<HH", data, 0x3C)
    struct.pack_into("<HH", data, 0x3C, 0, 0xFFFF)
    struct.pack_into("<QI", data, table + 0x20, count, names)

    assert read_object(bytes(data)).functions[0].name == "main"


def test_a_section_beyond_the_file_is_a_format_error() -> None:
    builder = small()
    builder.section("x", b"abc", size=1 << 30)
    assert "passes the end of the file" in str(refused(builder.build()))


def test_a_stripped_object_is_enoent_in_libbpfs_words() -> None:
    error = refused(small().build(symtab=False))
    assert error.errno == errno.ENOENT and "couldn't find symbol table" in str(error)


def test_two_symbol_tables_are_a_format_error() -> None:
    builder = small().section("more", bytes(24), type=SYMTAB, entry=24)
    error = refused(builder.build())
    assert error.errno == LIBBPF_FORMAT and "multiple SYMTAB" in str(error)


def test_symbols_of_another_size_are_a_format_error() -> None:
    builder = small().section("sym", bytes(32), type=SYMTAB, entry=16)
    assert refused(builder.build(symtab=False)).errno == LIBBPF_FORMAT


def test_symbols_without_a_string_table_are_a_format_error() -> None:
    builder = small().section("sym", bytes(24), type=SYMTAB, entry=24, link=77)
    assert "names are in section 77" in str(refused(builder.build(symtab=False)))


def test_a_name_outside_its_table_is_a_format_error() -> None:
    names = ElfBuilder().section("names", b"\0abc", type=STRTAB)  # no NUL at the end
    names.section("sym", struct.pack("<IBBHQQ", 1, 0, 0, 0, 0, 0), type=SYMTAB, entry=24, link=1)
    assert "does not end" in str(refused(names.build(symtab=False)))


@pytest.mark.parametrize(
    ("entry", "info", "rule"), [(24, 1, "24 bytes"), (16, 0, "section 0"), (16, 99, "section 99")]
)
def test_a_broken_relocation_section_is_a_format_error(entry: int, info: int, rule: str) -> None:
    builder = small().section(".relx", bytes(48), type=REL, entry=entry, info=info)
    error = refused(builder.build())
    assert error.errno == LIBBPF_FORMAT and rule in str(error)


def test_rela_sections_are_skipped() -> None:
    builder = small().section(".relaraw_tp", bytes(24), type=RELA, entry=24, info=2)
    assert read_object(builder.build()).functions[0].relocs == ()


def test_relocations_of_debug_sections_are_not_read() -> None:
    builder = small().section(".debug_info", b"x")
    builder.reloc(".debug_info", 0, 1)
    assert read_elf(builder.build(), "x").relocs == {}


def test_names_that_are_not_utf8_are_shown_escaped() -> None:
    builder = small()
    builder.names += b"\xff\xfe\0"
    builder.symbols.append(struct.pack("<IBBHQQ", len(builder.names) - 3, 0, 0, 0, 0, 0))
    elf = read_elf(builder.build(), "x")
    assert elf.symbols[-1].name == "\\xff\\xfe"


def test_a_nobits_section_takes_no_bytes_of_the_file() -> None:
    builder = small().section(".bss", type=NOBITS, size=4096)
    found = read_object(builder.build())
    assert found.data[0].data == bytes(4096)
    assert read_elf(builder.build(), "x").section_name(99) == ""
