"""The 2020 encoding of kernel symbols, on hand-made instructions (BTF notes, section 7.1)."""

from __future__ import annotations

import struct

import pytest

from bpfemu.errors import DecodeError
from bpfemu.isa.encoding import decode
from bpfemu.isa.insn import LoadImm64, Reg
from bpfemu.isa.ksym_proposal import explain_offsets
from bpfemu.isa.ops import Pseudo


def load(id: int, address: int = 0xFFFF_FFFF_8123_4560) -> bytes:
    """The two slots of an immediate load as the proposal's libbpf wrote them."""
    low, high = address & 0xFFFF_FFFF, address >> 32
    first = struct.pack("<BBHI", 0x18, 3 << 4 | 1, id & 0xFFFF, low)
    return first + struct.pack("<BBHI", 0, 0, id >> 16, high)


def explained(id: int) -> str:
    insn = decode(load(id), raw=True)[0]
    assert isinstance(insn, LoadImm64)
    return explain_offsets(insn)


def test_the_id_is_put_together_from_both_offsets() -> None:
    text = explained(0x0001_2345)
    assert "off 9029 and 1 " in text and "BTF id 74565 " in text
    assert "address 0xffffffff81234560" in text
    assert "the merged encoding is what runs" in text and "sign-extended" not in text


def test_bit_15_of_the_low_half_shows_the_sign_extension() -> None:
    # (1 << 16) | (u32)(s16)0x9000 = 0xffff9000 | 0x10000 = 0xffff9000
    text = explained(0x0001_9000)
    assert "off -28672 and 1 " in text and "BTF id 102400 " in text
    assert "sign-extended the low half and read id 0xffff9000" in text


def test_bit_15_of_the_high_half_does_no_harm() -> None:
    assert "sign-extended" not in explained(0x8000_0001)


def test_the_merged_encoding_needs_no_explanation() -> None:
    assert explain_offsets(LoadImm64(Reg(1), 7, Pseudo.BTF_ID)) == ""


@pytest.mark.parametrize("id", [1, 0x0001_0000, 0x0001_9000])
def test_code_that_is_to_run_is_refused_with_the_explanation(id: int) -> None:
    with pytest.raises(DecodeError, match=r"uses reserved fields.*2020 proposal.*BTF id") as caught:
        decode(load(id) + struct.pack("<BBHI", 0x95, 0, 0, 0))
    assert caught.value.slot == 0 and caught.value.errno == 22
