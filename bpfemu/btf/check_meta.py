"""The first pass over the types: is each record well formed by itself?

Each function checks one kind in the order in which the kernel does and returns how many bytes of
trailer it took.  Source: kernel ``kernel/bpf/btf.c``, the ``check_meta`` operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bpfemu.btf import kinds as k
from bpfemu.btf.check_env import ENOTSUPP, MAX_TYPE, CheckEnv, Record, record_at
from bpfemu.btf.parse import LEGAL_INFO, TRAILER_WORDS

__all__ = ["check_all_metas"]

_NO_FLAG: Final = "Invalid btf_info kind_flag"
_NO_VLEN: Final = "vlen != 0"
_INT_MASK: Final = 0x0FFFFFFF
_MAX_BITS: Final = 128
_FLOAT_SIZES: Final = (2, 4, 8, 12, 16)


def check_all_metas(env: CheckEnv) -> None:
    """Check every record and collect them in ``env.own``."""
    at, end = 0, len(env.words)
    env.current = env.start_id
    while at < end:
        found = _head(env, at, 4 * (end - at))
        at += 3 + _META[found.kind](env, found, 4 * (end - at) - 12) // 4
        if env.current > MAX_TYPE - 1:
            env.log("Exceeded max num of types")
        else:
            env.own.append(found)
        env.current += 1
    env.current = None


def _head(env: CheckEnv, at: int, left: int) -> Record:
    if left < 12:
        raise env.refuse(f"[{env.current}] meta_left:{left} meta_needed:12")
    found = record_at(env.words, at, env.current or 0)
    if found.info & ~LEGAL_INFO:
        raise env.refuse(f"[{env.current}] Invalid btf_info:{found.info:x}")
    if found.kind not in _META:
        raise env.refuse(f"[{env.current}] Invalid kind:{found.kind}")
    if not env.has_name(found.name_off):
        raise env.refuse(f"[{env.current}] Invalid name_offset:{found.name_off}")
    return found


def _trailer(env: CheckEnv, found: Record, left: int) -> int:
    """Return the trailer's size in bytes; it must be there."""
    fixed, each = TRAILER_WORDS[found.kind]
    needed = 4 * (fixed + each * found.vlen)
    if left < needed:
        raise env.refuse_type(found, f"meta_left:{left} meta_needed:{needed}", details=False)
    return needed


def _no_vlen(env: CheckEnv, found: Record) -> None:
    if found.vlen:
        raise env.refuse_type(found, _NO_VLEN)


def _no_flag(env: CheckEnv, found: Record) -> None:
    if found.flag:
        raise env.refuse_type(found, _NO_FLAG)


def _no_name(env: CheckEnv, found: Record) -> None:
    if found.name_off:
        raise env.refuse_type(found, "Invalid name")


def _name(env: CheckEnv, found: Record, *, optional: bool = False) -> None:
    if not found.name_off and optional:
        return
    if not found.name_off or not env.is_identifier(found.name_off):
        raise env.refuse_type(found, "Invalid name")


def _int(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    _no_vlen(env, found)
    _no_flag(env, found)
    data = found.tail(0)
    if data & ~_INT_MASK:
        raise env.refuse_type(found, f"Invalid int_data:{data:x}", details=False)
    bits = (data & 0xFF) + (data >> 16 & 0xFF)
    if bits > _MAX_BITS:
        raise env.refuse_type(found, f"nr_bits exceeds {_MAX_BITS}")
    if -(-bits // 8) > found.third:
        raise env.refuse_type(found, "nr_bits exceeds type_size")
    if data >> 24 & 15 not in (0, 1, 2, 4):
        raise env.refuse_type(found, "Unsupported encoding", ENOTSUPP)
    env.log_type(found)
    return needed


def _reference(env: CheckEnv, found: Record, left: int) -> int:
    """Check a pointer, typedef, qualifier or type tag."""
    _no_vlen(env, found)
    if found.kind != k.TypeTag.KIND:
        _no_flag(env, found)
    if found.third > MAX_TYPE:
        raise env.refuse_type(found, "Invalid type_id")
    if found.kind == k.Typedef.KIND:
        _name(env, found)
    elif found.kind == k.TypeTag.KIND:
        if not env.raw_name(found.name_off):
            raise env.refuse_type(found, "Invalid name")
    else:
        _no_name(env, found)
    env.log_type(found)
    return 0


def _fwd(env: CheckEnv, found: Record, left: int) -> int:
    _no_vlen(env, found)
    if found.third:
        raise env.refuse_type(found, "type != 0")
    _name(env, found)
    env.log_type(found)
    return 0


def _array(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    _no_name(env, found)
    _no_vlen(env, found)
    _no_flag(env, found)
    if found.third:
        raise env.refuse_type(found, "size != 0")
    for what, id in (("elem", found.tail(0)), ("index", found.tail(1))):
        if not 0 < id <= MAX_TYPE:
            raise env.refuse_type(found, f"Invalid {what}")
    env.log_type(found)
    return needed


def _composite(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    _name(env, found, optional=True)
    env.log_type(found)
    last = 0
    for member in found.rows(3):
        problem = _member_problem(env, found, member, last)
        if problem:
            raise env.refuse_part(found, member, problem)
        env.log(f"{env.part(found, member)}\n")
        last = _bit_offset(found, member)
    return needed


def _bit_offset(found: Record, member: tuple[int, ...]) -> int:
    return member[2] & 0xFFFFFF if found.flag else member[2]


def _member_problem(env: CheckEnv, found: Record, member: tuple[int, ...], last: int) -> str | None:
    name_off, type_id, _ = member
    offset = _bit_offset(found, member)
    if not env.has_name(name_off):
        return f"Invalid member name_offset:{name_off}"
    if name_off and not env.is_identifier(name_off):
        return "Invalid name"
    if not 0 < type_id <= MAX_TYPE:
        return "Invalid type_id"
    if (found.kind == k.Union.KIND and offset) or offset < last:
        return "Invalid member bits_offset"
    if -(-offset // 8) > found.third:
        return "Member bits_offset exceeds its struct size"
    return None


def _enum(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    if found.third not in (1, 2, 4, 8):
        raise env.refuse_type(found, "Unexpected size")
    _name(env, found, optional=True)
    env.log_type(found)
    wide = found.kind == k.Enum64.KIND
    for name_off, *number in found.rows(3 if wide else 2):
        if not env.has_name(name_off):
            raise env.refuse(f"\tInvalid name_offset:{name_off}")
        if not name_off or not env.is_identifier(name_off):
            raise env.refuse_type(found, "Invalid name")
        value = number[0] | number[1] << 32 if wide else number[0]
        bits = 64 if wide else 32
        if found.flag:
            value -= value >> bits - 1 << bits
        env.log(f"\t{env.name(name_off)} val={value}\n")
    return needed


def _func_proto(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    _no_name(env, found)
    _no_flag(env, found)
    env.log_type(found)
    return needed


def _func(env: CheckEnv, found: Record, left: int) -> int:
    _name(env, found)
    if found.vlen > k.Linkage.GLOBAL:
        raise env.refuse_type(found, "Invalid func linkage")
    _no_flag(env, found)
    env.log_type(found)
    return 0


def _var(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    _no_vlen(env, found)
    _no_flag(env, found)
    _name(env, found)
    if not 0 < found.third <= MAX_TYPE:
        raise env.refuse_type(found, "Invalid type_id")
    if found.tail(0) > k.Linkage.GLOBAL:
        raise env.refuse_type(found, "Linkage not supported")
    env.log_type(found)
    return needed


def _datasec(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    if not found.third:
        raise env.refuse_type(found, "size == 0")
    _no_flag(env, found)
    if not found.name_off or not env.is_section_name(found.name_off):
        raise env.refuse_type(found, "Invalid name")
    env.log_type(found)
    end = 0
    for entry in found.rows(3):
        problem = _entry_problem(entry, end, found.third)
        if problem:
            raise env.refuse_part(found, entry, problem)
        end = entry[1] + entry[2]
        env.log(f"{env.part(found, entry)}\n")
    return needed


def _entry_problem(entry: tuple[int, ...], last_end: int, section_size: int) -> str | None:
    type_id, offset, size = entry
    if not 0 < type_id <= MAX_TYPE:
        return "Invalid type_id"
    if not last_end <= offset < section_size:
        return "Invalid offset"
    if not 0 < size <= section_size:
        return "Invalid size"
    return "Invalid offset+size" if offset + size > section_size else None


def _float(env: CheckEnv, found: Record, left: int) -> int:
    _no_vlen(env, found)
    _no_flag(env, found)
    if found.third not in _FLOAT_SIZES:
        raise env.refuse_type(found, "Invalid type_size")
    env.log_type(found)
    return 0


def _decl_tag(env: CheckEnv, found: Record, left: int) -> int:
    needed = _trailer(env, found, left)
    if not env.raw_name(found.name_off):
        raise env.refuse_type(found, "Invalid value")
    _no_vlen(env, found)
    component = found.tail(0)
    if component >> 31 and component != 0xFFFFFFFF:
        raise env.refuse_type(found, "Invalid component_idx")
    env.log_type(found)
    return needed


_META: Final[Mapping[int, Callable[[CheckEnv, Record, int], int]]] = {
    k.Int.KIND: _int,
    k.Ptr.KIND: _reference,
    k.Array.KIND: _array,
    k.Struct.KIND: _composite,
    k.Union.KIND: _composite,
    k.Enum.KIND: _enum,
    k.Fwd.KIND: _fwd,
    k.Typedef.KIND: _reference,
    k.Volatile.KIND: _reference,
    k.Const.KIND: _reference,
    k.Restrict.KIND: _reference,
    k.Func.KIND: _func,
    k.FuncProto.KIND: _func_proto,
    k.Var.KIND: _var,
    k.DataSec.KIND: _datasec,
    k.Float.KIND: _float,
    k.DeclTag.KIND: _decl_tag,
    k.TypeTag.KIND: _reference,
    k.Enum64.KIND: _enum,
}
assert len(_META) == len(k.KINDS) - 1
