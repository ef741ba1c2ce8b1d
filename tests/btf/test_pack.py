"""Python values → bytes."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfemu.btf import pack
from bpfemu.btf.render import python_to_bytes, value_to_python
from bpfemu.errors import InputError
from tests.btf.samples import Sample


class World:
    """One of each shape."""

    def __init__(self, byteorder: str = "little") -> None:
        s = self.s = Sample(byteorder)
        b = s.b
        self.color = b.enum("color", 4, [("RED", 0), ("BLUE", 7)])
        self.comm = b.array(s.char, s.u32, 8)
        self.bytes = b.array(s.u8, s.u32, 4)
        self.bits = b.struct("bits", 4, [("a", s.u32, 0, 4), ("b", s.int, 4, 12)])
        either = b.union("", 8, [("number", s.u64, 0), ("low", s.u32, 0)])
        self.limits = b.array(self.bits, s.u32, 2)
        self.config = b.struct(
            "config",
            40,
            [
                ("name", self.comm, 0),
                ("color", self.color, 64),
                ("on", s.bool, 96),
                ("", either, 128),
                ("limits", self.limits, 192),
                ("next", s.void_ptr, 256),
            ],
        )
        self.double = b.float_("double", 8)
        self.single = b.float_("float", 4)
        self.old = b.int_("old", 4, 0, bits=4, bit_offset=8)
        self.wide = b.int_("wide", 32, 0, bits=0)
        self.a, self.b = b.var("a", s.int), b.var("b", self.comm)
        self.section = b.datasec(".data", 16, [(self.a, 4, 4), (self.b, 8, 8)])
        self.outside = b.struct("outside", 4, [("x", s.u64, 0)])
        self.far = b.datasec(".far", 2, [(self.a, 0, 4)])
        self.btf = b.build()


WORLD = World()


def test_values_become_the_bytes_that_c_would_store():
    w = WORLD
    value = {
        "name": "init",
        "color": "BLUE",
        "on": True,
        "number": 0x1122334455667788,
        "limits": [{"a": 3, "b": -1}],
        "next": None,
    }

    data = python_to_bytes(w.btf, w.config, value)

    assert data == (
        b"init\0\0\0\0" + b"\7\0\0\0" + b"\1\0\0\0" + b"\x88\x77\x66\x55\x44\x33\x22\x11"
        b"\xf3\xff\0\0" + bytes(4) + bytes(8)
    )
    assert python_to_bytes(w.btf, w.config, {}) == bytes(40)


def test_the_byte_order_is_that_of_the_types():
    w = World("big")

    assert python_to_bytes(w.btf, w.s.u32, 0x01020304) == b"\1\2\3\4"
    assert python_to_bytes(w.btf, w.bits, {"a": 1, "b": 0x234}) == b"\x12\x34\0\0"
    assert python_to_bytes(w.btf, w.double, 1.5) == struct.pack(">d", 1.5)


def test_single_values_of_each_kind():
    w = WORLD

    assert python_to_bytes(w.btf, w.s.int, -2) == b"\xfe\xff\xff\xff"
    assert python_to_bytes(w.btf, w.a, 5) == b"\5\0\0\0"
    assert python_to_bytes(w.btf, w.color, 9) == b"\t\0\0\0"
    assert python_to_bytes(w.btf, w.s.void_ptr, 1) == b"\1" + bytes(7)
    assert python_to_bytes(w.btf, w.old, 5) == b"\0\5\0\0"
    assert python_to_bytes(w.btf, w.single, 1) == struct.pack("<f", 1)
    assert python_to_bytes(w.btf, w.comm, b"ab") == b"ab" + bytes(6)
    assert python_to_bytes(w.btf, w.bytes, (1, 2)) == b"\1\2\0\0"
    assert python_to_bytes(w.btf, w.config, bytes(range(40))) == bytes(range(40))
    assert python_to_bytes(w.btf, w.section, {"a": 1, "b": "x"}) == (
        bytes(4) + b"\1\0\0\0" + b"x" + bytes(7)
    )


def test_fields_of_a_union_may_agree_but_not_differ():
    w = WORLD

    agree = python_to_bytes(w.btf, w.config, {"number": 0x100000002, "low": 2})
    assert agree[16:24] == b"\2\0\0\0\1\0\0\0"
    with pytest.raises(InputError, match="low: 3: another field of the union has another value"):
        python_to_bytes(w.btf, w.config, {"number": 0x100000002, "low": 3})


@pytest.mark.parametrize(
    ("type", "value", "message"),
    [
        ("config", {"nmae": "x"}, "value: 'nmae': struct config has no such field, but name"),
        ("config", {3: "x"}, "value: 3: struct config has no such field, but name, color"),
        ("config", 7, "value: 7: struct config takes a dict"),
        ("config", {"name": "12345678"}, "name: '12345678': 8 bytes and a NUL, the array has 8"),
        ("config", {"name": 5}, r"name: 5: char\[8\] takes a list"),
        ("config", {"name": "\ud800"}, "not text that UTF-8 can hold"),
        ("config", {"color": "GREEN"}, "color: 'GREEN': enum color has RED, BLUE"),
        ("config", {"color": 1.5}, "color: 1.5: enum color takes an integer"),
        ("config", {"on": 256}, "on: 256: does not fit _Bool, 0 to 255"),
        ("config", {"limits": [{}, {"a": 16}]}, r"limits\[1\].a: 16: does not fit unsigned int"),
        ("config", {"limits": [{"b": -2049}]}, r"limits\[0\].b: -2049: .*-2048 to 2047"),
        ("config", {"limits": [{}] * 3}, "3 elements, struct bits.2. has 2"),
        ("config", {"next": -1}, r"next: -1: does not fit void \*"),
        ("config", b"short", "5 bytes, struct config has 40"),
        ("config", {"next": "x" * 99}, r"next: 'x{56}\.\.\.: void \* takes an integer"),
        ("bytes", "ab", "only an array of char takes a string"),
        ("bytes", b"12345", r"5 bytes, unsigned char\[4\] has 4"),
        ("config", {"next": 1 << 20_000}, r"next: 0x10{54}\.\.\.: does not fit void \*"),
        ("wide", 5, "a number of 32 bytes takes bytes"),
        ("double", "x", "double takes a number"),
        ("single", 1e300, "does not fit float"),
        ("outside", {"x": 1}, "x: 1: the field passes the end of its struct"),
        ("far", {"a": 1}, "a: 1: the variable passes the end of its section"),
        ("section", {"c": 1}, "section .data has no such field, but"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_rule(type, value, message):
    with pytest.raises(InputError, match=message):
        python_to_bytes(WORLD.btf, getattr(WORLD, type), value)


def test_a_path_prefix_names_the_value():
    with pytest.raises(InputError, match=r"key\.a: 'x': unsigned int takes an integer"):
        python_to_bytes(WORLD.btf, WORLD.bits, {"a": "x"}, "key")


def test_absurd_sizes_are_refused(monkeypatch):
    monkeypatch.setattr(pack, "_MOST_BYTES", 39)

    with pytest.raises(InputError, match="struct config has 40 bytes"):
        python_to_bytes(WORLD.btf, WORLD.config, {})


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=40, max_size=40), st.sampled_from(["little", "big"]))
def test_a_value_read_from_bytes_packs_to_a_value_that_reads_the_same(data, byteorder):
    w = World(byteorder)

    value = value_to_python(w.btf, w.config, data)
    again = value_to_python(w.btf, w.config, python_to_bytes(w.btf, w.config, value))

    assert again == value
