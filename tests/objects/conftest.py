"""Fixtures of this room."""

import pytest

from bpfemu.objects import Program
from tests.objects.small import Small


@pytest.fixture
def small() -> Small:
    """A kernel of memory and types."""
    return Small()


@pytest.fixture
def prog(small: Small) -> Program:
    """Its program."""
    return small.prog
