"""bpftool's grammar: words after the object, not flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bpfemu.errors import InputError

__all__ = ["parse_words"]


def parse_words(words: Sequence[str], grammar: Mapping[str, bool]) -> dict[str, str]:
    """``name P linum`` → {"name": "P", "linum": ""}.

    ``grammar`` maps each word to whether a value follows it.  InputError names an unknown or
    repeated word, or a missing value.
    """
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word not in grammar:
            raise InputError(f"unexpected word {word!r}; expected {', '.join(grammar)}")
        if word in found:
            raise InputError(f"{word!r} is given twice")
        if grammar[word] and not rest:
            raise InputError(f"{word!r} wants a value after it")
        found[word] = rest.pop(0) if grammar[word] else ""
    return found
