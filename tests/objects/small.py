"""A kernel of nothing but memory and a few types, for objects of every kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from bpfemu.btf import Btf, BtfBuilder, EnumValue, IntEncoding
from bpfemu.machine.memory import Memory, RegionKind
from bpfemu.objects import Object, Program
from bpfemu.proto.profile import find_profile

BASE = 0xFFFF_8880_0000_0000


def types() -> Btf:
    """Numbers, a point, a line of points, bit fields, an enumeration, anonymous members."""
    b = BtfBuilder()
    number = b.int_("int", 4, IntEncoding.SIGNED)
    char = b.int_("char", 1, IntEncoding.SIGNED)
    wide = b.int_("long unsigned int", 8)
    u32 = b.typedef("u32", b.int_("unsigned int", 4))
    b.int_("short int", 2, IntEncoding.SIGNED)
    yes = b.int_("_Bool", 1, IntEncoding.BOOL)
    double = b.float_("double", 8)
    b.float_("float", 4)
    color = b.enum("color", 4, [EnumValue("RED", 0), EnumValue("BLUE", 2)])
    b.enum64("big", 8, [EnumValue("HUGE", 1 << 63)])
    point = b.struct("point", 8, [("x", number, 0), ("y", number, 32)])
    ppoint = b.ptr(point)
    b.typedef("point_t", point)
    b.struct("line", 24, [("ends", b.array(point, number, 2), 0), ("name", b.ptr(char), 128)])
    inner = b.struct("", 8, [("left", number, 0), ("right", number, 32)])
    either = b.union("", 8, [("", inner, 0), ("both", wide, 0)])
    b.struct("mixed", 16, [("", either, 0), ("tail", b.const(number), 64)])
    bits = [("low", u32, 0, 3), ("mid", number, 3, 5), ("high", u32, 8, 24)]
    b.struct("bits", 4, bits)
    members = [
        ("text", b.array(char, number, 8), 0),
        ("on", yes, 64),
        ("of", color, 96),
        ("ratio", double, 128),
        ("at", ppoint, 192),
        ("fn", b.ptr(b.func_proto(number, [("p", ppoint)])), 256),
        ("nothing", b.ptr(0), 320),
        ("far", b.ptr(b.fwd("far")), 384),
        ("more", b.array(char, number, 0), 448),
    ]
    b.struct("all", 56, members)
    node = b.reserve()
    b.set(node, b_struct("node", [("next", b.ptr(b.type_tag("rcu", node)), 0)]))
    b.struct("empty", 0, [])
    return b.build("vmlinux")


def b_struct(name: str, members: list[tuple[str, int, int]]) -> Any:
    from bpfemu.btf import Member, Struct

    return Struct(name, 8 * len(members), tuple(Member(*one) for one in members))


class Small:
    """The program, and memory to put things into."""

    def __init__(self) -> None:
        self.memory = Memory(BASE, 1 << 20)
        btf = types()
        kernel: Any = SimpleNamespace(
            memory=self.memory,
            space=SimpleNamespace(layouts=SimpleNamespace(btf=btf)),
            services={"variables": SimpleNamespace(symbols=SimpleNamespace(variables={}))},
            config=SimpleNamespace(profile=find_profile("6.18.44"), cpus=2),
        )
        self.prog = Program(kernel)

    def put(self, data: bytes) -> int:
        """The address of some bytes."""
        addr = self.memory.allocate(max(len(data), 1), RegionKind.MEMORY, "test").addr
        self.memory.write(addr, data)
        return addr

    def at(self, type: str, data: bytes) -> Object:
        """A reference to an object of these bytes."""
        return Object(self.prog, type, address=self.put(data))


def number(*values: int, size: int = 4) -> bytes:
    """Numbers one behind the other."""
    return b"".join((value & (1 << 8 * size) - 1).to_bytes(size, "little") for value in values)
