"""lookup3: the vectors that its author printed beside it (driver5 of lookup3.c)."""

from __future__ import annotations

import pytest

from bpfemu.kernel.maps.jhash import jhash

FOUR_SCORE = b"Four score and seven years ago"


@pytest.mark.parametrize(
    ("key", "seed", "expected"),
    [
        (b"", 0, 0xDEADBEEF),
        (b"", 0xDEADBEEF, 0xBD5B7DDE),
        (FOUR_SCORE, 0, 0x17770551),
        (FOUR_SCORE, 1, 0xCD628161),
    ],
)
def test_the_published_vectors(key: bytes, seed: int, expected: int) -> None:
    assert jhash(key, seed) == expected
