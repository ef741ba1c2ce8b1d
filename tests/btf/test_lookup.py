"""Finding names where they stand."""

from bpfemu.btf import Btf, BtfBuilder, Typedef
from tests.btf.samples import blob, words


def test_a_name_offset_that_many_other_words_equal_is_still_found():
    # The typedef's name has offset 1, and so many words before it are 1 that the search of the
    # records gives up and asks the column of names.
    structs = [0, 4 << 24 | 200, 4, *([0, 1, 0] * 200)]
    typedef = [1, 8 << 24, 0]
    btf = Btf.parse(blob(words(*structs, *typedef, *typedef), b"\0n\0"))

    assert btf.find("n") == 2
    assert btf.find_all("n", Typedef) == [2, 3]


def test_a_hit_that_is_not_word_aligned_is_not_a_name():
    # 0x00000100 shifted by a byte reads as 1.
    btf = Btf.parse(blob(words(0, 8 << 24, 0x100, 1, 8 << 24, 0), b"\0n\0"))

    for _ in range(8):
        assert btf.find("n") == 2


def test_strings_that_stand_twice_are_both_searched():
    btf = Btf.parse(blob(words(3, 8 << 24, 0, 1, 8 << 24, 0), b"\0n\0n\0"))

    assert btf.find_all("n") == [1, 2]


def test_a_tail_is_only_a_name_if_a_type_uses_it():
    builder = BtfBuilder()
    builder.typedef("long_name", 0)
    btf = builder.build()

    assert btf.find("name") is None
    assert btf.find_all("name") == []


def test_the_column_of_names_skips_unaligned_hits():
    many = [(i, 8 << 24, 0) for i in (0, 0x01000000 >> 8, 1)]
    btf = Btf.parse(blob(words(*(w for record in many for w in record)), b"\0n" + b"\0" * 70000))
    for _ in range(5):
        btf.find_all("n")

    assert btf.find_all("n") == [3]
