"""bpf_trace_printk, bpf_trace_vprintk, bpf_snprintf against what Linux 6.18.44 printed."""

from __future__ import annotations

from errno import EINVAL

import pytest

from bpfemu.machine.stop import FaultKind, Trap
from tests.kernel.helpers.env import USER, HelperBench
from tests.kernel.helpers.printed import NEAR_FULL, RECORDED

TRACE_PRINTK = "bpf_trace_printk"
SNPRINTF = "bpf_snprintf"
TRACE_VPRINTK = "bpf_trace_vprintk"


def snprintf(bench: HelperBench, fmt: bytes, args: tuple[int | bytes, ...], size: int) -> object:
    """(result, the text in the buffer)."""
    values = [bench.put(arg) if isinstance(arg, bytes) else arg for arg in args]
    packed = b"".join((value & (1 << 64) - 1).to_bytes(8, "little") for value in values)
    buffer = bench.put(b"\xee" * 2048)
    array = bench.put(packed) if packed else 0
    result = bench.call(SNPRINTF, buffer, size, bench.put(fmt + b"\0"), array, len(packed))
    return result, bench.memory.read(buffer, 2048).rstrip(b"\xee")


@pytest.mark.parametrize(("fmt", "args", "result", "text"), RECORDED, ids=lambda x: repr(x)[:40])
def test_what_linux_printed(
    fmt: bytes, args: tuple[int | bytes, ...], result: int, text: bytes
) -> None:
    printed = text + b"\0" if result >= 0 else b""

    assert snprintf(HelperBench(), fmt, args, 1000) == (result, printed)


@pytest.mark.parametrize(("length", "fmt", "arg", "result", "text"), NEAR_FULL)
def test_what_linux_printed_where_the_argument_buffer_ends(
    length: int, fmt: bytes, arg: int | bytes, result: int, text: bytes
) -> None:
    found, printed = snprintf(HelperBench(), fmt, (b"y" * length + b"\0", arg), 2000)

    assert found == result
    assert printed[:-1].lstrip(b"y") == (text if result >= 0 else b"")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, b""), (1, b"\0"), (2, b"h\0"), (5, b"hell\0"), (7, b"hello \0"), (8, b"hello 5\0")],
)
def test_the_result_is_the_size_that_all_of_it_needs(size: int, text: bytes) -> None:
    assert snprintf(HelperBench(), b"hello %d", (5,), size) == (8, text)


def test_a_width_is_at_most_what_linux_clamps_it_to() -> None:
    found, text = snprintf(HelperBench(), b"%99999999d", (1,), 1000)

    assert found == 8388608
    assert text == b" " * 999 + b"\0"
    assert snprintf(HelperBench(), b"%9999999d", (1,), 8) == (8388608, b" " * 7 + b"\0")


def test_a_buffer_is_written_up_to_the_nul_and_no_further() -> None:
    bench = HelperBench()
    buffer = bench.room(16)

    assert bench.call(SNPRINTF, buffer, 16, bench.put(b"abc\0"), 0, 0) == 4

    assert bench.memory.read(buffer, 4) == b"abc\0"
    assert bench.memory.load_bytes(buffer, 4) and not bench.memory.findings
    bench.memory.load_bytes(buffer + 4, 1)
    assert bench.memory.findings == [(FaultKind.UNINITIALISED, buffer + 4, 1)]


def test_a_null_buffer_of_size_zero_only_measures() -> None:
    bench = HelperBench()

    assert bench.call(SNPRINTF, 0, 0, bench.put(b"abc\0"), 0, 0) == 4


@pytest.mark.parametrize("helper", [SNPRINTF, TRACE_VPRINTK])
@pytest.mark.parametrize(("array", "size"), [(True, 4), (True, 104), (False, 8)])
def test_an_argument_array_is_whole_words_at_most_twelve(
    helper: str, array: bool, size: int
) -> None:
    bench = HelperBench()
    fmt, data = bench.put(b"x\0"), bench.put(bytes(104)) if array else 0
    head = (bench.room(8), 8, fmt) if helper == SNPRINTF else (fmt, 2)

    assert bench.call(helper, *head, data, size) == -EINVAL


def test_a_format_that_never_ends_is_the_programs_fault() -> None:
    bench = HelperBench()

    with pytest.raises(Trap) as caught:
        bench.call(SNPRINTF, 0, 0, bench.put(b"abcd" * 2), 0, 0)
    assert caught.value.fault.kind is FaultKind.OUT_OF_BOUNDS
    with pytest.raises(Trap) as caught:
        bench.call(SNPRINTF, 0, 0, 8, 0, 0)
    assert caught.value.fault.kind is FaultKind.NULL_DEREF


def test_trace_printk_takes_three_arguments_from_registers() -> None:
    bench = HelperBench()
    fmt = b"%d %s %lx\n\0"
    regs = [0, 0, (1 << 64) - 7, bench.put(b"seven\0"), 7]

    length = bench.call(TRACE_PRINTK, bench.put(fmt), len(fmt), raw=regs)

    assert length == len("-7 seven 7\n")
    assert bench.trace.drain() == ("-7 seven 7",)


@pytest.mark.parametrize(
    ("fmt", "size"), [(b"%d%d%d%d\0", 9), (b"abc\0", 3), (b"\x01\0", 2), (b"%z\0", 3)]
)
def test_trace_printk_prints_nothing_when_it_refuses(fmt: bytes, size: int) -> None:
    bench = HelperBench()

    assert bench.call(TRACE_PRINTK, bench.put(fmt), size) == -EINVAL
    assert bench.trace.drain() == ()


def test_a_line_is_cut_at_the_buffer_but_the_length_is_told() -> None:
    bench = HelperBench()
    fmt = b"%1500d|\0"

    assert bench.call(TRACE_PRINTK, bench.put(fmt), len(fmt)) == 1501
    assert bench.trace.drain() == (" " * 1023,)


def test_a_line_ends_with_the_first_nul_character() -> None:
    bench = HelperBench()
    fmt = b"a%cb\0"

    assert bench.call(TRACE_PRINTK, bench.put(fmt), len(fmt), raw=[0] * 5) == 3
    assert bench.trace.drain() == ("a",)


def test_trace_vprintk_takes_twelve_arguments_from_memory() -> None:
    bench = HelperBench()
    fmt = b"%d" * 12 + b"\0"
    data = bench.put(b"".join(number.to_bytes(8, "little") for number in range(12)))

    assert bench.call(TRACE_VPRINTK, bench.put(fmt), len(fmt), data, 96) == 14
    assert bench.trace.drain() == ("01234567891011",)


def test_text_beyond_ascii_is_for_new_kernels() -> None:
    fmt = "größe %d\0".encode()
    new, old = HelperBench(profile="6.18.44"), HelperBench(profile="6.12.0")

    assert new.call(TRACE_PRINTK, new.put(fmt), len(fmt)) == len(fmt) - 2
    assert new.trace.drain() == ("größe 0",)
    assert old.call(TRACE_PRINTK, old.put(fmt), len(fmt)) == -EINVAL
    assert old.call(TRACE_PRINTK, old.put(b"%d \xff\0"), 5) == -EINVAL


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    bench = HelperBench()

    bench.call(TRACE_PRINTK, bench.put(b"%s\0"), 3, raw=[0, 0, bench.put(b"a\xffb\0"), 0, 0])

    assert bench.trace.drain() == ("a\\xffb",)


def test_strings_come_from_user_memory_by_address_or_by_pus() -> None:
    bench = HelperBench(user=b"user\0")
    fmt = bench.put(b"%s %pus %pks|\0")

    bench.call(TRACE_PRINTK, fmt, 14, raw=[0, 0, USER, USER, USER])

    assert bench.trace.drain() == ("user user |",)


def test_an_address_has_one_hash_per_kernel() -> None:
    bench, same = HelperBench(), HelperBench()
    args = (0xFFFF_8880_0000_1000, 0xFFFF_8880_0000_1000, 0xFFFF_8880_0000_2000)

    found, text = snprintf(bench, b"%p %pK %p", args, 100)
    one, other, third = text[:-1].split(b" ")

    assert found == 51
    assert one == other != third
    assert one[:8] == b"00000000" and len(one) == 16
    assert snprintf(same, b"%p %pK %p", args, 100) == (found, text)
    assert snprintf(bench, b"[%3p]", args[:1], 100)[1] == b"[" + one[8:].lstrip(b"0") + b"]\0"
