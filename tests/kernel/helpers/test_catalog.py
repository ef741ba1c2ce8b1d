"""Every helper: its number is its name's, its licence and sleep rules are the kernel's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bpfemu.proto.helper_facts import HELPER_FACTS, SCALAR, helper_fact
from tests.kernel.helpers.env import HELPERS

UAPI = Path("/usr/include/linux/bpf.h")

# What Linux 6.18.44 refuses to a program whose licence is "Proprietary"; 36 needs more than that
# to be called at all and is marked gpl_only in its bpf_func_proto.
GPL = {4, 6, 35, 36, 45, 112, 113, 114, 115, 158, 165, 177, 191}
SLEEPABLE = {148, 191}


def test_gpl_and_sleepable_are_marked_as_in_the_kernel() -> None:
    assert {spec.number for spec in HELPERS.values() if spec.mark.gpl} == GPL
    assert {spec.number for spec in HELPERS.values() if spec.mark.sleepable} == SLEEPABLE


@pytest.mark.skipif(not UAPI.exists(), reason="no kernel headers here")
def test_numbers_are_those_of_the_uapi_header() -> None:
    names = re.findall(r"^\tFN\((\w+)\)|^\tFN\((\w+),\s*(\d+)", UAPI.read_text(), re.MULTILINE)
    numbers = {
        (plain or name): int(number) if number else position
        for position, (plain, name, number) in enumerate(names)
    }

    for spec in HELPERS.values():
        assert numbers[spec.name.removeprefix("bpf_")] == spec.number


def test_every_helper_says_what_it_does() -> None:
    for spec in HELPERS.values():
        assert spec.doc, spec.name


def test_facts_agree_with_prototypes() -> None:
    for spec in HELPERS.values():
        fact = helper_fact(spec.number)
        pointer = spec.returns is not None and str(spec.returns).endswith("*")
        assert pointer == (fact.returns != "scalar"), spec.name
        if fact.size_arg >= 0:
            assert spec.params[fact.size_arg].role == "scalar"
        if fact.releases >= 0:
            assert spec.params[fact.releases].role == "ptr"


def test_facts_are_there_for_pointers_and_references_only() -> None:
    assert helper_fact(1).returns == "map_value" and helper_fact(1).or_null
    assert helper_fact(131).acquires and helper_fact(131).size_arg == 1
    assert [n for n, fact in HELPER_FACTS.items() if fact.releases >= 0] == [
        86,
        132,
        133,
        194,
        199,
        200,
    ]
    assert helper_fact(158).trusted
    assert helper_fact(5) is SCALAR
