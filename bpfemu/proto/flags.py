"""Flags, spelled and numbered as in the kernel."""

from __future__ import annotations

from typing import Final

__all__ = [
    "BPF_MAX_LOOPS",
    "KF_ACQUIRE",
    "KF_ARENA_ARG1",
    "KF_ARENA_ARG2",
    "KF_ARENA_RET",
    "KF_DESTRUCTIVE",
    "KF_FASTCALL",
    "KF_ITER_DESTROY",
    "KF_ITER_NEW",
    "KF_ITER_NEXT",
    "KF_NAMES",
    "KF_RCU",
    "KF_RCU_PROTECTED",
    "KF_RELEASE",
    "KF_RET_NULL",
    "KF_SLEEPABLE",
    "KF_TRUSTED_ARGS",
    "flag_names",
]

# include/linux/btf.h
KF_ACQUIRE: Final = 1 << 0
KF_RELEASE: Final = 1 << 1
KF_RET_NULL: Final = 1 << 2
KF_TRUSTED_ARGS: Final = 1 << 4
KF_SLEEPABLE: Final = 1 << 5
KF_DESTRUCTIVE: Final = 1 << 6
KF_RCU: Final = 1 << 7
KF_ITER_NEW: Final = 1 << 8
KF_ITER_NEXT: Final = 1 << 9
KF_ITER_DESTROY: Final = 1 << 10
KF_RCU_PROTECTED: Final = 1 << 11
KF_FASTCALL: Final = 1 << 12
KF_ARENA_RET: Final = 1 << 13
KF_ARENA_ARG1: Final = 1 << 14
KF_ARENA_ARG2: Final = 1 << 15

KF_NAMES: Final = {
    KF_ACQUIRE: "KF_ACQUIRE",
    KF_RELEASE: "KF_RELEASE",
    KF_RET_NULL: "KF_RET_NULL",
    KF_TRUSTED_ARGS: "KF_TRUSTED_ARGS",
    KF_SLEEPABLE: "KF_SLEEPABLE",
    KF_DESTRUCTIVE: "KF_DESTRUCTIVE",
    KF_RCU: "KF_RCU",
    KF_ITER_NEW: "KF_ITER_NEW",
    KF_ITER_NEXT: "KF_ITER_NEXT",
    KF_ITER_DESTROY: "KF_ITER_DESTROY",
    KF_RCU_PROTECTED: "KF_RCU_PROTECTED",
    KF_FASTCALL: "KF_FASTCALL",
    KF_ARENA_RET: "KF_ARENA_RET",
    KF_ARENA_ARG1: "KF_ARENA_ARG1",
    KF_ARENA_ARG2: "KF_ARENA_ARG2",
}

BPF_MAX_LOOPS: Final = 8 * 1024 * 1024
"""Largest range of bpf_iter_num and largest count of bpf_loop (include/linux/bpf.h)."""


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of the KF_* bits that are set, lowest bit first."""
    return tuple(name for bit, name in KF_NAMES.items() if flags & bit)
