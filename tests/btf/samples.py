"""Blobs and types that several tests of this room use."""

import struct

from bpfemu.btf import Btf, BtfBuilder, IntEncoding


def blob(types: bytes, strings: bytes, **header: int) -> bytes:
    """Put a 24-byte header before two sections, as include/uapi/linux/btf.h draws it."""
    fields = {
        "magic": 0xEB9F,
        "version": 1,
        "flags": 0,
        "hdr_len": 24,
        "type_off": 0,
        "type_len": len(types),
        "str_off": len(types),
        "str_len": len(strings),
    } | header
    return struct.pack("=HBBIIIII", *fields.values()) + types + strings


def words(*numbers: int) -> bytes:
    """Pack 32-bit words in the host's byte order."""
    return struct.pack(f"={len(numbers)}I", *numbers)


PAIR_STRINGS = b"\0int\0pair\0a\0b\0"
PAIR_WORDS = [
    *(1, 1 << 24, 4, 1 << 24 | 32),  # [1] int
    *(0, 2 << 24, 1),  # [2] int *
    *(5, 4 << 24 | 2, 16, 10, 1, 0, 12, 2, 64),  # [3] struct pair { int a; int *b; }
]


def pair_blob() -> bytes:
    """int; int *; struct pair { int a; int *b; }, word for word."""
    return blob(words(*PAIR_WORDS), PAIR_STRINGS)


class Sample:
    """A builder with the numbers that every C program has."""

    def __init__(self, byteorder: str = "little") -> None:
        b = self.b = BtfBuilder(byteorder=byteorder)
        self.int = b.int_("int", 4, IntEncoding.SIGNED)
        self.char = b.int_("char", 1, IntEncoding.SIGNED)
        self.u8 = b.int_("unsigned char", 1)
        self.u32 = b.int_("unsigned int", 4)
        self.u64 = b.int_("unsigned long", 8)
        self.bool = b.int_("_Bool", 1, IntEncoding.BOOL)
        self.void_ptr = b.ptr(0)


def split_pair() -> tuple[Btf, Btf]:
    """The pair as a base, and three types of a module on top of it."""
    base = Btf.parse(pair_blob(), name="vmlinux")
    builder = BtfBuilder(base)
    pointer = builder.ptr(3)
    builder.typedef("pair_ptr", pointer)
    builder.typedef("pair", pointer)
    return base, builder.build("mod")
