"""The names that the package promises."""

from __future__ import annotations

import pytest

import bpfemu.world


@pytest.mark.parametrize("name", bpfemu.world.__all__)
def test_each_promised_name_is_there(name):
    assert getattr(bpfemu.world, name).__name__ == name


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match=r"module 'bpfemu.world' has no attribute 'tasks'"):
        _ = bpfemu.world.tasks
