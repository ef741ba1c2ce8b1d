"""Where control goes: targets, successors, basic blocks, subprograms, loops, the kernel's rules.

All functions take a whole code array whose first instruction stands at slot 0.  Within a
subprogram a call goes on at the next instruction; what it calls is a matter of subprograms.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from errno import EINVAL

from bpfemu.errors import DecodeError
from bpfemu.isa.insn import CallSub, Exit, Insn, Jump, LoadImm64, MayGoto, Slot, Tail
from bpfemu.isa.ops import JmpOp, Pseudo
from bpfemu.record import dataclass

__all__ = [
    "Block",
    "back_edges",
    "blocks",
    "check_structure",
    "func_target",
    "jump_target",
    "loop_heads",
    "reachable",
    "subprog_at",
    "subprog_ranges",
    "subprog_starts",
    "successors",
]


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions from ``start`` to ``end`` (exclusive) that run one after the other.

    ``successors`` are the starts of the blocks where control goes from here.
    """

    start: Slot
    end: Slot
    successors: tuple[Slot, ...]


def jump_target(insn: Insn) -> Slot | None:
    """Where a jump goes when taken; None for anything but a jump."""
    return insn.target if isinstance(insn, Jump | MayGoto) else None


def func_target(insn: Insn, slot: Slot) -> Slot | None:
    """The subprogram that ``insn`` at ``slot`` calls or takes the address of, if it does.

    A BPF_PSEUDO_FUNC load holds the distance in its low word, as a pseudo call does.
    """
    if isinstance(insn, CallSub):
        return insn.target
    if isinstance(insn, LoadImm64) and insn.pseudo is Pseudo.FUNC:
        low = insn.value & 0xFFFF_FFFF
        return slot + 1 + low - (low >> 31 << 32)
    return None


def successors(code: Sequence[Insn], slot: Slot) -> tuple[Slot, ...]:
    """The slots that may run after the instruction at ``slot``: next one first, then the target."""
    insn = code[slot]
    if isinstance(insn, Exit):
        return ()
    if isinstance(insn, Jump) and insn.op is JmpOp.JA:
        return (insn.target,)
    following = slot + (2 if isinstance(insn, LoadImm64) else 1)
    if isinstance(insn, Jump | MayGoto) and insn.target != following:
        return (following, insn.target)
    return (following,)


def subprog_starts(code: Sequence[Insn], *, entries: Iterable[Slot] = ()) -> tuple[Slot, ...]:
    """First slots of all subprograms, ascending: 0, every callee, every callback, ``entries``."""
    targets = (func_target(insn, slot) for slot, insn in enumerate(code))
    return tuple(sorted({0, *entries, *(slot for slot in targets if slot is not None)}))


def subprog_ranges(
    code: Sequence[Insn], *, entries: Iterable[Slot] = ()
) -> tuple[tuple[Slot, Slot], ...]:
    """(start, end exclusive) of every subprogram; each ends where the next one starts."""
    starts = subprog_starts(code, entries=entries)
    return tuple(zip(starts, (*starts[1:], len(code)), strict=True))


def subprog_at(starts: Sequence[Slot], slot: Slot) -> int:
    """The index in ``starts`` (ascending) of the subprogram that holds ``slot``."""
    return bisect_right(starts, slot) - 1


def blocks(code: Sequence[Insn], *, entries: Iterable[Slot] = ()) -> tuple[Block, ...]:
    """The basic blocks of the whole code array in ascending order, unreachable ones too."""
    if not code:
        return ()
    leaders = set(subprog_starts(code, entries=entries))
    for slot, insn in enumerate(code):
        if isinstance(insn, Jump | MayGoto):
            leaders.update((insn.target, slot + 1))
        elif isinstance(insn, Exit):
            leaders.add(slot + 1)
    leaders.discard(len(code))
    starts = sorted(leaders)
    return tuple(
        Block(start, end, _leaving(code, start, end))
        for start, end in zip(starts, (*starts[1:], len(code)), strict=True)
    )


def _leaving(code: Sequence[Insn], start: Slot, end: Slot) -> tuple[Slot, ...]:
    last = end - 1
    if isinstance(code[last], Tail) and last > start:
        last -= 1
    return successors(code, last)


def reachable(code: Sequence[Insn], *, entries: Iterable[Slot] = (0,)) -> frozenset[Slot]:
    """Every slot that control can reach from ``entries``, callees and callbacks included.

    A ``Tail`` counts as reached with its load.
    """
    seen: set[Slot] = set()
    pending = [slot for slot in entries if slot < len(code)]
    while pending:
        slot = pending.pop()
        if slot in seen or not 0 <= slot < len(code):
            continue
        seen.add(slot)
        insn = code[slot]
        if isinstance(insn, LoadImm64):
            seen.add(slot + 1)
        callee = func_target(insn, slot)
        if callee is not None:
            pending.append(callee)
        pending.extend(successors(code, slot))
    return frozenset(seen)


def back_edges(
    code: Sequence[Insn], *, entries: Iterable[Slot] = ()
) -> tuple[tuple[Slot, Slot], ...]:
    """(from, to) of every jump that closes a loop: a depth-first walk meets ``to`` on its path.

    Every cycle within a subprogram holds at least one of them.  Ascending by source.
    """
    found: list[tuple[Slot, Slot]] = []
    done: set[Slot] = set()
    for start in subprog_starts(code, entries=entries):
        found.extend(_walk(code, start, done))
    return tuple(sorted(found))


def _walk(code: Sequence[Insn], start: Slot, done: set[Slot]) -> Iterator[tuple[Slot, Slot]]:
    """Depth-first from ``start``; ``done`` collects what is finished."""
    if start in done or not 0 <= start < len(code):
        return
    on_path = {start}
    path = [(start, iter(successors(code, start)))]
    while path:
        slot, following = path[-1]
        target = next(following, None)
        if target is None:
            path.pop()
            on_path.discard(slot)
            done.add(slot)
        elif target in on_path:
            yield slot, target
        elif target not in done and 0 <= target < len(code):
            on_path.add(target)
            path.append((target, iter(successors(code, target))))


def loop_heads(code: Sequence[Insn], *, entries: Iterable[Slot] = ()) -> frozenset[Slot]:
    """The slots where loops are entered: the targets of :func:`back_edges`."""
    return frozenset(target for _, target in back_edges(code, entries=entries))


def check_structure(code: Sequence[Insn], *, entries: Iterable[Slot] = (0,)) -> None:
    """Raise DecodeError, in the kernel's words and order, unless the control flow is well formed.

    kernel/bpf/verifier.c, add_subprog, check_subprogs and check_cfg: callees exist; jumps stay in
    their subprogram, whose last instruction is an exit or a jump; everything is reachable from
    ``entries`` (the program and, if any, its exception callback).
    """
    if not code:
        raise DecodeError("the program is empty", slot=0, errno=EINVAL)
    entries = tuple(entries)
    for slot, insn in enumerate(code):
        callee = func_target(insn, slot)
        if callee is not None and not 0 <= callee < len(code):
            raise DecodeError(f"call to invalid destination {callee}", slot=slot, errno=EINVAL)
    for start, end in subprog_ranges(code, entries=entries):
        _check_subprog(code, start, end)
    _check_reached(code, reachable(code, entries=entries))


def _check_subprog(code: Sequence[Insn], start: Slot, end: Slot) -> None:
    for slot in range(start, end):
        target = jump_target(code[slot])
        if target is not None and not start <= target < end:
            rule = f"jump out of range from insn {slot} to {target}"
            raise DecodeError(rule, slot=slot, errno=EINVAL)
    last = code[end - 1]
    if not (isinstance(last, Exit) or (isinstance(last, Jump) and last.op is JmpOp.JA)):
        raise DecodeError("last insn is not an exit or jmp", slot=end - 1, errno=EINVAL)


def _check_reached(code: Sequence[Insn], reached: frozenset[Slot]) -> None:
    middles = _jumped_to_tails(code)
    for slot, insn in enumerate(code):
        if slot not in reached and not isinstance(insn, Tail):
            raise DecodeError(f"unreachable insn {slot}", slot=slot, errno=EINVAL)
        if isinstance(insn, LoadImm64) and slot + 1 in middles:
            rule = f"jump into the middle of ldimm64 insn {slot}"
            raise DecodeError(rule, slot=slot, errno=EINVAL)


def _jumped_to_tails(code: Sequence[Insn]) -> frozenset[Slot]:
    """Every ``Tail`` that is a jump's target or a subprogram's start."""
    targets: set[Slot] = set()
    for slot, insn in enumerate(code):
        for target in (jump_target(insn), func_target(insn, slot)):
            if target is not None and isinstance(code[target], Tail):
                targets.add(target)
    return frozenset(targets)
