"""Kernel profiles: versions compare as numbers, and each has one design of task_vma."""

from __future__ import annotations

import pytest

from bpfemu.errors import InputError
from bpfemu.proto.profile import DEFAULT_PROFILE, PROFILES, find_profile


def test_the_default_is_6_12_0_with_the_mmap_lock() -> None:
    profile = find_profile(DEFAULT_PROFILE)

    assert profile.name == "6.12.0" and profile.has("task_vma_mmap_lock")
    assert not profile.has("task_vma_snapshot")


@pytest.mark.parametrize(
    ("name", "feature", "data_size"),
    [
        ("6.7", "task_vma_mmap_lock", 88),
        ("6.12.0", "task_vma_mmap_lock", 96),
        ("6.18.0", "task_vma_mmap_lock", 112),
        ("6.18.44", "task_vma_snapshot", 320),
    ],
)
def test_each_profile_has_one_design_of_task_vma(name: str, feature: str, data_size: int) -> None:
    profile = find_profile(name)

    assert profile.features == {feature}
    assert profile.task_vma_data_size == data_size


def test_versions_compare_as_numbers_and_not_as_text() -> None:
    old, new = find_profile("6.7"), find_profile("6.12.0")

    assert new.at_least((6, 7)) and new.at_least((6, 12)) and new.at_least((6, 12, 0))
    assert not new.at_least((6, 12, 1)) and not old.at_least((6, 12))
    assert old.at_least((0,))


def test_no_feature_is_always_there() -> None:
    assert all(profile.has(None) for profile in PROFILES.values())
    assert not any(profile.has("time_travel") for profile in PROFILES.values())


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no kernel profile '5.4'; there are 6.7, 6.12.0, 6.18"):
        find_profile("5.4")
