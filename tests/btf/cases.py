"""One small blob per rule of BPF_BTF_LOAD, with the errno and the words it is refused with."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from bpfemu.btf import BtfBuilder
from bpfemu.btf import kinds as k
from tests.btf.samples import PAIR_STRINGS, PAIR_WORDS, blob, pair_blob, words

EINVAL, E2BIG, EEXIST, ENOENT, EFAULT, ELOOP, ENOTSUPP = 22, 7, 17, 2, 14, 40, 524


@dataclass(frozen=True)
class Case:
    """``errno`` 0 is a blob that the kernel takes."""

    data: bytes
    errno: int = EINVAL
    message: str = ""


def pair(errno: int = EINVAL, message: str = "", **header: int) -> Case:
    """The pair with some header fields changed."""
    return Case(blob(words(*PAIR_WORDS), PAIR_STRINGS, **header), errno, message)


def raw(message: str, *record: int, errno: int = EINVAL) -> Case:
    """An int as type 1, then one record of raw words; name offsets: 1 n, 3 m, 5 ``1x``, 8 é."""
    first = (1, 1 << 24, 4, 32)
    return Case(blob(words(*first, *record), b"\0n\0m\x001x\0\xc3\xa9\0"), errno, message)


def built(message: str, make: Callable[[BtfBuilder], object], errno: int = EINVAL) -> Case:
    """An int as type 1, then what ``make`` adds."""
    b = BtfBuilder()
    b.int_("int", 4, 1)
    make(b)
    return Case(b.encode(), errno, message)


PROTO = k.FuncProto(0, ())


def kind(cls: type, vlen: int = 0, flag: int = 0) -> int:
    """Return an info word."""
    return cls.KIND << 24 | vlen | flag << 31


def header_cases() -> dict[str, Case]:
    """Section by section of the blob."""
    whole = pair_blob()
    long_head = struct.pack("=HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 64, 64, 14, 0, 0)
    used_head = struct.pack("=HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 64, 64, 14, 0, 1)
    gap = words(*PAIR_WORDS) + bytes(4) + PAIR_STRINGS
    head = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 14, 64, 0, 14)
    return {
        "whole": Case(whole, 0),
        "seven bytes": Case(whole[:7], EINVAL, "hdr_len not found"),
        "no bytes": Case(b"", EINVAL, "hdr_len not found"),
        "header longer than data": pair(EINVAL, "btf_header not found", hdr_len=999),
        "long header of zeros": Case(long_head + whole[24:], 0),
        "long header in use": Case(used_head + whole[24:], E2BIG, "Unsupported btf_header"),
        "short header": pair(EINVAL, "Unsupported section found", hdr_len=20),
        "no header": pair(EINVAL, "Invalid magic", hdr_len=0),
        "magic": pair(EINVAL, "Invalid magic", magic=0x9FEB),
        "version": pair(ENOTSUPP, "Unsupported version", version=2),
        "flags": pair(ENOTSUPP, "Unsupported flags", flags=1),
        "header only": Case(whole[:24], EINVAL, "No data"),
        "offset beyond": pair(EINVAL, "Invalid section offset", str_off=999),
        "gap": Case(
            blob(words(*PAIR_WORDS), b"")[:16] + words(68, 14) + gap,
            EINVAL,
            "Unsupported section found",
        ),
        "rest": Case(whole + b"\0", EINVAL, "Unsupported section found"),
        "overlap": pair(EINVAL, "Section overlap found", type_len=68),
        "too long": pair(EINVAL, "Total section length too long", str_len=15),
        "strings first": Case(
            head + PAIR_STRINGS + words(*PAIR_WORDS), EINVAL, "String section is not at the end"
        ),
        "no strings": Case(blob(words(*PAIR_WORDS), b""), EINVAL, "Invalid string section"),
        "strings begin": Case(blob(words(0, 2 << 24, 0), b"a\0"), EINVAL, "Invalid string section"),
        "strings end": Case(blob(words(0, 2 << 24, 0), b"\0a"), EINVAL, "Invalid string section"),
        "types after strings": Case(
            blob(b"", b"\0a\0", type_off=3, str_off=0), EINVAL, "Unaligned type_off"
        ),
        "no types": Case(blob(b"", b"\0"), EINVAL, "No type found"),
        "too big": Case(blob(words(0, 2 << 24, 0), bytes(1 << 24)), E2BIG),
    }


def meta_cases() -> dict[str, Case]:
    """One record at a time."""
    no_vlen, no_flag, name = "vlen != 0", "Invalid btf_info kind_flag", "Invalid name"
    left = "meta_left:{} meta_needed:{}".format
    int_, ptr, array, struct_, union = map(kind, (k.Int, k.Ptr, k.Array, k.Struct, k.Union))
    member = (3, 1, 0)
    datasec = "Invalid offset"
    return {
        "half a record": raw("[2] meta_left:8 meta_needed:12", 0, ptr),
        "reserved bit": raw("[2] Invalid btf_info:2010000", 0, ptr | 1 << 16, 0),
        "kind 0": raw("[2] Invalid kind:0", 0, 0, 0),
        "kind 20": raw("[2] Invalid kind:20", 0, 20 << 24, 0),
        "name offset": raw("[2] Invalid name_offset:99", 99, ptr, 0),
        "int without data": raw(left(0, 4), 1, int_, 4),
        "int vlen": raw(no_vlen, 1, int_ | 1, 4, 32),
        "int flag": raw(no_flag, 1, int_ | 1 << 31, 4, 32),
        "int data": raw("Invalid int_data:10000020", 1, int_, 4, 1 << 28 | 32),
        "int middle bits": raw("", 1, int_, 4, 0xFF20, errno=0),
        "int 129 bits": raw("nr_bits exceeds 128", 1, int_, 32, 1 << 16 | 128),
        "int too small": raw("nr_bits exceeds type_size", 1, int_, 3, 32),
        "int two encodings": raw("Unsupported encoding", 1, int_, 4, 3 << 24, errno=ENOTSUPP),
        "int encoding 8": raw("Unsupported encoding", 1, int_, 4, 8 << 24, errno=ENOTSUPP),
        "int of no bits": raw("", 0, int_, 3, 0, errno=0),
        "int any name": raw("", 5, int_, 4, 32, errno=0),
        "pointer vlen": raw(no_vlen, 0, ptr | 1, 0),
        "pointer flag": raw(no_flag, 0, ptr | 1 << 31, 0),
        "pointer id": raw("Invalid type_id", 0, ptr, 1 << 20),
        "pointer name": raw(name, 1, ptr, 0),
        "typedef without name": raw(name, 0, kind(k.Typedef), 1),
        "typedef bad name": raw(name, 5, kind(k.Typedef), 1),
        "typedef latin name": raw(name, 8, kind(k.Typedef), 1),
        "typedef flag": raw(no_flag, 1, kind(k.Typedef, 0, 1), 1),
        "tag without name": raw(name, 0, kind(k.TypeTag), 1),
        "tag any name": raw("", 5, kind(k.TypeTag), 1, errno=0),
        "tag flag": raw("", 1, kind(k.TypeTag, 0, 1), 1, errno=0),
        "fwd vlen": raw(no_vlen, 1, kind(k.Fwd, 1), 0),
        "fwd type": raw("type != 0", 1, kind(k.Fwd), 1),
        "fwd name": raw(name, 0, kind(k.Fwd), 0),
        "fwd union": raw("", 1, kind(k.Fwd, 0, 1), 0, errno=0),
        "array short": raw(left(8, 12), 0, array, 0, 1, 1),
        "array name": raw(name, 1, array, 0, 1, 1, 1),
        "array vlen": raw(no_vlen, 0, array | 1, 0, 1, 1, 1),
        "array flag": raw(no_flag, 0, array | 1 << 31, 0, 1, 1, 1),
        "array size": raw("size != 0", 0, array, 4, 1, 1, 1),
        "array of void": raw("Invalid elem", 0, array, 0, 0, 1, 1),
        "array index void": raw("Invalid index", 0, array, 0, 1, 0, 1),
        "struct short": raw(left(8, 12), 1, struct_ | 1, 4, 3, 1),
        "struct name": raw(name, 5, struct_, 4),
        "member name offset": raw("Invalid member name_offset:99", 1, struct_ | 1, 4, 99, 1, 0),
        "member name": raw(name, 1, struct_ | 1, 4, 5, 1, 0),
        "member void": raw("Invalid type_id", 1, struct_ | 1, 4, 3, 0, 0),
        "union offset": raw("Invalid member bits_offset", 1, union | 1, 8, 3, 1, 32),
        "members go back": raw("Invalid member bits_offset", 1, struct_ | 2, 8, 3, 1, 32, *member),
        "member outside": raw(
            "Member bits_offset exceeds its struct size", 1, struct_ | 1, 4, 3, 1, 33
        ),
        "enum short": raw(left(4, 8), 1, kind(k.Enum, 1), 4, 3),
        "enum size": raw("Unexpected size", 1, kind(k.Enum), 3),
        "enum size 16": raw("Unexpected size", 1, kind(k.Enum), 16),
        "enum name": raw(name, 5, kind(k.Enum), 4),
        "value name offset": raw("\tInvalid name_offset:99", 1, kind(k.Enum, 1), 4, 99, 0),
        "value without name": raw(name, 1, kind(k.Enum, 1), 4, 0, 0),
        "value bad name": raw(name, 1, kind(k.Enum64, 1), 8, 5, 0, 0),
        "func without name": raw(name, 0, kind(k.Func), 1),
        "func extern": raw("Invalid func linkage", 1, kind(k.Func, 2), 1),
        "func flag": raw(no_flag, 1, kind(k.Func, 0, 1), 1),
        "proto short": raw(left(4, 8), 0, kind(k.FuncProto, 1), 0, 0),
        "proto name": raw(name, 1, kind(k.FuncProto), 0),
        "proto flag": raw(no_flag, 0, kind(k.FuncProto, 0, 1), 0),
        "var short": raw(left(0, 4), 1, kind(k.Var), 1),
        "var vlen": raw(no_vlen, 1, kind(k.Var, 1), 1, 1),
        "var flag": raw(no_flag, 1, kind(k.Var, 0, 1), 1, 1),
        "var name": raw(name, 5, kind(k.Var), 1, 1),
        "var void": raw("Invalid type_id", 1, kind(k.Var), 0, 1),
        "var extern": raw("Linkage not supported", 1, kind(k.Var), 1, 2),
        "section short": raw(left(8, 12), 1, kind(k.DataSec, 1), 4, 2, 0),
        "section size": raw("size == 0", 1, kind(k.DataSec), 0),
        "section flag": raw(no_flag, 1, kind(k.DataSec, 0, 1), 4),
        "section without name": raw(name, 0, kind(k.DataSec), 4),
        "section any name": raw("", 5, kind(k.DataSec), 4, errno=0),
        "entry void": raw("Invalid type_id", 1, kind(k.DataSec, 1), 4, 0, 0, 4),
        "entry outside": raw(datasec, 1, kind(k.DataSec, 1), 4, 1, 4, 4),
        "entries overlap": raw(datasec, 1, kind(k.DataSec, 2), 8, 1, 0, 4, 1, 3, 4),
        "entry of no size": raw("Invalid size", 1, kind(k.DataSec, 1), 4, 1, 0, 0),
        "entry too big": raw("Invalid size", 1, kind(k.DataSec, 1), 4, 1, 0, 5),
        "entry beyond": raw("Invalid offset+size", 1, kind(k.DataSec, 1), 8, 1, 4, 5),
        "float vlen": raw(no_vlen, 1, kind(k.Float, 1), 4),
        "float flag": raw(no_flag, 1, kind(k.Float, 0, 1), 4),
        "float size": raw("Invalid type_size", 1, kind(k.Float), 3),
        "decl tag short": raw(left(0, 4), 1, kind(k.DeclTag), 1),
        "decl tag empty": raw("Invalid value", 0, kind(k.DeclTag), 1, 0xFFFFFFFF),
        "decl tag vlen": raw(no_vlen, 1, kind(k.DeclTag, 1), 1, 0xFFFFFFFF),
        "decl tag component": raw("Invalid component_idx", 1, kind(k.DeclTag), 1, 0xFFFFFFFE),
        "long name": built("", lambda b: b.typedef("x" * 512, 1), 0),
        "longer name": built(name, lambda b: b.typedef("x" * 513, 1)),
        "dotted name": built("", lambda b: b.typedef("._x.1", 1), 0),
        "section control byte": built(name, lambda b: b.datasec("a\tb", 4, [])),
    }


def chain(count: int, forward: bool) -> Callable[[BtfBuilder], None]:
    """Typedefs in a row; forward ones refer to types that come later."""

    def make(b: BtfBuilder) -> None:
        for at in range(count):
            last = at == count - 1
            target = (1 if last else at + 3) if forward else at + 1
            b.typedef(f"t{at}", target)

    return make


def struct_with(type: Callable[[BtfBuilder], int], *place: int, size: int = 8) -> Callable:
    """A struct of one member."""
    return lambda b: b.struct("s", size, [("m", type(b), *place)], bitfields=len(place) > 1)


def resolve_cases() -> dict[str, Case]:
    """References between types."""
    bad_id, member = "Invalid type_id", "Invalid member"
    loop, deep = "Loop detected", "Exceeded max resolving depth:32"
    base, offset = "Invalid member base type", "Invalid member offset"
    width, aligned = "Invalid member bitfield_size", "Member is not byte aligned"
    long = "Member exceeds struct_size"

    def enum(b: BtfBuilder) -> int:
        return b.enum("e", 4, [])

    def odd(b: BtfBuilder) -> int:
        return b.int_("odd", 4, 0, bits=7)

    def fwd(b: BtfBuilder) -> int:
        return b.fwd("f")

    def ptr(b: BtfBuilder) -> int:
        return b.ptr(1)

    def proto(b: BtfBuilder) -> int:
        return b.func_proto(0)

    def var(b: BtfBuilder) -> int:
        return b.var("v", 1)

    def loops(*types: k.Type) -> Callable[[BtfBuilder], None]:
        return lambda b: [b.add(found) for found in types] and None

    return {
        "missing target": built(bad_id, lambda b: b.ptr(9)),
        "const of a var": built(bad_id, lambda b: b.const(var(b))),
        "typedef of a function": built("", lambda b: b.typedef("t", b.func("f", proto(b))), 0),
        "const void": built("", lambda b: b.const(0), 0),
        "typedef of fwd": built("", lambda b: b.typedef("t", fwd(b)), 0),
        "32 forward typedefs": built("", chain(32, True), 0),
        "33 forward typedefs": built(deep, chain(33, True), E2BIG),
        "33 typedefs back": built("", chain(33, False), 0),
        "const loop": built(loop, loops(k.Const(2)), EEXIST),
        "pointer loop": built(loop, loops(k.Ptr(3), k.Ptr(2)), EEXIST),
        "struct in itself": built(loop, loops(k.Struct("s", 8, (k.Member("m", 2, 0),))), EEXIST),
        "pointer to itself": built(
            "", loops(k.Struct("s", 8, (k.Member("m", 3, 0),)), k.Ptr(2)), 0
        ),
        "array in itself": built(loop, loops(k.Array(2, 1, 1)), EEXIST),
        "var of fwd": built(bad_id, lambda b: b.var("v", fwd(b))),
        "var of var": built(bad_id, lambda b: b.var("v", var(b))),
        "array index struct": built("Invalid index", lambda b: b.array(1, b.struct("s", 4, []), 1)),
        "array index odd": built("Invalid index", lambda b: b.array(1, odd(b), 1)),
        "array of fwd": built("Invalid elem", lambda b: b.array(fwd(b), 1, 1)),
        "array of odd": built("Invalid array of int", lambda b: b.array(odd(b), 1, 1)),
        "array too big": built("Array size overflows U32_MAX", lambda b: b.array(1, 1, 1 << 30)),
        "array big": built("", lambda b: b.array(1, 1, (1 << 30) - 1), 0),
        "member fwd": built(member, struct_with(fwd, 0)),
        "member var": built(member, struct_with(var, 0)),
        "member missing": built(member, struct_with(lambda b: 99, 0)),
        "member const fwd": built(member, struct_with(lambda b: b.const(fwd(b)), 0)),
        "member section": built(
            member, struct_with(lambda b: b.datasec(".d", 4, [(var(b), 0, 4)]), 0)
        ),
        "enum unaligned": built(aligned, struct_with(enum, 1)),
        "pointer unaligned": built(aligned, struct_with(ptr, 1, size=16)),
        "array unaligned": built(aligned, struct_with(lambda b: b.array(1, 1, 1), 1)),
        "struct unaligned": built(aligned, struct_with(lambda b: b.struct("i", 1, []), 1)),
        "enum too long": built(long, struct_with(enum, 40)),
        "pointer too long": built(long, struct_with(ptr, 8)),
        "array too long": built(long, struct_with(lambda b: b.array(1, 1, 3), 0)),
        "struct too long": built(long, struct_with(lambda b: b.struct("i", 9, []), 0)),
        "int too long": built(long, struct_with(lambda b: 1, 33)),
        "int at odd bit": built("", struct_with(lambda b: 1, 3), 0),
        "int wide": built(
            "nr_copy_bits exceeds 128", struct_with(lambda b: b.int_("i", 16), 3, size=32)
        ),
        "int overflow": built(
            "bits_offset exceeds U32_MAX",
            struct_with(lambda b: b.int_("i", 4, 0, 8, 8), 0xFFFFFFF8, size=1 << 30),
        ),
        "flag int odd": built(base, struct_with(odd, 0, 3)),
        "flag int offset": built(offset, struct_with(lambda b: 1, 3, 0)),
        "flag int width": built(width, struct_with(lambda b: 1, 0, 33)),
        "flag int long": built(long, struct_with(lambda b: 1, 62, 3)),
        "flag int wide": built(
            "nr_copy_bits exceeds 128", struct_with(lambda b: b.int_("i", 16), 3, 128, size=32)
        ),
        "flag enum unaligned": built(aligned, struct_with(enum, 3, 0)),
        "flag enum width": built(width, struct_with(enum, 0, 33)),
        "flag enum long": built(long, struct_with(enum, 40, 0)),
        "flag pointer width": built(width, struct_with(ptr, 0, 8)),
        "flag pointer": built("", struct_with(ptr, 0, 0), 0),
        "float unaligned": built(
            "Member is not properly aligned", struct_with(lambda b: b.float_("d", 8), 32, size=16)
        ),
        "float too long": built(long, struct_with(lambda b: b.float_("d", 16), 0)),
        "array of const fwd": built("Invalid elem", lambda b: b.array(b.const(fwd(b)), 1, 1)),
        "pointer to a later function": built(bad_id, loops(k.Ptr(3), k.Func("f", 4), PROTO)),
        "pointer to a function": built("", lambda b: b.ptr(b.func("f", proto(b))), 0),
        "func to int": built(bad_id, lambda b: b.func("f", 1)),
        "func nameless": built(
            "Invalid arg#2", lambda b: b.func("f", b.func_proto(0, [("a", 1), ("", 1)]))
        ),
        "return missing": built("Invalid return type", lambda b: b.func_proto(9)),
        "return fwd": built("Invalid return type", lambda b: b.func_proto(fwd(b))),
        "dots with a name": built("Invalid arg#1", lambda b: b.func_proto(0, [("a", 0)])),
        "arg missing": built("Invalid arg#2", lambda b: b.func_proto(0, [("a", 1), ("b", 9)])),
        "arg name": built("Invalid arg#1", lambda b: b.func_proto(0, [("1a", 1)])),
        "arg fwd": built("Invalid arg#1", lambda b: b.func_proto(0, [("a", fwd(b))])),
        "arg var": built("Invalid arg#1", lambda b: b.func_proto(0, [("a", var(b))])),
        "section of int": built("Not a VAR kind member", lambda b: b.datasec(".d", 4, [(1, 0, 4)])),
        "section too small": built("Invalid size", lambda b: b.datasec(".d", 4, [(var(b), 0, 3)])),
        "tag on int": built(bad_id, lambda b: b.decl_tag("t", 1)),
        "tag on var part": built("Invalid component_idx", lambda b: b.decl_tag("t", var(b), 0)),
        "tag on no member": built(
            "Invalid component_idx", lambda b: b.decl_tag("t", b.struct("s", 4, []), 0)
        ),
        "tag on no param": built(
            "Invalid component_idx", lambda b: b.decl_tag("t", b.func("f", proto(b)), 0)
        ),
        "tag after const": built(
            "Type tags don't precede modifiers", lambda b: b.const(b.type_tag("t", 1))
        ),
        "const after tag": built("", lambda b: b.type_tag("t", b.const(1)), 0),
    }


def field_cases() -> dict[str, Case]:
    """Special fields; the kernel gives no words for these."""

    def lock(b: BtfBuilder, name: str = "bpf_spin_lock") -> int:
        return b.struct(name, 4, [])

    def two_locks(b: BtfBuilder) -> None:
        one = lock(b)
        b.struct("s", 8, [("a", one, 0), ("b", one, 32)])

    def both_locks(b: BtfBuilder) -> None:
        b.struct("s", 8, [("a", lock(b), 0), ("b", lock(b, "bpf_res_spin_lock"), 32)])

    def overlap(b: BtfBuilder) -> None:
        one, node = lock(b), b.struct("bpf_list_node", 24, [])
        b.struct("s", 32, [("n", node, 0), ("l", one, 64)])

    def head(b: BtfBuilder, tag: str = "contains:item:node", locked: bool = True) -> None:
        node, root = b.struct("bpf_list_node", 24, []), b.struct("bpf_list_head", 16, [])
        b.struct("item", 32, [("node", node, 0), ("n", 1, 192)])
        members = [("h", root, 0)] + ([("l", lock(b), 128)] if locked else [])
        b.decl_tag(tag, b.struct("s", 24, members), 0)

    def nodes(b: BtfBuilder) -> None:
        one, two = b.struct("bpf_list_node", 24, []), b.struct("bpf_rb_node", 32, [])
        b.struct("s", 56, [("l", one, 0), ("r", two, 192)])

    def owners(b: BtfBuilder) -> None:
        node, root = b.struct("bpf_list_node", 24, []), b.struct("bpf_list_head", 16, [])
        one = lock(b)
        for name, other in (("s", "t"), ("t", "s")):
            s = b.struct(name, 48, [("n", node, 0), ("h", root, 192), ("l", one, 320)])
            b.decl_tag(f"contains:{other}:n", s, 1)

    def kptr(b: BtfBuilder, *tags: str, target: str = "mine", members: int = 1) -> None:
        id = b.struct(target, 8, [])
        for tag in tags:
            id = b.type_tag(tag, id)
        pointer = b.ptr(id)
        b.struct("s", 8 * members, [(f"m{at}", pointer, 64 * at) for at in range(members)])

    def arrays(b: BtfBuilder, id: int, count: int, nelems: int = 1) -> int:
        for _ in range(count):
            id = b.array(id, 1, nelems)
        return id

    def nested(b: BtfBuilder, count: int) -> None:
        one = lock(b)
        id = b.struct("inner", 8, [("a", one, 0)])
        for at in range(count):
            id = b.struct(f"s{at}", 8, [("a", id, 0)])
        b.struct("s", 16, [("l", one, 0), ("n", id, 64)])

    def beside(b: BtfBuilder, *types: Callable[[BtfBuilder], int], size: int = 512) -> None:
        members = [(f"m{at}", make(b), 1024 * at) for at, make in enumerate(types)]
        b.struct("s", size, members)

    def kptr_type(b: BtfBuilder) -> int:
        return b.ptr(b.type_tag("kptr", b.const(b.struct("mine", 8, []))))

    def keeper(b: BtfBuilder) -> int:
        return b.struct("keeper", 8, [("p", kptr_type(b), 0)])

    def owner_of(b: BtfBuilder, node: int, at: int = 0, locked: bool = False) -> None:
        root, one = b.struct("bpf_list_head", 16, []), lock(b)
        b.struct("item", 64, [("l", one, 0)] * locked + [("node", node, at)])
        b.decl_tag("contains:item:node", b.struct("s", 24, [("h", root, 0), ("l", one, 128)]), 0)

    def list_node(b: BtfBuilder) -> int:
        return b.struct("bpf_list_node", 24, [])

    return {
        "lock beside bits": built(
            "", lambda b: b.struct("s", 16, [("a", lock(b), 0), ("b", 1, 33)])
        ),
        "array of locks": built("", lambda b: beside(b, lock, lambda b: arrays(b, 2, 1, 2)), E2BIG),
        "array of nodes": built(
            "", lambda b: beside(b, lock, lambda b: arrays(b, list_node(b), 1, 2))
        ),
        "array of no locks": built("", lambda b: beside(b, lock, lambda b: arrays(b, 2, 1, 0)), 0),
        "32 arrays": built("", lambda b: beside(b, lock, lambda b: arrays(b, 1, 32)), E2BIG),
        "31 arrays": built("", lambda b: beside(b, lock, lambda b: arrays(b, 1, 31)), 0),
        "11 in an array": built(
            "", lambda b: beside(b, kptr_type, lambda b: arrays(b, kptr_type(b), 1, 10)), 0
        ),
        "12 in an array": built(
            "", lambda b: beside(b, kptr_type, lambda b: arrays(b, kptr_type(b), 1, 11)), E2BIG
        ),
        "array of structs": built(
            "", lambda b: beside(b, lock, lambda b: arrays(b, keeper(b), 1, 10)), 0
        ),
        "31 structs deep": built("", lambda b: nested(b, 30), 0),
        "32 structs deep": built("", lambda b: nested(b, 31), E2BIG),
        "lock of another size": built(
            "", lambda b: beside(b, lambda b: b.struct("bpf_spin_lock", 8, [])), EFAULT
        ),
        "lock unaligned": built(
            "", lambda b: b.struct("s", 16, [("a", lock(b), 16), ("b", 1, 64)]), EFAULT
        ),
        "kptr to int": built("", lambda b: beside(b, lock, lambda b: b.ptr(b.type_tag("kptr", 1)))),
        "unknown tag": built("", lambda b: beside(b, lock, lambda b: b.ptr(b.type_tag("rcu", 1)))),
        "uptr": built("", lambda b: beside(b, lock, lambda b: b.ptr(b.type_tag("uptr", 1))), 0),
        "two tags beside": built(
            "", lambda b: beside(b, lock, lambda b: b.ptr(b.type_tag("a", b.type_tag("b", 1))))
        ),
        "root of another node": built("", lambda b: owner_of(b, b.struct("bpf_rb_node", 32, []))),
        "root of an unaligned node": built("", lambda b: owner_of(b, list_node(b), 32), EFAULT),
        "root of an unaligned node beside a lock": built(
            "", lambda b: owner_of(b, list_node(b), 32, locked=True)
        ),
        "root of a node of another size": built(
            "", lambda b: owner_of(b, b.struct("bpf_list_node", 32, [])), EFAULT
        ),
        "root of a second node type": built(
            "", lambda b: list_node(b) and owner_of(b, list_node(b)), EFAULT
        ),
        "root of a node": built("", lambda b: owner_of(b, list_node(b)), 0),
        "one lock": built("", lambda b: b.struct("s", 8, [("a", lock(b), 0)]), 0),
        "two locks": built("", two_locks, E2BIG),
        "both locks": built("", both_locks),
        "overlap": built("", overlap, EEXIST),
        "list": built("", head, 0),
        "list without lock": built("", lambda b: head(b, locked=False)),
        "list of nothing": built("", lambda b: head(b, "contains:no:node"), ENOENT),
        "list by no member": built("", lambda b: head(b, "contains:item:no"), ENOENT),
        "list by number": built("", lambda b: head(b, "contains:item:n")),
        "list without tag": built("", lambda b: head(b, "other")),
        "list half a tag": built("", lambda b: head(b, "contains:item")),
        "list empty member": built("", lambda b: head(b, "contains:item:")),
        "node of two": built("", nodes),
        "owners of each other": built("", owners, ELOOP),
        "kptr": built("", lambda b: kptr(b, "kptr"), 0),
        "kptr to kernel type": built("", lambda b: kptr(b, "kptr", target="bpf_timer"), ENOENT),
        "untrusted kptr": built("", lambda b: kptr(b, "kptr_untrusted", target="bpf_timer"), 0),
        "unknown tag alone": built("", lambda b: kptr(b, "rcu"), 0),
        "two tags": built("", lambda b: kptr(b, "kptr", "user"), 0),
        "11 kptrs": built("", lambda b: kptr(b, "kptr", members=11), 0),
        "12 kptrs": built("", lambda b: kptr(b, "kptr", members=12), E2BIG),
    }


def all_cases() -> dict[str, Case]:
    """Return every case by name."""
    groups = {
        "header": header_cases(),
        "meta": meta_cases(),
        "resolve": resolve_cases(),
        "field": field_cases(),
    }
    return {
        f"{group}: {name}": case for group, cases in groups.items() for name, case in cases.items()
    }
