"""Undefined symbols → what the kernel must supply (notes, sections 7.2 and 8.8)."""

from __future__ import annotations

from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOTSUP, ESRCH
from typing import Final

from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.elf.reader import ElfFile, ElfSymbol
from bpfemu.errors import ObjectError
from bpfemu.object import Extern

__all__ = ["read_externs"]

_KCONFIG_SIZES: Final = (1, 2, 4, 8)


def read_externs(
    elf: ElfFile, btf: Btf | None, why: str = "the object has no BTF"
) -> tuple[Extern, ...]:
    """Every extern, in the order of the symbol table; ObjectError where BTF does not know it.

    ``why`` says in words what is wrong where ``btf`` is None.
    """
    symbols = [symbol for symbol in elf.symbols if _is_extern(symbol)]
    if not symbols:
        return ()
    if btf is None:
        rule = f"failed to find BTF for extern {symbols[0].name!r}: {why}"
        raise ObjectError(rule, path=elf.path, errno=ESRCH)
    homes = _datasecs(btf)
    return tuple(_extern(elf, btf, homes, symbol) for symbol in symbols)


def _is_extern(symbol: ElfSymbol) -> bool:
    return (
        symbol.section == 0
        and symbol.kind == "notype"
        and symbol.binding in ("global", "weak")
        and bool(symbol.name)
    )


def _datasecs(btf: Btf) -> dict[int, str]:
    """VAR or FUNC id → the name of the DATASEC that lists it."""
    homes: dict[int, str] = {}
    for id in btf.ids_of(k.DataSec):
        found = btf.type(id)
        assert isinstance(found, k.DataSec)
        for entry in found.entries:
            homes.setdefault(entry.type, found.name)
    return homes


def _extern(elf: ElfFile, btf: Btf, homes: dict[int, str], symbol: ElfSymbol) -> Extern:
    def refuse(rule: str, errno: int) -> ObjectError:
        return ObjectError(f"extern {symbol.name!r}: {rule}", path=elf.path, errno=errno)

    ids = btf.find_all(symbol.name, k.Var, k.Func)
    if not ids:
        raise refuse(f"failed to find BTF for extern {symbol.name!r}", ENOENT)
    id = ids[0]
    found = btf.type(id)
    linkage = getattr(found, "linkage", 0)
    home = homes.get(id)
    if linkage != k.Linkage.EXTERN and home != ".kconfig":
        raise refuse(f"BTF says it is defined here (linkage {linkage})", EINVAL)
    if home is None:
        raise refuse("no DATASEC lists it", ENOENT)
    weak = symbol.binding == "weak"
    if home == ".kconfig":
        _check_kconfig(refuse, btf, id)
        return Extern(symbol.name, "kconfig", weak, id)
    if home != ".ksyms":
        raise refuse(f"unrecognized extern section {home!r}", ENOTSUP)
    if isinstance(found, k.Func):
        return Extern(symbol.name, "kfunc", weak, id)
    assert isinstance(found, k.Var)
    typeless = btf.resolve(found.type) == 0
    return Extern(symbol.name, "ksym", weak, id, typeless)


def _check_kconfig(refuse: Callable[[str, int], ObjectError], btf: Btf, id: int) -> None:
    found = btf.type(btf.resolve(getattr(btf.type(id), "type", 0)))
    match found:
        case k.Int(size=size) if size in _KCONFIG_SIZES:
            return
        case k.Enum(name="libbpf_tristate") | k.Enum64(name="libbpf_tristate"):
            return
        case k.Array(elem=elem, nelems=count) if count:
            char = btf.type(btf.resolve(elem))
            if isinstance(char, k.Int) and char.size == 1:
                return
    rule = f"kconfig type {k.KIND_NAMES[found.KIND]} is not bool, char, int, tristate or char[]"
    raise refuse(rule, ENOTSUP)
