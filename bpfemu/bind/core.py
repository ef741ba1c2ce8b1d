"""CO-RE relocations: the program's field offsets, sizes and ids become the kernel's (notes, 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from errno import E2BIG, EINVAL, ERANGE
from typing import Final

from bpfemu.bind.candidates import Candidates
from bpfemu.bind.core_spec import (
    ENUM_KINDS,
    FIELD_KINDS,
    KIND_TEXT,
    Spec,
    match_spec,
    parse_spec,
    spec_text,
)
from bpfemu.bind.link import Linked
from bpfemu.btf import Btf
from bpfemu.btf import kinds as k
from bpfemu.errors import BindError, InputError
from bpfemu.isa.insn import Alu, Atomic, Call, Imm, Insn, Load, LoadImm64, Store
from bpfemu.isa.ops import AluOp, Pseudo
from bpfemu.object import CoreRelo
from bpfemu.record import dataclass, replace

__all__ = ["POISON_IMM", "CoreResult", "explain_core", "relocate_core"]

POISON_IMM: Final = 195896080
"""The helper number that a poisoned instruction calls: 0xbad2310."""

BYTE_OFF: Final = 0
BYTE_SIZE: Final = 1
FIELD_EXISTS: Final = 2
SIGNED: Final = 3
LSHIFT: Final = 4
RSHIFT: Final = 5
LOCAL_TYPE_ID: Final = 6
TARGET_TYPE_ID: Final = 7
TYPE_SIZE: Final = 9
ENUMVAL_EXISTS: Final = 10
_U64: Final = (1 << 64) - 1
_NO_SRC: Final = (AluOp.MOVSX8, AluOp.MOVSX16, AluOp.MOVSX32)


@dataclass(frozen=True, slots=True)
class _Side:
    """What one side says: a value, and for byte offsets the field's size and type."""

    value: int = 0
    missing: bool = False  # no value at all: the instruction is poisoned
    checked: bool = True  # the program's own value must stand in the instruction
    size: int = 0  # bytes of the field; 0 where it does not matter
    type_id: int = 0


@dataclass(frozen=True, slots=True)
class _Result:
    """How to patch one instruction."""

    old: int
    new: int
    poison: bool
    checked: bool
    old_size: int = 0  # bytes; differ when the access width changes
    new_size: int = 0
    unsafe_resize: bool = False


def relocate_core(
    linked: Linked, local: Btf | None, kernel: Btf, modules: Mapping[str, Btf]
) -> dict[int, str]:
    """Patch every recorded instruction; returns the poisoned slots with the reason in words."""
    poisoned: dict[int, str] = {}
    if not linked.core_relos or local is None:
        return poisoned
    pool = Candidates(local, kernel, modules)
    for relo in linked.core_relos:
        try:
            _relocate(linked, local, pool, relo, poisoned)
        except InputError as error:
            if isinstance(error, BindError):
                raise
            kind = KIND_TEXT[relo.kind] if 0 <= relo.kind < len(KIND_TEXT) else str(relo.kind)
            raise BindError(
                f"CO-RE relocation <{kind}> [{relo.type_id}] + {relo.access}: {error}",
                program=linked.name,
                slot=relo.slot,
                errno=error.errno or EINVAL,
            ) from error
    return poisoned


@dataclass(frozen=True, slots=True)
class CoreResult:
    """What became of one relocation."""

    relo: CoreRelo
    local: str  # the program's side in words
    target: str = ""  # the kernel's side; empty where nothing matched
    value: int | None = None  # what the instruction gets; None: it does not
    poison: str = ""  # why the instruction may not be reached
    error: str = ""  # why the program cannot be loaded at all


def explain_core(
    linked: Linked, local: Btf | None, kernel: Btf, modules: Mapping[str, Btf]
) -> tuple[list[CoreResult], dict[int, str]]:
    """Do as ``relocate_core``, go on behind errors, and tell what became of each relocation."""
    poisoned: dict[int, str] = {}
    results: list[CoreResult] = []
    if local is None:
        return results, poisoned
    pool = Candidates(local, kernel, modules)
    for relo in linked.core_relos:
        error = ""
        try:
            _relocate(linked, local, pool, relo, poisoned)
        except InputError as problem:
            error = str(problem)
        results.append(_explain(local, pool, relo, poisoned.get(relo.slot, ""), error))
    return results, poisoned


def _explain(local: Btf, pool: Candidates, relo: CoreRelo, poison: str, error: str) -> CoreResult:
    try:
        spec = parse_spec(local, relo.type_id, relo.access, relo.kind)
    except InputError:
        return CoreResult(relo, f"[{relo.type_id}] + {relo.access}", error=error)
    text = spec_text(spec)
    if relo.kind == LOCAL_TYPE_ID:
        return CoreResult(relo, text, text, relo.type_id, error=error)
    if error:
        return CoreResult(relo, text, error=error)
    matches = (match_spec(spec, btf, id) for btf, id in pool.of(spec.root))
    target = next((found for found in matches if found is not None), None)
    value = None if poison else _result(spec, target).new
    return CoreResult(relo, text, spec_text(target) if target else "", value, poison)


def _relocate(
    linked: Linked, local: Btf, pool: Candidates, relo: CoreRelo, poisoned: dict[int, str]
) -> None:
    spec = parse_spec(local, relo.type_id, relo.access, relo.kind)
    if relo.kind == LOCAL_TYPE_ID:
        result = _Result(relo.type_id, relo.type_id, False, True)
    else:
        result = _decide(spec, pool)
    if result.poison:
        reason = "failed to resolve CO-RE relocation"
        _poison(linked, relo.slot, f"{reason} {spec_text(spec)}", poisoned)
        return
    insn = linked.code[relo.slot]
    patched = _patch(linked.name, relo.slot, insn, result)
    if patched is None:
        why = f"accesses field incorrectly: {result.old_size} bytes, it has {result.new_size}"
        _poison(linked, relo.slot, f"{why}: {spec_text(spec)}", poisoned)
    else:
        linked.code[relo.slot] = patched


def _decide(spec: Spec, pool: Candidates) -> _Result:
    """Ask every candidate; they must agree."""
    chosen: _Result | None = None
    where = 0
    matched: list[tuple[Btf, int]] = []
    for btf, id in pool.of(spec.root):
        target = match_spec(spec, btf, id)
        if target is None:
            continue
        matched.append((btf, id))
        result = _result(spec, target)
        if chosen is None:
            chosen, where = result, target.bit_offset
        elif target.bit_offset != where:
            rule = f"field offset ambiguity: {target.bit_offset} != {where}"
            raise InputError(f"{rule} for {spec_text(spec)}", errno=EINVAL)
        elif (result.poison, result.new) != (chosen.poison, chosen.new):
            rule = f"relocation decision ambiguity: {_outcome(result)} != {_outcome(chosen)}"
            raise InputError(f"{rule} for {spec_text(spec)}", errno=EINVAL)
    if chosen is None:
        return _result(spec, None)
    pool.keep(spec.root, matched)
    return chosen


def _outcome(result: _Result) -> str:
    return f"failure {result.new}" if result.poison else f"success {result.new}"


def _result(spec: Spec, target: Spec | None) -> _Result:
    side: Callable[[Spec | None, int], _Side]
    if spec.kind in FIELD_KINDS:
        side = _field_side
    else:
        side = _enum_side if spec.kind in ENUM_KINDS else _type_side
    mine, theirs = side(spec, spec.kind), side(target, spec.kind)
    unsafe = False
    if target is not None and mine.size != theirs.size:
        unsafe = not _resizable(spec.btf, mine.type_id, target.btf, theirs.type_id)
    return _Result(
        mine.value,
        theirs.value,
        theirs.missing,
        mine.checked,
        mine.size,
        theirs.size,
        unsafe,
    )


def _resizable(local: Btf, mine: int, kernel: Btf, theirs: int) -> bool:
    """May the access width follow the field's?  Only pointers and unsigned integers."""
    found = local.type(local.resolve(mine)), kernel.type(kernel.resolve(theirs))
    if all(isinstance(side, k.Ptr) for side in found):
        return True
    return all(isinstance(side, k.Int) and not side.signed for side in found)


def _type_side(spec: Spec | None, kind: int) -> _Side:
    if spec is None:
        return _Side()
    if kind == TARGET_TYPE_ID:
        return _Side(spec.root, checked=False)
    return _Side(spec.btf.size_of(spec.root) if kind == TYPE_SIZE else 1)


def _enum_side(spec: Spec | None, kind: int) -> _Side:
    if kind == ENUMVAL_EXISTS:
        return _Side(int(spec is not None))
    if spec is None:
        return _Side(missing=True)
    found = spec.btf.type(spec.path[0].type_id)
    assert isinstance(found, k.Enum | k.Enum64)
    return _Side(found.values[spec.path[0].index].value & _U64)


def _field_side(spec: Spec | None, kind: int) -> _Side:
    if kind == FIELD_EXISTS:
        return _Side(int(spec is not None))
    if spec is None:
        return _Side(missing=True)
    last = spec.path[-1]
    if not last.name:
        return _element_side(spec, last.type_id, kind)
    outer = spec.btf.type(last.type_id)
    assert isinstance(outer, k.Struct | k.Union)
    member = outer.members[last.index]
    if member.bit_size:
        return _bitfield_side(spec, member, kind)
    size = spec.btf.size_of(member.type)
    return _number_side(spec, member, kind, spec.bit_offset // 8, size, 8 * size)


def _element_side(spec: Spec, elem: int, kind: int) -> _Side:
    size = spec.btf.size_of(elem)
    if kind == BYTE_OFF:
        return _Side(spec.bit_offset // 8, size=size, type_id=elem)
    if kind == BYTE_SIZE:
        return _Side(size)
    rule = f"<{KIND_TEXT[kind]}> can't be applied to array access"
    raise InputError(rule, errno=EINVAL)


def _bitfield_side(spec: Spec, member: k.Member, kind: int) -> _Side:
    """A load for a bitfield starts as wide as its type and doubles until it covers the bits."""
    size = spec.btf.size_of(member.type)
    first, bits = spec.bit_offset, member.bit_size
    offset = first // 8 // size * size
    while first + bits - 8 * offset > 8 * size:
        if size >= 8:
            rule = f"{bits} bits at bit {first} can't be satisfied for bitfield"
            raise InputError(rule, errno=E2BIG)
        size *= 2
        offset = first // 8 // size * size
    return _number_side(spec, member, kind, offset, size, bits)


def _number_side(
    spec: Spec, member: k.Member, kind: int, offset: int, size: int, bits: int
) -> _Side:
    bitfield = bool(member.bit_size)
    match kind:
        case 0:
            if bitfield:
                return _Side(offset, checked=False)
            return _Side(offset, size=size, type_id=member.type)
        case 1:
            return _Side(size, checked=not bitfield)
        case 3:
            found = spec.btf.type(spec.btf.resolve(member.type))
            return _Side(int(isinstance(found, k.Int | k.Enum | k.Enum64) and found.signed))
        case 4:
            shift = 64 - (spec.bit_offset + bits - 8 * offset)
            return _Side(shift & _U64, checked=not bitfield)
        case _:
            return _Side(64 - bits)


def _poison(linked: Linked, slot: int, why: str, poisoned: dict[int, str]) -> None:
    """Replace an instruction (both halves of a wide one) by a call that must not be reached."""
    wide = isinstance(linked.code[slot], LoadImm64)
    for at in (slot, slot + 1) if wide else (slot,):
        linked.code[at] = Call("helper", POISON_IMM)
        poisoned[at] = f"<invalid CO-RE relocation> {why}"


def _patch(program: str, slot: int, insn: Insn, result: _Result) -> Insn | None:
    """The instruction with its new value; None when it must be poisoned."""

    def expect(what: str, value: int) -> None:
        if result.checked and value != result.old:
            raise BindError(
                f"unexpected insn ({what}) value: got {value}, exp {result.old} -> {result.new}",
                program=program,
                slot=slot,
                errno=EINVAL,
            )

    match insn:
        case Alu(src=Imm(value)) if insn.op not in _NO_SRC:
            expect("ALU/ALU64", value & 0xFFFF_FFFF if result.old > 0x7FFF_FFFF else value)
            return Alu(insn.op, insn.width, insn.dst, Imm(_signed32(result.new)))
        case Load() | Store() | Atomic():
            expect("LDX/ST/STX", insn.offset)
            return _patch_access(program, slot, insn, result)
        case LoadImm64(pseudo=Pseudo.PLAIN):
            expect("LDIMM64", insn.value)
            return LoadImm64(insn.dst, result.new & _U64)
        case _:
            rule = f"trying to relocate unrecognized insn {type(insn).__name__}"
            raise BindError(rule, program=program, slot=slot, errno=EINVAL)


def _patch_access(
    program: str, slot: int, insn: Load | Store | Atomic, result: _Result
) -> Insn | None:
    def refuse(rule: str, errno: int = EINVAL) -> BindError:
        return BindError(rule, program=program, slot=slot, errno=errno)

    if result.new > 0x7FFF:
        raise refuse(f"insn (LDX/ST/STX) value too big: {result.new}", ERANGE)
    if result.unsafe_resize:
        return None
    size = insn.size
    if result.new_size != result.old_size:
        if size != result.old_size:
            raise refuse(f"unexpected mem size: got {size}, exp {result.old_size}")
        if result.new_size not in (1, 2, 4, 8):
            raise refuse(f"unexpected new mem size: {result.new_size}")
        size = result.new_size
    return replace(insn, offset=result.new, size=size)


def _signed32(value: int) -> int:
    low = value & 0xFFFF_FFFF
    return low - (low >> 31 << 32)
