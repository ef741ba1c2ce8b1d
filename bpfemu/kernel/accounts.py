"""Steps 3 and 7 of the call gate: what a call does to iterators, references and regions.

An account is a pair of functions made once per call target: ``before`` checks the arguments
against the ledger and returns a token, ``after`` takes the token, the call's site and r0 and
writes down what has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bpfemu.kernel.ledger import IterRecord, Ledger, refuse
from bpfemu.machine.stop import FaultKind, Site
from bpfemu.proto.flags import (
    KF_ACQUIRE,
    KF_ITER_DESTROY,
    KF_ITER_NEW,
    KF_ITER_NEXT,
    KF_RCU_PROTECTED,
    KF_RELEASE,
)
from bpfemu.proto.helper_facts import helper_fact
from bpfemu.proto.layout import CType, Layouts, PtrType, StructType
from bpfemu.proto.spec import HelperSpec, KfuncSpec
from bpfemu.record import dataclass

__all__ = ["Account", "Books", "accounts", "combined"]

Regs = list[int]

HELPER_ACQUIRES_ARG: Final = {198: (3, "ringbuf dynptr")}  # into an argument, not by r0
BPF_FUNC_TAIL_CALL: Final = 12
BPF_FUNC_KPTR_XCHG: Final = 194


@dataclass(frozen=True, slots=True)
class Account:
    """One kind of book-keeping for one call target."""

    before: Callable[[Regs], Any]
    after: Callable[[Any, Site, int], None]


@dataclass(slots=True)
class Books:
    """What accounts read and write: ``ledger`` is the one of the run that is on."""

    ledger: Ledger
    layouts: Layouts


def accounts(spec: KfuncSpec | HelperSpec, btf_id: int, books: Books) -> list[Account]:
    """Every account that a function needs, in the verifier's order."""
    if isinstance(spec, HelperSpec):
        return _helper_accounts(spec, books)
    found: list[Account] = []
    if spec.flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY):
        found.append(_iterator(spec, books))
    found += [
        _iter_argument(spec, index, books)
        for index, param in enumerate(spec.params)
        if param.suffix == "__iter"
    ]
    if spec.flags & KF_RELEASE:
        found.append(_release(spec.name, btf_id, 0, books, kfunc=True))
    if spec.flags & KF_ACQUIRE:
        found.append(_acquire(_name_of(spec.returns), books))
    found += [
        _irq_flag(spec, index, books)
        for index, param in enumerate(spec.params)
        if param.suffix == "__irq_flag"
    ]
    region = _REGIONS.get(spec.name)
    if region is not None:
        found.append(region(books))
    return found


def combined(entries: list[Account]) -> Account:
    """Several accounts as one."""
    if len(entries) == 1:
        return entries[0]
    if not entries:
        return Account(_no_check, _nothing)

    def before(regs: Regs) -> list[Any]:
        return [entry.before(regs) for entry in entries]

    def after(tokens: list[Any], site: Site, r0: int) -> None:
        for entry, token in zip(entries, tokens, strict=True):
            entry.after(token, site, r0)

    return Account(before, after)


def _helper_accounts(spec: HelperSpec, books: Books) -> list[Account]:
    number = spec.number
    if number == BPF_FUNC_KPTR_XCHG:
        return [_exchange(books)]
    found = []
    fact = helper_fact(number)
    if fact.releases >= 0:
        name = spec.name.removeprefix("bpf_")
        found.append(_release(name, number, fact.releases, books, kfunc=False))
    if fact.acquires:
        found.append(_acquire(fact.acquires, books))
    if number in HELPER_ACQUIRES_ARG:
        arg, what = HELPER_ACQUIRES_ARG[number]
        found.append(_acquire_argument(what, arg, books))
    if number == BPF_FUNC_TAIL_CALL:
        found.append(_tail_call(books))
    return found


# ---- iterators ------------------------------------------------------------------------------


def _iterator(spec: KfuncSpec, books: Books) -> Account:
    struct = spec.params[0].ctype
    assert isinstance(struct, PtrType) and isinstance(struct.target, StructType)
    kind = struct.target.name.removeprefix("bpf_iter_")
    size = books.layouts.of(struct.target).size
    if spec.flags & KF_ITER_NEW:
        return _iter_new(spec, kind, size, books)
    if spec.flags & KF_ITER_NEXT:
        return _iter_next(spec, kind, size, books)
    return _iter_destroy(spec, kind, size, books)


def _iter_new(spec: KfuncSpec, kind: str, size: int, books: Books) -> Account:
    rcu = bool(spec.flags & KF_RCU_PROTECTED)

    def before(regs: Regs) -> tuple[int, str]:
        addr = -1 if regs[1] is None else regs[1]
        return addr, books.ledger.check_new(kind, addr, size)

    def after(token: tuple[int, str], site: Site, r0: int) -> None:
        low = r0 & 0xFFFF_FFFF
        result = low - (1 << 32) if low >> 31 else low
        books.ledger.opened(kind, token[0], size, result, site, token[1], rcu=rcu)

    return Account(before, after)


def _iter_next(spec: KfuncSpec, kind: str, size: int, books: Books) -> Account:
    name = spec.name

    def before(regs: Regs) -> Any:
        return books.ledger.check_live(kind, regs[1], size, name)

    return Account(before, _advanced)


def _advanced(record: IterRecord, site: Site, r0: int) -> None:
    """``next`` returned; NULL drains the iterator."""
    if r0:
        record.elements += 1
    else:
        record.drained = True


def _iter_destroy(spec: KfuncSpec, kind: str, size: int, books: Books) -> Account:
    name = spec.name

    def before(regs: Regs) -> Any:
        return books.ledger.check_live(kind, regs[1], size, name)

    def after(record: Any, site: Site, r0: int) -> None:
        books.ledger.closed(record)

    return Account(before, after)


def _iter_argument(spec: KfuncSpec, index: int, books: Books) -> Account:
    """A live iterator handed to another kfunc (``__iter``)."""
    ctype = spec.params[index].ctype
    assert isinstance(ctype, PtrType) and isinstance(ctype.target, StructType)
    kind = ctype.target.name.removeprefix("bpf_iter_")
    size = books.layouts.of(ctype.target).size

    def before(regs: Regs) -> Any:
        return books.ledger.check_live(kind, regs[index + 1], size, spec.name, index)

    return Account(before, _nothing)


# ---- references -----------------------------------------------------------------------------


def _acquire(kind: str, books: Books) -> Account:
    def after(token: Any, site: Site, r0: int) -> None:
        if r0:
            books.ledger.acquire(kind, r0, site)

    return Account(_no_check, after)


def _acquire_argument(kind: str, arg: int, books: Books) -> Account:
    """The reference lives in what an argument points to, also when the call failed."""

    def before(regs: Regs) -> int:
        return regs[arg + 1] or 0

    def after(addr: int, site: Site, r0: int) -> None:
        books.ledger.acquire(kind, addr, site)

    return Account(before, after)


def _release(name: str, number: int, arg: int, books: Books, *, kfunc: bool) -> Account:
    reg = arg + 1

    def before(regs: Regs) -> None:
        addr = regs[reg]
        if addr is None:
            raise refuse(FaultKind.UNINITIALISED, f"R{reg} !read_ok")
        if not addr:
            what = f"trusted arg{arg}" if kfunc else f"helper arg{reg}"
            raise refuse(FaultKind.BAD_CALL, f"Possibly NULL pointer passed to {what}", 0)
        books.ledger.release(addr, name, number, kfunc=kfunc)

    return Account(before, _nothing)


def _exchange(books: Books) -> Account:
    """bpf_kptr_xchg: the map takes the new pointer, the program the old one."""

    def before(regs: Regs) -> None:
        if regs[2]:
            books.ledger.release(regs[2], "kptr_xchg", BPF_FUNC_KPTR_XCHG, kfunc=False)

    def after(token: Any, site: Site, r0: int) -> None:
        if r0:
            books.ledger.acquire("kptr", r0, site)

    return Account(before, after)


def _tail_call(books: Books) -> Account:
    def before(regs: Regs) -> None:
        if books.ledger.references_open():
            raise refuse(FaultKind.REFERENCE_STATE, "tail_call would lead to reference leak")

    return Account(before, _nothing)


# ---- regions --------------------------------------------------------------------------------


def _irq_flag(spec: KfuncSpec, index: int, books: Books) -> Account:
    restores = "restore" in spec.name
    family = "lock" if "spin" in spec.name else "native"

    def before(regs: Regs) -> int:
        addr = -1 if regs[index + 1] is None else regs[index + 1]
        books.ledger.check_irq_flag(addr, index, fresh=not restores, family=family)
        return addr

    def after(addr: int, site: Site, r0: int) -> None:
        if restores:
            books.ledger.irq_restored(addr)
        elif family == "native" or not r0:
            books.ledger.irq_saved(addr, site, family)

    return Account(before, after)


def _rcu_lock(books: Books) -> Account:
    def after(token: Any, site: Site, r0: int) -> None:
        books.ledger.rcu = site

    return Account(_no_check, after)


def _rcu_unlock(books: Books) -> Account:
    def after(token: Any, site: Site, r0: int) -> None:
        books.ledger.rcu = None
        books.ledger.rcu_ended()

    return Account(_no_check, after)


def _preempt_off(books: Books) -> Account:
    def after(token: Any, site: Site, r0: int) -> None:
        books.ledger.preempt.append(site)

    return Account(_no_check, after)


def _preempt_on(books: Books) -> Account:
    def after(token: Any, site: Site, r0: int) -> None:
        books.ledger.preempt.pop()

    return Account(_no_check, after)


_REGIONS: Final[dict[str, Callable[[Books], Account]]] = {
    "bpf_rcu_read_lock": _rcu_lock,
    "bpf_rcu_read_unlock": _rcu_unlock,
    "bpf_preempt_disable": _preempt_off,
    "bpf_preempt_enable": _preempt_on,
}


def _no_check(regs: Regs) -> None:
    return None


def _nothing(token: Any, site: Site, r0: int) -> None:
    return None


def _name_of(returns: CType | None) -> str:
    if isinstance(returns, PtrType):
        return str(returns.target).removeprefix("struct ")
    return "object"
