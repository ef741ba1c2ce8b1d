"""Random numbers from the seed: splitmix64, one independent stream per purpose."""

from __future__ import annotations

from typing import Final

__all__ = ["RandomStream", "mix"]

U64: Final = (1 << 64) - 1
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # 2**64 divided by the golden ratio


def mix(value: int) -> int:
    """The splitmix64 finaliser: 64 bits in, 64 well-mixed bits out."""
    value = (value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9 & U64
    value = (value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB & U64
    return value ^ (value >> 31)


class RandomStream:
    """A stream of numbers; equal seeds and purposes give equal streams (service ``random``)."""

    def __init__(self, seed: int, purpose: str = "") -> None:
        state = mix(seed + GOLDEN & U64)
        for byte in purpose.encode():
            state = mix(state + byte + GOLDEN & U64)
        self._state = state

    def u64(self) -> int:
        """The next 64 bits."""
        self._state = self._state + GOLDEN & U64
        return mix(self._state)

    def u32(self) -> int:
        """The next 32 bits, as bpf_get_prandom_u32 returns them."""
        return self.u64() >> 32

    def below(self, limit: int) -> int:
        """A number from 0 up to ``limit`` (exclusive)."""
        return self.u64() * limit >> 64
