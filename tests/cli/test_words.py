"""bpftool's word grammar."""

from __future__ import annotations

import pytest

from bpfemu.cli.words import parse_words
from bpfemu.errors import InputError

GRAMMAR = {"name": True, "linum": False}


def test_words_take_their_values_in_any_order() -> None:
    assert parse_words(["linum", "name", "p"], GRAMMAR) == {"linum": "", "name": "p"}
    assert parse_words([], GRAMMAR) == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["colour"], "unexpected word 'colour'; expected name, linum"),
        (["linum", "linum"], "'linum' is given twice"),
        (["name"], "'name' wants a value"),
    ],
)
def test_wrong_words_are_refused_by_name(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_words(words, GRAMMAR)
