"""The cgroup of the current task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.kernel.helpers.env import HelperBench

ID = "bpf_get_current_cgroup_id"
ANCESTOR = "bpf_get_current_ancestor_cgroup_id"


def with_cgroups() -> HelperBench:
    """A task three levels down: ids 1, 20, 300."""
    ancestors = [SimpleNamespace(kn=SimpleNamespace(id=number)) for number in (1, 20)]
    own = SimpleNamespace(kn=SimpleNamespace(id=300), level=2, ancestors=ancestors)
    bench = HelperBench()
    task = SimpleNamespace(cgroups=SimpleNamespace(dfl_cgrp=own))
    bench.services["tasks"] = SimpleNamespace(current=task)
    return bench


def test_the_id_is_that_of_the_node_in_cgroupfs() -> None:
    assert with_cgroups().call(ID) == 300


@pytest.mark.parametrize(
    ("level", "expected"), [(0, 1), (1, 20), (2, 300), (3, 0), (-1, 0), (1000, 0)]
)
def test_ancestors_are_counted_from_the_root(level: int, expected: int) -> None:
    assert with_cgroups().call(ANCESTOR, level) == expected
