"""Functions, their relocations and records (notes, sections 8.4 and 8.9)."""

from __future__ import annotations

import errno
import struct

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.elf import read_object
from bpfemu.elf.functions import MAX_SLOTS
from bpfemu.errors import ObjectError
from bpfemu.object import BpfObject
from tests.builders.asm import prog_bytes
from tests.builders.elf import ALLOC, EXEC, ElfBuilder, btf_ext

CODE = prog_bytes("r0 = 0; exit")


def refused(builder: ElfBuilder) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        read_object(builder.build(), "x.o")
    return caught.value


def section(size: int = 64) -> ElfBuilder:
    data = (CODE * size)[:size]
    return ElfBuilder().section("raw_tp", data, flags=ALLOC | EXEC)


def test_two_programs_of_a_section_are_sorted_by_offset() -> None:
    builder = section(32).symbol("second", "raw_tp", 16, 16, "func")
    builder.symbol("first", "raw_tp", 0, 16, "func")
    found = read_object(builder.build()).functions
    assert [(f.name, f.offset) for f in found] == [("first", 0), ("second", 2)]


@pytest.mark.parametrize(("value", "size"), [(0, 0), (0, 12), (4, 8)])
def test_a_program_is_whole_slots(value: int, size: int) -> None:
    error = refused(section().symbol("main", "raw_tp", value, size, "func"))
    assert error.errno == errno.EINVAL and "corrupted program" in str(error)
    assert error.section == "raw_tp" and error.offset == value


def test_a_program_lies_within_its_section() -> None:
    assert refused(section(16).symbol("main", "raw_tp", 8, 16, "func")).errno == 4001


def test_a_static_program_is_enotsup() -> None:
    error = refused(ElfBuilder().code("raw_tp", CODE, name="main", binding="local"))
    assert error.errno == errno.ENOTSUP and "is static and not supported" in str(error)


def test_a_static_subprogram_is_welcome() -> None:
    builder = ElfBuilder().code(".text", CODE, name="sub", binding="local")
    assert read_object(builder.build()).functions[0].binding == "local"


def test_objects_of_more_code_than_a_program_may_have_are_refused() -> None:
    builder = section(80)
    for number in range(MAX_SLOTS // 10 + 1):
        builder.symbols.append(struct.pack("<IBBHQQ", 0, 0x12, 0, builder.index("raw_tp"), 0, 80))
        del number
    assert refused(builder).errno == errno.E2BIG


def test_code_that_is_none_names_section_byte_and_slot() -> None:
    bad = CODE + b"\xff" + bytes(7)
    error = refused(ElfBuilder().code("raw_tp", bad, name="main"))
    assert (error.section, error.offset) == ("raw_tp", 16)
    assert "insn 2: unknown opcode ff" in str(error)


@pytest.mark.parametrize("offset", [4, 64, 1 << 40])
def test_a_relocation_outside_the_code_is_a_format_error(offset: int) -> None:
    builder = section(64).symbol("main", "raw_tp", 0, 64, "func").reloc("raw_tp", offset, 1)
    assert refused(builder).errno == 4001


def test_a_relocation_against_no_symbol_is_a_format_error() -> None:
    builder = section(64).symbol("main", "raw_tp", 0, 64, "func").reloc("raw_tp", 0, 7)
    assert "symbol 7" in str(refused(builder))


@pytest.mark.parametrize("index", [0xFFF1, 0xFFF2], ids=["ABS", "COMMON"])
def test_a_relocation_against_a_reserved_section_is_a_corrupted_symbol(index: int) -> None:
    builder = section(64).symbol("x", index).symbol("main", "raw_tp", 0, 64, "func")
    error = refused(builder.reloc("raw_tp", 0, 1))
    assert error.errno == 4001 and "corrupted symbol" in str(error)


def test_a_relocation_in_no_function_is_skipped() -> None:
    # an overridden weak function leaves its code behind without a symbol
    builder = section(32).symbol("main", "raw_tp", 0, 16, "func").reloc("raw_tp", 24, 1)
    assert read_object(builder.build()).functions[0].relocs == ()


def test_a_relocation_has_its_symbol_and_the_addend_of_the_instruction() -> None:
    code = prog_bytes("r0 = 0; r1 = 24 ll; exit")
    builder = ElfBuilder().section(".data", bytes(64)).code("raw_tp", code, name="main")
    builder.symbol("", ".data", 8, 0, "section", "local").reloc("raw_tp", 8, 2)
    (reloc,) = read_object(builder.build()).functions[0].relocs
    assert (reloc.slot, reloc.kind, reloc.addend) == (1, 1, 24)
    assert (reloc.symbol.section, reloc.symbol.value, reloc.symbol.kind) == (".data", 8, "section")


def described() -> BpfObject:
    """The file below, read."""
    return read_object(described_file())


def described_file() -> bytes:
    """Two functions in one section, with everything BTF can say about them."""
    btf = BtfBuilder()
    proto = btf.func_proto(btf.int_("int", 4, 1))
    first, second = btf.func("first", proto), btf.func("second", proto)
    btf.decl_tag("comment:one", second)
    btf.decl_tag("of a parameter", second, 0)
    btf.decl_tag("comment:two", second)
    for text in ("raw_tp", "a.c", "x = 1;", "0"):
        btf.decl_tag(text, 0)
    built = btf.build()
    name, file, text, access = (built.find_string(t) or 0 for t in ("raw_tp", "a.c", "x = 1;", "0"))
    head = struct.pack("<II", name, 2)
    funcs = struct.pack("<I", 8) + head + struct.pack("<IIII", 0, first, 16, second)
    lines = struct.pack("<I", 16) + head
    lines += struct.pack("<IIIIIIII", 24, file, text, 7 << 10, 16, file, text, 6 << 10)
    relos = struct.pack("<I", 16) + head
    relos += struct.pack("<IIIIIIII", 0, 1, access, 6, 24, 1, access, 8)
    builder = section(32).symbol("first", "raw_tp", 0, 16, "func")
    builder.symbol("second", "raw_tp", 16, 16, "func", visibility="hidden")
    builder.section(".BTF", btf.encode()).section(".BTF.ext", btf_ext(funcs, lines, relos))
    return builder.build()


def test_records_go_to_their_function_with_slots_of_its_own() -> None:
    first, second = described().functions
    assert first.lines == () and [(r.slot, r.line) for r in second.lines] == [(0, 6), (1, 7)]
    assert [(r.slot, r.kind) for r in first.core_relos] == [(0, 6)]
    assert [(r.slot, r.kind) for r in second.core_relos] == [(1, 8)]


def test_a_function_has_its_type_visibility_and_whole_tags() -> None:
    found = described()
    first, second = found.functions
    assert found.btf is not None
    assert (first.tags, second.tags) == ((), ("comment:one", "comment:two"))
    assert (first.visibility, second.visibility) == ("default", "hidden")
    assert getattr(found.btf.type(second.btf_id), "name", "") == "second"


def test_function_info_that_names_no_function_is_left_out() -> None:
    btf = BtfBuilder()
    btf.decl_tag("raw_tp", 0)
    number = btf.int_("int", 4)
    name = btf.build().find_string("raw_tp") or 0
    funcs = struct.pack("<IIIII", 8, name, 1, 0, number)
    builder = ElfBuilder().code("raw_tp", CODE, name="main").section(".BTF", btf.encode())
    builder.section(".BTF.ext", btf_ext(funcs))
    assert read_object(builder.build()).functions[0].btf_id == 0


def test_a_bad_word_of_types_is_found_when_it_is_read_and_the_file_is_named() -> None:
    data = described_file()
    tag = data.index(struct.pack("<II", 17 << 24, 4))  # a DECL_TAG of type 4, ``second``
    changed = bytearray(data)
    changed[tag - 4 : tag] = struct.pack("<I", 0x7FFF_FFFF)  # its name

    with pytest.raises(ObjectError, match=r"^x\.o: \.BTF: BTF string offset 2147483647") as caught:
        read_object(bytes(changed), "x.o")
    assert (caught.value.path, caught.value.section) == ("x.o", ".BTF")
