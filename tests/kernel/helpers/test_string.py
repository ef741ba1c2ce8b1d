"""bpf_strtol, bpf_strtoul, bpf_strncmp: the answers are those of Linux 6.18.44."""

from __future__ import annotations

from errno import EINVAL

import pytest

from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.helpers.env import HelperBench

STRTOL = "bpf_strtol"
STRTOUL = "bpf_strtoul"
STRNCMP = "bpf_strncmp"

# (helper, text, flags, result, the number that it left)
NUMBERS = [
    (STRTOL, b"123", 0, 3, 123),
    (STRTOL, b"-123", 0, 4, -123),
    (STRTOL, b"+5", 0, -22, 0),
    (STRTOL, b"0x1f", 0, 4, 31),
    (STRTOL, b"0X1F", 0, 4, 31),
    (STRTOL, b"017", 0, 3, 15),
    (STRTOL, b"08", 0, 1, 0),
    (STRTOL, b"0", 0, 1, 0),
    (STRTOL, b"0x", 0, 1, 0),
    (STRTOL, b"0xg", 0, 1, 0),
    (STRTOL, b"-0x10", 0, 5, -16),
    (STRTOL, b"  42", 0, 4, 42),
    (STRTOL, b"\t\n\x0b\x0c\r 7", 0, 7, 7),
    (STRTOL, b"\xa07", 0, 2, 7),
    (STRTOL, b"- 5", 0, -22, 0),
    (STRTOL, b"--5", 0, -22, 0),
    (STRTOL, b"12abc", 0, 2, 12),
    (STRTOL, b"abc", 0, -22, 0),
    (STRTOL, b" ", 0, -22, 0),
    (STRTOL, b"-", 0, -22, 0),
    (STRTOL, b"   -", 0, -22, 0),
    (STRTOL, b"9223372036854775807", 0, 19, 9223372036854775807),
    (STRTOL, b"9223372036854775808", 0, -34, 0),
    (STRTOL, b"-9223372036854775808", 0, 20, -9223372036854775808),
    (STRTOL, b"-9223372036854775809", 0, -34, 0),
    (STRTOL, b"18446744073709551615", 0, -34, 0),
    (STRTOL, b"18446744073709551616", 0, -34, 0),
    (STRTOL, b"-18446744073709551615", 0, -34, 0),
    (STRTOL, b"99999999999999999999999", 0, -34, 0),
    (STRTOL, b"000000000000000000000000000000000000000000000000000000000000005", 0, 63, 5),
    (STRTOL, b"0000000000000000000000000000000000000000000000000000000000000005", 0, 63, 0),
    (STRTOL, b"00000000000000000000000000000000000000000000000000000000000000005", 0, 63, 0),
    (STRTOL, b"                                                                      5", 0, 71, 5),
    (STRTOL, b"1111111111111111111111111111111111111111111111111111111111111111111111", 0, -34, 0),
    (STRTOL, b"1 2", 0, 1, 1),
    (STRTOL, b"1\x002", 0, 1, 1),
    (STRTOL, b"\x001", 0, -22, 0),
    (STRTOL, b"777", 0, 3, 777),
    (STRTOL, b"0x7fffffffffffffff", 0, 18, 9223372036854775807),
    (STRTOL, b"0xffffffffffffffff", 0, -34, 0),
    (STRTOL, b"0x10000000000000000", 0, -34, 0),
    (STRTOL, b"1777777777777777777777", 0, -34, 0),
    (STRTOL, b"2000000000000000000000", 0, -34, 0),
    (STRTOL, b"-0", 0, 2, 0),
    (STRTOL, b"0-", 0, 1, 0),
    (STRTOL, b"00x1", 0, 2, 0),
    (STRTOL, b"0b1", 0, 1, 0),
    (STRTOL, b"e", 0, -22, 0),
    (STRTOL, b"12", 8, 2, 10),
    (STRTOL, b"12", 10, 2, 12),
    (STRTOL, b"12", 16, 2, 18),
    (STRTOL, b"0x12", 16, 4, 18),
    (STRTOL, b"0x12", 10, 1, 0),
    (STRTOL, b"0x12", 8, 1, 0),
    (STRTOL, b"ff", 16, 2, 255),
    (STRTOL, b"FfG", 16, 2, 255),
    (STRTOL, b"9", 8, -22, 0),
    (STRTOL, b"019", 8, 2, 1),
    (STRTOL, b"19", 8, 1, 1),
    (STRTOL, b"0x", 16, -22, 0),
    (STRTOL, b"0xg", 16, -22, 0),
    (STRTOL, b"12", 1, -22, 0),
    (STRTOL, b"12", 2, -22, 0),
    (STRTOL, b"12", 36, -22, 0),
    (STRTOL, b"12", 31, -22, 0),
    (STRTOL, b"12", 32, -22, 0),
    (STRTOL, b"12", 42, -22, 0),
    (STRTOL, b"12", 9223372036854775808, -22, 0),
    (STRTOL, b"-ff", 16, 3, -255),
    (STRTOL, b"-0x", 16, -22, 0),
    (STRTOUL, b"123", 0, 3, 123),
    (STRTOUL, b"-123", 0, -22, 0),
    (STRTOUL, b"+5", 0, -22, 0),
    (STRTOUL, b"0x1f", 0, 4, 31),
    (STRTOUL, b"0X1F", 0, 4, 31),
    (STRTOUL, b"017", 0, 3, 15),
    (STRTOUL, b"08", 0, 1, 0),
    (STRTOUL, b"0", 0, 1, 0),
    (STRTOUL, b"0x", 0, 1, 0),
    (STRTOUL, b"0xg", 0, 1, 0),
    (STRTOUL, b"-0x10", 0, -22, 0),
    (STRTOUL, b"  42", 0, 4, 42),
    (STRTOUL, b"\t\n\x0b\x0c\r 7", 0, 7, 7),
    (STRTOUL, b"\xa07", 0, 2, 7),
    (STRTOUL, b"- 5", 0, -22, 0),
    (STRTOUL, b"--5", 0, -22, 0),
    (STRTOUL, b"12abc", 0, 2, 12),
    (STRTOUL, b"abc", 0, -22, 0),
    (STRTOUL, b" ", 0, -22, 0),
    (STRTOUL, b"-", 0, -22, 0),
    (STRTOUL, b"   -", 0, -22, 0),
    (STRTOUL, b"9223372036854775807", 0, 19, 9223372036854775807),
    (STRTOUL, b"9223372036854775808", 0, 19, 9223372036854775808),
    (STRTOUL, b"-9223372036854775808", 0, -22, 0),
    (STRTOUL, b"-9223372036854775809", 0, -22, 0),
    (STRTOUL, b"18446744073709551615", 0, 20, 18446744073709551615),
    (STRTOUL, b"18446744073709551616", 0, -34, 0),
    (STRTOUL, b"-18446744073709551615", 0, -22, 0),
    (STRTOUL, b"99999999999999999999999", 0, -34, 0),
    (STRTOUL, b"000000000000000000000000000000000000000000000000000000000000005", 0, 63, 5),
    (STRTOUL, b"0000000000000000000000000000000000000000000000000000000000000005", 0, 63, 0),
    (STRTOUL, b"00000000000000000000000000000000000000000000000000000000000000005", 0, 63, 0),
    (STRTOUL, b"                                                                      5", 0, 71, 5),
    (STRTOUL, b"1111111111111111111111111111111111111111111111111111111111111111111111", 0, -34, 0),
    (STRTOUL, b"1 2", 0, 1, 1),
    (STRTOUL, b"1\x002", 0, 1, 1),
    (STRTOUL, b"\x001", 0, -22, 0),
    (STRTOUL, b"777", 0, 3, 777),
    (STRTOUL, b"0x7fffffffffffffff", 0, 18, 9223372036854775807),
    (STRTOUL, b"0xffffffffffffffff", 0, 18, 18446744073709551615),
    (STRTOUL, b"0x10000000000000000", 0, -34, 0),
    (STRTOUL, b"1777777777777777777777", 0, -34, 0),
    (STRTOUL, b"2000000000000000000000", 0, -34, 0),
    (STRTOUL, b"-0", 0, -22, 0),
    (STRTOUL, b"0-", 0, 1, 0),
    (STRTOUL, b"00x1", 0, 2, 0),
    (STRTOUL, b"0b1", 0, 1, 0),
    (STRTOUL, b"e", 0, -22, 0),
    (STRTOUL, b"12", 8, 2, 10),
    (STRTOUL, b"12", 10, 2, 12),
    (STRTOUL, b"12", 16, 2, 18),
    (STRTOUL, b"0x12", 16, 4, 18),
    (STRTOUL, b"0x12", 10, 1, 0),
    (STRTOUL, b"0x12", 8, 1, 0),
    (STRTOUL, b"ff", 16, 2, 255),
    (STRTOUL, b"FfG", 16, 2, 255),
    (STRTOUL, b"9", 8, -22, 0),
    (STRTOUL, b"019", 8, 2, 1),
    (STRTOUL, b"19", 8, 1, 1),
    (STRTOUL, b"0x", 16, -22, 0),
    (STRTOUL, b"0xg", 16, -22, 0),
    (STRTOUL, b"12", 1, -22, 0),
    (STRTOUL, b"12", 2, -22, 0),
    (STRTOUL, b"12", 36, -22, 0),
    (STRTOUL, b"12", 31, -22, 0),
    (STRTOUL, b"12", 32, -22, 0),
    (STRTOUL, b"12", 42, -22, 0),
    (STRTOUL, b"12", 9223372036854775808, -22, 0),
    (STRTOUL, b"-ff", 16, -22, 0),
    (STRTOUL, b"-0x", 16, -22, 0),
]

# (buffer, its size, the constant string, result)
COMPARED = [
    (b"abc\x00", 4, b"abc", 0),
    (b"abc", 3, b"abcd", 0),
    (b"abd", 3, b"abc", 1),
    (b"abb", 3, b"abc", -1),
    (b"ab\x00z", 4, b"ab", 0),
    (b"a\xff", 2, b"a\x01", 1),
    (b"a\x01", 2, b"a\xff", -1),
    (b"abc", 3, b"ab", 1),
    (b"\x00", 1, b"a", -1),
    (b"xyz", 1, b"x1", 0),
]


@pytest.mark.parametrize(("helper", "text", "flags", "result", "value"), NUMBERS)
def test_numbers_are_read_as_linux_reads_them(
    helper: str, text: bytes, flags: int, result: int, value: int
) -> None:
    bench = HelperBench()
    res = bench.put(b"\x55" * 8)

    assert bench.call(helper, bench.put(text), len(text), flags, res) == result

    assert bench.memory.read_int(res, 8, signed=helper == STRTOL) == value


@pytest.mark.parametrize("helper", [STRTOL, STRTOUL])
def test_no_text_is_no_number(helper: str) -> None:
    bench = HelperBench()

    assert bench.call(helper, bench.put(b"7"), 0, 0, bench.room(8)) == -EINVAL


@pytest.mark.parametrize(("buffer", "size", "constant", "result"), COMPARED)
def test_strings_are_compared_as_linux_compares_them(
    buffer: bytes, size: int, constant: bytes, result: int
) -> None:
    bench = HelperBench()

    assert bench.call(STRNCMP, bench.put(buffer), size, bench.put(constant + b"\0")) == result


def test_equal_so_far_is_zero_without_a_look_behind_the_nul() -> None:
    bench = HelperBench()
    short = bench.put(b"ab\0")

    assert bench.call(STRNCMP, bench.put(b"ab\0??"), 5, short) == 0
    with pytest.raises(Trap) as caught:
        bench.call(STRNCMP, bench.put(b"ab\0"), 3, bench.put(b"ab"))
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
