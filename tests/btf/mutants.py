"""Blobs that are nearly right, made again and again from a seed.

``mutant(seed)`` is the same bytes on every machine.  Some are types wired at random, some are good
blobs with a few words, bytes, header fields or strings changed.
"""

import random
import struct

from bpfemu.btf import Btf, BtfBuilder, Linkage
from bpfemu.btf import kinds as k
from tests.btf.samples import Sample

NAMES = ["", "a", "b_1", "task", ".text", "a b", "1st", "x" * 512, "x" * 513, "bpf_spin_lock"]
SPECIAL = {
    "bpf_spin_lock": 4,
    "bpf_res_spin_lock": 4,
    "bpf_list_head": 16,
    "bpf_list_node": 24,
    "bpf_rb_root": 16,
    "bpf_rb_node": 32,
    "bpf_refcount": 4,
    "bpf_timer": 16,
}


def kernel_btf() -> Btf:
    """As much of a kernel's own BTF as the special fields of a program are compared with."""
    b = BtfBuilder()
    for name, size in SPECIAL.items():
        b.struct(name, size, [])
    return b.build("vmlinux")


def good_program() -> bytes:
    """One of each kind that a kernel accepts in a program's BTF."""
    s = Sample()
    b = s.b
    pair = b.struct("pair", 16, [("a", s.int, 0), ("b", s.void_ptr, 64)])
    b.union("either", 8, [("n", s.u64, 0), ("p", b.ptr(pair), 0)])
    color = b.enum("color", 4, [("RED", 0), ("BLUE", 7)])
    b.enum("err", 4, [("EPERM", -1)], signed=True)
    b.enum64("wide", 8, [("TOP", 1 << 63)])
    b.struct("bits", 8, [("a", s.u32, 0, 3), ("b", color, 3, 5), ("c", s.u32, 32)])
    array = b.array(pair, s.u32, 4)
    b.struct("holder", 72, [("array", array, 0), ("far", b.ptr(b.fwd("far")), 512)])
    name = b.typedef("name_t", b.const(b.volatile(s.int)))
    b.restrict(s.void_ptr)
    proto = b.func_proto(s.int, [("x", b.ptr(pair)), ("n", name), ("", 0)])
    b.func_proto(0)
    func = b.func("f", proto)
    b.ptr(proto)
    v = b.var("v", array)
    w = b.var("w", s.int, Linkage.STATIC)
    b.datasec(".data", 72, [(v, 0, 64), (w, 64, 4)])
    double = b.float_("double", 8)
    b.struct("real", 16, [("d", double, 64)])
    b.decl_tag("tag", pair, 1)
    b.decl_tag("tag", func, 0)
    b.decl_tag("tag", v)
    b.ptr(b.type_tag("user", pair))
    b.typedef("t", s.int)
    b.type_tag("rcu", b.type_tag("user", b.const(s.int)))
    return b.encode()


def good_fields() -> bytes:
    """Structs with special fields that a kernel accepts."""
    s = Sample()
    b = s.b
    ids = {name: b.struct(name, size, []) for name, size in SPECIAL.items()}
    item = b.struct("item", 32, [("node", ids["bpf_list_node"], 0), ("n", s.u64, 192)])
    root = b.struct(
        "root",
        48,
        [("lock", ids["bpf_spin_lock"], 0), ("head", ids["bpf_list_head"], 64), ("i", s.u64, 192)],
    )
    b.decl_tag("contains:item:node", root, 1)
    leaf = b.struct("leaf", 40, [("node", ids["bpf_rb_node"], 0), ("n", s.u64, 256)])
    tree = b.struct("tree", 24, [("root", ids["bpf_rb_root"], 0), ("l", ids["bpf_spin_lock"], 128)])
    b.decl_tag("contains:leaf:node", tree, 0)
    both = [("r", ids["bpf_refcount"], 0), ("l", ids["bpf_list_node"], 64)]
    b.struct("both", 64, [*both, ("t", ids["bpf_rb_node"], 256)])
    kptr = b.ptr(b.type_tag("kptr", item))
    b.struct("keeper", 56, [("p", kptr, 0), ("q", b.volatile(kptr), 64), ("l", leaf, 128)])
    b.array(kptr, s.u32, 2)
    return b.encode()


def random_types(rng: random.Random, tame: bool) -> bytes:
    """A dozen types with random references; tame ones are well formed by themselves."""
    b = BtfBuilder()
    b.int_("int", 4, 1)
    count = rng.randrange(1, 14)
    for _ in range(count):
        b.add(random_type(rng, count + 1, tame))
    return b.encode()


def random_type(rng: random.Random, count: int, tame: bool) -> k.Type:
    """One type; references go to any of ``count`` ids, now and then beyond the last."""

    def ref(lowest: int = 0) -> int:
        wild = not tame and rng.random() < 0.1
        return rng.randrange(lowest, count + 3 if wild else count + 1)

    def name(*others: str) -> str:
        wild = not tame and rng.random() < 0.1
        return rng.choice(NAMES if wild else ["a", "b", "c", *others])

    def pick(good: list[int], bad: int) -> int:
        return rng.choice(good if tame else [*good, bad])

    def members(union: bool) -> tuple[k.Member, ...]:
        made, at = [], 0
        for _ in range(rng.randrange(4)):
            bits = rng.choice([0, 0, 0, 3, 33]) if flag else 0
            made.append(k.Member(name(""), ref(tame), 0 if union else at, bits))
            at += rng.choice([bits or 32, 64, 64, 128])
        return tuple(made)

    flag = rng.random() < 0.3
    size = rng.choice([64, 128] if tame else [4, 8, 16, 64])
    value = k.EnumValue(name(), 1)
    makers = [
        lambda: k.Int(name(), rng.choice([1, 2, 4, 8, 16]), pick([0, 1, 2, 4], 3), 8),
        lambda: k.Int(name(), 8, 0, pick([0, 7, 32], 66), rng.choice([0, 0, 3])),
        lambda: k.Ptr(ref()),
        lambda: k.Ptr(ref()),
        lambda: k.Array(ref(tame), rng.choice([1, ref(tame)]), rng.choice([0, 1, 2, 1 << 30])),
        lambda: k.Struct(name(""), size, members(False), flag),
        lambda: k.Struct(name(""), size, members(False), flag),
        lambda: k.Union(name(""), size, members(True), flag),
        lambda: k.Enum(name(""), pick([1, 4, 8], 3), flag, (value,)),
        lambda: k.Enum64(name(""), pick([2, 8], 0), flag, (value,)),
        lambda: k.Fwd(name(), flag),
        lambda: k.Typedef(name(), ref()),
        lambda: k.Volatile(ref()),
        lambda: k.Const(ref()),
        lambda: k.Restrict(ref()),
        lambda: k.Func(name(), ref(), pick([0, 1, 1], 2)),
        lambda: k.FuncProto(
            ref(), tuple(k.Param(name(""), ref()) for _ in range(rng.randrange(3)))
        ),
        lambda: k.Var(name(), ref(tame), pick([0, 1, 1], 2)),
        lambda: k.DataSec(name(".d"), 16, (k.SecVar(ref(tame), 0, 8), k.SecVar(ref(tame), 8, 4))),
        lambda: k.Float(name(), pick([2, 4, 8, 12, 16], 3)),
        lambda: k.DeclTag(name("tag"), ref(), rng.choice([-1, -1, 0, 1, 5]), flag),
        lambda: k.TypeTag(name("kptr"), ref(), flag),
    ]
    return rng.choice(makers)()


def random_fields(rng: random.Random) -> bytes:
    """Structs of special fields, put together at random."""
    s = Sample()
    b = s.b
    sizes = dict(SPECIAL)
    if rng.random() < 0.2:
        sizes[rng.choice(list(sizes))] += 8
    specials = [b.struct(name, size, []) for name, size in sizes.items() if rng.random() < 0.8]
    pool = [s.int, s.u64, *specials, *specials]
    pool.append(b.struct("item", 32, [("node", rng.choice(pool), 0), ("n", s.u64, 192)]))
    for tag in rng.sample(["kptr", "kptr_untrusted", "percpu_kptr", "uptr", "other"], 2):
        pointer = b.ptr(b.type_tag(tag, rng.choice([pool[-1], s.int, b.type_tag("x", s.int)])))
        pool += [pointer, b.volatile(pointer), b.array(pointer, s.u32, rng.randrange(4))]
    for number in range(rng.randrange(1, 4)):
        members, at = [], 0
        for index in range(rng.randrange(1, 5)):
            kind = rng.choice(pool)
            members.append((f"m{index}", kind, at))
            at += rng.choice([64, 128, 192, 256, 32])
        owner = b.struct(f"s{number}", (at + 256) // 8, members)
        for index in range(len(members)):
            if rng.random() < 0.5:
                value = rng.choice(["item:node", "s0:m0", "s1:m1", "item:no", "no:node", "item"])
                b.decl_tag(f"contains:{value}", owner, index)
        pool += [owner, b.array(owner, s.u32, rng.randrange(1, 5))]
    return b.encode()


def change_words(rng: random.Random, data: bytearray) -> None:
    """Change some words of the type section to numbers that matter."""
    (size,) = struct.unpack_from("=I", data, 12)
    for _ in range(rng.randrange(1, 4)):
        at = 24 + 4 * rng.randrange(max(size // 4, 1))
        old = int.from_bytes(data[at : at + 4], "little")
        new = rng.choice([0, 1, 2, rng.randrange(40), old ^ 1 << rng.randrange(32), 1 << 20, ~0])
        data[at : at + 4] = (new & 0xFFFFFFFF).to_bytes(4, "little")


def change_bytes(rng: random.Random, data: bytearray) -> None:
    """Change any bytes, those of strings among them."""
    for _ in range(rng.randrange(1, 5)):
        data[rng.randrange(24, len(data))] = rng.choice([0, 1, 32, 65, 255, rng.randrange(256)])


def change_header(rng: random.Random, data: bytearray) -> None:
    """Change a field of the header, or the length of the data."""
    at, form = rng.choice([(0, "H"), (2, "B"), (3, "B"), *[(at, "I") for at in range(4, 24, 4)]])
    (old,) = struct.unpack_from("=" + form, data, at)
    top = (1 << 8 * struct.calcsize(form)) - 1
    new = rng.choice([0, 1, 2, old + 1, old - 1, old + 4, old - 4, old + 8, 32, top])
    struct.pack_into("=" + form, data, at, new & top)
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    if rng.random() < 0.3:
        data += bytes(rng.randrange(9))


def mutant(seed: int) -> bytes:
    """Return the blob of a seed."""
    rng = random.Random(seed)
    family = seed % 8
    if family < 3:
        return random_types(rng, tame=family > 0)
    if family == 3:
        return random_fields(rng)
    data = bytearray(good_fields() if rng.random() < 0.4 else good_program())
    (change_words, change_words, change_bytes, change_header)[family - 4](rng, data)
    return bytes(data)
