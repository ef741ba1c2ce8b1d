"""Decorators that describe, nothing more: they set one attribute and return what they got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bpfemu.record import dataclass

__all__ = [
    "HelperMark",
    "KfuncMark",
    "MapMark",
    "ProgMark",
    "helper",
    "kfunc",
    "map_type",
    "prog_type",
]

F = TypeVar("F")

COMMON = "common"


@dataclass(frozen=True, slots=True)
class KfuncMark:
    """What ``@kfunc`` says: KF_* flags, kernels that have it, program-type hooks."""

    flags: int
    since: tuple[int, ...]
    until: tuple[int, ...] | None
    feature: str | None
    hooks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HelperMark:
    """What ``@helper`` says: BPF_FUNC_* number, GPL rule, who may call it."""

    number: int
    gpl: bool
    sleepable: bool
    progs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MapMark:
    """What ``@map_type`` says: the BPF_MAP_TYPE_* number."""

    number: int


@dataclass(frozen=True, slots=True)
class ProgMark:
    """What ``@prog_type`` says: the BPF_PROG_TYPE_* number."""

    number: int


def kfunc(
    flags: int = 0,
    *,
    since: tuple[int, ...] = (0,),
    until: tuple[int, ...] | None = None,
    feature: str | None = None,
    hooks: tuple[str, ...] = (COMMON,),
) -> Callable[[F], F]:
    """Mark a kfunc.

    ``since``/``until`` (exclusive) are kernel versions; ``feature`` a KernelProfile feature, for
    several definitions of one name; ``hooks`` the kfunc hooks it is registered for ("common",
    "tracing", "tc", "xdp", "syscall", "struct_ops", "cgroup", "kprobe", …).
    """

    def mark(body: F) -> F:
        body.__bpf_mark__ = KfuncMark(flags, since, until, feature, hooks)  # type: ignore[attr-defined]
        return body

    return mark


def helper(
    number: int, *, gpl: bool = False, sleepable: bool = False, progs: tuple[str, ...] = ()
) -> Callable[[F], F]:
    """Mark a helper; ``progs`` are the program-type families that may call it, () means all."""

    def mark(body: F) -> F:
        body.__bpf_mark__ = HelperMark(number, gpl, sleepable, progs)  # type: ignore[attr-defined]
        return body

    return mark


def map_type(number: int) -> Callable[[type[Any]], type[Any]]:
    """Mark a map type's class."""

    def mark(cls: type[Any]) -> type[Any]:
        cls.__bpf_mark__ = MapMark(number)
        return cls

    return mark


def prog_type(number: int) -> Callable[[type[Any]], type[Any]]:
    """Mark a program type's class."""

    def mark(cls: type[Any]) -> type[Any]:
        cls.__bpf_mark__ = ProgMark(number)
        return cls

    return mark
