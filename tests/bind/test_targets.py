"""Which helpers and kfuncs a program may call, in the kernel's words (notes, section 9)."""

from __future__ import annotations

import errno

import pytest

from bpfemu.bind.families import families_of, hooks_of
from bpfemu.bind.helper_names import HELPER_NAMES, helper_name
from bpfemu.errors import BindError
from tests.bind.small import image


def refused(text: str, *, section: str = "raw_tp/x", license: str = "GPL") -> BindError:
    with pytest.raises(BindError) as caught:
        image(text, section=section, license=license)
    assert caught.value.program == "main" and caught.value.slot is not None
    return caught.value


READ = "r1 = r10; r2 = 0; r3 = 0; call bpf_probe_read_kernel; exit"
COPY = "r1 = r10; r2 = 0; r3 = 0; call bpf_copy_from_user; exit"


def test_a_helper_has_its_name_and_specification() -> None:
    (target,) = image("call bpf_ktime_get_ns; exit").calls
    assert target.name == "bpf_ktime_get_ns" and target.spec is not None and not target.poisoned


def test_a_number_that_no_helper_has_is_unknown_in_the_kernels_words() -> None:
    error = refused("call 212; exit")
    assert error.errno == errno.EINVAL and "invalid func unknown#212" in str(error)


def test_a_helper_that_is_not_emulated_is_named() -> None:
    error = refused("r0 = 0; call 36; exit")
    assert "helper bpf_probe_write_user#36 is not emulated" in str(error)
    assert (error.symbol, error.slot) == ("bpf_probe_write_user", 1)


def test_a_helper_of_other_program_types_is_refused() -> None:
    text = "r1 = r10; r2 = 0; call bpf_xdp_adjust_head; exit"
    error = refused(text)
    assert "program of this type cannot use helper bpf_xdp_adjust_head#44" in str(error)
    assert not image(text, section="xdp").calls[0].poisoned


@pytest.mark.parametrize("license", ["", "MIT", "Proprietary", "Dual MIT", "gpl"])
def test_gpl_helpers_need_a_gpl_program(license: str) -> None:
    error = refused(READ, license=license)
    assert "cannot call GPL-restricted function from non-GPL compatible program" in str(error)


@pytest.mark.parametrize(
    "license",
    ["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"],
)
def test_licences_that_count_as_gpl(license: str) -> None:
    found = image(READ, license=license)
    assert found.gpl and not found.calls[0].poisoned


def test_other_helpers_need_no_licence() -> None:
    assert not image("call bpf_ktime_get_ns; exit", license="").gpl


def test_helpers_that_sleep_need_a_sleepable_program() -> None:
    assert "might sleep in a non-sleepable prog" in str(refused(COPY))
    assert image(COPY, section="syscall").sleepable


def test_kfuncs_need_a_gpl_program() -> None:
    error = refused("r1 = r10; call bpf_iter_num_next; exit", license="MIT")
    assert error.errno == errno.EINVAL
    assert "cannot call kernel function from non-GPL compatible program" in str(error)


def test_a_kfunc_of_other_hooks_is_eacces() -> None:
    text = "r1 = 1; call bpf_task_from_pid; exit"
    error = refused(text)  # raw_tp has the common hook only
    assert error.errno == errno.EACCES
    assert "calling kernel function bpf_task_from_pid is not allowed" in str(error)
    for section in ("tp/x/y", "tc", "syscall", "perf_event"):
        assert not image(text, section=section).calls[0].poisoned


def test_sleepable_kfuncs_need_a_sleepable_program() -> None:
    error = refused("call bpf_may_sleep; exit")
    assert error.errno == errno.EACCES
    assert "program must be sleepable to call sleepable kfunc bpf_may_sleep" in str(error)
    assert not image("call bpf_may_sleep; exit", section="syscall").calls[0].poisoned


def test_what_is_never_reached_is_not_refused() -> None:
    found = image("r0 = 0; if r0 == 0 goto out; call 36; out: exit", section="raw_tp/x")
    assert found.calls[0].poisoned


def test_a_kfunc_number_without_a_relocation_means_nothing() -> None:
    assert "not bound by a relocation" in str(refused("call kernel-function#5; exit"))


def test_there_are_211_helpers_and_their_names_are_the_kernels() -> None:
    # include/uapi/linux/bpf.h: the first, some known ones, the last
    assert len(HELPER_NAMES) == 212
    names = {1: "map_lookup_elem", 6: "trace_printk", 113: "probe_read_kernel", 181: "loop"}
    names |= {158: "get_current_task_btf", 194: "kptr_xchg", 211: "cgrp_storage_delete"}
    assert {number: HELPER_NAMES[number] for number in names} == names
    assert [helper_name(number) for number in (-1, 0, 212)] == ["", "", ""]


@pytest.mark.parametrize(
    ("prog_type", "hooks"),
    [
        (6, {"common", "xdp"}),
        (3, {"common", "tc"}),
        (26, {"common", "tracing"}),
        (5, {"common", "tracing"}),
        (17, {"common"}),
        (2, {"common", "kprobe"}),
        (13, {"common", "cgroup"}),
        (31, {"common", "syscall"}),
        (19, {"common", "lwt"}),
    ],
)
def test_hooks_of_program_types(prog_type: int, hooks: set[str]) -> None:
    assert hooks_of(prog_type) == hooks


def test_families_of_program_types() -> None:
    assert {"kprobe", "tracing"} <= families_of(2) and "net" not in families_of(2)
    assert {"xdp", "net"} <= families_of(6) and "skb" not in families_of(6)
