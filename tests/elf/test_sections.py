"""What each section is (notes, section 8.3)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.elf import read_object
from bpfemu.elf.data import MAX_DATA_SIZE
from bpfemu.elf.reader import read_elf
from bpfemu.elf.sections import SectionKind, classify
from bpfemu.errors import ObjectError
from tests.builders.elf import ALLOC, EXEC, NOBITS, PROGBITS, REL, STRTAB, ElfBuilder


def kind_of(name: str, data: bytes = b"x", **row: int) -> SectionKind:
    elf = read_elf(ElfBuilder().section(name, data, **row).build(), "x")
    return classify(elf.sections[1])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("license", SectionKind.LICENSE),
        ("version", SectionKind.VERSION),
        ("maps", SectionKind.LEGACY_MAPS),
        (".maps", SectionKind.MAPS),
        (".BTF", SectionKind.BTF),
        (".BTF.ext", SectionKind.BTF_EXT),
        (".data", SectionKind.DATA),
        (".data.hot", SectionKind.DATA),
        (".data_hot", SectionKind.UNKNOWN),
        (".rodata", SectionKind.RODATA),
        (".rodata.str1.1", SectionKind.RODATA),
        (".struct_ops", SectionKind.STRUCT_OPS),
        (".struct_ops.link", SectionKind.STRUCT_OPS),
        ("?.struct_ops", SectionKind.STRUCT_OPS),
        ("?.struct_ops.link", SectionKind.STRUCT_OPS),
        (".addr_space.1", SectionKind.ARENA),
        (".jumptables", SectionKind.JUMP_TABLES),
        (".debug_line", SectionKind.IGNORED),
        (".eh_frame", SectionKind.UNKNOWN),
    ],
)
def test_progbits_sections_are_known_by_name(name: str, kind: SectionKind) -> None:
    assert kind_of(name) is kind


def test_executable_sections_are_code_whatever_their_name() -> None:
    assert kind_of("anything", flags=ALLOC | EXEC) is SectionKind.CODE


def test_an_empty_text_section_is_ignored() -> None:
    assert kind_of(".text", b"", flags=ALLOC | EXEC) is SectionKind.IGNORED


def test_bss_must_be_nobits_and_data_must_not() -> None:
    assert kind_of(".bss", b"", type=NOBITS, size=8) is SectionKind.BSS
    assert kind_of(".bss.hot", b"", type=NOBITS, size=8) is SectionKind.BSS
    assert kind_of(".bss", type=PROGBITS) is SectionKind.UNKNOWN
    assert kind_of(".data", b"", type=NOBITS, size=8) is SectionKind.UNKNOWN


@pytest.mark.parametrize("type_", [STRTAB, 0x6FFF4C03])
def test_string_tables_and_address_significance_are_ignored(type_: int) -> None:
    assert kind_of("x", type=type_) is SectionKind.IGNORED


def test_relocations_are_ignored_as_sections() -> None:
    builder = (
        ElfBuilder().section("a", b"x").section(".rela", bytes(16), type=REL, entry=16, info=1)
    )
    elf = read_elf(builder.build(), "x")
    assert classify(elf.sections[2]) is SectionKind.IGNORED


def test_legacy_maps_are_enotsup() -> None:
    with pytest.raises(ObjectError, match="legacy map definitions in 'maps' section") as caught:
        read_object(ElfBuilder().section("maps", bytes(20)).build(), "x")
    assert caught.value.errno == errno.ENOTSUP and caught.value.section == "maps"


def test_a_licence_is_cut_at_63_bytes_and_at_its_nul() -> None:
    long = ElfBuilder().section("license", b"G" * 100).build()
    assert read_object(long).license == "G" * 63
    short = ElfBuilder().section("license", b"GPL\0tail").build()
    assert read_object(short).license == "GPL"
    assert read_object(ElfBuilder().build()).license == ""


def test_a_licence_without_bytes_is_a_format_error() -> None:
    with pytest.raises(ObjectError) as caught:
        read_object(ElfBuilder().section("license", type=NOBITS, size=4).build())
    assert caught.value.errno == 4001


@pytest.mark.parametrize("size", [3, 5])
def test_a_version_is_exactly_four_bytes(size: int) -> None:
    with pytest.raises(ObjectError, match="must be 4") as caught:
        read_object(ElfBuilder().section("version", bytes(size)).build())
    assert caught.value.errno == 4001


def test_empty_data_sections_make_no_map() -> None:
    builder = ElfBuilder().section(".data").section(".bss", type=NOBITS, size=0)
    assert read_object(builder.build()).data == ()


def test_global_data_beyond_the_bound_is_refused_before_it_is_allocated() -> None:
    builder = ElfBuilder()
    for number in range(3):
        builder.section(f".bss.{number}", type=NOBITS, size=MAX_DATA_SIZE // 2)
    with pytest.raises(ObjectError, match="bytes of global data") as caught:
        read_object(builder.build())
    assert caught.value.errno == errno.E2BIG
