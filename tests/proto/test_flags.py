"""Flag numbers are the kernel's (include/linux/btf.h); helper facts are its prototypes'."""

from __future__ import annotations

import pytest

from bpfemu.proto import flags
from bpfemu.proto.helper_facts import HELPER_FACTS, SCALAR, helper_fact

# include/linux/btf.h of Linux 6.18: name, bit
BITS = [
    ("KF_ACQUIRE", 0),
    ("KF_RELEASE", 1),
    ("KF_RET_NULL", 2),
    ("KF_TRUSTED_ARGS", 4),
    ("KF_SLEEPABLE", 5),
    ("KF_DESTRUCTIVE", 6),
    ("KF_RCU", 7),
    ("KF_ITER_NEW", 8),
    ("KF_ITER_NEXT", 9),
    ("KF_ITER_DESTROY", 10),
    ("KF_RCU_PROTECTED", 11),
    ("KF_FASTCALL", 12),
    ("KF_ARENA_RET", 13),
    ("KF_ARENA_ARG1", 14),
    ("KF_ARENA_ARG2", 15),
]


@pytest.mark.parametrize(("name", "bit"), BITS)
def test_a_flag_has_the_kernels_bit_and_name(name: str, bit: int) -> None:
    assert getattr(flags, name) == 1 << bit
    assert flags.flag_names(1 << bit) == (name,)


def test_every_flag_is_listed_and_bit_3_is_nobodys() -> None:
    assert set(flags.KF_NAMES.values()) == {name for name, _ in BITS}
    assert flags.flag_names(1 << 3) == () and flags.flag_names(0) == ()


def test_names_come_lowest_bit_first() -> None:
    both = flags.KF_ITER_NEXT | flags.KF_RET_NULL

    assert flags.flag_names(both) == ("KF_RET_NULL", "KF_ITER_NEXT")


def test_loops_are_bounded_as_in_the_kernel() -> None:
    assert flags.BPF_MAX_LOOPS == 8_388_608  # iterator notes, 2.2: end - start beyond it is -E2BIG


def test_what_helpers_give_beyond_a_number() -> None:
    lookup, reserve, current = helper_fact(1), helper_fact(131), helper_fact(158)

    assert (lookup.returns, lookup.or_null, lookup.acquires) == ("map_value", True, "")
    assert (reserve.returns, reserve.size_arg, bool(reserve.acquires)) == ("mem", 1, True)
    assert (current.returns, current.or_null, current.trusted) == ("btf:task_struct", False, True)
    assert helper_fact(5) is SCALAR  # ktime_get_ns
    assert helper_fact(35).returns == "scalar"  # get_current_task: an address, yet a number


def test_what_is_acquired_can_be_released() -> None:
    releasers = {number for number, fact in HELPER_FACTS.items() if fact.releases >= 0}

    # sk_release, ringbuf_submit, ringbuf_discard, kptr_xchg, the two dynptr forms
    assert releasers == {86, 132, 133, 194, 199, 200}
