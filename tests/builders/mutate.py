"""A Hypothesis strategy that damages bytes a little, as bad disks and bad people do."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["mutants"]

_WORDS = [bytes(4), b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x01\0\0\0", b"\0\0\0\x80"]


@st.composite
def mutants(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One of the originals after up to eight flips, overwrites, copies and cuts."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "byte", "word", "word", "copy", "cut"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            data[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif kind == "word":
            data[at : at + 4] = draw(st.sampled_from(_WORDS))
        elif kind == "copy":
            source = draw(st.integers(0, max(len(data) - 1, 0)))
            data[at : at + 16] = data[source : source + 16]
        elif kind == "cut" and draw(st.integers(0, 7)) == 0:
            del data[at:]
    return bytes(data)
