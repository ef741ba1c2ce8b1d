"""Kernel versions are data: what a profile has, and the numbers that changed between them.

Source: the iterator notes, sections 0, 2.2, 2.3 and 7.  ``task_vma`` data sizes are
sizeof(struct bpf_iter_task_vma_kern_data): 24 bytes and a vma_iterator (64 bytes in 6.7, 88 in
6.18; 72 in 6.12 by its members, not read from a 6.12 kernel), and 320 bytes since the snapshot
design of 6.18.33.
"""

from __future__ import annotations

from typing import Final

from bpfemu.errors import InputError
from bpfemu.record import dataclass

__all__ = ["DEFAULT_PROFILE", "PROFILES", "KernelProfile", "find_profile"]


@dataclass(frozen=True, slots=True)
class KernelProfile:
    """One kernel: ``features`` choose between definitions of one name."""

    name: str
    version: tuple[int, int, int]
    features: frozenset[str]
    task_vma_data_size: int  # bytes
    preempt_rt: bool = False
    per_vma_lock: bool = True
    page_size: int = 4096  # bytes
    hz: int = 1000
    btf_mmap: str | None = None  # version of the handler that maps vmlinux BTF; None: it cannot be

    def has(self, feature: str | None) -> bool:
        """None is always there."""
        return feature is None or feature in self.features

    def at_least(self, version: tuple[int, ...]) -> bool:
        """Is this kernel that version or newer?"""
        return self.version >= tuple(version)


_LOCKED = frozenset({"task_vma_mmap_lock"})
_SNAPSHOT = frozenset({"task_vma_snapshot"})

PROFILES: Final[dict[str, KernelProfile]] = {
    profile.name: profile
    for profile in (
        KernelProfile("6.7", (6, 7, 0), _LOCKED, 88),
        KernelProfile("6.12.0", (6, 12, 0), _LOCKED, 96),
        KernelProfile("6.18.0", (6, 18, 0), _LOCKED, 112, btf_mmap="merged"),
        KernelProfile("6.18.44", (6, 18, 44), _SNAPSHOT, 320, btf_mmap="merged"),
    )
}

DEFAULT_PROFILE: Final = "6.12.0"


def find_profile(name: str) -> KernelProfile:
    """The profile ``name``; InputError lists those there are."""
    profile = PROFILES.get(name)
    if profile is None:
        raise InputError(f"no kernel profile {name!r}; there are {', '.join(PROFILES)}")
    return profile
