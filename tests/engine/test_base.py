"""Engines are found by name."""

from __future__ import annotations

import pytest

from bpfemu.engine.base import ENGINES, find_engine
from bpfemu.errors import InputError


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_each_engine_knows_its_name(name: str) -> None:
    assert find_engine(name).name == name


def test_an_unknown_name_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(InputError, match=r"no engine 'turbo'; there is .*interp"):
        find_engine("turbo")
