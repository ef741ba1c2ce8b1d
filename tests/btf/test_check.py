"""What a kernel refuses: rule by rule, and as a running 6.18 kernel decided."""

import json

import pytest

from bpfemu.btf import Btf, BtfBuilder, check_meta
from bpfemu.btf import kinds as k
from bpfemu.btf.check import check
from tests.btf.cases import all_cases
from tests.btf.mutants import good_fields, good_program, kernel_btf, mutant
from tests.btf.record_verdicts import CORNERS, MUTANTS, VERDICTS, log_digest
from tests.btf.samples import pair_blob, split_pair
from tests.btf.test_types import VMLINUX, needs_vmlinux

CASES = all_cases()
RECORDED = json.loads(VERDICTS.read_text())
KERNEL = kernel_btf()


def our_verdict(data: bytes) -> list[int | str]:
    """Our answer in the form of the recorded ones."""
    refusal = check(data, vmlinux=KERNEL)
    return [refusal.errno, log_digest(refusal.log)] if refusal else [0]


@pytest.mark.parametrize("name", CASES)
def test_each_rule_refuses_with_its_errno_and_words(name):
    case = CASES[name]
    refusal = check(case.data, vmlinux=KERNEL)

    assert (refusal.errno if refusal else 0) == case.errno
    if refusal and case.message:
        assert refusal.message.endswith(case.message)
        assert refusal.log[-1].endswith(case.message)
    assert refusal is None or refusal.message


@pytest.mark.parametrize("name", CASES)
def test_each_rule_is_as_the_kernel_decided(name):
    assert our_verdict(CASES[name].data) == RECORDED["cases"][name]


def test_every_mutant_is_judged_as_the_kernel_judged_it():
    assert RECORDED["kernel"].startswith("6.18.")
    seeds = [*range(MUTANTS), *CORNERS]
    assert len(seeds) > 300

    ours = {seed: our_verdict(mutant(seed)) for seed in seeds}
    assert ours == dict(zip(seeds, RECORDED["mutants"], strict=True))


def test_the_mutants_are_both_accepted_and_refused_in_many_ways():
    errnos = [verdict[0] for verdict in RECORDED["mutants"]]

    assert errnos.count(0) > 40
    assert {0, 2, 7, 14, 17, 22, 524} <= set(errnos)


def test_good_blobs_are_accepted():
    assert check(good_program()) is None
    assert check(good_fields(), vmlinux=KERNEL) is None


def test_a_refusal_names_the_type_and_has_the_log_so_far():
    data = bytearray(pair_blob())
    data[24 + 4 * 14] = 9  # the second member's type

    refusal = check(bytes(data))

    assert refusal is not None
    assert (refusal.errno, refusal.message, refusal.type_id) == (22, "Invalid member", 3)
    assert refusal.log[:2] == ("magic: 0xeb9f", "version: 1")
    assert refusal.log[-3:] == (
        "\tb type_id=9 bits_offset=64",
        "[3] STRUCT pair size=16 vlen=2",
        "\tb type_id=9 bits_offset=64 Invalid member",
    )


def test_a_kernel_trusts_the_references_of_its_own_btf():
    b = BtfBuilder()
    b.ptr(99)
    data = b.encode()

    assert check(data, kernel=True) is None
    refusal = check(data)
    assert refusal is not None
    assert refusal.message == "Invalid type_id"


def test_a_kernels_own_refusal_logs_only_what_is_wrong():
    refusal = check(CASES["meta: pointer name"].data, kernel=True)

    assert refusal is not None
    assert refusal.log == ("[2] PTR n type_id=0 Invalid name",)


def test_a_modules_btf_is_checked_on_its_base():
    base, split = split_pair()
    builder = BtfBuilder(base)
    builder.const(builder.type_tag("tag", 1))
    tags = builder.encode()
    builder.set(4, k.Const(99))
    missing = builder.encode()
    builder.set(4, k.Const(3))
    builder.set(5, k.Typedef("pair", 5))
    loop = builder.encode()

    assert check(split.raw, base) is None
    assert check(b"", base).message == "hdr_len not found"
    empty = BtfBuilder(base).encode()
    assert check(empty, base) is None
    assert check(tags, base).message == "Type tags don't precede modifiers"
    assert check(missing, base).message == "type 99 does not exist"
    assert (check(loop, base).errno, check(loop, base).type_id) == (40, None)


def test_a_base_may_be_split_itself():
    _, split = split_pair()
    builder = BtfBuilder(split)
    builder.const(3)
    builder.const(builder.const(5))

    assert check(builder.encode(), split) is None


def test_names_in_the_base_are_checked_too():
    b = BtfBuilder()
    b.int_("1 bad name", 4)
    base = b.build()
    split = BtfBuilder(base)
    split.typedef("1 bad name", 1)

    refusal = check(split.encode(), base)

    assert refusal is not None
    assert refusal.log == ("[2] TYPEDEF 1 bad name type_id=1 Invalid name",)


def test_types_beyond_the_highest_id_are_dropped_without_a_refusal(monkeypatch):
    monkeypatch.setattr(check_meta, "MAX_TYPE", 3)
    b = BtfBuilder()
    for _ in range(5):
        b.int_("int", 4)

    assert check(b.encode()) is None
    b.ptr(5)
    b.set(1, k.Ptr(3))
    refusal = check(b.encode())
    assert refusal is not None
    assert "Exceeded max num of types" in "".join(refusal.log)


def test_a_kptr_to_a_type_with_a_destructor_is_accepted():
    data = CASES["field: kptr to kernel type"].data

    assert check(data, vmlinux=KERNEL, destructors=["bpf_timer"]) is None
    assert check(data) is None


def test_structs_that_branch_without_end_are_looked_through_in_bounded_time():
    b = BtfBuilder()
    b.int_("int", 4)
    lock, inner = b.struct("bpf_spin_lock", 4, []), b.struct("", 0, [])
    for _ in range(28):
        inner = b.struct("", 0, [("a", inner, 0), ("b", inner, 0)])
    b.struct("s", 4, [("l", lock, 0), ("deep", inner, 32)])

    assert check(b.encode()) is None


@needs_vmlinux
def test_a_running_kernels_own_btf_is_accepted():
    assert check(Btf.open(VMLINUX).raw, kernel=True) is None
