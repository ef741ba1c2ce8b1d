"""Function, line and CO-RE records, and every way to break them (notes, section 2.6)."""

from __future__ import annotations

import errno
import struct

import pytest

from bpfemu.btf import BtfBuilder
from bpfemu.elf import read_object
from bpfemu.elf.btf_ext import BtfExt, parse_btf_ext
from bpfemu.elf.reader import read_elf
from bpfemu.errors import ObjectError
from tests.builders.elf import ElfBuilder, btf_ext


def builder() -> tuple[BtfBuilder, dict[str, int]]:
    """Types with the strings that records need; their offsets."""
    btf = BtfBuilder()
    names = ["raw_tp", "a.c", "  return 1;", "0:1"]
    for name in names:
        btf.decl_tag(name, 0)
    built = btf.build()
    return btf, {name: built.find_string(name) or 0 for name in names}


def parse(ext: bytes) -> BtfExt:
    btf, _ = builder()
    elf = read_elf(ElfBuilder().section(".BTF.ext", ext).build(), "x.o")
    return parse_btf_ext(elf, elf.sections[1], btf.build())


def refused(ext: bytes) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        parse(ext)
    assert caught.value.section == ".BTF.ext" and caught.value.path == "x.o"
    return caught.value


def block(size: int, *records: bytes, count: int | None = None) -> bytes:
    _, at = builder()
    number = len(records) if count is None else count
    return struct.pack("<III", size, at["raw_tp"], number) + b"".join(records)


def test_all_three_tables_are_read() -> None:
    _, at = builder()
    funcs = block(8, struct.pack("<II", 16, 3))
    line = struct.pack("<IIII", 8, at["a.c"], at["  return 1;"], 12 << 10 | 5)
    relo = struct.pack("<IIII", 24, 7, at["0:1"], 2)

    ext = parse(btf_ext(funcs, block(16, line), block(16, relo)))

    assert ext.funcs == {"raw_tp": {16: 3}}
    (found,) = ext.lines["raw_tp"]
    assert (found.offset, found.file, found.line, found.column) == (8, "a.c", 12, 5)
    assert found.text == "  return 1;"
    (record,) = ext.core_relos["raw_tp"]
    assert (record.offset, record.type_id, record.access, record.kind) == (24, 7, "0:1", 2)


def test_the_short_header_has_no_core_records() -> None:
    ext = parse(btf_ext(block(8, bytes(8)), b"", None))
    assert ext.core_relos == {} and ext.lines == {}


def test_longer_records_are_read_by_their_first_words() -> None:
    ext = parse(btf_ext(block(12, struct.pack("<III", 8, 1, 99))))
    assert ext.funcs == {"raw_tp": {8: 1}}


def test_several_blocks_of_one_section_add_up() -> None:
    first = block(8, struct.pack("<II", 0, 1))
    second = block(8, struct.pack("<II", 8, 2))[4:]
    assert parse(btf_ext(first + second)).funcs == {"raw_tp": {0: 1, 8: 2}}


@pytest.mark.parametrize(
    ("ext", "number"),
    [
        (b"\x9f\xeb\x01", errno.EINVAL),
        (btf_ext(magic=0xEB9E), errno.EINVAL),
        (b"\x9f\xeb\x02" + btf_ext()[3:], errno.ENOTSUP),
        (b"\x9f\xeb\x01\x01" + btf_ext()[4:], errno.ENOTSUP),
        (btf_ext(), errno.EINVAL),
        (btf_ext()[:4] + struct.pack("<I", 8) + bytes(40), errno.EINVAL),
        (btf_ext()[:4] + struct.pack("<I", 1 << 20) + bytes(40), errno.EINVAL),
        (btf_ext(block(4)), errno.EINVAL),
        (btf_ext(block(10)), errno.EINVAL),
        (btf_ext(struct.pack("<I", 8)), errno.EINVAL),
        (btf_ext(block(8)), errno.EINVAL),
        (btf_ext(block(8, bytes(8), count=2)), errno.EINVAL),
        (btf_ext(block(8, bytes(8)) + bytes(4)), errno.EINVAL),
        (btf_ext(block(8, bytes(8)))[:-4], errno.EINVAL),
    ],
    ids=[
        "three bytes",
        "magic",
        "version",
        "flags",
        "nothing after the header",
        "short header",
        "header beyond the section",
        "record too small",
        "record size odd",
        "no blocks",
        "block without records",
        "more records than bytes",
        "half a block header",
        "table beyond the section",
    ],
)
def test_a_broken_section_names_its_rule(ext: bytes, number: int) -> None:
    assert refused(ext).errno == number


def test_an_offset_that_is_no_multiple_of_four_is_einval() -> None:
    ext = bytearray(btf_ext(block(8, bytes(8))))
    struct.pack_into("<I", ext, 8, 2)
    assert refused(bytes(ext)).errno == errno.EINVAL


def test_text_without_end_is_refused() -> None:
    btf = BtfBuilder()
    btf.decl_tag("x" * (1 << 20), 0)
    built = btf.build()
    start = built.find_string("x" * (1 << 20)) or 0
    records = [struct.pack("<IIII", 8 * n, start + n, start, 0) for n in range(80)]
    data = struct.pack("<III", 16, start + (1 << 20) - 1, len(records)) + b"".join(records)
    elf = read_elf(ElfBuilder().section(".BTF.ext", btf_ext(b"", data)).build(), "x.o")
    with pytest.raises(ObjectError, match="bytes of text"):
        parse_btf_ext(elf, elf.sections[1], built)


def test_a_broken_section_is_ignored_with_a_note_when_no_map_needs_it() -> None:
    btf, _ = builder()
    elf = ElfBuilder().code("raw_tp", "r0 = 0; exit", name="main")
    elf.section(".BTF", btf.encode()).section(".BTF.ext", b"junk")
    found = read_object(elf.build(), "x.o")
    assert found.btf is not None and found.functions[0].lines == ()
    assert any("header" in note for note in found.notes)


def test_broken_types_are_ignored_with_a_note_when_no_map_needs_them() -> None:
    elf = ElfBuilder().code("raw_tp", "r0 = 0; exit", name="main").section(".BTF", b"junk")
    found = read_object(elf.build(), "x.o")
    assert found.btf is None and any(".BTF" in note for note in found.notes)
