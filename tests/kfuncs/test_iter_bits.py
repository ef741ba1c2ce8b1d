"""bpf_iter_bits: iterator notes, section 2.7, and rows 3 to 8 of the fault table in 5.4."""

from __future__ import annotations

from errno import E2BIG, EFAULT, EINVAL, ENOMEM, ERANGE

import pytest

from bpfemu.machine.memory import RegionKind
from kfuncs.iter_bits import bpf_iter_bits
from tests.kfuncs.conftest import Lab

USER, VSYSCALL, NON_CANONICAL = 0x7000_0000_0000, 0xFFFF_FFFF_FF60_0000, 0x1234_0000_0000_0000
UNMAPPED = 0xFFFF_FFFF_8000_0000
SIGN = 1 << 63


@pytest.fixture
def bits():
    return Bits(Lab("6.18.44"))


class Bits:
    def __init__(self, lab):
        self.lab = lab
        self.it = lab.slot(bpf_iter_bits)

    def place(self, *words):
        memory = self.lab.kernel.memory
        addr = memory.allocate(8 * len(words), RegionKind.MEMORY, "words").addr
        memory.write(addr, b"".join(word.to_bytes(8, "little") for word in words))
        return addr

    def new(self, addr, count):
        source = self.lab.kernel.space.pointer(addr, "void")
        return self.lab.call("bpf_iter_bits_new", self.it, source, count)

    def next(self):
        found = self.lab.call("bpf_iter_bits_next", self.it)
        return found[0] if found else None

    def destroy(self):
        self.lab.call("bpf_iter_bits_destroy", self.it)

    def all(self):
        return list(iter(self.next, None))


@pytest.mark.parametrize(
    ("words", "elements"),
    [
        ((0x89,), [0, 3, 7]),
        ((SIGN,), [63]),
        ((0,), []),
        ((1, 1 | SIGN), [0, 64, 127]),
        ((0, 0), []),
        ((0,) * 510 + (SIGN,), [511 * 64 - 1]),
    ],
)
def test_bits_come_in_ascending_order(bits, words, elements):
    assert bits.new(bits.place(*words), len(words)) == 0

    assert bits.all() == elements
    assert bits.next() is None


def test_counts_of_the_kernels_own_selftest(bits):
    assert bits.new(bits.place(0xF7310), 1) == 0
    assert len(bits.all()) == 10

    pattern = 0xF0F0_F0F0_F0F0_F0F0
    assert bits.new(bits.place(pattern, pattern), 2) == 0
    assert len(bits.all()) == 64


def test_elements_are_the_member_bit_at_offset_12(bits):
    bits.new(bits.place(0b11), 1)

    first = bits.lab.call("bpf_iter_bits_next", bits.it)
    second = bits.lab.call("bpf_iter_bits_next", bits.it)

    assert int(first) == int(second) == int(bits.it) + 12
    assert first[0] == 1


@pytest.mark.parametrize(
    ("addr", "count", "error"),
    [
        (0, 1, EINVAL),
        (0, 0, EINVAL),
        (UNMAPPED, 0, EINVAL),
        (UNMAPPED, 512, E2BIG),
        (UNMAPPED, 513, E2BIG),
        (UNMAPPED, 0x2000_0001, E2BIG),
        (UNMAPPED, 0xFFFF_FFFF, E2BIG),
        (0, 512, EINVAL),  # the pointer is looked at first
        (USER, 1, EFAULT),
        (NON_CANONICAL, 1, EFAULT),
        (VSYSCALL, 1, EFAULT),
        (UNMAPPED, 1, EFAULT),
        (USER, 2, ERANGE),
        (NON_CANONICAL, 2, ERANGE),
        (VSYSCALL, 2, ERANGE),
        (UNMAPPED, 2, EFAULT),
    ],
)
def test_failing_new_leaves_an_empty_iterator(bits, addr, count, error):
    assert bits.new(addr, count) == -error

    assert (bits.it.nr_bits, bits.it.bit) == (0, -1)
    assert bits.next() is None
    bits.destroy()
    assert (bits.it.nr_bits, bits.it.bit) == (0, -1)


@pytest.mark.parametrize("addr", [USER, UNMAPPED])
def test_a_failing_read_frees_the_buffer_and_leaves_its_address_in_the_slot(bits, addr):
    before = bits.lab.free_cnt(32)

    assert bits.new(addr, 2) < 0

    assert bits.it.bits
    assert not bits.lab.services["mem_alloc"].units.live
    assert bits.lab.free_cnt(32) >= before


def test_one_word_that_cannot_be_read_leaves_the_copy_zero(bits):
    bits.new(UNMAPPED, 1)

    assert bits.it.bits_copy == 0


def test_without_memory_new_gives_enomem_and_the_slot_holds_null(bits):
    source = bits.place(1, 2)
    bits.lab.cpu.local_irq_save()
    lab, kept = bits.lab, []
    for _ in range(4):  # a pristine class of 32 bytes has 4 units (notes 3.8 A)
        bits.it = lab.slot(bpf_iter_bits)
        kept.append(bits.it)
        assert bits.new(source, 2) == 0
    bits.it = lab.slot(bpf_iter_bits)

    assert bits.new(source, 2) == -ENOMEM

    assert not bits.it.bits
    assert (bits.it.nr_bits, bits.it.bit) == (0, -1)
    assert bits.next() is None
    bits.destroy()
    assert len(lab.services["mem_alloc"].units.live) == len(kept)


@pytest.mark.parametrize(
    ("count", "unit"),
    [
        (2, 32),
        (3, 32),
        (4, 64),
        (7, 64),
        (8, 96),
        (11, 96),
        (12, 128),
        (15, 128),
        (16, 192),
        (23, 192),
        (24, 256),
        (31, 256),
        (32, 512),
        (63, 512),
        (64, 1024),
        (127, 1024),
        (128, 2048),
        (255, 2048),
        (256, 4096),
        (511, 4096),
    ],
)
def test_words_take_a_unit_of_the_class_that_the_notes_say(bits, count, unit):
    bits.lab.cpu.local_irq_save()
    before = bits.lab.free_cnt(unit)

    assert bits.new(bits.place(*[0] * count), count) == 0

    assert bits.lab.free_cnt(unit) == before - 1
    bits.destroy()
    assert bits.lab.free_cnt(unit) == before


def test_words_are_copied_so_later_changes_are_not_seen(bits):
    addr = bits.place(1, 0)
    bits.new(addr, 2)

    bits.lab.kernel.memory.write(addr, b"\xff" * 16)

    assert bits.all() == [0]


def test_destroy_keeps_the_slot_and_one_word_owns_nothing(bits):
    bits.new(bits.place(5), 1)
    before = bits.it.read_(16)

    bits.destroy()

    assert bits.it.read_(16) == before
    assert not bits.lab.services["mem_alloc"].units.live


def test_a_program_counts_the_bits_of_its_own_stack():
    text = """
        r1 = 0xff; *(u64 *)(r10 -32) = r1; r1 = 0; *(u64 *)(r10 -24) = r1
        r1 = r10; r1 += -16; r2 = r10; r2 += -32; r3 = 2; call bpf_iter_bits_new; r6 = 0
    loop: r1 = r10; r1 += -16; call bpf_iter_bits_next; if r0 == 0 goto out
        r1 = *(u32 *)(r0 +0); r6 += r1; goto loop
    out: r1 = r10; r1 += -16; call bpf_iter_bits_destroy; r0 = r6; exit
    """

    outcome = Lab("6.12.0").bench.run(text)

    assert outcome == sum(range(8))
    assert outcome.ok


def test_kernels_before_6_11_have_no_such_iterator():
    lab = Lab("6.7")

    assert lab.kernel.catalog.find_kfunc("bpf_iter_bits_new", lab.kernel.config.profile) is None
