"""Walks over kernel structs that are not as they should be (verifier notes, section 4.1)."""

from __future__ import annotations

import pytest

from bpfemu.bind.values import PROBED, SCALAR, Kind, Trust, Value
from bpfemu.bind.walk import Walker
from bpfemu.btf import BtfBuilder
from tests.bind.small import KERNEL


def load(btf: BtfBuilder, id: int, offset: int, size: int = 8) -> Value:
    return Walker(btf.build()).load(Value(Kind.BTF, id, 0, Trust.TRUSTED), offset, size, rcu=True)


def test_a_member_whose_type_is_not_there_yields_a_number() -> None:
    btf = BtfBuilder()
    assert load(btf, btf.struct("s", 8, [("a", 99, 0)]), 0) == SCALAR


def test_structs_in_structs_without_end_yield_a_number() -> None:
    btf = BtfBuilder()
    id = btf.reserve()
    from bpfemu.btf import kinds as k

    btf.set(id, k.Struct("s", 8, (k.Member("s", id, 0),)))
    assert load(btf, id, 0) == SCALAR


def test_what_is_no_struct_yields_a_number() -> None:
    btf = BtfBuilder()
    assert load(btf, btf.int_("int", 8), 0) == SCALAR


def test_bit_fields_are_passed_over() -> None:
    btf = BtfBuilder()
    u64, target = btf.int_("u64", 8), btf.struct("t", 8, [])
    rows = [("bits", u64, 0, 3), ("p", btf.ptr(target), 64, 0)]
    id = btf.struct("s", 16, rows)
    assert load(btf, id, 0) == SCALAR and load(btf, id, 8).ref == target


def test_a_flexible_array_of_structs_goes_on() -> None:
    btf = BtfBuilder()
    u32, target = btf.int_("u32", 4), btf.struct("t", 8, [])
    elem = btf.struct("e", 16, [("n", btf.int_("u64", 8), 0), ("p", btf.ptr(target), 64)])
    id = btf.struct("s", 8, [("count", u32, 0), ("tail", btf.array(elem, u32, 0), 64)])
    assert load(btf, id, 8 + 5 * 16 + 8).ref == target
    assert load(btf, id, 8 + 5 * 16) == SCALAR


def test_a_pointer_to_a_declared_struct_is_untrusted_memory() -> None:
    btf = BtfBuilder()
    id = btf.struct("s", 8, [("p", btf.ptr(btf.fwd("hidden")), 0)])
    assert load(btf, id, 0) == PROBED


@pytest.mark.parametrize(
    ("outer", "member", "trust"),
    [
        ("file", "f_inode", Trust.TRUSTED),
        ("mm_struct", "exe_file", Trust.RCU),
        ("file", "other", Trust.NONE),
    ],
)
def test_the_lists_of_the_verifier_decide_trust(outer: str, member: str, trust: Trust) -> None:
    btf = BtfBuilder()
    id = btf.struct(outer, 8, [(member, btf.ptr(btf.struct("t", 8, [])), 0)])
    assert load(btf, id, 0).trust is trust


def test_pointer_types_that_do_not_exist_or_are_none_are_numbers() -> None:
    walker = Walker(KERNEL.btf)
    assert walker.pointer(99999, Trust.NONE) == SCALAR
    assert walker.pointer(KERNEL.int, Trust.NONE) == SCALAR
    assert walker.pointer(KERNEL.ptask, Trust.RCU) == Value(Kind.BTF, KERNEL.task, 0, Trust.RCU)
    assert walker.struct_id("no_such_struct") == 0
