"""/proc/PID/maps and smaps as text (Documentation/filesystems/proc.rst)."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.errors import InputError
from bpfemu.world.flags import VM_FLAG_WORDS
from bpfemu.world.maps import read_maps, read_smaps
from bpfemu.world.spec import FileSpec, VmaSpec

TEXT = """\
00400000-00402000 r-xp 00002000 08:01 131                                /usr/bin/cat
00402000-00403000 rw-s 00000000 fe:0a 18446744073709551615               /tmp/a b  c (deleted)
01000000-01021000 rw-p 00000000 00:00 0                                  [heap]
01021000-01022000 ---p 00000000 00:00 0 
7ffff7fc9000-7ffff7fcd000 r--p 00000000 00:00 0                          [vvar]
7ffff7fcd000-7ffff7fcf000 r-xp 00000000 00:00 0                          [vdso]
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""


def test_every_kind_of_line():
    assert read_maps(TEXT) == (
        VmaSpec(0x400000, 0x402000, "r-xp", 0x2000, FileSpec("/usr/bin/cat", (8, 1), 131)),
        VmaSpec(
            0x402000,
            0x403000,
            "rw-s",
            0,
            FileSpec("/tmp/a b  c", (0xFE, 10), (1 << 64) - 1, deleted=True),
        ),
        VmaSpec(0x1000000, 0x1021000, "rw-p", name="[heap]"),
        VmaSpec(0x1021000, 0x1022000, "---p"),
        VmaSpec(0x7FFF_F7FC_9000, 0x7FFF_F7FC_D000, "r--p", name="[vvar]"),
        VmaSpec(0x7FFF_F7FC_D000, 0x7FFF_F7FC_F000, "r-xp", name="[vdso]"),
        VmaSpec(0x7FFF_FFFD_E000, 0x7FFF_FFFF_F000, "rw-p", name="[stack]"),
    )


def test_an_empty_text_is_an_empty_address_space():
    assert read_maps("") == ()
    assert read_maps("\n\n") == ()


def test_an_escaped_newline_in_a_path():
    (vma,) = read_maps("1000-2000 r--p 0 08:01 5 /tmp/two\\012lines\n")

    assert vma.file is not None
    assert vma.file.path == "/tmp/two\nlines"


def test_a_file_whose_name_looks_like_a_label():
    (vma,) = read_maps("1000-2000 r--p 0 08:01 5 [odd]\n")

    assert vma.file == FileSpec("[odd]", (8, 1), 5)


def test_anonymous_memory_with_a_name():
    (vma,) = read_maps("1000-2000 rw-p 0 00:00 0 [anon:my heap]\n")

    assert (vma.file, vma.name) == (None, "[anon:my heap]")


SMAPS = """\
00400000-00402000 r-xp 00000000 08:01 131    /usr/bin/cat
Size:                  8 kB
VmFlags: rd ex mr mw me
7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0    [stack]
Rss:                  12 kB
ProtectionKey:         0
VmFlags: rd wr mr mw me gd ac
"""


@pytest.mark.parametrize("read", [read_maps, read_smaps])
def test_smaps_give_exact_flags(read):
    assert [vma.vm_flags for vma in read(SMAPS)] == [0x75, 0x10_0173]


def test_smaps_must_have_flags_for_each_mapping():
    text = SMAPS.replace("VmFlags: rd ex mr mw me\n", "")

    with pytest.raises(InputError) as caught:
        read_smaps(text, "s")
    assert str(caught.value).startswith("s:1: '00400000-00402000 r-xp")
    assert "has no VmFlags line" in str(caught.value)

    assert read_maps(text)[0].flags is None
    with pytest.raises(InputError, match="has no VmFlags line"):
        read_smaps(TEXT)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("nonsense", "must be 'start-end perms"),
        ("1000-2000 r--p 0 08:01", "must be 'start-end perms"),
        ("1000 r--p 0 08:01 5 /x", "must start with 'start-end'"),
        ("-2000 r--p 0 08:01 5 /x", "start '' is no hexadecimal number"),
        ("1000- r--p 0 08:01 5 /x", "end '' is no hexadecimal number"),
        ("1000-2_00 r--p 0 08:01 5 /x", "end '2_00' is no hexadecimal number"),
        ("1000-0x2000 r--p 0 08:01 5 /x", "end '0x2000' is no hexadecimal"),
        ("1000-20000000000000000 r--p 0 08:01 5 /x", "of at most 16 digits"),
        ("1000-2000 r--p zz 08:01 5 /x", "offset 'zz' is no hexadecimal"),
        ("1000-2000 r--p 0 0801 5 /x", "minor '' is no hexadecimal"),
        ("1000-2000 r--p 0 :01 5 /x", "major '' is no hexadecimal"),
        ("1000-2000 r--p 0 08:01 5x /x", "inode '5x' is no decimal number"),
        ("1000-2000 r--p 0 08:01 ٣ /x", "is no decimal number"),
        ("1000-2000 r--p 0 08:01 123456789012345678901 /x", "is no decimal number"),
        ("1000-2000 r--p 0 08:01 99999999999999999999 /x", "file.inode"),
        ("1000-2000 r--p 0 fff8:01 5 /x", "file.dev"),
        ("1000-2000 r--q 0 08:01 5 /x", "vma.perms is 'r--q'"),
        ("1000-1000 r--p 0 08:01 5 /x", "vma.end is '0x1000', must be above 0x1000"),
        ("2000-1000 r--p 0 08:01 5 /x", "vma.end is '0x1000', must be above 0x2000"),
        ("1001-2000 r--p 0 08:01 5 /x", "vma.start is '0x1001', must be a multiple of 4096"),
        ("1000-2000 r--p 10 08:01 5 /x", "vma.offset is 16, must be a multiple of 4096"),
        ("8000000000000000-8000000000001000 r--p 0 08:01 5 /x", "must not be above TASK_SIZE"),
        ("Size:    4 kB", "stands before the first mapping"),
    ],
)
def test_nonsense_is_refused_with_line_and_rule(line, rule):
    with pytest.raises(InputError) as caught:
        read_maps("\n" + line, "self")

    assert str(caught.value).startswith(f"self:2: {line!r}"[:60])
    assert rule in str(caught.value)


@pytest.mark.parametrize("second", ["1000-3000", "0-1000", "2000-4000", "2fff000-3000000"])
def test_mappings_must_ascend_without_overlap(second):
    text = f"2000-3000000 r--p 0 0:0 0\n{second} r--p 0 0:0 0\n"

    with pytest.raises(InputError, match=r"maps:2: .* starts below the end of the mapping before"):
        read_maps(text)


def test_an_unknown_flag_word_is_named():
    with pytest.raises(InputError, match=r"maps:2: .*'qq' is no VmFlags word"):
        read_maps("1000-2000 r--p 0 0:0 0\nVmFlags: rd qq\n")


def test_long_lines_are_shortened_in_errors():
    with pytest.raises(InputError) as caught:
        read_maps("x" * 10_000)

    assert len(str(caught.value)) < 300


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="no /proc here")
def test_this_process_can_be_read():
    with open("/proc/self/smaps") as file:
        exact = read_smaps(file.read())
    with open("/proc/self/maps") as file:
        derived = read_maps(file.read())

    assert len(derived) > 10
    assert {vma.perms for vma in exact} >= {"r-xp", "rw-p"}
    for vma in exact:
        assert vma.vm_flags & 0x7 == VmaSpec(0, 0x1000, vma.perms).vm_flags & 0x7


LINE = st.builds(
    "{:x}-{:x} {} {:x} {:x}:{:x} {} {}".format,
    st.integers(0, 1 << 48),
    st.integers(0, 1 << 48),
    st.sampled_from(["r--p", "rw-s", "", "rwxp"]),
    st.integers(0, 1 << 20),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(0, 1000),
    st.text(max_size=8),
)


@given(st.lists(st.one_of(LINE, st.text(max_size=30), st.sampled_from(TEXT.split("\n")))))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_vmas_or_an_input_error(lines):
    try:
        vmas = read_maps("\n".join(lines))
    except InputError:
        return
    assert list(vmas) == sorted(vmas, key=lambda vma: vma.start)


def test_flag_words_stand_for_single_and_different_bits():
    bits = list(VM_FLAG_WORDS.values())

    assert all(bit & (bit - 1) == 0 for bit in bits)
    assert len(set(bits)) == len(bits)
