"""Kernel symbols: what libbpf makes of an extern, what the verifier makes of that (notes, 7).

::

    extern … __ksym ──Ksyms.encode──▶ ldimm64, src_reg 3: imm = BTF id, imm' = module BTF's fd
                              │         src_reg 0: 64-bit address, 0 where there is none
                              └──Ksyms.convert──▶ the address, and what kind of pointer it is
"""

from __future__ import annotations

from errno import E2BIG, EINVAL, ENOENT, ESRCH
from typing import Final

from bpfemu.bind.options import BindOptions, no_symbols
from bpfemu.bind.values import MEM, Kind, Trust, Value, constant
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.btf.compat import types_are_compat
from bpfemu.btf.spelling import type_name
from bpfemu.errors import BindError, InputError
from bpfemu.image import CallTarget
from bpfemu.isa.insn import LoadImm64
from bpfemu.isa.ops import Pseudo
from bpfemu.object import BpfObject, Extern
from bpfemu.record import dataclass

__all__ = ["KsymUse", "Ksyms", "Symbol", "too_many_btfs"]

TEXT_BASE: Final = 0xFFFF_FFFF_8100_0000
"""Where functions of the emulated kernel get an address of their own: 16 bytes per BTF id."""

_MOST_BTFS: Final = 64  # MAX_USED_BTFS
_U32: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Symbol:
    """A resolved symbol: its address (0: weak and not there) and what a pointer to it is."""

    addr: int
    value: Value
    name: str = ""
    module: str = ""  # whose BTF describes it


@dataclass(frozen=True, slots=True)
class KsymUse:
    """Where an immediate load of a symbol stands: for messages."""

    program: str
    slot: int
    name: str = ""
    note: str = ""  # what else is to be said

    def refuse(self, rule: str, errno: int) -> BindError:
        """The error that names it."""
        text = f"{rule}; {self.note}" if self.note else rule
        name = self.name or None
        return BindError(text, program=self.program, symbol=name, slot=self.slot, errno=errno)


class Ksyms:
    """The kernel symbols of one object on one kernel."""

    def __init__(self, obj: BpfObject, options: BindOptions, btfs: dict[str, Btf]) -> None:
        self._btf = obj.btf
        self._options = options
        self._btfs = btfs
        self._fds = list(btfs)  # the number of a module's BTF stands for its descriptor
        self._any_typeless = any(e.kind == "ksym" and e.typeless for e in obj.externs)

    # ---- libbpf ---------------------------------------------------------------------------------

    def encode(self, use: KsymUse, extern: Extern) -> tuple[Pseudo, int]:
        """The immediate load that libbpf writes for a variable."""
        shown = self._shown(use) if self._any_typeless else None
        if extern.typeless:
            if shown is None and not extern.weak:
                raise use.refuse(f"extern '{extern.name}' (strong): not resolved", ESRCH)
            return Pseudo.PLAIN, shown or 0
        for module, btf in self._btfs.items():
            id = btf.find(extern.name, k.Var)
            if id is not None:
                self._check_type(use, extern, btf, id)
                return self._typed(module, id)
        if not extern.weak:
            rule = f"extern (var ksym) {extern.name!r}: not found in kernel BTF"
            raise use.refuse(rule, EINVAL)
        # The pass over kallsyms marks typed variables, too: such a one is "set" and has id 0.
        return (Pseudo.PLAIN, 0) if shown is None else (Pseudo.BTF_ID, 0)

    def encode_function(self, target: CallTarget) -> tuple[Pseudo, int]:
        """The immediate load that libbpf writes for a function; 0 for a weak one that lacks."""
        return (Pseudo.PLAIN, 0) if target.poisoned else self._typed(target.module, target.btf_id)

    def _typed(self, module: str, id: int) -> tuple[Pseudo, int]:
        return Pseudo.BTF_ID, self._fds.index(module) << 32 | id

    def _shown(self, use: KsymUse) -> int | None:
        """The address in /proc/kallsyms."""
        options = self._options
        if options.kallsyms is None:
            return options.ksyms(use.name)
        found = sorted(set(options.kallsyms(use.name)))
        if len(found) > 1:
            where = ", ".join(f"{addr:#x}" for addr in found)
            rule = f"extern (ksym) {use.name!r}: resolution is ambiguous: {where}"
            raise use.refuse(rule, EINVAL)
        return found[0] if found else None

    def _check_type(self, use: KsymUse, extern: Extern, btf: Btf, id: int) -> None:
        assert self._btf is not None
        mine = self._btf.resolve(getattr(self._btf.type(extern.type_id), "type", 0))
        theirs = btf.resolve(getattr(btf.type(id), "type", 0))
        if types_are_compat(self._btf, mine, btf, theirs):
            return
        have, want = type_name(self._btf, mine), type_name(btf, theirs)
        rule = f"extern (var ksym) {extern.name!r}: incompatible types, expected [{mine}] {have}"
        raise use.refuse(f"{rule}, but kernel has [{theirs}] {want}", EINVAL)

    # ---- the verifier ---------------------------------------------------------------------------

    def convert(self, use: KsymUse, insn: LoadImm64) -> Symbol:
        """check_pseudo_btf_id(): BindError has the verifier's words and errno.

        An instruction in the encoding of the 2020 proposal is explained.
        """
        use = KsymUse(use.program, use.slot, use.name, _explain(insn))
        if insn.offs[1]:
            raise use.refuse("invalid bpf_ld_imm64 insn", EINVAL)
        return self._check(use, insn.value & _U32, insn.value >> 32)

    def reserved(self, use: KsymUse, insn: LoadImm64) -> BindError | None:
        """What the verifier says when it gets to a load that has an offset."""
        why = _explain(insn)
        rule = f"BPF_LD_IMM64 uses reserved fields; {why}"
        return use.refuse(rule, EINVAL) if why else None

    def _check(self, use: KsymUse, id: int, fd: int) -> Symbol:
        if fd >= len(self._fds):
            raise use.refuse("invalid module BTF object FD specified.", EINVAL)
        module = self._fds[fd]
        btf = self._btfs[module]
        if not module and btf.type_count <= 1:
            rule = "kernel is missing BTF, make sure CONFIG_DEBUG_INFO_BTF=y is specified"
            raise use.refuse(rule, EINVAL)
        if not btf.has_id(id):
            raise use.refuse(f"ldimm64 insn specifies invalid btf_id {id}.", ENOENT)
        found = btf.type(id)
        if not isinstance(found, k.Var | k.Func):
            rule = f"pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC."
            raise use.refuse(rule, EINVAL)
        addr = self._address(found, id)
        if addr is None:
            rule = f"ldimm64 failed to find the address for kernel symbol '{found.name}'."
            raise use.refuse(rule, ENOENT)
        if isinstance(found, k.Func):
            return Symbol(addr, constant(addr), found.name, module)
        return Symbol(addr, self._pointer(use, btf, id, found.type), found.name, module)

    def _address(self, found: k.Var | k.Func, id: int) -> int | None:
        """kallsyms_lookup_name(): the kernel's own view."""
        options = self._options
        if isinstance(found, k.Func) and options.ksyms is no_symbols:
            return TEXT_BASE + 16 * id
        return options.ksyms(found.name)

    def _pointer(self, use: KsymUse, btf: Btf, id: int, type_id: int) -> Value:
        """What the register is (notes, section 7.5)."""
        target = btf.resolve(type_id)
        known = target if self._options.kernel_btf.has_id(target) else -1
        if _is_percpu(btf, id):
            return Value(Kind.BTF, known, 0, Trust.PERCPU)
        if isinstance(btf.type(target), k.Struct | k.Union):
            return Value(Kind.BTF, known, 0)
        try:
            btf.size_of(target)
        except InputError:
            name = getattr(btf.type(target), "name", "")
            rule = f"ldimm64 unable to resolve the size of type '{name}': -{EINVAL}"
            raise use.refuse(rule, EINVAL) from None
        return MEM


def too_many_btfs(symbols: list[Symbol], use: KsymUse) -> BindError | None:
    """The limit on BTFs of one program, the kernel's own counted."""
    if len({symbol.module for symbol in symbols}) <= _MOST_BTFS:
        return None
    rule = f"The total number of btfs per program has reached the limit of {_MOST_BTFS}"
    return use.refuse(rule, E2BIG)


def _explain(insn: LoadImm64) -> str:
    """What the offsets of a load meant, "" when it has none."""
    if not any(insn.offs):
        return ""
    from bpfemu.isa.ksym_proposal import explain_offsets

    return explain_offsets(insn)


def _is_percpu(btf: Btf, id: int) -> bool:
    """Does a BTF list the VAR in ``.data..percpu``?"""
    for number in btf.find_all(".data..percpu", k.DataSec):
        found = btf.type(number)
        if isinstance(found, k.DataSec) and any(entry.type == id for entry in found.entries):
            return True
    return False
